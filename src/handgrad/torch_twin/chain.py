"""Any module as an nn.Sequential: a `forward` of its own is read as the chain of modules that torch.fx sees in it."""

from torch import fx, nn

from ..layers import Activation
from . import table
from .modules import Permute


def permute(*axes):
    return Permute(*(axes[0] if isinstance(axes[0], (tuple, list)) else axes))


# 'relu' -> nn.ReLU: PyTorch's functions of activations have the names of our pairs
ACTIVATIONS = {
    row.layer.pair[0].__name__.removesuffix("_forward"): row.classes[0]
    for row in table.ROWS
    if issubclass(row.layer, Activation)
}
# what a forward may call -> the module that does the same with the call's further arguments
FUNCTIONS = {
    **ACTIVATIONS,
    "dropout": nn.Dropout,
    "max_pool2d": nn.MaxPool2d,
    "avg_pool2d": nn.AvgPool2d,
    "flatten": nn.Flatten,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "permute": permute,
}
RESHAPES = ("view", "reshape")
IRRELEVANT = ("input", "training", "inplace", "_stacklevel")
SIZES = ("size", "getattr", "getitem")


def as_sequential(module):
    """The nn.Sequential that a module comes to: inside are such Sequentials and modules of PyTorch's own.

    Raises ValueError for a forward that is no chain, and for hooks, which may change what comes out.
    """
    check_hooks(module)
    if type(module).forward is nn.Sequential.forward:
        children = module._modules
    else:
        children = {"0": module} if is_leaf(module) else trace(module)
    made = nn.Sequential()
    for name, child in children.items():
        made._modules[name] = child if is_leaf(child) else as_sequential(child)
    return made


def is_leaf(module):
    """True for a module that is not looked into: one of the table, or another class of PyTorch's, to be refused."""
    cls = type(module)
    is_theirs = cls.__module__.startswith("torch.nn.") and cls.forward is not nn.Sequential.forward
    return is_theirs or table.is_known(module)


def check_hooks(module):
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(
            f"{table.brief(module)} has forward hooks, which handgrad cannot see into: remove them "
            "(torch.nn.utils.remove_weight_norm, remove_spectral_norm or the hook's own remove)"
        )


class Tracer(fx.Tracer):
    """Looks into modules of other people's classes."""

    def is_leaf_module(self, module, name):
        return is_leaf(module)


def trace(module):
    """{name: module} of what a module's forward does in order, at inference; ValueError where it is no chain."""
    name = type(module).__name__
    modes = {child: child.training for child in module.modules()}
    try:
        graph = Tracer().trace(module.eval())
    except Exception as problem:  # tracing runs the caller's code: anything can come out of it
        raise ValueError(
            f"{name} cannot be read: its forward is no plain chain of modules ({str(problem).splitlines()[0]})"
        ) from None
    finally:
        for child, mode in modes.items():
            child.training = mode
    steps, value = {}, None
    for node in graph.nodes:
        if node.op == "placeholder" and value is None:
            value = node
        elif node.op == "output" and node.args[0] is value:
            return steps
        elif not is_size(node):
            check_link(name, node, value)
            label = node.target.replace(".", "_") if node.op == "call_module" else node.name
            while label in steps:
                label += "_again"
            steps[label], value = step(name, module, node), node
    raise ValueError(f"{name} cannot be read: its forward does not return what its last module made")


def is_size(node):
    """True for x.size(0) and x.shape[0], which only help to name a shape."""
    if node.op == "call_method":
        return node.target == "size"
    return node.op == "call_function" and node.target.__name__ in SIZES


def check_link(name, node, value):
    """Refuse a step that works on anything but the last one's output."""
    inputs = [n for n in node.all_input_nodes if not is_size(n)]
    if inputs != [value] or node.op not in ("call_module", "call_function", "call_method"):
        raise ValueError(
            f"{name} cannot be read: '{node.name}' in its forward does not work on the output of the step "
            "before it alone, and handgrad has chains only"
        )


def step(name, module, node):
    """The module of one step."""
    if node.op == "call_module":
        child = module.get_submodule(node.target)
        if is_leaf(child) and not table.is_known(child):
            table.row_for(node.target, child)  # which refuses it
        return child
    function = node.target if isinstance(node.target, str) else node.target.__name__
    if function in RESHAPES:
        return reshape(name, node)
    if function not in FUNCTIONS:
        raise ValueError(
            f"{name} cannot be read: handgrad has no layer for '{function}' in its forward "
            f"(known: {', '.join((*FUNCTIONS, *RESHAPES))})"
        )
    if node.kwargs.get("training"):
        raise ValueError(
            f"{name} cannot be read: '{function}' in its forward works as in training at inference too; "
            "pass training=self.training"
        )
    options = {key: value for key, value in node.kwargs.items() if key not in IRRELEVANT and value is not None}
    try:
        return FUNCTIONS[function](*node.args[1:], **options)
    except TypeError as problem:
        raise ValueError(
            f"{name} cannot be read: '{function}' in its forward has an option that "
            f"handgrad's layer has not ({problem})"
        ) from None


def reshape(name, node):
    """nn.Flatten for x.view(len, -1) and x.view(-1, 64), which knows the number of features where it is said."""
    sizes = node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:]
    if len(sizes) != 2 or (isinstance(sizes[0], int) and sizes[0] != -1) or not isinstance(sizes[1], int):
        raise ValueError(
            f"{name} cannot be read: '{node.name}' in its forward is no flattening of each example to "
            "a row, .view(-1, 64) say"
        )
    flatten = nn.Flatten()
    if sizes[1] != -1:
        flatten.num_features = sizes[1]
    return flatten
