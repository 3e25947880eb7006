"""What `diagnose` finds in networks that ail on purpose, and that it leaves them as they were."""

import copy

import numpy as np
import pytest

import handgrad as hg
from handgrad import diagnose


def model(*layers, input_shape=(6,), seed=0):
    return hg.Sequential(list(layers)).build(input_shape, rng=seed)


def find(report, name):
    return next(layer for layer in report.layers if layer.name == name)


def data(num_rows=300, shape=(6,), num_classes=3):
    rng = np.random.default_rng(1)
    return rng.normal(size=(num_rows, *shape)), rng.integers(0, num_classes, num_rows)


def test_a_healthy_network_gets_no_advice():
    x, y = data()
    report = diagnose(model(hg.Linear(16), hg.ReLU(), hg.Linear(3)), x, y, optimizer=hg.SGD(learning_rate=0.01))
    assert report.ok and report.advice == []
    assert "nothing to advise" in str(report) and "300 examples" in str(report)


def test_dead_units_are_counted_over_every_example():
    net = model(hg.Linear(8), hg.ReLU(), hg.Linear(3))
    net.parameters["linear1.bias"][:3] = -1000.0
    net.parameters["linear1.weight"][:, 3] = 0.0
    net.parameters["linear1.bias"][3] = 0.0  # exactly 0 everywhere is dead as well
    x, _ = data()
    report = diagnose(net, x)
    assert find(report, "relu1").num_dead == 4 and find(report, "relu1").num_units == 8
    assert find(report, "relu1").dead == [0, 1, 2, 3]
    assert report.advice == [
        "relu1: 4 of 8 units are dead (0 for all 300 examples): lower the learning_rate, or use LeakyReLU"
    ]


def test_a_few_dead_units_of_many_are_counted_without_advice():
    net = model(hg.Linear(64), hg.ReLU(), hg.Linear(3))
    x, _ = data()
    for num_dead, advised in ((1, False), (6, False), (7, True)):
        net.parameters["linear1.bias"][:num_dead] = -1000.0
        report = diagnose(net, x)
        assert (find(report, "relu1").num_dead, not report.ok) == (num_dead, advised)


def test_one_example_that_fires_keeps_a_unit_alive():
    net = model(hg.Linear(1), hg.ReLU(), hg.Linear(2), input_shape=(1,))
    net.parameters["linear1.weight"] = [[1.0]]
    x = np.full((600, 1), -1.0)
    assert find(diagnose(net, x), "relu1").num_dead == 1
    x[599] = 1.0  # in another batch than the first
    assert find(diagnose(net, x), "relu1").num_dead == 0


def test_a_channel_of_images_is_a_unit():
    net = model(hg.Conv2D(4, kernel_size=3), hg.ReLU(), hg.Flatten(), hg.Linear(2), input_shape=(6, 6, 1))
    net.parameters["conv2d1.bias"][1] = -1000.0
    x, _ = data(20, (6, 6, 1))
    assert (find(diagnose(net, x), "relu1").num_units, find(diagnose(net, x), "relu1").num_dead) == (4, 1)


@pytest.mark.parametrize("activation", [hg.Sigmoid, hg.Tanh, hg.Arctan, hg.ELU])
def test_saturated_units(activation):
    net = model(hg.Linear(5), activation(), hg.Linear(3))
    net.parameters["linear1.weight"][:, :2] = 0.0
    net.parameters["linear1.bias"][:2] = -1000.0
    x, _ = data()
    report = diagnose(net, x)
    (found,) = [layer for layer in report.layers if layer.num_saturated is not None]
    assert (found.num_saturated, found.num_dead) == (2, None)
    assert f"{found.name}: 2 of 5 units are saturated" in report.advice[0]


def test_a_sure_answer_is_no_ailment():
    net = model(hg.Linear(1), hg.Sigmoid())
    net.parameters["linear1.bias"] = [1000.0]
    assert diagnose(net, data()[0]).ok


def test_nested_models_go_by_their_full_name():
    x, y = data()
    report = diagnose(model(hg.Sequential([hg.Linear(4), hg.ReLU()]), hg.Linear(3)), x, y)
    assert [layer.name for layer in report.layers] == ["sequential1.linear1", "sequential1.relu1", "linear1"]
    assert find(report, "sequential1.linear1").gradient > 0


def test_sizes_of_gradient_and_update():
    x, y = data(200)
    net = model(hg.Linear(3))
    report = diagnose(net, x, y, optimizer=hg.SGD(learning_rate=0.1))
    net.forward(x, training=True)
    loss = hg.CrossEntropy()
    loss.forward(net.forward(x, training=True), y)
    net.backward(loss.backward())
    gradient = np.linalg.norm(net.gradient_vector)
    (found,) = report.layers
    assert found.gradient == pytest.approx(gradient, rel=1e-5)
    assert found.update == pytest.approx(0.1 * gradient / np.linalg.norm(net.parameter_vector), rel=1e-4)


def test_without_an_optimizer_there_is_no_update():
    x, y = data()
    (found,) = diagnose(model(hg.Linear(3)), x, y).layers
    assert found.update is None and found.gradient > 0


def test_steps_too_large_and_too_small():
    x, y = data()
    net = model(hg.Linear(3))
    assert "linear1: one step changes its parameters by" in diagnose(net, x, y, optimizer=hg.SGD(100.0)).advice[0]
    assert "lower the learning_rate" in diagnose(net, x, y, optimizer=hg.SGD(100.0)).advice[0]
    assert "raise the learning_rate" in diagnose(net, x, y, optimizer=hg.SGD(1e-7)).advice[0]


def test_vanishing_and_exploding_gradients():
    x, y = data()
    deep = [layer for _ in range(8) for layer in (hg.Linear(6), hg.Sigmoid())]
    assert any("gradients shrink from" in line for line in diagnose(model(*deep, hg.Linear(3)), x, y).advice)
    tiny = model(hg.Linear(6), hg.BatchNorm(), hg.Linear(3))
    tiny.parameters["linear1.weight"][...] *= 1e-2  # batch norm divides by the spread, and so do the gradients
    tiny.parameters["linear2.weight"][...] *= 100
    assert any("gradients grow from" in line for line in diagnose(tiny, x, y).advice)
    blocked = model(hg.Linear(4), hg.ReLU(), hg.Linear(3))
    blocked.parameters["linear1.bias"] = np.full(4, -1000.0)
    assert "linear1: no gradient reaches its parameters" in "\n".join(diagnose(blocked, x, y).advice)


def test_a_loss_that_is_not_finite_is_told():
    x, y = data()
    net = model(hg.Linear(3))
    net.parameters["linear1.bias"] = [np.nan, 0, 0]
    assert "parameter 'linear1.bias' is not finite" in diagnose(net, x, y).advice[-1]


def test_targets_that_are_numbers_use_the_squared_error():
    x, _ = data()
    report = diagnose(model(hg.Linear(1)), x, x[:, :1])
    assert report.layers[0].gradient > 0


def test_model_and_optimizer_stay_as_they_are():
    x, y = data(shape=(4, 4, 1))
    layers = hg.Conv2D(2, kernel_size=3), hg.BatchNorm(), hg.ReLU(), hg.Dropout(0.5), hg.Flatten(), hg.Linear(3)
    trainer = hg.Trainer(model(*layers, input_shape=(4, 4, 1)), optimizer=hg.Adam(), seed=0)
    trainer.fit(x, y, epochs=1, progress=False)
    before = copy.deepcopy(trainer.state())
    diagnose(trainer.model, x, y, optimizer=trainer.optimizer)
    np.testing.assert_equal(trainer.state(), before)
    assert "update" not in vars(trainer.optimizer)


@pytest.mark.parametrize("x", [np.zeros((0, 6)), np.float64(1.0)])
def test_nothing_to_look_at_is_refused(x):
    with pytest.raises(ValueError, match="the number of rows of x must be a whole number >= 1, got 0"):
        diagnose(model(hg.Linear(3)), x)
