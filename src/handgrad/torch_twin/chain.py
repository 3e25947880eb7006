"""Modules with a `forward` of their own, read as the chain of modules that torch.fx sees in it."""

from collections import OrderedDict

from torch import fx, nn

from . import table
from .modules import Permute

# what a forward may call -> the module that does the same with the call's further arguments
FUNCTIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softmax": nn.Softmax, "log_softmax": nn.LogSoftmax,
    "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU, "softplus": nn.Softplus,
    "dropout": nn.Dropout, "max_pool2d": nn.MaxPool2d, "avg_pool2d": nn.AvgPool2d, "flatten": nn.Flatten,
    "boolean_dispatch": nn.MaxPool2d,  # what torch.fx calls F.max_pool2d
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d, "permute": Permute,
}  # fmt: skip
RESHAPES = ("view", "reshape")
IRRELEVANT = ("input", "training", "inplace", "_stacklevel", "dtype")
SIZES = ("size", "getattr", "getitem")


def as_sequential(module):
    """module itself if it is a Sequential or a known one, else the nn.Sequential that its forward comes to."""
    if type(module).forward is nn.Sequential.forward or table.is_known(module):
        return module
    return module if type(module).__module__.startswith("torch.nn") else trace(module)


class Tracer(fx.Tracer):
    """Stops at known modules, and looks into others."""

    def is_leaf_module(self, module, name):
        return table.is_known(module) or super().is_leaf_module(module, name)


def trace(module):
    """The nn.Sequential of what a module's forward does in order; ValueError where it is no chain."""
    name = type(module).__name__
    try:
        graph = Tracer().trace(module)
    except Exception as problem:  # tracing runs the caller's code: anything can come out of it
        raise ValueError(f"{name} cannot be read: its forward is no plain chain of modules "
                         f"({str(problem).splitlines()[0]})") from None
    steps, value = OrderedDict(), None
    for node in graph.nodes:
        if node.op == "placeholder" and value is None:
            value = node
        elif node.op == "output" and node.args[0] is value:
            return nn.Sequential(steps)
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
        raise ValueError(f"{name} cannot be read: '{node.name}' in its forward does not work on the output of the step "
                         "before it alone, and handgrad has chains only")


def step(name, module, node):
    """The module of one step."""
    if node.op == "call_module":
        return module.get_submodule(node.target)
    function = node.target if isinstance(node.target, str) else node.target.__name__
    if function in RESHAPES and len(node.args) == 3:
        return nn.Flatten()
    if function not in FUNCTIONS:
        raise ValueError(f"{name} cannot be read: handgrad has no layer for '{function}' in its forward "
                         f"(known: {', '.join(FUNCTIONS)})")
    options = {key: value for key, value in node.kwargs.items() if key not in IRRELEVANT}
    return FUNCTIONS[function](*node.args[1:], **options)
