"""The PyTorch engine: the same training as in NumPy, exact resume, options, and errors on one line."""

import functools

import numpy as np
import pytest
import torch

import handgrad as hg
from handgrad import layers as hl
from handgrad.datasets import augment
from handgrad.torch_twin import TorchEngine, rules
from handgrad.training import NumpyEngine
from handgrad.training.trainer import read_state

rng = np.random.default_rng(0)
IMAGES = (255 * rng.random((40, 8, 8, 3))).astype(np.uint8)
LABELS = rng.integers(0, 4, 40)
ROWS, TARGETS = rng.standard_normal((60, 5)), rng.standard_normal(60)


def image_trainer(engine, dropout=0.0, dtype=np.float64, optimizer=None, **options):
    layers = [
        hl.Conv2D(6, 3, padding="same"),
        hl.BatchNorm(),
        hl.ReLU(),
        hl.MaxPool2D(2),
        hl.Dropout(dropout),
        hl.Flatten(),
        hl.Linear(16),
        hl.ReLU(),
        hl.Linear(4),
    ]
    model = hg.Sequential(layers).build((8, 8, 3), rng=1, dtype=dtype)
    return hg.Trainer(model, "cross-entropy", optimizer or hg.Adam(1e-3), seed=3, engine=engine, **options)


def both(make, fit):
    """The trainers of both engines after the same fit."""
    trainers = [make(NumpyEngine), make(TorchEngine)]
    for trainer in trainers:
        fit(trainer)
    return trainers


def assert_same_history(ours, theirs, tolerance):
    assert ours.history.keys() == theirs.history.keys()
    for name in ours.history:
        np.testing.assert_allclose(theirs.history[name], ours.history[name], rtol=0, atol=tolerance, err_msg=name)


def test_the_twin_knows_every_loss_and_optimizer():
    assert set(rules.LOSSES) == set(hl.criteria.LOSSES.values())
    assert set(rules.OPTIMIZERS) == set(hg.optimizers.OPTIMIZERS.values())


@pytest.mark.parametrize(
    "optimizer",
    [
        hg.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
        hg.Adam(1e-3, clipping=hg.ClipGlobalNorm(0.5)),
        hg.AdamW(1e-3),
        hg.RMSprop(1e-3, clipping=hg.ClipParameterNorm(0.2)),
        hg.Adagrad(clipping=hg.ClipValue(0.01)),
    ],
    ids=repr,
)
def test_curves_coincide_for_100_steps(optimizer):
    """Same weights, order, augmentation, penalty and schedule; 13 epochs of 8 steps."""
    steps = augment.Chain([augment.RandomFlip(), augment.RandomCrop(2)])
    spec = {"name": type(optimizer).__name__, **optimizer.get_params(deep=False)}

    def make(engine):
        schedule = hg.Schedule(hg.schedules.Cosine(optimizer.learning_rate, 104), per="step")
        return image_trainer(
            engine, optimizer=hg.optimizers.get(spec), augment=steps, penalty=hg.L2(1e-3), callbacks=[schedule]
        )

    ours, theirs = both(make, lambda t: t.fit(IMAGES, LABELS, (IMAGES[:9], LABELS[:9]), epochs=13, batch_size=5))
    assert theirs.num_steps == 104
    assert_same_history(ours, theirs, 1e-5)
    np.testing.assert_allclose(theirs.model.parameter_vector, ours.model.parameter_vector, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("mean-squared-error", TARGETS),
        ("huber", TARGETS),
        ("mean-absolute-error", TARGETS),
        ("binary-cross-entropy", (TARGETS > 0).astype(int)),
        ("hinge", (TARGETS > 0).astype(np.uint8)),
        (hg.CrossEntropy([1.0, 3.0], 0.1), (TARGETS > 0).astype(np.uint8)),
    ],
)
def test_losses_with_sample_weights_train_alike(loss, y):
    units = 2 if loss == "hinge" or isinstance(loss, hg.CrossEntropy) else 1

    def make(engine):
        model = hg.Sequential([hl.Linear(6), hl.Tanh(), hl.Linear(units)]).build(5, rng=0, dtype=np.float64)
        return hg.Trainer(model, loss, hg.SGD(0.1), engine=engine, penalty=hg.L1(1e-3))

    def fit(trainer):
        trainer.fit(ROWS, y, (ROWS, y), epochs=3, batch_size=7, sample_weight=np.linspace(0.1, 2, 60), exact=True)

    assert_same_history(*both(make, fit), 1e-10)


def test_metrics_are_the_trainers_own():
    def make(engine):
        model = hg.Sequential([hl.Linear(1)]).build(5, rng=0, dtype=np.float64)
        metrics = {"r2_score": hg.metrics.r2_score}
        return hg.Trainer(model, "mean-squared-error", hg.SGD(0.1), engine=engine, metrics=metrics)

    assert_same_history(*both(make, lambda t: t.fit(ROWS, TARGETS, (ROWS, TARGETS), epochs=2)), 1e-10)


class SaveAt(hg.Callback):
    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_step_end(self, trainer):
        if trainer.num_steps == self.step:
            trainer.save(self.path)


@pytest.mark.parametrize(
    "optimizer", [hg.SGD(0.1), hg.SGD(0.1, momentum=0.9), hg.Adam(), hg.RMSprop(), hg.Adagrad()], ids=repr
)
def test_resume_reaches_the_same_bits(tmp_path, optimizer):
    """Saved in the middle of an epoch, with dropout and augmentation."""
    spec = {"name": type(optimizer).__name__, **optimizer.get_params(deep=False)}

    def make():
        return image_trainer(
            TorchEngine,
            0.3,
            np.float32,
            hg.optimizers.get(spec),
            augment=augment.RandomFlip(),
            callbacks=[SaveAt(11, tmp_path / "state.npz")],
        )

    whole = make()
    whole.fit(IMAGES, LABELS, (IMAGES, LABELS), epochs=3, batch_size=6)
    rest = make()
    rest.load_state(read_state(tmp_path / "state.npz"))
    torch.rand(7)  # what others draw from PyTorch's generator does not matter
    rest.resume(IMAGES, LABELS, (IMAGES, LABELS))
    assert rest.history == whole.history
    assert rest.model.parameter_vector.tobytes() == whole.model.parameter_vector.tobytes()


def test_pytorchs_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    image_trainer(TorchEngine, 0.5).fit(IMAGES, LABELS, epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_trainer_load_takes_the_engine(tmp_path):
    trainer = image_trainer(TorchEngine)
    trainer.fit(IMAGES, LABELS, epochs=1)
    trainer.save(tmp_path / "state.npz")
    again = hg.Trainer.load(tmp_path / "state.npz", engine=TorchEngine)
    np.testing.assert_array_equal(again.engine.predict(IMAGES), trainer.engine.predict(IMAGES))
    with pytest.raises(ValueError, match="the state does not fit Adam"):
        hg.Trainer.load(tmp_path / "state.npz")


def test_a_numpy_state_is_refused(tmp_path):
    trainer = image_trainer(NumpyEngine)
    trainer.fit(IMAGES, LABELS, epochs=1)
    with pytest.raises(ValueError, match="is the NumPy engine's"):
        image_trainer(TorchEngine).load_state(trainer.state())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": -1}, "num_steps is -1"),
        ({"torch": {"0": 3}}, "torch.0 is 3, expected a table"),
        ({"torch": {"99": {}}}, "does not fit the model's parameter number 99"),
        ({"torch": {"0": {"exp_avg": np.zeros(1)}}}, "does not fit the model's parameter number 0"),
    ],
)
def test_a_crafted_state_of_the_optimizer_is_refused(changes, message):
    engine = image_trainer(TorchEngine).prepare(IMAGES)
    with pytest.raises(ValueError, match=message):
        engine.load_optimizer_state({**engine.optimizer_state(), **changes})


def test_early_stopping_restores_the_best_epoch():
    stop = hg.EarlyStopping(patience=1)
    trainer = image_trainer(TorchEngine, callbacks=[stop])
    trainer.fit(IMAGES, LABELS, (IMAGES[::-1], LABELS), epochs=30)
    assert trainer.stop_reason
    best = trainer.history.best()[1]
    assert trainer.evaluate(IMAGES[::-1], LABELS)["loss"] == pytest.approx(best, abs=1e-12)
    assert hg.CrossEntropy()(trainer.model.predict(IMAGES[::-1]), LABELS) == pytest.approx(best, abs=1e-12)


def test_the_model_is_trained_when_fit_returns():
    trainer = image_trainer(TorchEngine)
    before = trainer.model.parameter_vector.copy()
    trainer.fit(IMAGES, LABELS, epochs=1)
    assert (trainer.model.parameter_vector != before).mean() > 0.9
    np.testing.assert_allclose(trainer.model.predict(IMAGES), trainer.engine.predict(IMAGES), atol=1e-12)


def test_layout_in_memory_changes_nothing_else():
    results = [image_trainer(functools.partial(TorchEngine, channels_last=flag)) for flag in (True, False)]
    for trainer in results:
        trainer.fit(IMAGES, LABELS, epochs=2)
    assert_same_history(*results, 1e-10)


def test_mixed_precision_trains_on_float32_parameters():
    trainer = image_trainer(functools.partial(TorchEngine, precision="bf16"), dtype=np.float32)
    trainer.fit(IMAGES, LABELS, epochs=8)
    plain = image_trainer(TorchEngine, dtype=np.float32)
    plain.fit(IMAGES, LABELS, epochs=8)
    difference = np.abs(np.subtract(trainer.history["loss"], plain.history["loss"])).max()
    assert 0 < difference < 0.05
    assert trainer.model.dtype == np.float32


def test_compile_compiles_the_module(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    image_trainer(functools.partial(TorchEngine, compile=True)).fit(IMAGES, LABELS, epochs=1)
    assert len(compiled) == 1


def test_a_compilation_that_fails_is_one_line(monkeypatch):
    def refuse(*arguments):
        raise torch._dynamo.exc.TorchDynamoException("No working C++ compiler found\nand much more")

    monkeypatch.setattr(torch, "compile", lambda module: refuse)
    with pytest.raises(ValueError, match=r"torch\.compile failed \(No working C\+\+ compiler found\): leave out"):
        image_trainer(functools.partial(TorchEngine, compile=True)).fit(IMAGES, LABELS, epochs=1)


def test_augmentations_of_ones_own_still_work():
    def invert(x, rng):
        return 255 - x if rng.random() < 0.5 else x

    ours, theirs = both(lambda engine: image_trainer(engine, augment=invert), lambda t: t.fit(IMAGES, LABELS, epochs=2))
    assert_same_history(ours, theirs, 1e-10)


@pytest.mark.parametrize("step", [augment.RandomFlip(0.3), augment.RandomCrop(3)], ids=repr)
def test_augmentation_on_the_device_is_numpys(step):
    from handgrad.torch_twin.devices import on_device

    expected = step(IMAGES, np.random.default_rng(4))
    found = on_device(step)(torch.from_numpy(IMAGES), np.random.default_rng(4))
    assert (found.numpy() == expected).all()


def test_data_on_a_device_are_cut_and_trained_on_there(monkeypatch):
    """What a GPU run does, on the CPU: data as tensors, augmentation of tensors."""
    from handgrad.torch_twin.devices import Rows, on_device

    class Elsewhere(TorchEngine):
        def place(self, array):
            return Rows(self._tensor(array))

        def adapt(self, augment):
            return on_device(augment)

    def fit(trainer):
        trainer.fit(IMAGES, LABELS, (IMAGES, LABELS), epochs=2, sample_weight=np.linspace(0.1, 2, 40), exact=True)

    steps = augment.Chain([augment.RandomFlip(), augment.RandomCrop(2)])
    trainers = [image_trainer(engine, augment=steps) for engine in (NumpyEngine, Elsewhere)]
    for trainer in trainers:
        fit(trainer)
    assert_same_history(*trainers, 1e-8)


def test_divergence_names_its_place_before_the_update():
    trainer = image_trainer(TorchEngine, optimizer=hg.SGD(1e200))
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"(parameter|layer) '\w+"):
        trainer.fit(IMAGES, LABELS, epochs=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device is 'gpu'; expected cpu, cuda"),
        ({"device": 7}, "device is 7"),
        ({"compile": "no"}, "compile is 'no'; expected true or false"),
        ({"channels_last": 1}, "channels_last is 1"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"device": "meta"}, "device is 'meta'"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(ValueError, match=message):
        image_trainer(functools.partial(TorchEngine, **options)).prepare()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line():
    with pytest.raises(ValueError, match=r"finds no CUDA GPU: use device = 'cpu'"):
        image_trainer(functools.partial(TorchEngine, device="cuda")).prepare()


def test_bad_batches_are_refused_like_in_numpy():
    trainer = image_trainer(TorchEngine)
    trainer.prepare()
    with pytest.raises(ValueError, match=r"conv2d1 expected x of shape \(N, 8, 8, 3\), got \(4, 8, 8, 1\)"):
        trainer.step(IMAGES[:4, :, :, :1], LABELS[:4])
    with pytest.raises(ValueError, match="holds nan at row 0"):
        trainer.engine.predict(np.full((2, 8, 8, 3), np.nan))
    model = hg.Sequential([hl.BatchNorm(), hl.Linear(1)]).build(5, rng=0)
    with pytest.raises(ValueError, match="batchnorm1 cannot train on one example"):
        hg.Trainer(model, "mean-squared-error", engine=TorchEngine).step(ROWS[:1], TARGETS[:1])


def test_rules_without_a_twin_are_named():
    class Mine(hg.Loss):
        def compute(self, outputs, targets, sample_weight):
            return 0.0, None

    with pytest.raises(ValueError, match="the loss Mine has no PyTorch twin"):
        image_trainer(TorchEngine).__class__(
            hg.Sequential([hl.Linear(1)]).build(5, rng=0), Mine(), engine=TorchEngine
        ).prepare()


def test_bytes_by_number_train_alike_and_others_are_refused():
    def make(engine):
        layers = [hl.Embedding(6, 4), hl.PositionalEmbedding(), hl.MultiHeadAttention(2, causal=True), hl.Flatten()]
        model = hg.Sequential([*layers, hl.Linear(3)]).build(5, rng=0, dtype=np.float64)
        return hg.Trainer(model, "cross-entropy", hg.Adam(0.01), seed=0, engine=engine)

    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 6, (40, 5)).astype(np.uint8), draw.integers(0, 3, 40)
    ours, theirs = both(make, lambda trainer: trainer.fit(x, y, epochs=3))
    assert_same_history(ours, theirs, 1e-10)
    with pytest.raises(TypeError, match=r"embedding1 takes whole numbers, got torch\.float64: use \.astype"):
        theirs.fit(x / 2, y, epochs=1)
    x[3, 2] = 9
    for trainer in ours, theirs:
        for refused in (lambda t=trainer: t.evaluate(x, y), lambda t=trainer: t.step(x, y)):
            with pytest.raises(
                ValueError, match=r"^embedding1: embedding: indices must be 0 to 5.* got 9 at \(3, 2\)$"
            ):
                refused()


def test_a_label_for_each_step_trains_alike():
    def make(engine):
        layers = [hl.Embedding(6, 4), hl.MultiHeadAttention(2, causal=True), hl.LayerNorm(), hl.Linear(6)]
        model = hg.Sequential(layers).build(5, rng=0, dtype=np.float64)
        loss = hl.CrossEntropy(label_smoothing=0.1)
        return hg.Trainer(model, loss, hg.SGD(0.1), seed=0, engine=engine)

    x = np.random.default_rng(0).integers(0, 6, (40, 6))
    weight = np.linspace(0, 2, 40)
    ours, theirs = both(make, lambda trainer: trainer.fit(x[:, :-1], x[:, 1:], sample_weight=weight, epochs=3))
    assert_same_history(ours, theirs, 1e-10)
