"""The summary of a model: what each layer makes, and what it costs."""

from ..text import aligned, figures_from


class Summary:
    """Rows (name, layer, output shape, parameters, multiply-adds, activation bytes), per example; print it."""

    columns = ("name", "layer", "output shape", "parameters", "multiply-adds", "activations")

    def __init__(self, model):
        if not model.is_built:
            raise ValueError("this model is not built: call build(input_shape, rng=0) before summary()")
        self.input_shape, self.dtype = model.input_shape, model.dtype
        self.rows = [row(layer, name, model.dtype.itemsize) for name, layer in walk(model)]
        self.num_parameters = sum(r[3] for r in self.rows)
        self.multiply_adds = sum(r[4] for r in self.rows)
        self.activation_bytes = sum(r[5] for r in self.rows)

    def __str__(self):
        total = ("total", "", "", self.num_parameters, self.multiply_adds, self.activation_bytes)
        lines = aligned(figures_from(3, self.columns), [texts(r) for r in [*self.rows, total]])
        rule = "-" * max(map(len, lines))
        head = f"input {shape_text(self.input_shape)}, {self.dtype}; counts and memory are per example"
        return "\n".join([head, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


def walk(model, prefix=""):
    """(dotted name, layer) for every layer, nested models opened."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from walk(layer, f"{prefix}{layer.name}.")
        else:
            yield prefix + layer.name, layer


def row(layer, name, itemsize):
    size = itemsize
    for n in layer.output_shape:
        size *= n
    return name, type(layer).__name__, layer.output_shape, layer.num_parameters, layer.multiply_adds, size


def texts(r):
    name, kind, shape, parameters, multiply_adds, size = r
    return name, kind, shape_text(shape) if shape else "", f"{parameters:,}", f"{multiply_adds:,}", bytes_text(size)


def shape_text(shape):
    return f"(N, {', '.join(map(str, shape))})"


def bytes_text(size):
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
