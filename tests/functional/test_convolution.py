"""The convolution pair against PyTorch, complex steps and the worked exercises of the courses."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directional import assert_backward_is_exact
from fuzzing import examples
from handgrad.functional.convolution import conv2d_backward, conv2d_forward
from handgrad.functional.windows import window_geometry

EXERCISES = json.loads((Path(__file__).parent / "cnn_exercises.json").read_text())

# (H, W), (kh, kw), stride, padding, dilation, groups
CASES = [
    ((5, 5), (3, 3), 1, 0, 1, 1),
    ((5, 6), (3, 3), 1, 1, 1, 1),
    ((7, 5), (3, 3), 2, 1, 1, 1),
    ((8, 8), (2, 2), 2, 0, 1, 1),
    ((6, 7), (4, 4), 1, 2, 1, 1),
    ((6, 6), (4, 2), (2, 3), (1, 0), 1, 1),
    ((5, 7), (1, 1), 1, 0, 1, 1),
    ((5, 7), (1, 1), 2, 0, 1, 2),
    ((3, 3), (3, 3), 1, 0, 1, 1),
    ((2, 2), (3, 3), 1, 1, 1, 1),
    ((1, 1), (1, 1), 1, 0, 1, 4),
    ((9, 8), (3, 2), 1, (2, 1), (2, 3), 1),
    ((9, 9), (3, 3), 2, 2, 2, 2),
    ((6, 6), (3, 3), 1, 1, 1, 4),
    ((11, 10), (5, 3), (3, 2), (2, 1), (1, 2), 2),
    ((7, 8), (3, 5), 1, "same", 1, 1),
    ((7, 8), (4, 2), 1, "same", 2, 2),
    ((7, 8), (3, 3), 3, "valid", 1, 1),
]


def arrays(size, kernel, groups, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, *size, 4)), rng.normal(size=(*kernel, 4 // groups, 8)), rng.normal(size=8)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation", "groups"), CASES)
def test_conv2d_equals_pytorch(size, kernel, stride, padding, dilation, groups):
    torch = pytest.importorskip("torch")
    x, weight, bias = arrays(size, kernel, groups)
    y, cache = conv2d_forward(x, weight, bias, stride, padding, dilation, groups)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    expected = torch.nn.functional.conv2d(
        tensors[0].permute(0, 3, 1, 2),
        tensors[1].permute(3, 2, 0, 1),
        tensors[2],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    ).permute(0, 2, 3, 1)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-11)
    dy = np.random.default_rng(1).normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    for ours, tensor in zip(conv2d_backward(dy, cache), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation", "groups"), CASES)
def test_conv2d_backward_is_exact(size, kernel, stride, padding, dilation, groups):
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_backward_is_exact(conv2d_forward, conv2d_backward, *arrays(size, kernel, groups), **keywords)


@examples(100)
@given(size=st.integers(1, 9), kernel=st.integers(1, 4), stride=st.integers(1, 4), dilation=st.integers(1, 2))
def test_same_padding_gives_ceil_of_size_by_stride(size, kernel, stride, dilation):
    geometry = window_geometry("conv2d", (1, size, size, 1), kernel, stride, "same", dilation)
    assert geometry.output == (-(-size // stride),) * 2
    (top, bottom), _ = geometry.padding
    assert bottom - top in (0, 1)


def test_conv2d_with_a_stride_and_same_padding_backward_is_exact():
    keywords = {"stride": 2, "padding": "same", "groups": 2}
    assert_backward_is_exact(conv2d_forward, conv2d_backward, *arrays((7, 8), (4, 3), 2), **keywords)


def test_conv2d_without_bias_or_input_gradient():
    x, weight, _ = arrays((5, 5), (3, 3), 1)
    y, cache = conv2d_forward(x, weight)
    dx, dweight, dbias = conv2d_backward(np.ones_like(y), cache, input_gradient=False)
    assert dx is None and dbias is None and dweight.shape == weight.shape


def test_the_worked_exercise():
    exercise = EXERCISES["convolution"]
    x, weight = (np.array(exercise[name], dtype=float) for name in ("x", "filter"))
    y, _ = conv2d_forward(x[None, :, :, None], weight[:, :, None, None], padding=exercise["padding"])
    np.testing.assert_array_equal(y[0, :, :, 0], exercise["y"])


@pytest.mark.parametrize("exercise", EXERCISES["output_size"])
def test_output_sizes_of_the_exercises(exercise):
    geometry = window_geometry(
        "conv2d", (1, *exercise["input"], 1), tuple(exercise["kernel"]), exercise.get("stride", 1), exercise["padding"]
    )
    assert list(geometry.output) == exercise["output"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": (3, 8, 8)}, r"images are \(N, H, W, C\), but x has shape \(3, 8, 8\)"),
        ({"x": (2, 3, 8, 8)}, r"looks like \(N, C, H, W\): transpose with x.transpose\(0, 2, 3, 1\)"),
        ({"x": (2, 8, 8, 5)}, r"with 3 channels, but x has shape \(2, 8, 8, 5\)"),
        ({"x": (2, 2, 8, 3)}, r"the kernel spans 3x3 pixels but the padded image has only 2x8"),
        ({"dilation": 4}, "spans 9x9 pixels"),
        ({"stride": 0}, "stride must be an int >= 1 or a pair of them, not 0"),
        ({"stride": (1, 2, 3)}, r"stride must be .* not \(1, 2, 3\)"),
        ({"padding": -1}, "padding must be an int >= 0"),
        ({"padding": "full"}, "'same' or 'valid', not 'full'"),
        ({"groups": 2}, "groups=2 must divide the 3 input channels and the 4 filters"),
        ({"padding": True}, "padding must be an int >= 0 or a pair of them, not True"),
        ({"padding": np.array([1, 1])}, r"padding must be an int >= 0 or a pair of them, not array"),
        ({"x": (2, 0, 8, 3), "padding": 2}, r"x has shape \(2, 0, 8, 3\); .* H, W and C at least 1"),
        ({"weight": (3, 3, 3)}, r"weight must be \(kh, kw, C / groups, out\)"),
        ({"weight": (3, 3, 3, 0)}, r"each 1 or more, but has shape \(3, 3, 3, 0\)"),
        (
            {"weight": (4, 3, 3, 3)},
            r"bias must be \(3,\), one number per filter .* \(4, 3, 3, 3\), but has shape \(4,\)",
        ),
        ({"bias": (1,)}, r"bias must be \(4,\)"),
        ({"bias": ()}, r"bias must be \(4,\)"),
    ],
)
def test_conv2d_refuses(change, message):
    change = {"x": (2, 8, 8, 3), "weight": (3, 3, 3, 4), "bias": (4,), **change}
    x, weight, bias = (np.zeros(change.pop(name)) for name in ("x", "weight", "bias"))
    with pytest.raises(ValueError, match=message):
        conv2d_forward(x, weight, bias, **change)


@pytest.mark.parametrize("shape", [(1, 6, 6, 4), (2, 4, 6, 6), (6, 6, 4), (2, 1, 1, 4)])
def test_conv2d_backward_refuses_a_dy_of_another_shape(shape):
    _, cache = conv2d_forward(np.zeros((2, 8, 8, 3)), np.zeros((3, 3, 3, 4)))
    with pytest.raises(ValueError, match=r"conv2d: dy must have the shape of y, \(2, 6, 6, 4\), but has shape"):
        conv2d_backward(np.zeros(shape), cache)
