"""What a search finds: a change at a place of the backward, the arrays that it makes right, and what is said of it."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..user_code.tracing import Change, Place, Record
from .following import Changes
from .sites import Edit, Scope
from .verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """Where a mistake is, what cures it in a run, the arrays that this makes right, and what is said of it."""

    place: Place
    changes: Changes
    names: tuple[str, ...]
    mistake: str
    message: str
    variable: str
    edit: Edit | None = None
    besides: tuple[int, ...] = ()  # the lines of other mistakes that must be mended too
    # a value of the backward, and that of the forward whose gradient it is not
    meant: tuple[Record, Record] | None = None

    def called(self, told: tuple[str, str] | None) -> "Finding":
        """Under this name and in these words, where there are any."""
        return replace(self, mistake=told[0], message=told[1]) if told else self

    @property
    def verdict(self) -> Verdict:
        names, many = ", ".join(self.names), len(self.names) > 1
        where = f"line {self.place.line} of {self.place.routine.name}"
        message = f"the gradient{'s' * many} by {names} {'are' if many else 'is'} wrong in {where}: {self.message}"
        before, after = self.edit.described() if self.edit else ("", "")
        lines = " and ".join(f"line {line}" for line in self.besides if line != self.place.line)
        also = f"and {lines} put right, " if lines else ""
        evidence = f"with it in place of  {before}  {also}all gradients that it makes are right" if before else ""
        return Verdict(names, self.mistake, message, evidence, self.variable, self.place.line, after)


def always(changes: Mapping[int, Change]) -> Changes:
    return lambda i: dict(changes)


def whole(place: Place, statement: ast.AST) -> Place:
    """A place as that of its whole statement."""
    return replace(place, node=ast.copy_location(ast.Name("_"), statement))


def map_edits(edits: Sequence[Edit], places: Sequence[Place]) -> Iterator[Finding]:
    """The edits that a traced run can make, as findings."""
    for edit in edits:
        try:
            changes = edit.changes()
        except (SyntaxError, ValueError, TypeError, RecursionError):
            continue
        if changes:
            scope = edit.site.scope
            place = whole(places[next(iter(changes))], scope.statement)
            within = [n.target.id for n in edit.site.path if isinstance(n, ast.NamedExpr)]
            yield Finding(place, always(changes), (), edit.mistake, edit.message, [scope.target, *within][-1], edit)


def in_words(record: Record) -> str:
    """A value of the forward by its name, or by what computes it."""
    return record.name or (record.place.text if record.place else "")


def variable_of(place: Place) -> str:
    """The variable that a place's statement assigns; 'return' where it returns."""
    return place.name or Scope(place.routine, place.statement, {}).target
