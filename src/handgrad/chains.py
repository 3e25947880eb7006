"""A graph taken apart, from its end, into chains of steps, and joins of chains where several values meet."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Part = TypeVar("Part")


class Chains(Generic[Node, Part]):
    """What a graph computes from one value to another, as parts. A subclass says what its nodes are.

    Every value between is used once: what is done twice in handgrad would draw two masks, or train two layers.

    Parameters
    ----------
    start : Node
        Where the graph begins.
    """

    def __init__(self, start: Node) -> None:
        self.start: Node = start
        self.above: dict[Node, Node] = {}  # the last node before each that every way to it goes by (its dominator)
        self.depth: dict[Node, int] = {start: 0}
        self.seen: set[Node] = set()

    # What a subclass writes -------------------------------------------------------------------------------------------

    def inputs(self, node: Node) -> Sequence[Node]:
        """The nodes whose values a node works on, one at least; else an error."""
        raise NotImplementedError

    def operands(self, node: Node) -> Sequence[Node]:
        """The nodes that a node joins; none where it is no join."""
        raise NotImplementedError

    def single(self, node: Node, top: Node) -> tuple[Part, Node]:
        """The part of a step on one value, and that value, which is not before top."""
        raise NotImplementedError

    def joined(self, node: Node, chains: list[list[Part]]) -> Part:
        """The part that a node makes of what it joins."""
        raise NotImplementedError

    def unreadable(self, node: Node, why: str) -> ValueError:
        """The error for a node that cannot be read."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------------------

    def parting(self, node: Node) -> Node:
        """The last node before this one that every way from the start goes by."""
        if node not in self.above:
            before = self.inputs(node)
            for other in before:
                if other not in self.depth:
                    self.parting(other)
            found = before[0]
            for other in before[1:]:
                found = self.meeting(found, other)
            self.above[node], self.depth[node] = found, self.depth[found] + 1
        return self.above[node]

    def meeting(self, one: Node, other: Node) -> Node:
        """The last node that every way to both goes by."""
        while one != other:
            if self.depth[one] < self.depth[other]:
                one, other = other, one
            one = self.above[one]
        return one

    def goes_by(self, node: Node, top: Node) -> bool:
        """Whether every way to a node goes by top."""
        if node != self.start:
            self.parting(node)
        while self.depth[node] > self.depth[top]:
            node = self.above[node]
        return node == top

    def chain(self, node: Node, top: Node) -> list[Part]:
        """The parts from one value to another."""
        parts: list[Part] = []
        while node != top:
            if node in self.seen or not self.goes_by(node, top):
                raise self.unreadable(node, "is used in two places that do not join again")
            self.seen.add(node)
            part, node = self.join(node, top) if self.operands(node) else self.single(node, top)
            parts.append(part)
        return parts[::-1]

    def join(self, node: Node, top: Node) -> tuple[Part, Node]:
        """The part that joins what meets at a node, and the value where the ways to it part: top, or one after it."""
        before = self.parting(node)
        return self.joined(node, [self.chain(operand, before) for operand in self.operands(node)]), before
