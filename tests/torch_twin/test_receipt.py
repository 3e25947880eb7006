"""The receipt: both engines agree on random models, and a receipt that finds a difference says so."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import handgrad as hg
from fuzzing import examples
from handgrad.torch_twin import compare, from_torch, to_torch
from random_models import models

SHAPES = {"cifar-cnn": (32, 32, 3), "lenet": (28, 28, 1), "fashion-mlp": (28, 28, 1), "fashion-cnn": (28, 28, 1)}
SHAPES |= {"resnet-cifar": (32, 32, 3), "transformer-text": (16,)}


@pytest.mark.parametrize("name", hg.models.MODELS)
def test_named_models_agree_to_1e_10(name):
    """In single precision a unit within rounding of its kink may fall on either side: seldom, not in two batches."""
    model = hg.models.create(name).build(SHAPES.get(name, (13,)), rng=0)
    receipts = [compare(model, None, *batch(model, seed=seed)) for seed in (0, 1)]
    assert all(receipt.worst("float64")[0] <= 1e-10 for receipt in receipts)
    assert any(receipt.ok for receipt in receipts)


def small_model(*layers, shape=(4,), dtype=np.float64):
    return hg.Sequential(layers or [hg.Linear(3), hg.Tanh(), hg.Linear(2)]).build(shape, rng=0, dtype=dtype)


def batch(model, num_rows=5, seed=0):
    rng = np.random.default_rng(seed)
    shape = (num_rows, *model.input_shape)
    x = rng.integers(2, size=shape) if model.takes_indices else rng.standard_normal(shape)
    return x, rng.standard_normal((num_rows, *model.output_shape))


@examples(200)
@given(model=models(), layout=st.sampled_from(["NHWC", "NCHW"]), seed=st.integers(0, 100))
def test_random_models_agree_to_1e_10(model, layout, seed):
    receipt = compare(model, to_torch(model, layout), *batch(model, 4, seed))
    assert receipt.worst("float64")[0] <= 1e-10, str(receipt)


@pytest.mark.parametrize(
    "loss",
    [
        hg.CrossEntropy(),
        hg.CrossEntropy([1.0, 2.0], label_smoothing=0.1),
        hg.Hinge(),
        hg.MeanSquaredError(),
        hg.MeanAbsoluteError(),
        hg.Huber(0.3),
        hg.BinaryCrossEntropy(),
        hg.ProbabilityCrossEntropy(),
    ],
    ids=repr,
)
def test_every_loss_agrees(loss):
    layers = [hg.Linear(2), hg.Softmax()] if isinstance(loss, hg.ProbabilityCrossEntropy) else [hg.Linear(2)]
    model = small_model(*layers)
    x, y = batch(model)
    if loss.classification:
        y = y.argmax(axis=1) if not isinstance(loss, hg.BinaryCrossEntropy) else (y > 0).astype(float)
    assert compare(model, None, x, y, loss).worst("float64")[0] <= 1e-12


def at_a_kink():
    """A model, its twin with a bias 1e-6 larger, and a batch that has a unit between the two on a kink."""
    model = small_model(hg.Linear(3), hg.ReLU(), hg.Dropout(0.2), hg.BatchNorm(), hg.Linear(2), dtype=np.float32)
    x, y = batch(model, 6)
    x = x.astype(np.float32)
    model.parameters["linear1.bias"][0] -= model[0].forward(x)[2, 0] + np.float32(5e-7)
    module = to_torch(model)
    with torch.no_grad():
        module.linear1.bias += 1e-6
    return model, module, x, y


def test_a_unit_within_rounding_of_its_kink_is_no_difference(monkeypatch):
    receipt = compare(*at_a_kink())
    assert receipt.worst("float32")[0] > 1e-3 and receipt.results["float32"]["kinks"] == ["relu1"]
    (line,) = (line for line in receipt.verdict() if line.startswith("float32"))
    assert "the engines agree, but for" in line and "units of relu1 within rounding of a kink" in line
    assert "~ " in str(receipt) and "DIFFER" in receipt.verdict()[0]  # as 1e-6 is in float64
    forward, backward = hg.ReLU.pair
    monkeypatch.setattr(hg.ReLU, "pair", (forward, lambda dy, cache: (2 * backward(dy, cache)[0],)))
    receipt = compare(*at_a_kink())
    assert receipt.results["float32"]["kinks"] == [] and "DIFFER" in receipt.verdict()[1] and not receipt.ok


def test_a_wrong_module_is_found_and_named():
    model = small_model(hg.Linear(3), hg.BatchNorm(), hg.Linear(2))
    module = to_torch(model)
    module.batchnorm1.eps = 1e-3
    with pytest.raises(ValueError, match="batchnorm1 is BatchNorm"):
        compare(model, module, *batch(model))
    module = to_torch(model)
    with torch.no_grad():
        module.linear2.bias += 0.5
    receipt = compare(model, module, *batch(model))
    assert not receipt.ok
    assert "DIFFER by" in str(receipt) and "first in the output of linear2" in str(receipt)
    assert receipt.to_html().count("✗ 5.0e-01") == str(receipt).count("✗ 5.0e-01") > 0
    assert receipt.results["float64"]["layers"]["linear1"]["output"] < 1e-12
    assert receipt.results["float64"]["layers"]["linear2"]["output"] > 1e-3


@pytest.mark.parametrize("ours, theirs", [
    (hg.Conv2D(3, 3, padding=1), nn.Conv2d(2, 3, 3, padding=2, dilation=2)),
    (hg.AvgPool2D(2), nn.AvgPool2d(3, 2, 1)),
    (hg.ConvTranspose2D(3, 2), nn.ConvTranspose2d(2, 3, 4, padding=1)),
])  # fmt: skip
def test_windows_that_lie_elsewhere_are_another_network(ours, theirs):
    model = small_model(ours, shape=(6, 6, 2))
    with pytest.raises(ValueError, match=f"{type(ours).__name__}.*not the same network"):
        compare(model, nn.Sequential(theirs).double(), *batch(model))


@pytest.mark.parametrize("ours, same", [
    (hg.AdaptiveAvgPool2D((2, 2)), hg.AdaptiveAvgPool2D(2)),
    (hg.Conv2D(3, (3, 3), padding="same"), hg.Conv2D(3, 3, 1, (1, 1))),
    (hg.MaxPool2D((2, 2)), hg.MaxPool2D(2, (2, 2))),
])  # fmt: skip
def test_one_number_and_two_equal_ones_are_the_same_network(ours, same):
    model = small_model(ours, shape=(6, 6, 2))
    assert compare(model, to_torch(small_model(same, shape=(6, 6, 2))), *batch(model), optimizers=[]).ok


def test_not_a_number_is_a_difference():
    model = small_model()
    module = to_torch(model)
    with torch.no_grad():
        module.linear1.bias[0] = float("nan")
    receipt = compare(model, module, *batch(model))
    assert receipt.worst("float64")[0] == float("inf")


def test_dropout_is_compared_with_the_same_masks():
    model = small_model(hg.Linear(50), hg.Dropout(0.5), hg.Linear(2))
    assert compare(model, None, *batch(model)).worst("float64")[0] <= 1e-12


def test_modules_that_work_in_place_are_compared():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)).double()
    model = from_torch(module)
    assert compare(model, module, *batch(model)).ok
    assert module[1].inplace


def test_frozen_modules_and_functions_inside_a_sequential_are_compared():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x):
            return torch.relu(self.linear(x))

    module = nn.Sequential(Block(), nn.Linear(3, 2)).double()
    module[1].requires_grad_(False)
    model = from_torch(module)
    assert compare(model, module, *batch(model)).ok
    assert not module[1].weight.requires_grad


def test_the_receipt_changes_neither_network():
    model = small_model(hg.Linear(3), hg.BatchNorm(), hg.Dropout(0.5), hg.Linear(2))
    module = to_torch(model)
    before = model.parameter_vector.copy(), {k: v.copy() for k, v in model.state.items()}
    compare(model, module, *batch(model))
    assert (model.parameter_vector == before[0]).all()
    assert all((model.state[k] == v).all() for k, v in before[1].items())
    assert all(p.grad is None for p in module.parameters())


def test_receipt_says_conventions_and_stands_alone_as_a_page():
    model = small_model(hg.Conv2D(2, 3), hg.BatchNorm(), hg.Flatten(), hg.Linear(2), shape=(5, 5, 1))
    receipt = compare(model, None, *batch(model))
    assert "(kh, kw, C, out)" in str(receipt) and "momentum" in str(receipt)
    page = receipt.to_html()
    assert "conv2d1" in page and "://" not in page and page.count("<table>") == 2 * 2  # layers and the whole, by dtype
    assert f"numpy {np.__version__}" in page and "allowed 1e-10" in page and 'class="near"' in page
    assert receipt.as_dict()["ok"]


def test_labels_get_cross_entropy():
    model = small_model()
    x, _ = batch(model)
    receipt = compare(model, None, x, np.array([0, 1, 1, 0, 1]))
    assert receipt.ok


def test_misuse_is_one_line():
    model = small_model()
    with pytest.raises(TypeError, match="needs a batch x and its targets y"):
        compare(model)
    with pytest.raises(ValueError, match="3 layers, the module 2"):
        compare(model, nn.Sequential(nn.Linear(4, 3), nn.Tanh()), *batch(model))
