"""Random Sequential models for the twin's tests: on rows, images and sequences, with nearly every layer there is."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from handgrad import layers as hg

ANYWHERE = [
    lambda draw: hg.ReLU(),
    lambda draw: hg.LeakyReLU(draw(st.sampled_from([0.01, 0.3]))),
    lambda draw: hg.ELU(draw(st.sampled_from([1.0, 0.5]))),
    lambda draw: hg.GELU(draw(st.sampled_from(["tanh", "none"]))),
    lambda draw: hg.SELU(),
    lambda draw: hg.ReLU6(),
    lambda draw: hg.GroupNorm(1),
    lambda draw: hg.RMSNorm(draw(st.sampled_from([1e-5, None]))),
    lambda draw: hg.SiLU(),
    lambda draw: hg.Sigmoid(),
    lambda draw: hg.Tanh(),
    lambda draw: hg.Softplus(),
    lambda draw: hg.Arctan(),
    lambda draw: hg.Identity(),
    lambda draw: hg.Softmax(),
    lambda draw: hg.LogSoftmax(),
    lambda draw: hg.LayerNorm(),
    lambda draw: hg.BatchNorm(draw(st.sampled_from([0.1, 0.3])), draw(st.sampled_from([1e-5, 1e-3]))),
    lambda draw: hg.Dropout(draw(st.sampled_from([0.0, 0.2, 0.5]))),
    lambda draw: hg.Normalize(draw(st.sampled_from([0.0, 0.5])), draw(st.sampled_from([1.0, 0.25]))),
]
ON_ROWS = [lambda draw: hg.Linear(draw(st.integers(1, 5)), bias=draw(st.booleans()))]
ON_SEQUENCES = [
    lambda draw: hg.RNN(draw(st.integers(1, 4)), return_sequences=True),
    lambda draw: hg.LSTM(draw(st.integers(1, 4)), return_sequences=True),
    lambda draw: hg.Linear(draw(st.integers(1, 4)), bias=draw(st.booleans())),
    lambda draw: hg.Conv1D(draw(st.integers(1, 4)), 2, padding=draw(st.sampled_from([0, 1, "same", "valid"]))),
    lambda draw: hg.GRU(draw(st.integers(1, 4)), return_sequences=True),
    lambda draw: hg.MultiHeadAttention(1, causal=draw(st.booleans())),
    lambda draw: hg.PositionalEmbedding(draw(st.sampled_from([None, 6])), sinusoidal=draw(st.booleans())),
    lambda draw: hg.Permute((2, 1)),
]
PADDINGS = st.sampled_from([0, 1, (1, 0), "same", "valid"])
KERNELS = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))


def convolution(draw):
    groups = draw(st.sampled_from([1, 1, 2]))
    return hg.Conv2D(
        groups * draw(st.integers(1, 3)),
        draw(KERNELS),
        stride=draw(st.integers(1, 2)),
        padding=draw(PADDINGS),
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
    )


def pooling(draw):
    cls = draw(st.sampled_from([hg.MaxPool2D, hg.AvgPool2D]))
    return cls(draw(KERNELS), stride=draw(st.sampled_from([None, 1, 2])), padding=draw(PADDINGS))


ON_IMAGES = [
    convolution,
    convolution,
    pooling,
    lambda draw: hg.ConvTranspose2D(draw(st.integers(1, 3)), draw(KERNELS), stride=draw(st.integers(1, 2))),
    lambda draw: hg.AdaptiveAvgPool2D(draw(st.tuples(st.integers(1, 4), st.integers(2, 4)))),
    lambda draw: hg.Permute(draw(st.permutations([1, 2, 3]))),
]
TO_ROWS = {"images": [hg.Flatten, hg.GlobalAvgPool2D], "sequences": [hg.Flatten, hg.GlobalAvgPool1D, hg.Last]}
SHAPES = {"rows": (4,), "images": (7, 6, 2), "sequences": (4, 3)}
KINDS = {"rows": ON_ROWS, "images": ON_IMAGES, "sequences": ON_SEQUENCES}


@st.composite
def models(draw):
    """A built float64 model with numbers of its own everywhere, running statistics too."""
    kind = draw(st.sampled_from(list(KINDS)))
    layers = [pick(draw, kind) for _ in range(draw(st.integers(1, 5)))]
    if kind != "rows" and draw(st.booleans()):
        layers.append(draw(st.sampled_from(TO_ROWS[kind]))())
        layers += [pick(draw, "rows") for _ in range(draw(st.integers(1, 3)))]
    if len(layers) > 2 and draw(st.booleans()):
        layers[1:3] = [hg.Sequential(layers[1:3])]
    model = hg.Sequential(layers)
    try:
        model.build(SHAPES[kind], rng=0, dtype=np.float64)
    except ValueError:  # a kernel larger than its image, say
        assume(False)
    scatter(model, np.random.default_rng(draw(st.integers(0, 1000))))
    return model


@st.composite
def composites(draw):
    """A built float64 model of layers of layers, three deep at most, and rows, images or sequences."""
    kind = draw(st.sampled_from(list(KINDS)))
    layers = [composite(draw, kind, 3), pick(draw, kind), composite(draw, kind, 2)]
    if kind != "rows":
        layers += [hg.Flatten(), hg.Linear(3)]
    model = hg.Sequential(layers)
    try:
        model.build(SHAPES[kind], rng=0, dtype=np.float64)
    except ValueError:  # branches whose shapes differ, say
        assume(False)
    scatter(model, np.random.default_rng(draw(st.integers(0, 1000))))
    return model


def composite(draw, kind, depth):
    """A layer, or a sum, product or concatenation of chains of such."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return pick(draw, kind)
    how = draw(st.sampled_from(["residual", "shortcut", "add", "multiply", "concat"]))
    chains = [[composite(draw, kind, depth - 1) for _ in range(draw(st.integers(1, 2)))] for _ in range(2)]
    if how == "concat":
        return hg.Branches(chains, how)
    units = draw(st.integers(1, 4))
    for chain in chains:  # of one shape where nothing but channels differs
        chain.append({"rows": hg.Linear, "images": lambda n: hg.Conv2D(n, 1), "sequences": sequence}[kind](units))
    if how in ("add", "multiply"):
        return hg.Branches(chains, how)
    return hg.Residual(chains[0], chains[1]) if how == "shortcut" else hg.Residual([pick(draw, kind)])


def sequence(units):
    return hg.RNN(units, return_sequences=True)


def pick(draw, kind):
    return draw(st.sampled_from(ANYWHERE + 3 * KINDS[kind]))(draw)


def scatter(model, rng):
    """Move parameters and statistics away from the round numbers they start with."""
    for name, array in {**model.parameters, **model.state}.items():
        array += 0.2 * (rng.random(array.shape) if name.endswith("var") else rng.standard_normal(array.shape))
