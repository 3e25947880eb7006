"""The computational graph of a forward as a picture: a box a value, its number forward and its gradient back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagram import Edge, Line, Node, diagram
from ..files import write_text
from ..text import clipped, figure_text
from .intermediates import Intermediate, Intermediates, intermediates, typical

if TYPE_CHECKING:
    from ..arrays import Array, ArrayLike
    from ..user_code.arguments import Settings

MOST_OPERATIONS = 40  # drawn one by one; of a longer forward only the variables are
MOST_NODES = 150
MOST_LETTERS = 26
MOST_SHOWN = 12  # numbers of an array that a pointer shows
LEGEND = [("value", "value"), ("gradient", "gradient"), ("shape", "arrays: root mean square")]
LEGEND_OF_WRONG = ("gradient wrong", "wrong in the backward")


@dataclass(frozen=True)
class Graph:
    """A drawing; a notebook shows it, `save` writes it to a file.

    Attributes
    ----------
    svg : str
        The picture as SVG, light or dark as the reader's screen is.
    """

    svg: str = field(repr=False)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file of suffix .svg."""
        if Path(path).suffix.lower() != ".svg":
            raise ValueError(f"a graph is drawn as SVG: give a path that ends in .svg, got {path}")
        write_text(path, self.svg)

    def _repr_svg_(self) -> str:
        return self.svg


def draw_graph(
    forward: Any, *arrays: ArrayLike, upstream: ArrayLike | None = None, kwargs: Settings = None, seed: int = 0
) -> Graph:
    """Draw the computational graph of a forward: what is computed from what, with values and true gradients.

    Parameters
    ----------
    forward : function, method, pair or layer
        Anybody's plain NumPy code: `forward(*arrays)` returns y, or (y, cache). Of a pair (forward, backward) or a
        layer, what the backward gets wrong is red.
    *arrays : array_like
        Its arguments, of any shapes that it takes; small ones make the best pictures.
    upstream : array_like, optional
        The upstream gradient dy, in the shape of y; by default 1 for a number, else random normal numbers.
    kwargs : dict, optional
        Keywords for the forward.
    seed : int
        The seed of the random upstream gradient.

    Returns
    -------
    Graph
        The picture: `save("graph.svg")` writes it, a notebook shows it. A box has what is computed, the shape, the
        value in blue and the gradient in orange, of an array their root mean squares; a pointer shows the numbers.
        Where a value is used more than once, the part of its gradient that comes back by each edge stands on it.

    Raises
    ------
    TypeError, ValueError
        Those of `intermediates`; ValueError too where the forward has no source, or computes more than can be drawn.

    Examples
    --------
    >>> import numpy as np
    >>> import handgrad as hg
    >>> def neuron(x, w, b):
    ...     z = x @ w + b
    ...     return np.tanh(z)
    >>> graph = hg.draw_graph(neuron, np.ones((2, 3)), np.ones((3, 1)), np.zeros(1))
    >>> graph.svg.count('class="box"')
    6
    """
    if (found := intermediates(forward, *arrays, upstream=upstream, kwargs=kwargs, seed=seed)) is None:
        raise ValueError("the forward's source cannot be read, so that there is no graph to draw: define it in a file")
    return Graph(drawing(found))


def drawing(found: Intermediates) -> str:
    """The graph as SVG."""
    rows, boxes = found.rows, boxes_of(found)
    common = Counter(title(rows[number]) for number in boxes)
    wrong = bringing_wrong(rows, boxes)
    for number, box in boxes.items():
        row = rows[number]
        kinds = {"argument": row.line is None, "output": not box.below, "wrong": row.is_wrong}
        box.kinds, box.told = " ".join(kind for kind, holds in kinds.items() if holds), told(row)
        box.lines = lines_of(row, common[title(row)] > 1)
        box.edges = edges_to(number, rows, boxes, wrong)
    any_wrong = any(rows[number].is_wrong for number in boxes)
    return diagram([*boxes.values()], described(found), [*LEGEND, LEGEND_OF_WRONG] if any_wrong else LEGEND)


def described(found: Intermediates) -> str:
    """The picture in a sentence, for who cannot see it."""
    wrong = ", ".join(title(row) for row in found.rows if row.is_wrong)
    fault = f"; wrong in the backward: the gradient by {wrong}" if wrong else ""
    return f"computational graph of {found.target}, {len(found.rows)} values{fault}"


# What is drawn --------------------------------------------------------------------------------------------------


def boxes_of(found: Intermediates) -> dict[int, Node]:
    """A box for each row that depends on an argument; of a long forward for arguments and variables alone."""
    rows = found.rows
    depends: set[int] = set()
    for number, row in enumerate(rows):
        if row.line is None or depends & set(row.operands):
            depends.add(number)
    kept = [n for n in sorted(depends) if not is_constant(rows[n])]
    if len(kept) > MOST_OPERATIONS:
        kept = [n for n in kept if rows[n].name or n == kept[-1]]
    if len(kept) > MOST_NODES:
        what = f"{found.target} computes {len(kept)} values, of which at most {MOST_NODES} can be drawn"
        raise ValueError(f"{what}: draw the graph of one of its steps")
    boxes = {number: Node() for number in kept}
    for number, box in boxes.items():
        box.above = [boxes[operand] for operand in drawn_operands(rows, number, boxes)]
        for above in box.above:
            above.below.append(box)
    used = {n: box for n, box in boxes.items() if box.above or box.below}
    return used or boxes


def is_constant(row: Intermediate) -> bool:
    """Whether a row is a number that stands in a default or a closure."""
    return row.line is not None and not row.operands


def drawn_operands(rows: Sequence[Intermediate], number: int, boxes: Mapping[int, Node]) -> list[int]:
    """The boxes that a row is computed from: through rows that are not drawn, those that these are computed from."""
    found: dict[int, None] = {}
    for operand in rows[number].operands:
        found |= dict.fromkeys([operand] if operand in boxes else drawn_operands(rows, operand, boxes))
    return list(found)


def lines_of(row: Intermediate, is_one_of_many: bool) -> list[Line]:
    """The words in a box: its name, with the step in a loop; what is computed; and the figures."""
    step = f" ({row.step + 1})" if is_one_of_many else ""
    head = ("name" if row.name else "expression", clipped(title(row), MOST_LETTERS) + step)
    formula = [[("expression", clipped(row.expression, MOST_LETTERS))]] if row.expression != title(row) else []
    gradient = "" if row.gradient is None else figure(row.gradient)
    figures = zip(
        ("value", "gradient", "shape"), (figure(row.value), gradient, "×".join(map(str, row.value.shape))), strict=True
    )
    yours = [[("gradient wrong", f"yours {figure(row.yours)}")]] if row.is_wrong and row.yours is not None else []
    return [[head], *formula, [(kind, words) for kind, words in figures if words], *yours]


def title(row: Intermediate) -> str:
    return row.name or row.expression


def figure(array: Array) -> str:
    """A number as it is, an array by its root mean square."""
    return figure_text(float(array.item()) if array.size == 1 else typical(array))


# What comes back ------------------------------------------------------------------------------------------------


def edges_to(number: int, rows: Sequence[Intermediate], boxes: Mapping[int, Node], wrong: set[int]) -> dict[int, Edge]:
    """What comes back from a box by each edge: told where the value above has more than one use.

    An edge is wrong by which a wrong gradient came back, or at whose start it is made.
    """
    parts = dict(zip(rows[number].operands, rows[number].partials, strict=False))
    numbers = {id(box): n for n, box in boxes.items()}
    edges = {}
    for above in boxes[number].above:
        start = numbers[id(above)]
        made_there = not wrong & {numbers[id(user)] for user in above.below}
        back = parts.get(start) if len(above.below) > 1 else None
        is_wrong = start in wrong and (number in wrong or made_there)
        edges[id(above)] = Edge(is_wrong, "" if back is None else figure(back))
    return edges


def bringing_wrong(rows: Sequence[Intermediate], boxes: Mapping[int, Node]) -> set[int]:
    """The boxes with a wrong gradient; where nothing is known of one, those whose gradient comes from such a box."""
    wrong: dict[int, Node] = {}
    for number, box in reversed([*boxes.items()]):
        unknown = rows[number].yours is None
        if rows[number].is_wrong or (unknown and any(user in box.below for user in wrong.values())):
            wrong[number] = box
    return set(wrong)


def told(row: Intermediate) -> str:
    """What a pointer shows of a box."""
    head = f"{row.name} = {row.expression}" if row.name != row.expression else row.name
    where = [] if row.line is None else [f"line {row.line} of {row.function}"]
    gradient = [] if row.gradient is None else [f"gradient {listed(row.gradient)}"]
    yours = [] if row.yours is None else [f"yours {listed(row.yours)}"]
    return "\n".join([head, *where, f"value {listed(row.value)}", *gradient, *yours])


def listed(array: Array) -> str:
    """The numbers of an array, or its first ones."""
    shown = ", ".join(figure_text(float(value)) for value in array.ravel()[:MOST_SHOWN])
    return shown + (", …" if array.size > MOST_SHOWN else "")
