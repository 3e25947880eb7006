"""The computational graph of a forward as a picture: a node a value, its number forward and its gradient back.

Nodes stand in layers, what is computed from others below them (Sugiyama, Tagawa & Toda, 1981): the order within a
layer follows the neighbours' places, and the places then follow the neighbours' as nearly as the order allows.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_text
from ..html import escape, palette
from ..text import clipped, figure_text
from .intermediates import Intermediate, Intermediates, intermediates, typical

if TYPE_CHECKING:
    from ..arrays import Array, ArrayLike
    from .subjects import Settings

MOST_OPERATIONS = 40  # drawn one by one; of a longer forward only the variables are
MOST_NODES = 150
LETTER, LINE, PAD = 7.3, 17, 9  # pixels: the width of a letter, the height of a line, the edge of a box
GAP, FALL = 26, 46  # pixels between boxes and between layers
MARGIN = 14
MOST_LETTERS = 26
SWEEPS = 12  # over the layers, each way, in search of an order and of places
LEGEND = "value  gradient  arrays: root mean square  wrong in the backward"
MOST_SHOWN = 12  # numbers of an array that a pointer shows

STYLE = """
.graph { background: var(--paper); font: 12px ui-monospace, "DejaVu Sans Mono", monospace; }
.graph text { fill: var(--ink); }
.graph .name { font-weight: 700; }
.graph .box { fill: var(--tint); stroke: var(--line); }
.graph .argument .box, .graph .output .box { stroke: var(--quiet); stroke-width: 1.5; }
.graph .edge { fill: none; stroke: var(--quiet); stroke-width: 1.2; }
.graph .head { fill: var(--quiet); }
.graph .shape { fill: var(--quiet); }
.graph .value { fill: var(--train); }
.graph .gradient { fill: var(--validation); }
.graph .on-edge { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
.graph .wrong .box, .graph .edge.wrong { stroke: var(--bad); stroke-width: 2; }
.graph .wrong .gradient, .graph .gradient.wrong { fill: var(--bad); font-weight: 700; }
.graph .head.wrong { fill: var(--bad); }
"""


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


@dataclass(eq=False)
class Node:
    """A box of the drawing, or a bend of an edge that passes a layer."""

    row: Intermediate | None = None  # None: a bend
    above: list[Node] = field(default_factory=list)
    below: list[Node] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0  # of its middle
    y: float = 0.0  # of its upper edge
    length: float = 0.0  # of a bend: as high as its layer
    users: list[Node] = field(default_factory=list)  # the boxes below, bends left out
    back: dict[int, Array] = field(default_factory=dict)  # what comes back from here to each box above
    lines: list[tuple[str, str]] = field(default_factory=list)  # (class, words) each

    @property
    def width(self) -> float:
        return max((len(words) for _, words in self.lines), default=0) * LETTER + 2 * PAD if self.row else 2.0

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * PAD - 4 if self.row else self.length


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
    found = intermediates(forward, *arrays, upstream=upstream, kwargs=kwargs, seed=seed)
    if found is None:
        raise ValueError("the forward's source cannot be read, so that there is no graph to draw: define it in a file")
    return Graph(drawing(found))


def drawing(found: Intermediates) -> str:
    """The graph as SVG."""
    boxes = boxes_of(found)
    common = Counter(title(found.rows[number]) for number in boxes)
    for number, box in boxes.items():
        box.lines = lines_of(found.rows[number], common[title(found.rows[number])] > 1)
    layers = in_layers(list(boxes.values()))
    arrange(layers)
    nodes = [node for layer in layers for node in layer]
    left = min(node.x - node.width / 2 for node in nodes) - MARGIN
    width = max(node.x + node.width / 2 for node in nodes) - left + MARGIN
    height = max(node.y + node.height for node in nodes) + 2 * MARGIN + LINE
    width = max(width, len(LEGEND) * LETTER + 2 * MARGIN)
    wrong = any(box.row.is_wrong for box in boxes.values() if box.row)
    outputs = {id(box) for box in boxes.values() if not box.below}
    return "".join(
        [
            f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(described(found))}">',
            f"<style>{palette('.graph')}{STYLE}</style>",
            *(edge(path) for box in boxes.values() for path in paths(box)),
            *(box_svg(box, box.row, id(box) in outputs) for box in boxes.values() if box.row),
            legend(left + MARGIN, height - MARGIN, wrong),
            "</svg>",
        ]
    )


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
    boxes = {number: Node(rows[number]) for number in kept}
    for number, box in boxes.items():
        parts = dict(zip(rows[number].operands, rows[number].partials, strict=False))
        for operand in drawn_operands(rows, number, boxes):
            above, part = boxes[operand], parts.get(operand)
            box.above.append(above)
            above.below.append(box)
            above.users.append(box)
            if part is not None:
                box.back[id(above)] = part
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


def lines_of(row: Intermediate, is_one_of_many: bool) -> list[tuple[str, str]]:
    """The words in a box: its name, with the step in a loop; what is computed; and the figures."""
    step = f" ({row.step + 1})" if is_one_of_many else ""
    head = ("name" if row.name else "expression", clipped(title(row), MOST_LETTERS) + step)
    formula = [("expression", clipped(row.expression, MOST_LETTERS))] if row.expression != title(row) else []
    figures = [figure(row.value), "" if row.gradient is None else figure(row.gradient)]
    words = ("figures", "  ".join([*figures, "×".join(map(str, row.value.shape))]).rstrip())
    yours = [("gradient wrong", f"yours {figure(row.yours)}")] if row.is_wrong and row.yours is not None else []
    return [head, *formula, words, *yours]


def title(row: Intermediate) -> str:
    return row.name or row.expression


def figure(array: Array) -> str:
    """A number as it is, an array by its root mean square."""
    return figure_text(float(array.item()) if array.size == 1 else typical(array))


# Where it is drawn ----------------------------------------------------------------------------------------------


def in_layers(boxes: list[Node]) -> list[list[Node]]:
    """The boxes in layers, each below all that it is computed from; edges that pass a layer bend there."""
    for box in boxes:  # in the order in which they are computed
        box.layer = 1 + max((other.layer for other in box.above), default=-1)
    for box in reversed(boxes):
        if not box.above and box.below:  # an argument stands just above where it is first used
            box.layer = min(other.layer for other in box.below) - 1
    layers: list[list[Node]] = [[] for _ in range(1 + max(box.layer for box in boxes))]
    for box in boxes:
        layers[box.layer].append(box)
    for box in boxes:
        box.above = [bent(other, box, layers) for other in box.above]
    for box in boxes:
        box.below = []
    for layer in layers[1:]:
        for node in layer:
            for other in node.above:
                other.below.append(node)
    return layers


def bent(start: Node, end: Node, layers: Sequence[list[Node]]) -> Node:
    """The last node of the way from one box to another, with a bend in each layer between."""
    for layer in range(start.layer + 1, end.layer):
        start = Node(above=[start], layer=layer)
        layers[layer].append(start)
    return start


def arrange(layers: Sequence[list[Node]]) -> None:
    """Give every node its place."""
    top = float(MARGIN)
    for layer in layers:
        spread(layer, [0.0] * len(layer))
        tallest = max(node.height for node in layer)
        for node in layer:
            node.y, node.length = top, tallest
        top += tallest + FALL
    ways: tuple[Callable[[Node], list[Node]], ...] = (lambda node: node.above, lambda node: node.below)
    for sweep in range(2 * SWEEPS):
        towards = ways[sweep % 2]
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {id(node): middle(towards(node), node.x) for node in layer}
            if sweep < SWEEPS:
                layer.sort(key=lambda node: wanted[id(node)])
            spread(layer, [wanted[id(node)] for node in layer])
    for layer in layers:
        spread(layer, [middle(node.above + node.below, node.x) for node in layer])


def middle(nodes: Sequence[Node], otherwise: float) -> float:
    return sum(node.x for node in nodes) / len(nodes) if nodes else otherwise


def spread(layer: Sequence[Node], wanted: Sequence[float]) -> None:
    """Put the nodes of a layer, in their order, as near to the wanted places as their widths allow.

    Least squares under an order: neighbours that would overlap form a block, which stands at the mean of their wishes
    (pool adjacent violators, Ayer and others 1955).
    """
    steps = [(a.width + b.width) / 2 + GAP for a, b in itertools.pairwise(layer)]
    offsets = [sum(steps[:i]) for i in range(len(layer))]
    blocks: list[tuple[float, int]] = []  # (mean of wishes less offsets, how many)
    for wish, offset in zip(wanted, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    places = [mean for mean, count in blocks for _ in range(count)]
    for node, place, offset in zip(layer, places, offsets, strict=True):
        node.x = place + offset


# The drawing ----------------------------------------------------------------------------------------------------


def paths(box: Node) -> Iterable[list[Node]]:
    """The edges that come into a box: each the nodes from where it starts, by its bends, to the box."""
    for node in box.above:
        path = [box]
        while node.row is None:
            path.append(node)
            node = node.above[0]
        yield [*path, node][::-1]


def edge(path: Sequence[Node]) -> str:
    """One edge with its arrow; what comes back by it, where its value has more than one use."""
    start, end = path[0], path[-1]
    x, y = start.x, start.y + start.height
    way = [f"M{x:.1f} {y:.1f}"]
    for node in path[1:]:
        target = node.y - 5 if node is end else node.y
        half = (y + target) / 2
        way.append(f"C{x:.1f} {half:.1f} {node.x:.1f} {half:.1f} {node.x:.1f} {target:.1f}")
        x, y = node.x, target if node is end else node.y + node.height
        way += [f"V{y:.1f}"] if node is not end else []
    kind = " wrong" if is_wrong_edge(start, end) else ""
    head = f'<path class="head{kind}" d="M{x - 4:.1f} {y - 3:.1f}L{x:.1f} {y + 5:.1f}L{x + 4:.1f} {y - 3:.1f}Z"/>'
    back = end.back.get(id(start)) if len(start.users) > 1 else None
    label = ""
    if back is not None:
        label = f'<text class="gradient on-edge" x="{x + 7:.1f}" y="{y - 8:.1f}">{figure(back)}</text>'
    return f'<path class="edge{kind}" d="{"".join(way)}"/>{head}{label}'


def is_wrong_edge(start: Node, end: Node) -> bool:
    """Whether what is wrong with a value's gradient came back by this edge, or is made where it starts."""
    if not brings_wrong(start):
        return False
    return brings_wrong(end) or not any(map(brings_wrong, start.users))


def brings_wrong(box: Node) -> bool:
    """Whether a box, or where nothing is known of it one that its gradient comes from, has a wrong gradient."""
    if box.row is None or box.row.yours is not None:
        return box.row is not None and box.row.is_wrong
    return any(map(brings_wrong, box.users))


def box_svg(box: Node, row: Intermediate, is_output: bool) -> str:
    """One box: what a pointer shows, its edge, its lines."""
    kinds = [*(["argument"] if row.line is None else []), *(["output"] if is_output else [])]
    kinds += ["wrong"] if row.is_wrong else []
    left = box.x - box.width / 2
    lines = [
        f'<text x="{box.x:.1f}" y="{box.y + PAD + LINE * (i + 0.6):.1f}" text-anchor="middle">{words_svg(*line)}</text>'
        for i, line in enumerate(box.lines)
    ]
    return (
        f'<g class="{" ".join(["node", *kinds])}"><title>{escape(told(row))}</title><rect class="box" '
        f'x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6"/>{"".join(lines)}</g>'
    )


def words_svg(kind: str, words: str) -> str:
    """One line of a box; of the figures, each in its colour."""
    if kind != "figures":
        return f'<tspan class="{kind}">{escape(words)}</tspan>'
    parts = zip(("value", "gradient", "shape"), words.split("  "), strict=False)
    return "".join(
        f'<tspan dx="{0 if part == "value" else LETTER}" class="{part}">{text}</tspan>' for part, text in parts
    )


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


def legend(x: float, y: float, has_wrong: bool) -> str:
    kinds = ("value", "gradient", "shape", "gradient wrong")
    words = zip(kinds, LEGEND.split("  "), strict=True)
    shown = [
        f'<tspan dx="10" class="{kind}">{text}</tspan>' for kind, text in words if has_wrong or "wrong" not in kind
    ]
    return f'<text x="{x - 10:.1f}" y="{y:.1f}">{"".join(shown)}</text>'
