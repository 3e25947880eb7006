"""From any module of PyTorch's to nested chains of modules: what its forward does, in order and side by side."""

import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import fx, nn

from ..chains import Chains
from ..layers import Activation
from . import modules
from .modules import Branches, Mean, Permute, PositionalEmbedding, Residual, Spread, chained
from .table import ROWS, brief, is_known, row_for

Step: TypeAlias = "tuple[str, nn.Module]"
Children: TypeAlias = "list[Step]"


def permute(*axes: Any) -> Permute:
    """The module of x.permute(0, 2, 1), or of x.permute((0, 2, 1))."""
    return Permute(*(axes[0] if isinstance(axes[0], (tuple, list)) else axes))


def mean(dim: Any, keepdim: bool = False) -> Mean:
    """The module of x.mean((2, 3)) and the like, over all axes but the batch's and the channels'."""
    axes = tuple(sorted(dim)) if isinstance(dim, (tuple, list)) else (dim,)
    first, last = ((2, 3), (-2, -1), (2,), (-1,)), ((1, 2), (-3, -2), (1,), (-2,))
    if keepdim or axes not in first + last:
        raise TypeError(f"dim={dim}, keepdim={keepdim}: a mean is over all pixels or steps, and leaves rows")
    return Mean(len(axes), channels_first=axes in first)


# 'relu' -> nn.ReLU: PyTorch's functions of activations have the names of our pairs
PAIRS = ((row.layer.pair, row.classes[0]) for row in ROWS if issubclass(row.layer, Activation))
ACTIVATIONS = {forward.__name__.removesuffix("_forward"): cls for (forward, _), cls in PAIRS}
# what a forward may call -> the module that does the same with the call's further arguments
FUNCTIONS: Mapping[str, Any] = {
    **ACTIVATIONS,
    **{"dropout": nn.Dropout, "flatten": nn.Flatten, "permute": permute, "mean": mean},
    **{"max_pool2d": nn.MaxPool2d, "avg_pool2d": nn.AvgPool2d, "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d},
}
ENCODERS = nn.TransformerEncoder, nn.TransformerEncoderLayer
SIZE = "num_features"  # what an nn.Flatten is given to remember it by
RESHAPES = ("view", "reshape")
# what a forward may call on several values -> how `Branches` joins them
JOINS = {
    **dict.fromkeys(("add", "iadd", "add_"), "add"),
    **dict.fromkeys(("mul", "imul", "mul_", "multiply"), "multiply"),
    **dict.fromkeys(("cat", "concat", "concatenate"), "concat"),
}
LAST_STEP = (slice(None), -1), (slice(None), -1, slice(None))  # the ways to write x[:, -1]
IRRELEVANT = ("input", "training", "inplace", "_stacklevel")


def as_sequential(module: nn.Module) -> nn.Sequential:
    """The nn.Sequential that a module comes to: inside are such Sequentials, joins, and modules of PyTorch's own.

    Raises ValueError for a forward that is no chain, sum, product or concatenation of them, and for hooks, which may
    change what comes out.
    """
    check_hooks(module)
    if type(module).forward is nn.Sequential.forward:
        children = children_of(module)
    else:
        children = [("0", module)] if is_leaf(module) or is_join(module) else list(trace(module).items())
    made = nn.Sequential()
    for i, (name, child) in enumerate(children):
        made._modules[name] = opened(child)
        if is_mean_alone(child, children[i + 1 :]):
            made._modules[name] = chained({"mean": child, "flatten": nn.Flatten(), "spread": Spread()})
    return made


def is_mean_alone(module: nn.Module, following: Children) -> bool:
    """Whether this takes the mean of whole images, and keeps them as images of one pixel."""
    is_mean = isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1), [1, 1])
    return is_mean and bool(following) and isinstance(following[0][1], nn.Conv2d)


def opened(module: nn.Module) -> nn.Module:
    """A module as `as_sequential` leaves it inside of others."""
    if isinstance(module, ENCODERS):
        check_hooks(module)
        return opened(modules.encoder(type(module).__name__, module))
    if not is_join(module):
        return module if is_leaf(module) else as_sequential(module)
    made = copy.copy(module)
    made._modules = {name: opened(child) for name, child in children_of(module)}
    return made


def is_join(module: nn.Module) -> bool:
    """Whether a module is one of those that hold chains side by side."""
    return isinstance(module, (Residual, Branches))


def is_leaf(module: nn.Module) -> bool:
    """True for a module that is not looked into: one of the table, or another class of PyTorch's, to be refused."""
    cls = type(module)
    is_theirs = cls.__module__.startswith("torch.nn.") and cls.forward is not nn.Sequential.forward
    return is_theirs or is_known(module)


def check_hooks(module: nn.Module) -> None:
    """Refuse a module whose hooks may change what it does."""
    if module._forward_hooks or module._forward_pre_hooks:
        way_out = "(torch.nn.utils.remove_weight_norm, remove_spectral_norm or the hook's own remove)"
        raise ValueError(f"{brief(module)} has forward hooks, which handgrad cannot see into: remove them {way_out}")


def unreadable(module: nn.Module, why: str) -> ValueError:
    """The error for a module that cannot be read."""
    return ValueError(f"{type(module).__name__} cannot be read: {why}")


class Tracer(fx.Tracer):
    """Looks into modules of other people's classes."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Whether tracing stops at this module."""
        return is_leaf(module)


def trace(module: nn.Module) -> dict[str, nn.Module]:
    """{name: module} of what a module's forward does in order, at inference; ValueError where it is no chain."""
    modes = {child: child.training for child in module.modules()}
    try:
        graph = Tracer().trace(module.eval())
    except Exception as problem:  # tracing runs the caller's code: anything can come out of it
        why = f"its forward is no plain chain of modules ({str(problem).splitlines()[0]})"
        raise unreadable(module, why) from None
    finally:
        for child, mode in modes.items():
            child.training = mode
    start, *others = [node for node in graph.nodes if node.op == "placeholder"]
    end = next(node for node in graph.nodes if node.op == "output").args[0]
    if any(other.users for other in others) or not isinstance(end, fx.Node):
        raise unreadable(module, "its forward takes or returns several values, and handgrad's networks one")
    return named(Forward(module, start).chain(end, start))


class Forward(Chains[fx.Node, Step]):
    """What a traced forward does: a name and a module for each step and each join."""

    def __init__(self, module: nn.Module, start: fx.Node) -> None:
        super().__init__(start)
        self.module: nn.Module = module

    def inputs(self, node: fx.Node) -> list[fx.Node]:
        if found := inputs_of(node):
            return found
        why = f"'{node.name}' in its forward is no module's output"
        raise unreadable(self.module, f"{why}, and handgrad has layers only")

    def operands(self, node: fx.Node) -> list[fx.Node]:
        return [] if placed(self.module, node) else operands_of(node)

    def unreadable(self, node: fx.Node, why: str) -> ValueError:
        return unreadable(self.module, f"what '{node.name}' in its forward makes {why}")

    def single(self, node: fx.Node, top: fx.Node) -> tuple[Step, fx.Node]:
        if found := placed(self.module, node) or selection(self.module, node):
            label, made, before = found
            return (label, made), before
        (before, *others) = inputs_of(node)
        label = str(node.target).replace(".", "_") if node.op == "call_module" else node.name
        return (label, step(self.module, node, None if others else before)), before

    def joined(self, node: fx.Node, chains: list[list[Step]]) -> Step:
        sides, join = [named(steps) for steps in chains], JOINS[function_name(node)]
        if join == "add" and len(sides) == 2:
            around, through = sorted(sides, key=len)
            if through:
                return "residual", Residual(through, one_module(around) if around else None)
        axis: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0) if join == "concat" else -1
        return "branches", Branches([one_module(side) for side in sides], join, axis)


def named(steps: Sequence[Step]) -> dict[str, nn.Module]:
    """{name: module} of steps, each under a name of its own."""
    found: dict[str, nn.Module] = {}
    for label, made in steps:
        if is_join(made):
            label += str(sum(map(is_join, found.values())) + 1)
        while label in found:
            label += "_again"
        found[label] = made
    return found


def one_module(chain: Mapping[str, nn.Module]) -> nn.Module:
    """A chain as one module; nothing at all as the one that passes x on."""
    if len(chain) == 1:
        return next(iter(chain.values()))
    return chained(chain) if chain else nn.Identity()


def inputs_of(node: fx.Node) -> list[fx.Node]:
    """The values that a node works on, without sizes and what is the same whatever x."""
    return [n for n in node.all_input_nodes if not is_size(n) and not is_constant(n)]


def is_constant(node: fx.Node) -> bool:
    """Whether a node is a parameter, torch.arange, or made of such alone."""
    return node.op != "placeholder" and not inputs_of(node)


def placed(module: nn.Module, node: fx.Node) -> tuple[str, nn.Module, fx.Node] | None:
    """A name and a module for a sum with learnt rows, one for each step, and what they are added to."""
    operands = operands_of(node)
    values = [n for n in operands if not is_constant(n)]
    if len(operands) != 2 or len(values) != 1 or JOINS[function_name(node)] != "add":
        return None
    if (rows := rows_of(module, next(n for n in operands if n is not values[0]))) is None:
        return None
    made = PositionalEmbedding(*rows.shape).to(rows.dtype)
    with torch.no_grad():
        made.weight.copy_(rows)
    return "positions", made, values[0]


def rows_of(module: nn.Module, node: fx.Node) -> torch.Tensor | None:
    """The learnt rows (T, features) that a node is, or begins with; None for any other."""
    while function_name(node) in ("getitem", "unsqueeze") and not is_size(node):
        arguments: Any = node.args
        parts = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        is_begin = all(isinstance(part, slice) and part.start in (None, 0) and part.step is None for part in parts)
        if function_name(node) == "getitem" and not is_begin:
            return None
        node = arguments[0]
    if node.op == "call_module" and isinstance(child := module.get_submodule(str(node.target)), nn.Embedding):
        (places, *_) = node.all_input_nodes
        while function_name(places) == "unsqueeze":
            (places, *_) = places.all_input_nodes
        return child.weight if function_name(places) == "arange" and len(places.args) == 1 else None
    found: Any = operator.attrgetter(str(node.target))(module) if node.op == "get_attr" else None
    if not isinstance(found, nn.Parameter) or found.ndim not in (2, 3) or (found.ndim == 3 and len(found) > 1):
        return None
    return found.flatten(0, -2)


def operands_of(node: fx.Node) -> list[fx.Node]:
    """What a node joins: two values or more; nothing where it is no join."""
    if node.op not in ("call_function", "call_method") or function_name(node) not in JOINS:
        return []
    listed: Any = node.args[0] if JOINS[function_name(node)] == "concat" else node.args[:2]
    if not isinstance(listed, (tuple, list)) or not all(isinstance(n, fx.Node) for n in listed):
        return []
    return [] if node.kwargs.keys() - {"dim"} else list(listed)


def is_size(node: fx.Node) -> bool:
    """True for x.size(0) and x.shape[0], which only help to name a shape."""
    if node.op == "call_method":
        return node.target == "size"
    if node.op != "call_function" or function_name(node) not in ("size", "getattr", "getitem"):
        return False
    of = node.args[0]
    return function_name(node) != "getitem" or (isinstance(of, fx.Node) and is_size(of))


def function_name(node: fx.Node) -> str:
    """The name of the function, method or module that a node calls."""
    target: Any = node.target
    return str(target if isinstance(target, str) else target.__name__)


def selection(module: nn.Module, node: fx.Node) -> tuple[str, nn.Module, fx.Node] | None:
    """A name and a module for what is chosen of a module's outputs, and its input: y of attention, or of a recurrent
    one all steps or the last.
    """
    indices: list[Any] = []
    while node.op == "call_function" and node.target is operator.getitem:
        arguments: Any = node.args
        node, index = arguments
        indices.insert(0, index)
    if node.op != "call_module":
        return None
    child = module.get_submodule(str(node.target))
    if type(child) is nn.MultiheadAttention and indices == [0]:
        return attention(module, node, child)
    if not isinstance(child, nn.RNNBase) or (is_known(child) and not indices):
        return None
    (before, *others) = inputs_of(node)
    last_state = [1, 0, -1] if isinstance(child, nn.LSTM) else [1, -1]
    all_steps = {"[0]": True, "[0, 'last']": False, str(last_state): False}
    chosen = str(["last" if index in LAST_STEP else index for index in indices])  # slices have no hash before 3.12
    if others or chosen not in all_steps:
        why = f"of '{node.target}' its forward uses other than all outputs, [0], or those of the last step, [0][:, -1]"
        raise unreadable(module, why)
    name = str(node.target)
    return name.replace(".", "_"), modules.outputs_alone(name, child, return_sequences=all_steps[chosen]), before


def attention(module: nn.Module, node: fx.Node, child: nn.MultiheadAttention) -> tuple[str, nn.Module, fx.Node]:
    """Attention of a sequence with itself, where its mask is none or hides what comes later, and that sequence."""
    path, options = str(node.target), dict(node.kwargs)
    values = [*node.args, *(options.pop(name) for name in ("query", "key", "value") if name in options)]
    mask = options.get("attn_mask")
    if len(values) != 3 or len(set(values)) > 1 or options.get("key_padding_mask") is not None:
        why = f"'{path}' attends to another sequence, or a part of it: handgrad's attends to its own x"
        raise unreadable(module, why)
    if isinstance(mask, fx.Node):
        while function_name(mask) == "getitem":
            mask = mask.all_input_nodes[0]
        found: Any = operator.attrgetter(str(mask.target))(module) if mask.op == "get_attr" else None
        hidden = found if found is None or found.dtype == torch.bool else found.isneginf()
        if hidden is None or not torch.equal(hidden, torch.ones_like(hidden).triu(1)):
            raise unreadable(module, f"the attn_mask of '{path}' is no buffer that hides just what comes later")
    return path.replace(".", "_"), modules.attention_alone(path, child, mask is not None), inputs_of(node)[0]


def step(module: nn.Module, node: fx.Node, value: fx.Node | None) -> nn.Module:
    """The module of one step of a forward, whose last value is given; ValueError where it works on anything else."""
    function = function_name(node)
    if inputs_of(node) != [value] or node.op not in ("call_module", "call_function", "call_method"):
        why = f"'{node.name}' in its forward works on several values"
        raise unreadable(module, f"{why}, and handgrad joins them by a sum, a product or cat only")
    if node.op == "call_module":
        child = module.get_submodule(function)
        if is_leaf(child) and not is_known(child) and not isinstance(child, ENCODERS):
            row_for(function, child)  # which refuses it
        return child
    if function in RESHAPES:
        return reshape(module, node)
    if function not in FUNCTIONS:
        known = ", ".join((*FUNCTIONS, *RESHAPES))
        raise unreadable(module, f"handgrad has no layer for '{function}' in its forward (known: {known})")
    if node.kwargs.get("training"):
        why = f"'{function}' in its forward works as in training at inference too; pass training=self.training"
        raise unreadable(module, why)
    options = {key: value for key, value in node.kwargs.items() if key not in IRRELEVANT and value is not None}
    try:
        made: nn.Module = FUNCTIONS[function](*node.args[1:], **options)
    except TypeError as problem:
        why = f"'{function}' in its forward has an option that handgrad's layer has not ({problem})"
        raise unreadable(module, why) from None
    return made


def reshape(module: nn.Module, node: fx.Node) -> nn.Module:
    """nn.Flatten for x.view(len, -1) and x.view(-1, 64), which knows the number of features where it is said.

    Rows as images of one pixel, x.view(len, 64, 1, 1), are a module of their own.
    """
    sizes: Any = node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:]
    if len(sizes) == 4 and tuple(sizes[2:]) == (1, 1):
        return Spread()
    is_row = len(sizes) == 2 and (sizes[0] == -1 or isinstance(sizes[0], fx.Node)) and sizes[1] != 0
    if not is_row:
        why = f"'{node.name}' in its forward is no flattening of each example to a row, .view(-1, 64) say"
        raise unreadable(module, why)
    flatten = nn.Flatten()
    if isinstance(sizes[1], int) and sizes[1] != -1:
        vars(flatten)[SIZE] = sizes[1]
    return flatten


def children_of(module: nn.Module) -> Children:
    """[(name, module)], one that stands twice both times, which `named_children` would not give."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def flat(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield (path, module) of an nn.Sequential's modules in order, nested ones and joins opened."""
    for name, child in children_of(module):
        if isinstance(child, nn.Sequential) or is_join(child):
            yield from flat(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child
