"""The support package (`utils`, `cs231n`): Solver, update rules, gradient check, pictures, features, im2col."""

import numpy as np
import pytest

from handgrad import SGD, Adam
from handgrad.courses.cs231n import features, gradient_check, im2col, im2col_cython, vis_utils
from handgrad.courses.cs231n import optim as cs231n_optim
from handgrad.courses.cs231n.data_utils import load_models, load_pickle
from handgrad.courses.cs231n.solver import Solver
from handgrad.courses.nndl import fc_net, optim
from handgrad.optimizers import RMSprop


def blobs(count=60):
    """Three classes of points, easily told apart."""
    y = np.arange(count) % 3
    X = np.random.default_rng(0).normal(size=(count, 4)) + 4 * np.eye(3, 4)[y]
    return {"X_train": X[10:], "y_train": y[10:], "X_val": X[:10], "y_val": y[:10]}


def solver(**options):
    np.random.seed(0)
    model = fc_net.TwoLayerNet(input_dim=4, hidden_dims=8, num_classes=3, weight_scale=0.1)
    return Solver(model, blobs(), **{"optim_config": {"learning_rate": 0.1}, "batch_size": 20, **options})


def test_solver_trains_keeps_the_best_and_prints_as_in_the_course(capsys):
    solved = solver(num_epochs=3, print_every=2, lr_decay=0.5)
    solved.train()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("(Iteration 1 / 6) loss: 1.1") and lines[1].startswith("(Epoch 0 / 3) train acc: 0.")
    assert [line[:15] for line in lines if line.startswith("(Epoch")] == [f"(Epoch {i} / 3) t" for i in range(4)]
    assert len(solved.loss_history) == 6 and len(solved.val_acc_history) == len(solved.train_acc_history) == 4
    assert solved.best_val_acc == max(solved.val_acc_history) and solved.epoch == 3
    assert solved.optim_configs["W1"]["learning_rate"] == pytest.approx(0.1 * 0.5**3)
    assert solved.model.params is solved.best_params
    assert solved.check_accuracy(solved.X_val, solved.y_val) == solved.best_val_acc


def test_solver_draws_batches_from_the_global_generator():
    data, solved = blobs(), solver(num_epochs=1, verbose=False)
    start = {name: value.copy() for name, value in solved.model.params.items()}
    np.random.seed(5)
    rows = np.random.choice(50, 20)
    expected, _ = fc_net.TwoLayerNet.loss(solved.model, data["X_train"][rows], data["y_train"][rows])
    np.random.seed(5)
    solved._step()
    assert solved.loss_history == [expected]
    assert all((solved.model.params[name] != value).any() for name, value in start.items())


def test_solver_samples_training_rows_with_replacement():
    solved = solver(verbose=False)
    np.random.seed(2)
    accuracy = solved.check_accuracy(solved.X_train, solved.y_train, num_samples=7)
    np.random.seed(2)
    rows = np.random.choice(50, 7)
    assert accuracy == np.mean(solved.model.loss(solved.X_train[rows]).argmax(axis=1) == solved.y_train[rows])


@pytest.mark.parametrize(
    "option, message",
    [
        ({"momentum": 1}, r'Unrecognized arguments "momentum"'),
        ({"update_rule": "sdg"}, r'Invalid update_rule "sdg"'),
        ({"update_rule": "np"}, r'Invalid update_rule "np"'),
    ],
)
def test_solver_refuses_what_it_does_not_know(option, message):
    with pytest.raises(ValueError, match=message):
        solver(**option)


def test_solver_refuses_rows_without_labels():
    data = blobs()
    with pytest.raises(ValueError, match="X_val has 10 rows, but y_val 9 labels"):
        Solver(fc_net.TwoLayerNet(4, 8, 3), {**data, "y_val": data["y_val"][:9]})


@pytest.mark.parametrize("rule", optim.__all__)
def test_parameters_keep_their_type_at_a_rate_of_numpys(rule):
    """As np.logspace or np.random.choice give rates: NumPy would make the parameters float64."""
    w, config = np.ones(3, np.float32), {"learning_rate": np.float64(0.1)}
    for _ in range(2):
        w, config = getattr(optim, rule)(w, w, config)
    assert w.dtype == np.float32


def test_checkpoints_are_read_again_and_nothing_else_is(tmp_path, capsys):
    solved = solver(num_epochs=2, checkpoint_name=str(tmp_path / "net"))
    solved.train()
    assert f'Saving checkpoint to "{tmp_path / "net"}_epoch_2.pkl"' in capsys.readouterr().out
    (tmp_path / "harm.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    models = load_models(tmp_path)
    assert sorted(models) == [f"net_epoch_{i}.pkl" for i in range(3)]
    assert isinstance(models["net_epoch_2.pkl"], fc_net.TwoLayerNet)
    assert models["net_epoch_2.pkl"].loss(solved.X_val).shape == (10, 3)


def test_checkpoints_hold_numpys_numbers_too(tmp_path):
    """np.random.choice and np.logspace make learning rates that are not Python's floats."""
    rates = {"optim_config": {"learning_rate": np.float64(0.1)}, "lr_decay": np.float32(0.9)}
    solved = solver(num_epochs=1, checkpoint_name=str(tmp_path / "net"), verbose=False, **rates)
    solved.model.reg = np.float64(0.1)
    solved.train()
    assert load_models(tmp_path)["net_epoch_1.pkl"].reg == 0.1
    with open(tmp_path / "net_epoch_1.pkl", "rb") as file:
        checkpoint = load_pickle(file)
    assert checkpoint["optim_config"] == {"learning_rate": 0.1} and checkpoint["epoch"] == 1


def test_a_solver_does_not_change_the_options_of_the_next():
    Solver(fc_net.TwoLayerNet(4, 8, 3), blobs()).optim_config["learning_rate"] = 7
    assert Solver(fc_net.TwoLayerNet(4, 8, 3), blobs()).optim_config == {}


RULES = {
    "sgd": (SGD(0.1), {"learning_rate": 0.1}),
    "sgd_momentum": (SGD(0.1, momentum=0.8), {"learning_rate": 0.1, "momentum": 0.8}),
    "sgd_nesterov_momentum": (SGD(0.1, momentum=0.8, nesterov=True), {"learning_rate": 0.1, "momentum": 0.8}),
    "rmsprop": (RMSprop(0.1, decay_rate=0.9), {"learning_rate": 0.1, "decay_rate": 0.9}),
    "adam": (Adam(0.1), {"learning_rate": 0.1}),
}


@pytest.mark.parametrize(
    "module, name", [(optim, name) for name in RULES] + [(cs231n_optim, name) for name in cs231n_optim.__all__]
)
def test_update_rules_agree_with_the_librarys_optimizers(module, name):
    optimizer, config = RULES[name]
    optimizer = type(optimizer)(
        **{
            key: value
            for key, value in vars(optimizer).items()
            if key in ("learning_rate", "momentum", "nesterov", "decay_rate")
        }
    )
    rng, config = np.random.default_rng(0), dict(config)
    w = rng.normal(size=(4, 5))
    expected, before = w.copy(), w.copy()
    for _ in range(5):
        dw = rng.normal(size=w.shape)
        optimizer.update([expected], [dw.copy()])
        w, same = getattr(module, name)(w, dw, config)
        assert same is config
        assert np.allclose(w, expected, rtol=1e-12, atol=1e-14)
    assert not np.shares_memory(w, before)


@pytest.mark.parametrize(
    "module, name, keys",
    [
        (optim, "sgd", {"learning_rate"}),
        (optim, "rmsprop", {"learning_rate", "decay_rate", "epsilon", "a"}),
        (optim, "adam", {"learning_rate", "beta1", "beta2", "epsilon", "v", "a", "t"}),
        (cs231n_optim, "rmsprop", {"learning_rate", "decay_rate", "epsilon", "cache"}),
        (cs231n_optim, "adam", {"learning_rate", "beta1", "beta2", "epsilon", "m", "v", "t"}),
    ],
)
def test_what_config_keeps_has_the_courses_names(module, name, keys):
    _, config = getattr(module, name)(np.ones(3), np.full(3, 2.0))
    assert set(config) == keys
    if name == "adam":
        first = config["v" if module is optim else "m"]
        assert config["t"] == 1 and config["learning_rate"] == 1e-3 and np.allclose(first, 0.2)


def test_numeric_gradients_put_everything_back(capsys):
    x = np.random.default_rng(0).normal(size=(2, 3))
    kept = x.copy()
    assert np.allclose(gradient_check.eval_numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2)
    assert len(capsys.readouterr().out.splitlines()) == 6
    upstream = np.arange(6.0).reshape(2, 3)
    assert np.allclose(gradient_check.eval_numerical_gradient_array(np.sin, x, upstream), np.cos(x) * upstream)
    gradient_check.grad_check_sparse(lambda x: (x**2).sum(), x, 2 * x, num_checks=3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(float(line.rpartition(" ")[2]) < 1e-6 for line in lines)
    assert np.array_equal(x, kept)


def test_numeric_gradients_need_numbers_that_a_small_step_moves():
    with pytest.raises(TypeError, match=r"got int64, which a step of 1e-05 leaves as they are: pass x\.astype"):
        gradient_check.eval_numerical_gradient(lambda x: (x**2).sum(), np.arange(3))


def test_numeric_gradients_of_blobs():
    class Blob:
        def __init__(self, vals, diffs=None):
            self.vals, self.diffs = vals, diffs

    a, b, out = Blob(np.ones((2, 2))), Blob(np.full((2, 2), 3.0)), Blob(np.zeros((2, 2)), np.ones((2, 2)))

    def multiply(a, b, out):
        out.vals = a.vals * b.vals

    by_a, by_b = gradient_check.eval_numerical_gradient_blobs(multiply, [a, b], out)
    assert np.allclose(by_a, 3) and np.allclose(by_b, 1)


def test_im2col_and_back():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    cols = im2col.im2col_indices(x, 3, 2, padding=1, stride=2)
    k, i, j = im2col.get_im2col_indices(x.shape, 3, 2, padding=1, stride=2)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert np.array_equal(cols, padded[:, k, i, j].transpose(1, 2, 0).reshape(18, -1))
    assert np.array_equal(cols, im2col_cython.im2col_cython(x, 3, 2, 1, 2))
    counted = im2col.col2im_indices(np.ones_like(cols), x.shape, 3, 2, padding=1, stride=2)
    back = im2col.col2im_indices(cols, x.shape, 3, 2, padding=1, stride=2)
    assert np.allclose(back, x * counted)
    assert np.array_equal(back, im2col_cython.col2im_cython(cols, *x.shape, 3, 2, 1, 2))
    six = cols.reshape(3, 3, 2, 3, 3, 2).transpose(0, 1, 2, 5, 3, 4)
    assert np.array_equal(back, im2col_cython.col2im_6d_cython(six, *x.shape, 3, 2, 1, 2))


def test_grids_of_images():
    images = np.arange(5 * 2 * 3 * 1, dtype=float).reshape(5, 2, 3, 1)
    grid = vis_utils.visualize_grid(images, padding=1)
    assert grid.shape == (3 * 2 + 2, 3 * 3 + 2, 1) and grid[:2, :3].min() == 0 and grid[:2, :3].max() == 255
    assert np.array_equal(grid[:2, :3], grid[:2, 4:7]) and not grid[2].any() and not grid[6:].any()
    grid = vis_utils.vis_grid(images)
    assert grid.shape == (9, 12, 1) and grid.min() == 0 and grid.max() == 1
    assert not vis_utils.vis_grid(np.ones((3, 2, 2, 3))).any()
    assert vis_utils.vis_nn([[images[0], images[1]], [images[2]]]).shape == (6, 8, 1)


def test_features(capsys):
    stripes = np.tile(np.arange(32.0) % 8, (32, 1))
    hog = features.hog_feature(np.repeat(stripes[:, :, None], 3, axis=2))
    assert hog.shape == (4 * 4 * 9,) and set(np.flatnonzero(hog) % 9) == {4}  # all gradients go across
    red = np.zeros((8, 8, 3))
    red[..., 0] = 255
    assert np.array_equal(features.color_histogram_hsv(red, nbin=4), [1, 0, 0, 0])
    both = features.extract_features(np.stack([red, red]), [features.hog_feature, features.color_histogram_hsv])
    assert both.shape == (2, 9 + 10)
    features.extract_features(np.stack([red] * 1000), [lambda image: image[0, 0]], verbose=True)
    assert capsys.readouterr().out == "Done extracting features for 1000 / 1000 images\n"
    with pytest.raises(ValueError, match="one-dimensional"):
        features.extract_features(red[None], [lambda image: image])
