"""What people write in PyTorch: 24 ordinary modules read, with the same outputs and gradients; and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from torch import nn

from handgrad.torch_twin import from_torch


class Written(nn.Module):
    """A module of these children whose forward is the function given."""

    def __init__(self, forward, **children):
        super().__init__()
        self.run = forward
        for name, child in children.items():
            if isinstance(child, nn.Parameter):
                self.register_parameter(name, child)
            elif isinstance(child, torch.Tensor):
                self.register_buffer(name, child)
            else:
                self.add_module(name, child)

    def forward(self, x):
        return self.run(self, x)


def basic_block(m, x):
    y = m.c2(torch.relu(m.b1(m.c1(x))))
    y = m.b2(y)
    y += m.down(x)
    return TF.relu(y, inplace=True)


def squeeze_by_rows(m, x):
    n, c, _, _ = x.shape
    scale = m.pool(x).view(n, c)
    return x * torch.sigmoid(m.up(TF.relu(m.down(scale)))).view(n, c, 1, 1)


def squeeze_by_pixels(m, x):
    return torch.sigmoid(m.up(torch.relu(m.down(TF.adaptive_avg_pool2d(x, 1))))) * x


def vgg(m, x):
    return m.classifier(torch.flatten(m.pool(m.features(x)), 1))


def encoder_layer(**options):
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)


def pre_norm_attention(m, x):
    h = m.norm(x)
    return m.out(x + m.attend(h, h, h, need_weights=False)[0])


def post_norm_attention(m, x):
    attended, _ = m.attend(x, x, x)
    return m.norm(x + attended)


def later(m, x):
    return m.attend(x, x, x, attn_mask=m.mask, is_causal=True)[0]


def gpt_by_parameter(m, x):
    return m.head(m.block(m.tokens(x) + m.places[:, : x.size(1)]))


def gpt_by_numbers(m, x):
    return m.head(m.block(m.tokens(x) + m.places(torch.arange(x.size(1)))))


IMAGE, STEPS, NUMBERS = (3, 8, 8), (6, 8), (6,)
HIDDEN = torch.ones(6, 6, dtype=torch.bool).triu(1)
PATTERNS = {
    "a ResNet block": (
        IMAGE,
        lambda: Written(
            basic_block,
            c1=nn.Conv2d(3, 6, 3, 2, 1, bias=False),
            b1=nn.BatchNorm2d(6),
            c2=nn.Conv2d(6, 6, 3, 1, 1, bias=False),
            b2=nn.BatchNorm2d(6),
            down=nn.Sequential(nn.Conv2d(3, 6, 1, 2, bias=False), nn.BatchNorm2d(6)),
        ),
    ),
    "x + f(x)": ((5,), lambda: Written(lambda m, x: x + m.f(x), f=nn.Sequential(nn.Linear(5, 5), nn.Tanh()))),
    "VGG with pool 7": (
        (3, 20, 20),
        lambda: Written(
            vgg,
            features=nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2)),
            pool=nn.AdaptiveAvgPool2d((7, 7)),
            classifier=nn.Sequential(nn.Linear(196, 8), nn.ReLU(True), nn.Dropout(0.0), nn.Linear(8, 3)),
        ),
    ),
    "GELU's default": ((5,), lambda: Written(lambda m, x: m.b(TF.gelu(m.a(x))), a=nn.Linear(5, 7), b=nn.Linear(7, 2))),
    "LSTM and its last step": (
        STEPS,
        lambda: Written(lambda m, x: m.f(m.r(x)[0][:, -1]), r=nn.LSTM(8, 5, batch_first=True), f=nn.Linear(5, 2)),
    ),
    "LSTM and its last state": (
        STEPS,
        lambda: Written(lambda m, x: m.f(m.r(x)[1][0][-1]), r=nn.LSTM(8, 5, 2, batch_first=True), f=nn.Linear(5, 2)),
    ),
    "GRU": (
        STEPS,
        lambda: Written(lambda m, x: m.f(m.r(x)[0][:, -1, :]), r=nn.GRU(8, 5, batch_first=True), f=nn.Linear(5, 2)),
    ),
    "Conv1d, flattened": (
        STEPS,
        lambda: Written(
            lambda m, x: m.f(m.c(x).flatten(1)), c=nn.Sequential(nn.Conv1d(6, 4, 3), nn.ReLU()), f=nn.Linear(24, 2)
        ),
    ),
    "Conv1d and a mean": (
        STEPS,
        lambda: Written(lambda m, x: m.f(TF.relu(m.c(x)).mean(2)), c=nn.Conv1d(6, 4, 3), f=nn.Linear(4, 2)),
    ),
    "Embedding and a mean": (
        NUMBERS,
        lambda: Written(lambda m, x: m.f(m.e(x).mean(dim=1)), e=nn.Embedding(9, 4), f=nn.Linear(4, 2)),
    ),
    "Embedding(padding_idx)": (
        NUMBERS,
        lambda: Written(lambda m, x: m.f(m.e(x).mean(1)), e=nn.Embedding(9, 4, padding_idx=0), f=nn.Linear(4, 2)),
    ),
    "TransformerEncoderLayer": (STEPS, lambda: encoder_layer(dropout=0.0)),
    "TransformerEncoderLayer, norms first": (
        STEPS,
        lambda: encoder_layer(norm_first=True, activation="gelu", dropout=0.0),
    ),
    "TransformerEncoder": (
        STEPS,
        lambda: nn.TransformerEncoder(encoder_layer(dropout=0.0), 2, nn.LayerNorm(8), enable_nested_tensor=False),
    ),
    "attention, norm first": (
        STEPS,
        lambda: Written(
            pre_norm_attention,
            norm=nn.LayerNorm(8),
            attend=nn.MultiheadAttention(8, 2, batch_first=True),
            out=nn.Linear(8, 2),
        ),
    ),
    "attention, norm behind": (
        STEPS,
        lambda: Written(
            post_norm_attention, attend=nn.MultiheadAttention(8, 2, batch_first=True), norm=nn.LayerNorm(8)
        ),
    ),
    "attention under a mask": (
        STEPS,
        lambda: Written(later, attend=nn.MultiheadAttention(8, 2, batch_first=True), mask=HIDDEN.clone()),
    ),
    "GPT, places a parameter": (
        NUMBERS,
        lambda: Written(
            gpt_by_parameter,
            tokens=nn.Embedding(9, 8),
            places=nn.Parameter(torch.randn(1, 10, 8)),
            block=encoder_layer(norm_first=True, dropout=0.0),
            head=nn.Linear(8, 9),
        ),
    ),
    "GPT, places an Embedding": (
        NUMBERS,
        lambda: Written(
            gpt_by_numbers,
            tokens=nn.Embedding(9, 8),
            places=nn.Embedding(10, 8),
            block=encoder_layer(dropout=0.0),
            head=nn.Linear(8, 9),
        ),
    ),
    "GroupNorm and a global mean": (
        (4, 6, 6),
        lambda: Written(
            lambda m, x: m.c(x).mean((2, 3)), c=nn.Sequential(nn.Conv2d(4, 6, 3), nn.GroupNorm(3, 6), nn.SiLU())
        ),
    ),
    "ConvTranspose2d": (
        IMAGE,
        lambda: Written(
            lambda m, x: torch.tanh(m.c(TF.relu(m.u(x)))), u=nn.ConvTranspose2d(3, 4, 4, 2, 1), c=nn.Conv2d(4, 2, 1)
        ),
    ),
    "squeeze and excite by rows": (
        (8, 5, 5),
        lambda: Written(squeeze_by_rows, pool=nn.AdaptiveAvgPool2d(1), down=nn.Linear(8, 2), up=nn.Linear(2, 8)),
    ),
    "squeeze and excite by pixels": (
        (8, 5, 5),
        lambda: Written(squeeze_by_pixels, down=nn.Conv2d(8, 2, 1), up=nn.Conv2d(2, 8, 1)),
    ),
    "a MobileNet block": (
        IMAGE,
        lambda: Written(
            lambda m, x: x + m.b(x),
            b=nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU6(), nn.Conv2d(6, 6, 3, 1, 1, 1, 6), nn.Conv2d(6, 3, 1)),
        ),
    ),
}


def turned(array):
    """Channels first to last, of images."""
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


@pytest.mark.parametrize(("shape", "make"), PATTERNS.values(), ids=PATTERNS.keys())
def test_what_people_write_is_read(shape, make):
    torch.manual_seed(0)
    module, rng = make().double(), np.random.default_rng(0)
    is_line = isinstance(getattr(module, "c", None), nn.Conv1d) or "Conv1d" in repr(module)
    x = rng.integers(0, 9, (4, *shape)) if shape == NUMBERS else rng.standard_normal((4, *shape))
    ours = np.moveaxis(x, 1, -1) if len(shape) == 3 or is_line else x
    model = from_torch(module, ours.shape[1:])
    there = torch.from_numpy(x).requires_grad_(shape != NUMBERS)
    y = module(there)
    dy = rng.standard_normal(tuple(y.shape))
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(model.forward(ours, True), turned(y.detach().numpy()), rtol=1e-10, atol=1e-10)
    dx = model.backward(turned(dy))
    if there.grad is not None:
        expected = there.grad.numpy()
        np.testing.assert_allclose(dx, np.moveaxis(expected, 1, -1) if is_line else turned(expected), atol=1e-10)
    theirs = sorted(float((p.grad**2).sum()) for p in module.parameters() if p.grad is not None and p.grad.any())
    mine = sorted(float((g**2).sum()) for g in model.gradients.values() if g.any())
    if len(theirs) == len(mine):  # an LSTM has two biases there
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    elif "LSTM" not in repr(module):
        raise AssertionError(f"{len(mine)} gradients, {len(theirs)} there")


def test_a_layer_that_drops_is_read_for_inference_alone():
    torch.manual_seed(0)
    layer = encoder_layer(dropout=0.1).double()
    with pytest.raises(ValueError, match=r"self_attn is MultiheadAttention with dropout=0.1: .* or \.eval\(\)"):
        from_torch(layer, STEPS)
    x = np.random.default_rng(0).standard_normal((3, *STEPS))
    theirs = layer.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(from_torch(layer, STEPS).predict(x), theirs, atol=1e-10)


def test_weights_in_bfloat16_come_as_float32():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).bfloat16()
    model = from_torch(module, 4)
    assert model.dtype == np.float32
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_allclose(model.forward(x), module.float()(torch.from_numpy(x)).detach().numpy(), atol=1e-6)


REFUSED = {
    "two sequences": (lambda m, x: m.attend(x, m.f(x), m.f(x))[0], "attends to another sequence"),
    "attention's weights": (lambda m, x: m.attend(x, x, x)[1], "'getitem'|several values"),
    "a mask of another kind": (lambda m, x: m.attend(x, x, x, attn_mask=m.mask)[0], "hides just what comes later"),
    "a mean that is kept": (lambda m, x: m.f(x).mean(1, keepdim=True), "keepdim=True"),
    "a row of a weight": (lambda m, x: m.f(x) + m.f.weight[0], "no module's output"),
    "dropped weights": (lambda m, x: m.dropping(x, x, x)[0], r"dropout=0.5.*\.dropout = 0, or \.eval\(\)"),
    "no biases": (lambda m, x: m.plain(x, x, x)[0], "bias=False"),
}


@pytest.mark.parametrize(("forward", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_read_is_named(forward, message):
    module = Written(
        forward,
        f=nn.Linear(8, 8),
        attend=nn.MultiheadAttention(8, 2, batch_first=True),
        dropping=nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True),
        plain=nn.MultiheadAttention(8, 2, bias=False, batch_first=True),
        mask=torch.zeros(6, 6, dtype=torch.bool),
    )
    with pytest.raises(ValueError, match=message) as problem:
        from_torch(module, STEPS)
    assert "\n" not in str(problem.value)
