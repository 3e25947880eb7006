"""Optimizers against plain formulas, PyTorch, their own saved state, and wrong input."""

import numpy as np
import pytest

from handgrad import optimizers
from handgrad.naming import constructor_arguments
from handgrad.optimizers import SGD, Adagrad, Adam, AdamW, ClipGlobalNorm, RMSprop

SHAPES = [(4, 3), (3,), ()]
CASES = [
    (SGD(0.1), "SGD", dict(lr=0.1)),
    (SGD(0.1, weight_decay=0.2), "SGD", dict(lr=0.1, weight_decay=0.2)),
    (SGD(0.1, momentum=0.9), "SGD", dict(lr=0.1, momentum=0.9)),
    (SGD(0.1, momentum=0.9, weight_decay=0.2), "SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.2)),
    (SGD(0.1, momentum=0.9, nesterov=True), "SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    (SGD(0.1, 0.8, True, 0.1), "SGD", dict(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.1)),
    (Adagrad(), "Adagrad", {}),
    (Adagrad(0.1, epsilon=1e-3, weight_decay=0.2), "Adagrad", dict(lr=0.1, eps=1e-3, weight_decay=0.2)),
    (RMSprop(), "RMSprop", {}),
    (RMSprop(0.1, 0.8, 1e-3, 0.2), "RMSprop", dict(lr=0.1, alpha=0.8, eps=1e-3, weight_decay=0.2)),
    (Adam(), "Adam", {}),
    (Adam(0.1, 0.8, 0.9, 1e-3, 0.2), "Adam", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)),
    (AdamW(), "AdamW", {}),
    (AdamW(0.1, 0.8, 0.9, 1e-3, 0.2), "AdamW", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)),
]
OPTIMIZERS = [case[0] for case in CASES]


def fresh(optimizer):
    return type(optimizer)(**constructor_arguments(optimizer))


def arrays(seed, dtype=np.float64, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), dtype) for shape in shapes]


@pytest.mark.parametrize(("optimizer", "name", "options"), CASES, ids=repr)
def test_twenty_steps_are_pytorchs(optimizer, name, options):
    torch = pytest.importorskip("torch")
    optimizer, ours = fresh(optimizer), arrays(0)
    theirs = [torch.tensor(p, requires_grad=True) for p in ours]
    reference = getattr(torch.optim, name)(theirs, **options)
    for step in range(20):
        gradients = arrays(step + 1)
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = torch.tensor(g)
        reference.step()
        optimizer.update(ours, gradients)
        for p, q in zip(ours, theirs, strict=True):
            assert np.abs(p - q.detach().numpy()).max() <= 1e-10


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_one_flat_vector_moves_like_separate_arrays(optimizer):
    together, apart = fresh(optimizer), fresh(optimizer)
    separate = arrays(0)
    flat = np.concatenate([p.ravel() for p in separate])
    for step in range(1, 4):
        gradients = arrays(step)
        together.update([flat], [np.concatenate([g.ravel() for g in gradients])])
        apart.update(separate, gradients)
    np.testing.assert_array_equal(flat, np.concatenate([p.ravel() for p in separate]))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_large_arrays_in_blocks_move_like_small_ones(optimizer, monkeypatch):
    whole, pieces = fresh(optimizer), fresh(optimizer)
    (a,), (b,) = arrays(0, shapes=[(7, 5)]), arrays(0, shapes=[(7, 5)])
    for step in range(1, 4):
        (gradient,) = arrays(step, shapes=[(7, 5)])
        whole.update([a], [gradient.copy()])
        with monkeypatch.context() as patch:
            patch.setattr(optimizers, "BLOCK", 8)
            pieces.update([b], [np.asfortranarray(gradient)])
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_dtype_is_kept_also_with_a_numpy_learning_rate(optimizer, dtype):
    optimizer, parameters = fresh(optimizer), arrays(0, dtype)
    same = list(parameters)
    optimizer.learning_rate = np.float64(0.05)
    optimizer.update(parameters, arrays(1, dtype))
    assert all(p is q and p.dtype == dtype for p, q in zip(parameters, same, strict=True))
    assert all(value.dtype == dtype for name, value in optimizer.state().items() if "." in name)


@pytest.mark.parametrize("loaded_after", [0, 1], ids=["before-first-update", "after-an-update"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_restored_state_goes_on_to_the_bit(optimizer, loaded_after):
    first, second = fresh(optimizer), fresh(optimizer)
    ours = arrays(0)
    for step in range(1, 4):
        first.update(ours, arrays(step))
    first.learning_rate *= 0.5
    state, copies = first.state(), [p.copy() for p in ours]
    for _ in range(loaded_after):
        second.update(arrays(9), arrays(8))
    second.load_state(state)
    for step in range(4, 7):
        first.update(ours, arrays(step))
        second.update(copies, arrays(step))
    for p, q in zip(ours, copies, strict=True):
        np.testing.assert_array_equal(p, q)
    assert second.learning_rate == first.learning_rate


def test_state_is_a_copy_on_both_ways():
    optimizer, parameters = SGD(0.1, momentum=0.9), arrays(0)
    optimizer.update(parameters, arrays(1))
    state = optimizer.state()
    saved = {name: np.array(value) for name, value in state.items()}
    other = SGD(0.1, momentum=0.9)
    other.load_state(state)
    optimizer.update(parameters, arrays(2))
    other.update(parameters, arrays(2))
    for name, value in saved.items():
        np.testing.assert_array_equal(state[name], value)


def test_the_learning_rate_of_the_moment_counts():
    optimizer, (p,) = SGD(1.0), [np.zeros(2)]
    optimizer.update([p], [np.ones(2)])
    optimizer.learning_rate = 0.25
    optimizer.update([p], [np.ones(2)])
    optimizer.learning_rate = 0.0
    optimizer.update([p], [np.ones(2)])
    np.testing.assert_array_equal(p, [-1.25, -1.25])


def test_an_optimizer_of_ones_own_is_one_method():
    class SignDescent(optimizers.Optimizer):
        def step(self, p, g, scratch):
            p -= self.learning_rate * np.sign(g)

    p = np.zeros(2)
    optimizers.get(SignDescent(0.5)).update([p], [np.array([3.0, -2.0])])
    np.testing.assert_array_equal(p, [-0.5, 0.5])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("sgd", "SGD(learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0, clipping=None)"),
        (
            "AdamW",
            "AdamW(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08, weight_decay=0.01, clipping=None)",
        ),
        (
            {"name": "adagrad", "learning_rate": 1, "clipping": {"name": "clip_value", "limit": 2}},
            "Adagrad(learning_rate=1.0, epsilon=1e-10, weight_decay=0.0, clipping=ClipValue(limit=2))",
        ),
    ],
)
def test_get_by_name_or_table(spec, expected):
    assert repr(optimizers.get(spec)) == expected


def test_get_takes_an_optimizer_as_it_is():
    optimizer = RMSprop()
    assert optimizers.get(optimizer) is optimizer


@pytest.mark.parametrize(
    ("spec", "error", "fragment"),
    [
        ("sdg", ValueError, "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ({"name": "sgd", "momentun": 0.9}, ValueError, "did you mean 'momentum'?"),
        ({"learning_rate": 0.1}, ValueError, "has no 'name'"),
        (SGD, TypeError, "write SGD(...)"),
        (None, TypeError, "got None"),
        (3, TypeError, "got 3"),
        ({"name": "sgd", "clipping": "clip_value"}, ValueError, "ClipValue needs the argument 'limit'"),
        ({"name": "sgd", "clipping": "value"}, ValueError, "unknown clipping 'value'"),
    ],
)
def test_get_refuses(spec, error, fragment):
    with pytest.raises(error) as raised:
        optimizers.get(spec)
    assert fragment in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (lambda: SGD(0), "SGD: learning_rate must be a finite number > 0, got 0"),
        (lambda: SGD(-0.1), "got -0.1"),
        (lambda: Adam(np.nan), "Adam: learning_rate must be a finite number > 0, got nan"),
        (lambda: Adam(np.inf), "got inf"),
        (lambda: Adam("fast"), "got 'fast'"),
        (lambda: SGD(True), "got True"),
        (lambda: SGD(momentum=-0.1), "momentum must be a finite number >= 0 and < 1, got -0.1"),
        (lambda: SGD(momentum=1), "got 1"),
        (lambda: SGD(nesterov=True), "nesterov=True needs momentum > 0"),
        (lambda: SGD(weight_decay=-1), "weight_decay"),
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(beta2=-0.1), "beta2"),
        (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: RMSprop(decay_rate=1), "decay_rate"),
        (lambda: ClipGlobalNorm(0), "ClipGlobalNorm: limit must be a finite number > 0, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(make, fragment):
    with pytest.raises(ValueError) as raised:
        make()
    assert fragment in str(raised.value)


@pytest.mark.parametrize(
    ("parameters", "gradients", "fragment"),
    [
        ([np.ones(3)], [np.ones(1)], "got [(3,)] and [(1,)]"),
        ([np.ones(3)], [], "got [(3,)] and []"),
        ([np.ones((2, 3)).T], [np.ones((3, 2))], "C-contiguous"),
        ([np.ones(3, int)], [np.ones(3)], "got int64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(parameters, gradients, fragment):
    before = [p.copy() for p in parameters]
    with pytest.raises(ValueError) as raised:
        SGD(0.1).update(parameters, gradients)
    assert fragment in str(raised.value)
    for p, q in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(p, q)


def test_other_parameters_than_at_the_first_update_are_refused():
    optimizer = Adam()
    optimizer.update([np.ones(3)], [np.ones(3)])
    with pytest.raises(ValueError, match="shapes of the first update"):
        optimizer.update([np.ones(4)], [np.ones(4)])


def test_a_state_that_does_not_fit_is_refused():
    adam, sgd = Adam(), SGD(momentum=0.9)
    adam.update([np.ones(3)], [np.ones(3)])
    sgd.update([np.ones(3)], [np.ones(3)])
    state = sgd.state()
    with pytest.raises(ValueError, match="does not fit Adam"):
        adam.load_state(state)
    with pytest.raises(ValueError, match="does not fit SGD"):
        SGD().load_state(state)
    with pytest.raises(ValueError, match="for other parameters"):
        sgd.load_state({**state, "velocity.0": np.ones(4)})
    late = SGD(momentum=0.9)
    late.load_state(state)
    with pytest.raises(ValueError, match="for other parameters"):
        late.update([np.ones(3, np.float32)], [np.ones(3, np.float32)])
