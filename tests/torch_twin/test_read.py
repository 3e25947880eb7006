"""Modules that others wrote: nested ones, forwards of their own, PyTorch's samples, and refusals by name."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as tf

from handgrad import layers as hl
from handgrad.torch_twin import ROWS, from_torch, to_torch

IMAGE = (6, 5, 2)


def draw(model, num_rows=3):
    return np.random.default_rng(1).standard_normal((num_rows, *model.input_shape)).astype(model.dtype)


def run(module, x):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(np.ascontiguousarray(x))).numpy()


class Handwritten(nn.Module):
    """As in many tutorials: layers in __init__, functions in forward."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.fc1, self.fc2 = nn.Linear(36, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = tf.max_pool2d(tf.relu(self.conv1(x)), 2)
        x = torch.flatten(torch.tanh(self.conv2(x)), 1)
        x = tf.dropout(tf.leaky_relu(self.fc1(x), 0.2), 0.3, training=self.training)
        return tf.log_softmax(self.fc2(x), dim=1)


def test_a_module_with_a_forward_of_its_own_is_read():
    module = Handwritten()
    model = from_torch(module, (12, 12, 1))
    x = np.random.default_rng(0).random((2, 12, 12, 1), dtype=np.float32)
    np.testing.assert_allclose(model.forward(x), run(module, x.reshape(2, 1, 12, 12)), atol=1e-6)
    assert [layer.name for layer in model if layer.num_parameters] == ["conv1", "conv2", "fc1", "fc2"]
    assert [layer.rate for layer in model if isinstance(layer, hl.Dropout)] == [0.3]


def test_nested_modules_stay_nested():
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model = from_torch(nn.Sequential(block, nn.Sequential(nn.Linear(4, 2))))
    assert [len(inner) for inner in model] == [2, 1]
    assert list(to_torch(model).state_dict()) == list(model.parameters)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.inner(x) * 0.5


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Bilinear(4, 4, 4)), r"1 is Bilinear\(.*\), for which handgrad has no layer"),
        (nn.Sequential(nn.LayerNorm(4, bias=False)), "has bias=False, where handgrad's LayerNorm is like bias=True"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False)), "has affine=False"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None)), "has momentum=None"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4)),
            r"1 \(Linear.* has in_features=5, and here come .* should be 4",
        ),
        (nn.Sequential(nn.LayerNorm(4, bias=False)), "use that with a bias of 0, which gives the same outputs, but"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Dropout(1.0)),
            r"1 \(Dropout.* cannot be read: .*must be a finite number >= 0 and < 1",
        ),
        (nn.Sequential(nn.ZeroPad2d(1), nn.ReLU(), nn.Conv2d(2, 3, 3)), r"0 \(ZeroPad2d.*here follows ReLU"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.ZeroPad2d(1)), r"1 \(ZeroPad2d.*here follows None"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReflectionPad2d(1)), "1 is ReflectionPad2d"),
        (nn.Sequential(nn.Conv2d(3, 3, 3)), "has in_channels=3, and here come .* it should be 2"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(0)), r"1 \(Flatten.* has start_dim=0"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.ReLU()), r"ends with features flattened from \(C, H, W\)"),
        (nn.PReLU(), r"0 is PReLU\(num_parameters=1\)"),
        (nn.ModuleList([nn.Linear(4, 4)]), "0 is ModuleList"),
        (nn.LSTM(4, 3), r"which gives its states as well: handgrad reads torch_twin\.modules\.LSTM"),
        (nn.Sequential(nn.Linear(4, 4, device="meta")), "the 'meta' device, where there are no numbers"),
        (nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4))), r"Linear\(.*\) has forward hooks"),
        (nn.Sequential(nn.Conv2d(2, 3, 3, padding_mode="reflect")), "has padding_mode='reflect'"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), "has ceil_mode=True"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1)), r"is read together with the Flatten\(\) after it"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=0)), "has dim=0, where handgrad's Softmax is like dim=1"),
        (nn.Sequential(nn.LayerNorm(5)), r"has normalized_shape=\(5,\), and here come examples of shape \(4,\)"),
        (Half(), "Half cannot be read: handgrad has no layer for 'mul' in its forward"),
        (nn.Transformer(4, 2, 1, 1, batch_first=True), "Transformer"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(module, message):
    image = any(isinstance(child, (nn.Conv2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)) for child in module.modules())
    with pytest.raises(ValueError, match=message) as problem:
        from_torch(module, IMAGE if image else (4,))
    assert "\n" not in str(problem.value)


def test_shared_parameters_are_refused():
    """Two layers of handgrad would train them apart."""
    shared, tied = nn.Linear(4, 4), nn.Linear(4, 4)
    tied.weight = shared.weight
    for other in shared, tied:
        with pytest.raises(ValueError, match=r"2 \(Linear\(.* shares parameters with 0"):
            from_torch(nn.Sequential(shared, nn.ReLU(), other))
    activation = nn.ReLU()
    assert len(from_torch(nn.Sequential(shared, activation, nn.Linear(4, 4), activation))) == 4


class Chain(nn.Module):
    """forward(x) is what it is given."""

    def __init__(self, function, **children):
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: x.reshape(x.size(0), -1),
        lambda x: torch.reshape(x, (x.shape[0], -1)),
        lambda x: x.reshape(-1, 48),
        lambda x: x.flatten(start_dim=1),
    ],
)
def test_every_way_to_flatten_is_read(flatten):
    module = Chain(
        lambda net, x: net.linear(flatten(net.conv(torch.permute(x, (0, 3, 1, 2))))),
        conv=nn.Conv2d(2, 4, 3),
        linear=nn.Linear(48, 3),
    ).double()
    model = from_torch(module, IMAGE)
    np.testing.assert_allclose(model.forward(draw(model)), run(module, draw(model)), atol=1e-12)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda net, x: tf.dropout(net.linear(x), 0.5), "works as in training at inference too; pass training="),
        (lambda net, x: net.linear(x).view(-1, 2), "has num_features=2, and here come .* it should be 4"),
        (lambda net, x: net.linear(x).view(2, -1), "'view' in its forward is no flattening"),
        (
            lambda net, x: tf.softmax(net.linear(x), 1, dtype=torch.float64),
            "has an option that handgrad's layer has not",
        ),
        (lambda net, x: net.linear(torch.relu(net.linear(x))), "linear_again .* shares parameters with linear"),
        (lambda net, x: net.linear(net.lstm(x)[0]), "lstm is LSTM with batch_first=False: handgrad.s takes batches"),
    ],
)
def test_forwards_that_do_something_else_are_refused(function, message):
    module = Chain(function, linear=nn.Linear(4, 4))
    if "lstm" in message:
        module.lstm = nn.LSTM(4, 4)
    with pytest.raises(ValueError, match=message):
        from_torch(module, 4)


def test_a_forward_is_read_as_at_inference_and_the_mode_kept():
    module = Chain(lambda net, x: net.linear(x) if net.training else torch.relu(net.linear(x)), linear=nn.Linear(4, 4))
    module.linear.eval()
    assert [type(layer) for layer in from_torch(module)] == [hl.Linear, hl.ReLU]
    assert module.training and not module.linear.training


def test_padding_before_a_valid_convolution_is_read():
    module = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 3, 3, padding="valid"))
    assert from_torch(module, IMAGE).layers[0].padding == 1


def test_pytorchs_own_module_samples():
    """Each sample of PyTorch's test-suite for our classes is read and agrees, or is refused by a ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest: pip install expecttest")
        internal = pytest.importorskip("torch.testing._internal.common_modules")
        known = {cls for row in ROWS for cls in row.classes}
        samples = [
            (info.module_cls, sample)
            for info in internal.module_db
            if info.module_cls in known
            for sample in info.module_inputs_func(
                info, device="cpu", dtype=torch.float64, requires_grad=False, training=False
            )
        ]
    num_read = 0
    for cls, sample in samples:
        made, given = sample.constructor_input, sample.forward_input
        if not given or not given.args:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module, x = cls(*made.args, **made.kwargs).double().eval(), given.args[0]
        num_read += agrees(module, x)
    assert num_read >= 25, num_read


def agrees(module, x):
    """1 where the module can be read and does the same on x, 0 where it is refused."""
    pools = nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d
    images = isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, *pools, nn.BatchNorm2d, nn.BatchNorm3d))
    others = isinstance(module, (nn.BatchNorm1d, nn.Conv1d, nn.GroupNorm)) or getattr(module, "dim", None) == 1
    first = images or (x.ndim > 2 and others)
    x = x if x.ndim > 1 else x[None]
    ours = x.movedim(1, -1).numpy() if first else x.numpy()
    try:
        model = from_torch(module, ours.shape[1:]).astype(np.float64)
    except ValueError:
        return 0
    theirs = run(module, x.numpy())
    np.testing.assert_allclose(model.forward(ours), np.moveaxis(theirs, 1, -1) if first else theirs, atol=1e-10)
    return 1
