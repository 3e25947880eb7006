"""A directed graph as a picture: boxes of words in layers, what comes from others below them, arrows between.

The order within a layer follows the neighbours' places, and the places then follow the neighbours' as nearly as the
order allows (Sugiyama, Tagawa & Toda, 1981).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from .html import escape, palette, read

Line: TypeAlias = list[tuple[str, str]]  # (class, words) one behind the other

LETTER, LINE, PAD = 7.3, 17, 9  # pixels: the width of a letter, the height of a line, the edge of a box
GAP, FALL = 26, 46  # pixels between boxes and between layers
MARGIN = 14
SWEEPS = 12  # over the layers, each way, in search of an order and of places

STYLE = Path(__file__).with_name("diagram.css")


class Edge(NamedTuple):
    """What is said of an edge: whether it is marked as wrong, and the words on it."""

    is_wrong: bool = False
    label: str = ""


@dataclass(eq=False)
class Node:
    """A box of the drawing, or a bend of an edge that passes a layer.

    Attributes
    ----------
    lines : list of lists of (class, words)
        What stands in a box; none in a bend.
    kinds : str
        Its classes in the style sheet: argument, output, wrong.
    told : str
        What a pointer shows of it.
    above, below : list of Node
        What it comes from, and what comes from it.
    edges : dict
        By the id of a box above, what is said of the edge from there.
    """

    lines: list[Line] = field(default_factory=list)
    kinds: str = ""
    told: str = ""
    above: list[Node] = field(default_factory=list)
    below: list[Node] = field(default_factory=list)
    edges: dict[int, Edge] = field(default_factory=dict)
    layer: int = 0
    x: float = 0.0  # of its middle
    y: float = 0.0  # of its upper edge
    length: float = 0.0  # of a bend: as high as its layer

    @property
    def width(self) -> float:
        return max(map(letters, self.lines)) * LETTER + 2 * PAD if self.lines else 2.0

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * PAD - 4 if self.lines else self.length


def letters(line: Line) -> int:
    """How long a line is, with a gap of two letters between its parts."""
    return sum(len(words) + 2 for _, words in line) - 2


def diagram(boxes: list[Node], label: str, legend: Line) -> str:
    """The graph as SVG, in the light or dark of the reader's screen.

    Parameters
    ----------
    boxes : list of Node
        Each behind all that it comes from.
    label : str
        The picture in a sentence, for who cannot see it.
    legend : list of (class, words)
        What stands below it.
    """
    layers = in_layers(boxes)
    arrange(layers)
    nodes = [node for layer in layers for node in layer]
    left = min(node.x - node.width / 2 for node in nodes) - MARGIN
    width = max(node.x + node.width / 2 for node in nodes) - left + MARGIN
    width = max(width, letters(legend) * LETTER + 2 * MARGIN)
    height = max(node.y + node.height for node in nodes) + 2 * MARGIN + LINE
    size = f'viewBox="{left:.0f} 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(label)}">'
    edges = [edge_svg(path) for box in boxes for path in paths(box)]
    below = f'<text x="{left + MARGIN:.1f}" y="{height - MARGIN:.1f}">{line_svg(legend)}</text>'
    style = f"<style>{palette('.graph')}\n{read(STYLE)}</style>"
    return "".join([head, style, *edges, *map(box_svg, boxes), below, "</svg>"])


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
        while not node.lines:
            path.append(node)
            node = node.above[0]
        yield [*path, node][::-1]


def edge_svg(path: Sequence[Node]) -> str:
    """One edge with its arrow and its words."""
    start, end = path[0], path[-1]
    x, y = start.x, start.y + start.height
    way = [f"M{x:.1f} {y:.1f}"]
    for node in path[1:]:
        target = node.y - 5 if node is end else node.y
        half = (y + target) / 2
        way.append(f"C{x:.1f} {half:.1f} {node.x:.1f} {half:.1f} {node.x:.1f} {target:.1f}")
        x, y = node.x, target if node is end else node.y + node.height
        way += [f"V{y:.1f}"] if node is not end else []
    is_wrong, words = end.edges.get(id(start), Edge())
    kind = " wrong" if is_wrong else ""
    head = f'<path class="head{kind}" d="M{x - 4:.1f} {y - 3:.1f}L{x:.1f} {y + 5:.1f}L{x + 4:.1f} {y - 3:.1f}Z"/>'
    label = f'<text class="gradient on-edge" x="{x + 7:.1f}" y="{y - 8:.1f}">{escape(words)}</text>' if words else ""
    return f'<path class="edge{kind}" d="{"".join(way)}"/>{head}{label}'


def box_svg(box: Node) -> str:
    """One box: what a pointer shows, its edge, its lines."""
    left = box.x - box.width / 2
    places = [f'x="{box.x:.1f}" y="{box.y + PAD + LINE * (i + 0.6):.1f}"' for i in range(len(box.lines))]
    pairs = zip(places, box.lines, strict=True)
    lines = "".join(f'<text {place} text-anchor="middle">{line_svg(line)}</text>' for place, line in pairs)
    size = f'x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    inside = f'<title>{escape(box.told)}</title><rect class="box" {size} rx="6"/>{lines}'
    return f'<g class="node{box.kinds and " " + box.kinds}">{inside}</g>'


def line_svg(line: Line) -> str:
    """One line, each part in its colour."""
    gaps = [0, *[LETTER] * (len(line) - 1)]
    parts = zip(gaps, line, strict=True)
    return "".join(f'<tspan dx="{gap}" class="{kind}">{escape(words)}</tspan>' for gap, (kind, words) in parts)
