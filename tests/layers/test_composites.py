"""Residual and Branches: sums, products and concatenations of networks, checked, saved and refused."""

import numpy as np
import pytest
import torch
from torch import nn

import handgrad as hg
from handgrad.layers.images import ConvolutionBlock


def rows(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def block(filters, stride=1):
    """A block of ResNet-18 without the last ReLU."""
    layers = [hg.Conv2D(filters, 3, stride=stride, padding=1, bias=False), hg.BatchNorm(), hg.ReLU()]
    layers += [hg.Conv2D(filters, 3, padding=1, bias=False), hg.BatchNorm()]
    shortcut = [hg.Conv2D(filters, 1, stride=stride, bias=False), hg.BatchNorm()] if stride > 1 else None
    return hg.Residual(layers, shortcut)


MODELS = {
    "residual": (lambda: [hg.Residual([hg.Linear(4), hg.Tanh()]), hg.Linear(2)], (4,)),
    "projected": (lambda: [hg.Residual([hg.Linear(6), hg.Tanh()], hg.Linear(6, bias=False)), hg.Linear(2)], (4,)),
    "nested": (lambda: [hg.Residual([hg.Residual([hg.Linear(4)]), hg.Branches([[hg.Linear(4)], hg.Tanh()])])], (4,)),
    "concatenated": (lambda: [hg.Branches([[hg.Linear(3), hg.Tanh()], [hg.Identity()]], "concat")], (4,)),
    "multiplied": (lambda: [hg.Branches([hg.Linear(3), hg.Linear(3), [hg.Linear(3), hg.Sigmoid()]], "multiply")], (4,)),
    "images": (lambda: [block(3), hg.ReLU(), block(4, 2), hg.ReLU(), hg.GlobalAvgPool2D()], (6, 6, 3)),
    "inception": (lambda: [hg.Branches([hg.Conv2D(2, 1), hg.Conv2D(1, 3, padding=1)], "concat")], (4, 4, 2)),
}


@pytest.mark.parametrize(("layers", "shape"), MODELS.values(), ids=MODELS.keys())
def test_gradients_are_right_and_files_rebuild_the_model(layers, shape, tmp_path):
    model, x = hg.Sequential(layers()).build(shape, rng=0, dtype=float), rows(5, *shape)
    model.parameter_vector += 0.1 * rows(model.parameter_vector.size)
    assert hg.check_gradients(model, x).ok
    dy = rows(5, *model.output_shape)
    model.forward(x, training=True)
    whole = model.backward(dy), model.gradient_vector.copy()
    model.forward(x, training=True)
    assert model.backward(dy, input_gradient=False) is None and whole[0].shape == x.shape
    np.testing.assert_array_equal(model.gradient_vector, whole[1])
    model.save(tmp_path / "model.npz")
    again = hg.load_model(tmp_path / "model.npz")
    assert list(again.parameters) == list(model.parameters) and repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_parameters_are_named_by_where_they_stand():
    model = hg.Sequential([hg.Residual([hg.Linear(4), hg.Linear(4)]), hg.Branches([hg.Linear(2), [hg.Linear(2)]])])
    names = [name for name in model.build(4, rng=0).parameters if name.endswith("weight")]
    assert names == [
        "residual1.linear1.weight",
        "residual1.linear2.weight",
        "branches1.branch1.weight",
        "branches1.branch2.linear1.weight",
    ]
    projected = hg.Residual([hg.Linear(3)], shortcut=hg.Linear(3, bias=False)).build(4)
    assert list(projected.parameters) == ["linear1.weight", "linear1.bias", "shortcut.weight"]


def test_a_block_of_resnet_computes_what_pytorch_computes():
    ours = hg.Sequential([block(4, 2)]).build((6, 6, 3), rng=0, dtype=float)
    convs = [
        nn.Conv2d(3, 4, 3, 2, 1, bias=False),
        nn.Conv2d(4, 4, 3, 1, 1, bias=False),
        nn.Conv2d(3, 4, 1, 2, bias=False),
    ]
    norms = [nn.BatchNorm2d(4) for _ in range(3)]
    for module in (*convs, *norms):
        module.double()
    weights = [ours.parameters[f"residual1.{n}.weight"] for n in ("conv2d1", "conv2d2", "shortcut.conv2d1")]
    for conv, weight in zip(convs, weights, strict=True):
        conv.weight.data = torch.from_numpy(weight.transpose(3, 2, 0, 1).copy())
    x, dy = rows(5, 6, 6, 3), rows(5, 3, 3, 4)
    there = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    y = norms[1](convs[1](norms[0](convs[0](there)).relu())) + norms[2](convs[2](there))
    y.backward(torch.from_numpy(dy.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(ours.forward(x, training=True), y.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    np.testing.assert_allclose(ours.backward(dy), there.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)
    for conv, name in zip(convs, ("conv2d1", "conv2d2", "shortcut.conv2d1"), strict=True):
        gradient = ours.gradients[f"residual1.{name}.weight"].transpose(3, 2, 0, 1)
        np.testing.assert_allclose(gradient, conv.weight.grad.numpy(), atol=1e-12)


def test_convolutions_inside_are_fused():
    model = hg.Sequential([block(4), hg.ReLU()]).build((6, 6, 4), rng=0)
    assert [type(step) for step in model.layers[0]._chain.steps] == [ConvolutionBlock, ConvolutionBlock]
    seen = [type(layer).__name__ for layer, _ in model.trace(rows(2, 6, 6, 4))]
    assert seen == ["Conv2D", "BatchNorm", "ReLU", "Conv2D", "BatchNorm", "Residual", "ReLU"]


REFUSED = {
    "residual of another shape": (
        lambda: hg.Residual([hg.Linear(3)]),
        r"its layers make \(N, 3\) of x, the shortcut \(N, 4\)",
    ),
    "sum of different shapes": (
        lambda: hg.Branches([hg.Linear(3), [hg.Linear(1)]]),
        r"joins by 'add' what has one shape; its branches make branch1 \(N, 3\), branch2 \(N, 1\)",
    ),
    "no layers": (lambda: hg.Residual([]), "Residual needs at least one layer"),
    "an empty branch": (lambda: hg.Branches([[hg.Linear(3)], []]), r"branch2 is a layer or a list of at least one"),
    "another join": (lambda: hg.Branches([hg.Linear(3)], join="sum"), "unknown way to join 'sum'"),
    "a layer in two branches": (
        lambda: hg.Branches([layer := hg.Linear(4), [layer]]),
        "same layer object stands twice",
    ),
    "its layer as shortcut": (lambda: hg.Residual([layer := hg.Linear(4)], layer), "same layer object stands twice"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_go_together_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        hg.Sequential([make()]).build(4, rng=0)


@pytest.mark.parametrize("branches", [hg.Linear(3), "add", []])
def test_branches_that_are_no_list_are_refused(branches):
    with pytest.raises(TypeError, match="Branches takes a list of branches"):
        hg.Branches(branches)


def test_training_with_a_shortcut_learns():
    data = hg.datasets.load_dataset("iris", seed=0)
    layers = [hg.Linear(8), hg.ReLU(), hg.Residual([hg.Linear(8), hg.ReLU(), hg.Linear(8)]), hg.Linear(3)]
    trainer = hg.Trainer(hg.Sequential(layers), optimizer=hg.Adam(0.01), seed=0)
    trainer.fit(data.train.x, data.train.y, epochs=30)
    assert trainer.evaluate(data.test.x, data.test.y)["accuracy"] >= 0.9
