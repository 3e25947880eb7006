"""The few modules PyTorch has no class for: an order of axes, constants, outputs alone."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..functional.embedding import sinusoidal_positions

Constant: TypeAlias = float | Sequence[float]


def channel_axes(rank: int, to_first: bool) -> tuple[int, ...]:
    """The axes for `Permute` that move the channels of examples of this rank first, or last again."""
    return (0, rank, *range(1, rank)) if to_first else (0, *range(2, rank + 1), 1)


class Permute(nn.Module):
    """The same numbers with their axes in another order.

    Parameters
    ----------
    *axes : int
        Permute(0, 3, 1, 2) makes (N, H, W, C) (N, C, H, W).
    """

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes: tuple[int, ...] = tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        """x with its axes in that order."""
        return x.permute(self.axes)

    def extra_repr(self) -> str:
        """The axes."""
        return ", ".join(map(str, self.axes))


class Arctan(nn.Module):
    """y = arctan x."""

    def forward(self, x: Tensor) -> Tensor:
        """arctan x."""
        return torch.arctan(x)


class Normalize(nn.Module):
    """y = (x - mean) (1 / std) with constants.

    Parameters
    ----------
    mean, std : float or sequence of float
        Numbers, or one per channel.
    channels_first : bool
        Whether the channels are on axis 1, and not on the last one.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, mean: Constant, std: Constant, channels_first: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.channels_first = channels_first
        self.register_buffer("shift", torch.tensor(mean, dtype=torch.float64), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(std, dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) (1 / std)."""
        return (x - self._beside(self.shift, x)) * self._beside(self.scale, x)

    def _beside(self, constant: Tensor, x: Tensor) -> Tensor:
        return constant.view(-1, *[1] * (x.ndim - 2)) if self.channels_first and constant.ndim else constant

    def extra_repr(self) -> str:
        """The constants."""
        return f"{self.mean}, {self.std}"


class Residual(nn.Module):
    """y = f(x) + x, or f(x) + shortcut(x).

    Parameters
    ----------
    layers : dict of str to nn.Module
        f, by name, in the order in which they run.
    shortcut : nn.Module, optional
        What x passes on its way around them.
    """

    def __init__(self, layers: Mapping[str, nn.Module], shortcut: nn.Module | None = None) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        if shortcut is not None:
            self.add_module("shortcut", shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """f(x) + x."""
        y = around = x
        for name, layer in self._modules.items():
            assert layer is not None
            if name == "shortcut":
                around = layer(x)
            else:
                y = layer(y)
        return y + around


class Branches(nn.Module):
    """Modules on the same x, and their outputs joined.

    Parameters
    ----------
    branches : sequence of nn.Module
        Called branch1, branch2 and so on.
    join : {'add', 'multiply', 'concat'}
        How.
    dim : int
        The axis along which 'concat' puts them side by side.
    """

    def __init__(self, branches: Sequence[nn.Module], join: str, dim: int = -1) -> None:
        super().__init__()
        self.join = join
        self.dim = dim
        for i, branch in enumerate(branches, start=1):
            self.add_module(f"branch{i}", branch)

    def forward(self, x: Tensor) -> Tensor:
        """What the branches make of x, joined."""
        ys = [branch(x) for branch in self.children()]
        if self.join == "concat":
            return torch.cat(ys, self.dim)
        joined: Tensor = functools.reduce(torch.add if self.join == "add" else torch.mul, ys)
        return joined

    def extra_repr(self) -> str:
        """How they are joined."""
        return f"join={self.join!r}" + (f", dim={self.dim}" if self.join == "concat" else "")


class OutputsAlone(nn.RNNBase):
    """What RNN, LSTM and GRU add to PyTorch's: batches first, y without the states (the last step's, or all), one bias.

    The second bias, but for GRU, is fixed at 0: if both were trained, their sum would move twice as far in each step.
    """

    bias_ih_l0: nn.Parameter
    bias_hh_l0: nn.Parameter
    one_bias = True

    def __init__(self, input_size: int, hidden_size: int, return_sequences: bool = False) -> None:
        begin: Any = super().__init__  # of nn.RNN or nn.LSTM
        begin(input_size, hidden_size, batch_first=True)
        self.return_sequences = return_sequences
        nn.init.zeros_(self.bias_hh_l0).requires_grad_(not self.one_bias)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        """Takes nn.LSTM's numbers too, which have two biases trained: their sum does the same."""
        super()._load_from_state_dict(*arguments)
        if self.one_bias:
            with torch.no_grad():
                self.bias_ih_l0.add_(self.bias_hh_l0)
                self.bias_hh_l0.zero_()

    def outputs(self, x: Tensor) -> Tensor:
        """y (N, T, units) of x (N, T, features), or its last step (N, units)."""
        everything: Tensor = super().forward(x)[0]
        return everything if self.return_sequences else everything[:, -1]

    forward: Any = outputs  # PyTorch's takes a state as well, this one does not, on purpose

    def extra_repr(self) -> str:
        """The sizes, and whether all steps come out."""
        return f"{self.input_size}, {self.hidden_size}, return_sequences={self.return_sequences}"


class RNN(OutputsAlone, nn.RNN):
    """nn.RNN as a layer of a Sequential: h_t = tanh(x_t W + h_{t-1} U + b).

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers of features of x and of h.
    return_sequences : bool
        Whether h of all steps come out, (N, T, units), or that of the last one, (N, units).
    """


class LSTM(OutputsAlone, nn.LSTM):
    """nn.LSTM as a layer of a Sequential.

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers of features of x and of h.
    return_sequences : bool
        Whether h of all steps come out, (N, T, units), or that of the last one, (N, units).
    """


class GRU(OutputsAlone, nn.GRU):
    """nn.GRU as a layer of a Sequential, with both its biases.

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers of features of x and of h.
    return_sequences : bool
        Whether h of all steps come out, (N, T, units), or that of the last one, (N, units).
    """

    one_bias = False


class MultiHeadAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention of a sequence with itself as a layer of a Sequential: batches first, y without the weights.

    Parameters
    ----------
    embed_dim, num_heads : int
        Numbers of features and of heads.
    causal : bool
        Whether a step sees itself and those before it alone.
    """

    def __init__(self, embed_dim: int, num_heads: int, causal: bool = False) -> None:
        super().__init__(embed_dim, num_heads, batch_first=True)
        self.causal = causal

    def outputs(self, x: Tensor) -> Tensor:
        """y of x, both (N, T, features)."""
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1) if self.causal else None
        y, _ = super().forward(x, x, x, need_weights=False, attn_mask=hidden, is_causal=self.causal)
        return y

    forward: Any = outputs  # PyTorch's takes queries, keys and values apart

    def extra_repr(self) -> str:
        """The sizes, and whether it is causal."""
        return f"{self.embed_dim}, {self.num_heads}, causal={self.causal}"


class PositionalEmbedding(nn.Module):
    """y_t = x_t + p_t for x (N, T, features).

    Parameters
    ----------
    length, features : int
        Of p, which is a parameter.
    sinusoidal : bool
        Whether p is sines and cosines, and no parameter.
    """

    weight: Tensor

    def __init__(self, length: int, features: int, sinusoidal: bool = False) -> None:
        super().__init__()
        self.length: int = length
        self.features: int = features
        self.sinusoidal: bool = sinusoidal
        if sinusoidal:
            self.register_buffer("weight", torch.from_numpy(sinusoidal_positions(length, features)), persistent=False)
        else:
            self.weight = nn.Parameter(torch.zeros(length, features))

    def forward(self, x: Tensor) -> Tensor:
        """x plus the rows of its places."""
        return x + self.weight[: x.shape[1]]

    def extra_repr(self) -> str:
        """The sizes, and of which kind."""
        return f"{self.length}, {self.features}, sinusoidal={self.sinusoidal}"


class Spread(nn.Module):
    """Rows (N, C) as images of one pixel, (N, C, 1, 1), which scale those that they are multiplied by."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 1, 1)."""
        return x[..., None, None]


class Mean(nn.Module):
    """The mean over all axes but the batch's and the channels'.

    Parameters
    ----------
    num_axes : int
        Over how many: 2 of images, 1 of sequences.
    channels_first : bool
        Whether the channels are on axis 1, and not on the last one.
    """

    def __init__(self, num_axes: int, channels_first: bool = False) -> None:
        super().__init__()
        self.num_axes: int = num_axes
        self.channels_first: bool = channels_first

    def forward(self, x: Tensor) -> Tensor:
        """(N, C)."""
        return x.mean(tuple(range(1 + self.channels_first, 1 + self.channels_first + self.num_axes)))

    def extra_repr(self) -> str:
        """The axes."""
        return f"{self.num_axes}, channels_first={self.channels_first}"


class TableEmbedding(nn.Module):
    """Columns of numbers as they are, and a row of the weight for each column of categories.

    Parameters
    ----------
    sizes : sequence of int
        How many categories each column has, 0 for numbers.
    units : int
        Of a row.
    """

    def __init__(self, sizes: Sequence[int], units: int) -> None:
        super().__init__()
        self.sizes: list[int] = list(sizes)
        self.units: int = units
        self.weight: nn.Parameter = nn.Parameter(torch.zeros(sum(sizes), units))

    def forward(self, x: Tensor) -> Tensor:
        """x (N, columns) with rows in place of the categories, behind the numbers."""
        sizes = torch.tensor(self.sizes or [0] * x.shape[1], device=x.device)
        codes = x[:, sizes > 0].long() + (sizes.cumsum(0) - sizes)[sizes > 0]
        return torch.cat([x[:, sizes == 0], self.weight[codes].flatten(1)], 1)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.sizes}, {self.units}"


def outputs_alone(path: str, module: nn.RNNBase, return_sequences: bool) -> nn.Module:
    """nn.RNN, nn.LSTM or nn.GRU as modules of ours with the same numbers, one for each of its layers."""
    kind = next((ours for ours in (RNN, LSTM, GRU) if isinstance(module, ours.__mro__[2])), None)
    plain = {"batch_first": True, "bidirectional": False, "proj_size": 0, "bias": True}
    odd = [f"{name}={getattr(module, name)}" for name, value in plain.items() if getattr(module, name) != value]
    if kind is None or odd or getattr(module, "nonlinearity", "tanh") != "tanh":
        given = ", ".join(odd) or f"nonlinearity={getattr(module, 'nonlinearity', 'none')!r}"
        what = f"{path} is {type(module).__name__} with {given}"
        raise ValueError(f"{what}: handgrad's takes batches first, goes one way, and has biases and tanh")
    made = nn.Sequential()
    for i in range(module.num_layers):
        last = i == module.num_layers - 1
        size = module.hidden_size if i else module.input_size
        layer = kind(size, module.hidden_size, return_sequences or not last).to(next(module.parameters()).dtype)
        for name in ("weight_ih", "weight_hh"):
            setattr(layer, f"{name}_l0", getattr(module, f"{name}_l{i}"))
        first, second = getattr(module, f"bias_ih_l{i}"), getattr(module, f"bias_hh_l{i}")
        with torch.no_grad():
            layer.bias_ih_l0.copy_(first + second if layer.one_bias else first)
            layer.bias_hh_l0.copy_(0 * second if layer.one_bias else second)
        made.add_module(str(i), layer)
    return made if module.num_layers > 1 else made[0]


def attention_alone(path: str, module: nn.MultiheadAttention, causal: bool = False) -> MultiHeadAttention:
    """nn.MultiheadAttention as the module of ours with the same parameters."""
    plain = {"batch_first": True, "bias_k": None, "add_zero_attn": False, "_qkv_same_embed_dim": True}
    odd = [f"{name}={getattr(module, name)!r}" for name, value in plain.items() if getattr(module, name) is not value]
    odd += ["bias=False" for name in ("in_proj_bias",) if getattr(module, name) is None]
    odd += [f"dropout={module.dropout}"] if module.dropout and module.training else []
    if odd:
        what = f"{path} is MultiheadAttention with {', '.join(odd)}"
        way_out = "handgrad's takes batches first, one x, has biases, and drops nothing of its weights"
        raise ValueError(f"{what}: {way_out} (.dropout = 0, or .eval() for what it is at inference)")
    made = MultiHeadAttention(module.embed_dim, module.num_heads, causal)
    made.in_proj_weight, made.in_proj_bias = module.in_proj_weight, module.in_proj_bias
    made.out_proj = module.out_proj
    return made.train(module.training)


def encoder(path: str, module: nn.Module) -> nn.Sequential:
    """nn.TransformerEncoder, or one of its layers, as sums and what is in them."""
    if isinstance(module, nn.TransformerEncoder):
        layers: dict[str, nn.Module] = {str(i): encoder(f"{path}.{i}", part) for i, part in enumerate(module.layers)}
        return chained({**layers, **({"norm": module.norm} if module.norm is not None else {})})
    part: Any = module
    act = part.activation
    act = act if isinstance(act, nn.Module) else {"relu": nn.ReLU, "gelu": nn.GELU}[act.__name__]()
    attend = {"self_attn": attention_alone(f"{path}.self_attn", part.self_attn), "dropout1": part.dropout1}
    feed = {"linear1": part.linear1, "activation": act, "dropout": part.dropout}
    feed |= {"linear2": part.linear2, "dropout2": part.dropout2}
    if part.norm_first:
        attend, feed = {"norm1": part.norm1, **attend}, {"norm2": part.norm2, **feed}
        return chained({"attention": Residual(attend), "feed_forward": Residual(feed)})
    sums = Residual(attend), Residual(feed)
    return chained({"attention": sums[0], "norm1": part.norm1, "feed_forward": sums[1], "norm2": part.norm2})


def chained(modules: Mapping[str, nn.Module]) -> nn.Sequential:
    """The nn.Sequential of these modules, whatever their names."""
    made = nn.Sequential()
    made._modules.update(modules)
    return made


class Last(nn.Module):
    """The last step of x (N, T, features)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, features)."""
        return x[:, -1]


class Reshape(nn.Module):
    """Each example in another shape.

    Parameters
    ----------
    shape : sequence of int
        Of one example.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape)."""
        return x.reshape(len(x), *self.shape)

    def extra_repr(self) -> str:
        """The shape."""
        return str(self.shape)


class PermuteExamples(nn.Module):
    """The axes of each example in another order: a layer of the model, where `Permute` turns channels for PyTorch.

    Parameters
    ----------
    axes : sequence of int
        Counted from 1.
    """

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes: tuple[int, ...] = tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        """x with its axes in that order."""
        return x.permute(0, *self.axes)

    def extra_repr(self) -> str:
        """The axes."""
        return str(self.axes)


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of (N, C, H, W), pixel by pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, H, W), normalized over C."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
