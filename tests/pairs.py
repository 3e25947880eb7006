"""The table of all pairs: example inputs, the cases to try and the PyTorch counterpart of each.

A new pair needs one row in PAIRS; the tests in tests/functional/test_pairs.py then run over it. A row:

    Pair("relu", draw_kinked, lambda x: tf.relu(x), kinked=True)

name: x of x_forward and x_backward. make(rng, n=..., c=...) draws the array arguments in float64, away from kinks; its
keyword arguments are sizes, which the shape tests vary from 1 to 4. torch: the same function of tensors and of the
case's keywords. num_gradients: how many arrays, counted from the first, get a gradient. cases: keyword arguments to
try; a function among their values is called with the arrays each time (a fresh rng, a weight per row). New inputs go to
pair_inputs.py, counterparts of more than one call to pair_counterparts.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handgrad import functional as F
from pair_counterparts import (
    tf,
    torch,
    torch_batch_norm,
    torch_conv2d,
    torch_cross_entropy,
    torch_elementwise,
    torch_hinge,
    torch_images,
    torch_layer_norm,
    torch_lstm,
    torch_probability_cross_entropy,
    torch_rnn,
)
from pair_inputs import (
    certain_probabilities,
    draw,
    draw_convolution,
    draw_distinct_images,
    draw_distributions,
    draw_features,
    draw_grouped_convolution,
    draw_hinge,
    draw_image_features,
    draw_images,
    draw_kinked,
    draw_labels,
    draw_linear,
    draw_lstm,
    draw_probabilities_and_distributions,
    draw_probabilities_and_labels,
    draw_regression,
    draw_regression_row,
    draw_rnn,
    draw_yes_or_no,
    draw_yes_or_no_row,
)


@dataclass(frozen=True)
class Pair:
    """One row of the table."""

    name: str
    make: Callable
    torch: Callable | None = None
    cases: tuple = ({},)
    num_gradients: int = 1
    analytic: bool = True  # may be differentiated by complex step
    kinked: bool = False  # has points without a derivative; make stays away from them
    extreme: Callable | None = None  # (rng, arrays) -> arrays of great size; None: the first array takes ±1e4
    tolerance: float = 1e-7  # of the numeric check

    @property
    def forward(self):
        return getattr(F, f"{self.name}_forward")

    @property
    def backward(self):
        return getattr(F, f"{self.name}_backward")


def keywords(case, arrays):
    """The keyword arguments of a case, made afresh for these arrays."""
    return {key: value(*arrays) if callable(value) else value for key, value in case.items()}


# Values of the cases that depend on the arrays.


def row_weights(outputs, *_):
    return np.linspace(0.5, 2, len(outputs))


def class_weights(outputs, *_):
    return np.linspace(2, 0.5, outputs.shape[1])


def averages(x, gamma, beta):
    return np.linspace(0.5, 2, len(gamma)).astype(gamma.dtype)


def seeded(*arrays):
    return np.random.default_rng(0)


WEIGHTED = ({}, {"sample_weight": row_weights})
CROSS_ENTROPY = (
    *WEIGHTED,
    {"class_weight": class_weights},
    {"label_smoothing": 0.1},
    {"class_weight": class_weights, "label_smoothing": 0.2, "sample_weight": row_weights},
)
CONVOLUTION = (
    {},
    {"padding": 1},
    {"stride": 2, "padding": (2, 1)},
    {"stride": (1, 3), "dilation": (1, 2)},
)
POOLING = (
    {},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (1, 2), "stride": (2, 1)},
)
INFERENCE = {"training": False, "running_mean": averages, "running_var": averages}
HUBER = (*WEIGHTED, {"delta": 0.5})

PAIRS = [
    Pair("identity", draw, lambda x: x),
    Pair("relu", draw_kinked, lambda x: tf.relu(x), kinked=True),
    Pair(
        "leaky_relu",
        draw_kinked,
        lambda x, alpha=0.01: tf.leaky_relu(x, alpha),
        cases=({}, {"alpha": 0.3}),
        kinked=True,
    ),
    Pair("elu", draw_kinked, lambda x, alpha=1.0: tf.elu(x, alpha), cases=({}, {"alpha": 0.5}), kinked=True),
    Pair("sigmoid", draw, lambda x: torch.sigmoid(x)),
    Pair("tanh", draw, lambda x: torch.tanh(x)),
    Pair("arctan", draw, lambda x: torch.arctan(x)),
    Pair("softplus", draw, lambda x: tf.softplus(x, threshold=50)),
    Pair("silu", draw, lambda x: tf.silu(x)),
    Pair("gelu", draw, lambda x: tf.gelu(x, approximate="tanh")),
    Pair("softmax", draw, lambda x: tf.softmax(x, dim=-1)),
    Pair("log_softmax", draw, lambda x: tf.log_softmax(x, dim=-1)),
    Pair("linear", draw_linear, lambda x, weight, bias: x @ weight + bias, num_gradients=3),
    Pair("flatten", draw, lambda x: torch.flatten(x, start_dim=1)),
    Pair("conv2d", draw_convolution, torch_conv2d, cases=CONVOLUTION, num_gradients=3),
    Pair("conv2d", draw_grouped_convolution, torch_conv2d, cases=({"groups": 2},), num_gradients=3),
    Pair(
        "max_pool2d",
        draw_distinct_images,
        torch_images(lambda x, kernel_size=2, **options: tf.max_pool2d(x, kernel_size, **options)),
        cases=POOLING,
        kinked=True,
    ),
    Pair(
        "avg_pool2d",
        draw_distinct_images,
        torch_images(lambda x, kernel_size=2, **options: tf.avg_pool2d(x, kernel_size, **options)),
        cases=POOLING,
    ),
    Pair("global_avg_pool2d", draw_images, lambda x: x.mean(dim=(1, 2))),
    Pair("batch_norm", draw_features, torch_batch_norm, cases=({}, {"epsilon": 0.1}, INFERENCE), num_gradients=3),
    Pair("batch_norm", draw_image_features, torch_batch_norm, cases=({}, INFERENCE), num_gradients=3),
    Pair("layer_norm", draw_features, torch_layer_norm, cases=({}, {"epsilon": 0.1}), num_gradients=3),
    Pair("layer_norm", draw_image_features, torch_layer_norm, num_gradients=3),
    Pair("rnn", draw_rnn, torch_rnn, num_gradients=5),
    Pair("rnn", draw_rnn, torch_rnn, cases=({"activation": "relu"},), num_gradients=5, kinked=True),
    Pair("lstm", draw_lstm, torch_lstm, num_gradients=6),
    Pair("dropout", draw, cases=({"rng": seeded}, {"rng": seeded, "rate": 0.2}, {"training": False})),
    Pair("cross_entropy", draw_labels, torch_cross_entropy, cases=CROSS_ENTROPY),
    Pair("cross_entropy", draw_distributions, torch_cross_entropy, cases=CROSS_ENTROPY),
    Pair(
        "probability_cross_entropy",
        draw_probabilities_and_labels,
        torch_probability_cross_entropy,
        cases=WEIGHTED,
        extreme=certain_probabilities,
    ),
    Pair(
        "probability_cross_entropy",
        draw_probabilities_and_distributions,
        torch_probability_cross_entropy,
        cases=WEIGHTED,
        extreme=certain_probabilities,
    ),
    Pair(
        "binary_cross_entropy",
        draw_yes_or_no,
        torch_elementwise("binary_cross_entropy_with_logits"),
        cases=WEIGHTED,
    ),
    Pair(
        "binary_cross_entropy",
        draw_yes_or_no_row,
        torch_elementwise("binary_cross_entropy_with_logits"),
        cases=WEIGHTED,
    ),
    Pair("mean_squared_error", draw_regression, torch_elementwise("mse_loss"), cases=WEIGHTED),
    Pair("mean_squared_error", draw_regression_row, torch_elementwise("mse_loss"), cases=WEIGHTED),
    Pair("mean_absolute_error", draw_regression, torch_elementwise("l1_loss"), cases=WEIGHTED, kinked=True),
    Pair("huber", draw_regression, torch_elementwise("huber_loss"), cases=HUBER, kinked=True),
    Pair("hinge", draw_hinge, torch_hinge, cases=WEIGHTED, kinked=True),
    Pair(
        "l2_penalty",
        draw,
        lambda weight, strength=1.0: strength * weight.square().sum() / 2,
        cases=({}, {"strength": 0.3}),
    ),
    Pair(
        "l1_penalty",
        draw_kinked,
        lambda weight, strength=1.0: strength * weight.abs().sum(),
        cases=({}, {"strength": 0.3}),
        kinked=True,
    ),
]
