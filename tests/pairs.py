"""The table of all pairs: example inputs, the cases to try and the PyTorch counterpart of each.

A new pair needs one row in PAIRS; the tests in tests/functional/test_pairs.py then run over it. A row:

    Pair("relu", draw_kinked, lambda x: tf.relu(x), kinked=True)

name: x of x_forward and x_backward. make(rng, n=..., c=...) draws the array arguments in float64, away from kinks; its
keyword arguments are sizes, which the shape tests vary from 1 to 4. torch: the same function of tensors and of the
case's keywords. num_gradients: how many arrays, counted from the first, get a gradient. cases: keyword arguments to
try; a function among their values is called with the arrays each time (a fresh rng, a weight per row). Inputs and
counterparts that take more than a line stand above the table, those of one subject together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handgrad import functional as F

try:
    import torch
    import torch.nn.functional as tf
except ImportError:
    torch = tf = None


@dataclass(frozen=True)
class Pair:
    """One row of the table."""

    name: str
    make: Callable
    torch: Callable | None = None
    cases: tuple = ({},)
    num_gradients: int = 1
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


# Any input, and values of cases that depend on it ---------------------------------------------------------------------


def away_from(kinks, rng, shape, gap=0.05):
    """Normal numbers, each at least gap away from every kink."""
    x = rng.standard_normal(shape)
    while (close := np.min([abs(x - kink) for kink in kinks], axis=0) < gap).any():
        x[close] = rng.standard_normal(close.sum())
    return x


def draw(rng, n=3, k=2, c=4):
    return (rng.standard_normal((n, k, c)),)


def draw_kinked(rng, n=3, k=2, c=4):
    return (away_from([0], rng, (n, k, c)),)


def draw_kinked_twice(rng, n=3, k=2, c=4):
    return (6 * away_from([0, 1], rng, (n, k, c)),)


def row_weights(outputs, *_):
    return np.linspace(0.5, 2, len(outputs))


def class_weights(outputs, *_):
    return np.linspace(2, 0.5, outputs.shape[-1])


def averages(x, gamma, beta):
    return np.linspace(0.5, 2, len(gamma)).astype(gamma.dtype)


def backwards(x):
    return x.shape[:0:-1]


def seeded(*arrays):
    return np.random.default_rng(0)


# The affine map -------------------------------------------------------------------------------------------------------


def draw_linear(rng, n=3, features=4, out=2):
    return rng.standard_normal((n, features)), rng.standard_normal((features, out)), rng.standard_normal(out)


# Losses: what they are given ------------------------------------------------------------------------------------------


def draw_labels(rng, n=4, c=3):
    return rng.standard_normal((n, c)), rng.integers(0, c, n)


def draw_labels_of_steps(rng, n=4, steps=2, c=3):
    return rng.standard_normal((n, steps, c)), rng.integers(0, c, (n, steps))


def draw_distributions_of_steps(rng, n=4, steps=2, c=3):
    return rng.standard_normal((n, steps, c)), rng.dirichlet(np.ones(c), (n, steps))


def draw_distributions(rng, n=4, c=3):
    return rng.standard_normal((n, c)), rng.dirichlet(np.ones(c), n)


def draw_probabilities_and_labels(rng, n=4, c=3):
    return rng.dirichlet(np.full(c, 5.0), n), rng.integers(0, c, n)


def draw_probabilities_and_distributions(rng, n=4, c=3):
    return rng.dirichlet(np.full(c, 5.0), n), rng.dirichlet(np.ones(c), n)


def certain_probabilities(rng, arrays):
    probabilities, targets = arrays
    return np.eye(probabilities.shape[1])[rng.integers(0, probabilities.shape[1], len(targets))], targets


def draw_yes_or_no(rng, n=4, c=2):
    return rng.standard_normal((n, c)), rng.integers(0, 2, (n, c))


def draw_yes_or_no_row(rng, n=4):
    return rng.standard_normal((n, 1)), rng.random(n)


def draw_regression(rng, n=4, c=2):
    """Differences away from 0 and from huber's ±delta."""
    targets = rng.standard_normal((n, c))
    return targets + away_from([-1, -0.5, 0, 0.5, 1], rng, (n, c)), targets


def draw_regression_row(rng, n=4):
    outputs, targets = draw_regression(rng, n, 1)
    return outputs, targets[:, 0]


def draw_hinge(rng, n=4, c=3):
    """Margins away from 0."""
    scores, targets = draw_labels(rng, n, c)
    others = away_from([-1], rng, (n, c))
    scores = scores[np.arange(n), targets][:, None] + others
    scores[np.arange(n), targets] -= others[np.arange(n), targets]
    return scores, targets


# Losses in PyTorch ----------------------------------------------------------------------------------------------------


def torch_mean(losses, sample_weight=None):
    """The mean over all elements, or over the rows weighted by sample_weight."""
    if sample_weight is None:
        return losses.mean()
    return (sample_weight * losses.reshape(len(losses), -1).mean(dim=1)).sum() / sample_weight.sum()


def torch_cross_entropy(logits, targets, class_weight=None, label_smoothing=0.0, sample_weight=None):
    options = {"weight": class_weight, "label_smoothing": label_smoothing}
    if sample_weight is None:
        return tf.cross_entropy(logits, targets, **options)
    counts = sample_weight
    if class_weight is not None and targets.ndim == 1:
        counts = sample_weight * class_weight[targets]
    return (sample_weight * tf.cross_entropy(logits, targets, reduction="none", **options)).sum() / counts.sum()


def torch_sequence_cross_entropy(logits, targets, sample_weight=None, **options):
    """PyTorch's own takes (N, C, T)."""
    targets = targets.movedim(-1, 1) if targets.ndim == 3 else targets
    if sample_weight is None:
        options["weight"] = options.pop("class_weight", None)
        return tf.cross_entropy(logits.movedim(-1, 1), targets, **options)
    losses = tf.cross_entropy(logits.movedim(-1, 1), targets, reduction="none", **options)
    return (sample_weight[:, None] * losses).sum() / (sample_weight.sum() * losses.shape[1])


def torch_probability_cross_entropy(probabilities, targets, sample_weight=None):
    if targets.ndim == 1:
        targets = tf.one_hot(targets, probabilities.shape[1])
    return torch_mean(-torch.xlogy(targets, probabilities).sum(dim=1), sample_weight)


def torch_hinge(scores, targets, sample_weight=None):
    return torch_mean(tf.multi_margin_loss(scores, targets, reduction="none") * scores.shape[1], sample_weight)


def torch_elementwise(loss):
    """A PyTorch loss by elements, with targets (N,) put beside outputs (N, 1) and the mean taken as ours."""

    def mean_loss(outputs, targets, sample_weight=None, **options):
        losses = getattr(tf, loss)(outputs, targets.reshape(outputs.shape).double(), reduction="none", **options)
        return torch_mean(losses, sample_weight)

    return mean_loss


# Images ---------------------------------------------------------------------------------------------------------------


def draw_convolution(rng, n=2, height=3, width=2, c=2, out=3):
    """Images at least as large as the kernel dilated by 2."""
    return (
        rng.standard_normal((n, height + 3, width + 2, c)),
        rng.standard_normal((3, 2, c, out)),
        rng.standard_normal(out),
    )


def draw_grouped_convolution(rng, n=2, height=3, width=2, c=2, out=1):
    x, weight, _ = draw_convolution(rng, n, height, width, 2 * c, 2 * out)
    return x, weight[:, :, :c], rng.standard_normal(2 * out)


def draw_line_convolution(rng, n=2, steps=3, c=2, out=3):
    return rng.standard_normal((n, steps + 3, 2 * c)), rng.standard_normal((2, 2 * c, out)), rng.standard_normal(out)


def torch_conv1d(x, weight, bias, **options):
    return tf.conv1d(x.movedim(-1, 1), weight.permute(2, 1, 0), bias, **options).movedim(1, -1)


def draw_transposed_convolution(rng, n=2, height=3, width=2, c=2, out=3):
    """Large enough for a padding of 1 to leave something."""
    return rng.standard_normal((n, height, width, c)), rng.standard_normal((4, 3, c, out)), rng.standard_normal(out)


def draw_distinct_images(rng, n=2, height=3, width=2, c=2):
    """No two pixels within 0.05 of each other: no maximum changes hands."""
    shape = n, height + 2, width + 2, c
    return (rng.permutation(np.linspace(-3, 3, np.prod(shape) + 1)[1:]).reshape(shape),)


def draw_images(rng, n=2, height=3, width=2, c=2):
    return (rng.standard_normal((n, height, width, c)),)


def torch_images(function):
    """A PyTorch function of images (N, C, H, W), given ours (N, H, W, C)."""
    return lambda x, *arrays, **options: function(x.permute(0, 3, 1, 2), *arrays, **options).permute(0, 2, 3, 1)


@torch_images
def torch_conv2d(x, weight, bias, **options):
    return tf.conv2d(x, weight.permute(3, 2, 0, 1).contiguous(), bias, **options)


@torch_images
def torch_conv_transpose2d(x, weight, bias, **options):
    return tf.conv_transpose2d(x, weight.permute(2, 3, 0, 1).contiguous(), bias, **options)


# Normalization --------------------------------------------------------------------------------------------------------


def draw_features(rng, n=4, c=3):
    return rng.standard_normal((n + 1, c)), rng.standard_normal(c), rng.standard_normal(c)


def draw_image_features(rng, n=2, height=3, width=2, c=2):
    return rng.standard_normal((n + 1, height, width, c)), rng.standard_normal(c), rng.standard_normal(c)


def torch_batch_norm(x, gamma, beta, running_mean=None, running_var=None, training=True, epsilon=1e-5):
    y = tf.batch_norm(x.movedim(-1, 1), running_mean, running_var, gamma, beta, training, 0.0, epsilon)
    return y.movedim(1, -1)


def draw_grouped_features(rng, n=2, height=3, width=2, c=2):
    """Channels for two groups."""
    return rng.standard_normal((n, height + 1, width, 2 * c)), rng.standard_normal(2 * c), rng.standard_normal(2 * c)


def draw_scaled_features(rng, n=4, k=2, c=3):
    return rng.standard_normal((n, k, c)), rng.standard_normal(c)


def torch_group_norm(x, gamma, beta, num_groups=1, epsilon=1e-5):
    return tf.group_norm(x.movedim(-1, 1), num_groups, gamma, beta, epsilon).movedim(1, -1)


def torch_rms_norm(x, gamma, epsilon=1e-6):
    return gamma * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + epsilon)


def torch_layer_norm(x, gamma, beta, epsilon=1e-5):
    return tf.layer_norm(x, gamma.shape, gamma, beta, epsilon)


# Recurrence -----------------------------------------------------------------------------------------------------------


def draw_recurrent(rng, n, steps, features, units, blocks):
    return (
        rng.standard_normal((n, steps, features)),
        rng.standard_normal((n, units)),
        rng.standard_normal((features, blocks * units)),
        rng.standard_normal((units, blocks * units)),
        rng.standard_normal(blocks * units),
    )


def draw_rnn(rng, n=2, steps=3, features=2, units=3):
    return draw_recurrent(rng, n, steps, features, units, blocks=1)


def draw_gru(rng, n=2, steps=3, features=2, units=3):
    return *draw_recurrent(rng, n, steps, features, units, blocks=3), rng.standard_normal(3 * units)


def torch_gru(x, hidden, weight, recurrent_weight, bias, recurrent_bias):
    weights = weight.T, recurrent_weight.T, bias, recurrent_bias
    return torch.gru(x, hidden[None], weights, True, 1, 0.0, False, False, True)[0]


def draw_lstm(rng, n=2, steps=3, features=2, units=3):
    x, hidden, *weights = draw_recurrent(rng, n, steps, features, units, blocks=4)
    return x, hidden, rng.standard_normal((n, units)), *weights


def torch_rnn(x, hidden, weight, recurrent_weight, bias, activation="tanh"):
    weights = weight.T, recurrent_weight.T, bias, torch.zeros_like(bias)
    return getattr(torch, f"rnn_{activation}")(x, hidden[None], weights, True, 1, 0.0, False, False, True)[0]


def torch_lstm(x, hidden, cell, weight, recurrent_weight, bias):
    """PyTorch's gates stand in the order i, f, g, o."""
    i, f, o, g = torch.arange(weight.shape[1]).chunk(4)
    order = torch.cat([i, f, g, o])
    weights = weight.T[order], recurrent_weight.T[order], bias[order], torch.zeros_like(bias)
    return torch.lstm(x, (hidden[None], cell[None]), weights, True, 1, 0.0, False, False, True)[0]


# Attention ------------------------------------------------------------------------------------------------------------


def draw_attention(rng, n=2, heads=2, steps=3, keys=4, features=2, values=3):
    sizes = (steps, features), (keys, features), (keys, values)
    return tuple(rng.standard_normal((n, heads, *size)) for size in sizes)


def draw_self_attention(rng, n=2, steps=3, features=2, values=3):
    return draw_attention(rng, n, 1, steps, steps, features, values)


def random_mask(q, k, v):
    """One for all heads; the first key is seen by all."""
    mask = np.random.default_rng(0).random((len(q), 1, q.shape[2], k.shape[2])) < 0.5
    mask[..., 0] = True
    return mask


def torch_attention(q, k, v, mask=None, causal=False, training=True):
    return tf.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)


def draw_multi_head_attention(rng, n=2, steps=3, features=2):
    """Features for two heads."""
    shapes = (
        (n, steps, 2 * features),
        (2 * features, 6 * features),
        (6 * features,),
        (2 * features,) * 2,
        (2 * features,),
    )
    return tuple(rng.standard_normal(shape) for shape in shapes)


def torch_multi_head_attention(x, weight, bias, output_weight, output_bias, num_heads=1, causal=False):
    steps, features = x.shape[1:]
    hidden = torch.ones(steps, steps, dtype=bool).triu(1) if causal else None
    x, weights = x.swapaxes(0, 1), (weight.T, bias, None, None, False, 0.0, output_weight.T, output_bias)
    y, _ = tf.multi_head_attention_forward(x, x, x, features, num_heads, *weights, attn_mask=hidden, need_weights=False)
    return y.swapaxes(0, 1)


# Embeddings -----------------------------------------------------------------------------------------------------------


def draw_embedding(rng, n=3, steps=4, rows=5, features=2):
    return rng.standard_normal((rows, features)), rng.integers(0, rows, (n, steps))


def draw_positions(rng, n=3, steps=2, more=1, features=4):
    return rng.standard_normal((n, steps, features)), rng.standard_normal((steps + more, features))


# The table ------------------------------------------------------------------------------------------------------------


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
    Pair("exact_gelu", draw, lambda x: tf.gelu(x)),
    Pair("relu6", draw_kinked_twice, lambda x: tf.relu6(x), kinked=True),
    Pair("selu", draw_kinked, lambda x: tf.selu(x), kinked=True),
    Pair("softmax", draw, lambda x: tf.softmax(x, dim=-1)),
    Pair("log_softmax", draw, lambda x: tf.log_softmax(x, dim=-1)),
    Pair("last", draw, lambda x: x[:, -1]),
    Pair("reshape", draw, lambda x, shape: x.reshape(len(x), *shape), cases=({"shape": backwards},)),
    Pair("permute", draw_images, lambda x, axes: x.permute(0, *axes), cases=({"axes": (2, 1, 3)}, {"axes": (3, 1, 2)})),
    Pair("linear", draw_linear, lambda x, weight, bias: x @ weight + bias, num_gradients=3),
    Pair("flatten", draw, lambda x: torch.flatten(x, start_dim=1)),
    Pair("conv2d", draw_convolution, torch_conv2d, cases=CONVOLUTION, num_gradients=3),
    Pair(
        "conv1d",
        draw_line_convolution,
        torch_conv1d,
        cases=({}, {"padding": 1, "stride": 2}, {"dilation": 2, "padding": "same"}),
        num_gradients=3,
    ),
    Pair(
        "conv_transpose2d",
        draw_transposed_convolution,
        torch_conv_transpose2d,
        cases=({}, {"stride": 2, "padding": 1}, {"stride": (1, 3), "output_padding": (0, 2)}),
        num_gradients=3,
    ),
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
    Pair(
        "adaptive_avg_pool2d",
        draw_images,
        torch_images(lambda x, output_size: tf.adaptive_avg_pool2d(x, output_size)),
        cases=({"output_size": 2}, {"output_size": (3, 1)}),
    ),
    Pair("batch_norm", draw_features, torch_batch_norm, cases=({}, {"epsilon": 0.1}, INFERENCE), num_gradients=3),
    Pair("batch_norm", draw_image_features, torch_batch_norm, cases=({}, INFERENCE), num_gradients=3),
    Pair("layer_norm", draw_features, torch_layer_norm, cases=({}, {"epsilon": 0.1}), num_gradients=3),
    Pair("layer_norm", draw_image_features, torch_layer_norm, num_gradients=3),
    Pair(
        "group_norm",
        draw_grouped_features,
        torch_group_norm,
        cases=({}, {"num_groups": 2}, {"epsilon": 0.1}),
        num_gradients=3,
    ),
    Pair("rms_norm", draw_scaled_features, torch_rms_norm, cases=({}, {"epsilon": 0.1}), num_gradients=2),
    Pair("rnn", draw_rnn, torch_rnn, num_gradients=5),
    Pair("rnn", draw_rnn, torch_rnn, cases=({"activation": "relu"},), num_gradients=5, kinked=True),
    Pair("gru", draw_gru, torch_gru, num_gradients=6),
    Pair("lstm", draw_lstm, torch_lstm, num_gradients=6),
    Pair("attention", draw_attention, torch_attention, cases=({}, {"mask": random_mask}), num_gradients=3),
    Pair("attention", draw_self_attention, torch_attention, cases=({"causal": True},), num_gradients=3),
    Pair(
        "multi_head_attention",
        draw_multi_head_attention,
        torch_multi_head_attention,
        cases=({}, {"num_heads": 2}, {"num_heads": 2, "causal": True}),
        num_gradients=5,
    ),
    Pair("embedding", draw_embedding, lambda weight, indices: tf.embedding(indices, weight)),
    Pair("positional_embedding", draw_positions, lambda x, weight: x + weight[: x.shape[1]], num_gradients=2),
    Pair("dropout", draw, cases=({"rng": seeded}, {"rng": seeded, "rate": 0.2}, {"training": False})),
    Pair("cross_entropy", draw_labels, torch_cross_entropy, cases=CROSS_ENTROPY),
    Pair("cross_entropy", draw_distributions, torch_cross_entropy, cases=CROSS_ENTROPY),
    Pair("cross_entropy", draw_labels_of_steps, torch_sequence_cross_entropy, cases=CROSS_ENTROPY[:-1]),
    Pair("cross_entropy", draw_distributions_of_steps, torch_sequence_cross_entropy, cases=CROSS_ENTROPY[:-1]),
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
