"""What a gradient check found: verdicts on mistakes, and one record per array."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arrays import Array, Shape
from .vocabulary import VOCABULARY, Clue, Term


@dataclass(frozen=True)
class Verdict:
    """One mistake.

    Attributes
    ----------
    array : str
        The array whose gradient it is in; '' for the whole code.
    mistake : str
        Its name, which stays the same from version to version: docs/gradient_check.md lists them.
    message : str
        What is wrong, in a sentence.
    evidence : str
        Why we think so.
    variable : str
        The variable of the code under test in which a wrong value first stands; '' where that is not known.
    line : int or None
        The number of its line in the file; None where that is not known.
    fix : str
        The line as it would be right; '' where that is not known.
    """

    array: str
    mistake: str
    message: str
    evidence: str = ""
    variable: str = ""
    line: int | None = None
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.title}: {self.message}"

    @property
    def title(self) -> str:
        """The array, the mistake's name, and its place: 'weight: transposed in line 12'."""
        if self.mistake == "not-named":
            return f"{self.array or 'something'} is wrong{'' if self.line is None else f', first at line {self.line}'}"
        place = "" if self.line is None else f" in line {self.line}"
        return f"{self.array + ': ' if self.array else ''}{self.mistake}{place}"

    @property
    def term(self) -> Term:
        """The mistake in the vocabulary: its lesson, advice and link."""
        return VOCABULARY[self.mistake]

    @property
    def clue(self) -> Clue:
        """How much the name tells."""
        return self.term.clue


class Fault(Verdict):
    """What left no gradient to look at: an exception, a function not written, a forward that cannot be repeated."""


class Guess(Verdict):
    """One of several names that fit the numbers: the source may tell which it is."""


def entry(name: str, index: Sequence[object]) -> str:
    """'weight[0, 1]', or 'x' of an array that is one number."""
    return f"{name}[{', '.join(map(str, index))}]" if len(index) else name


@dataclass(frozen=True)
class Kink:
    """An entry at or near a point without a derivative, and the one-sided derivatives around it.

    Attributes
    ----------
    array : str
        The array that the entry is in.
    index : tuple of int
        Where in it.
    row : int or None
        The first row of the output that has the kink.
    flat : bool
        Whether one of the derivatives is zero, as ReLU's.
    left, right : float
        The derivatives on the two sides.
    at_point : bool
        Whether the entry stands on the kink; else a difference would cross it.
    by : str
        How the array is differentiated: "complex step" or "central differences".
    """

    array: str
    index: tuple[int, ...]
    row: int | None
    flat: bool
    left: float
    right: float
    at_point: bool
    by: str

    def __str__(self) -> str:
        place = entry(self.array, self.index)
        kind = "a ReLU kink" if self.flat else "a kink"
        where = f" of row {self.row}" if self.row is not None else ""
        if self.at_point:
            slopes = f"slopes {self.left:.3g} and {self.right:.3g}"
            return f"{place}: crosses {kind}{where}; {slopes}, a value between is right"
        compared = "the complex step does not" if self.by == "complex step" else "compared with a smaller step"
        return f"{place}: crosses {kind}{where}; {compared}"


@dataclass
class ArrayCheck:
    """One array's analytic gradient beside the numeric one, for the first upstream gradient.

    Attributes
    ----------
    name : str
        The array.
    shape : tuple of int
        Its shape, which `numeric` has too.
    method : str
        "complex step" or "central differences".
    analytic : array or None
        The gradient that the code gave; None where it gave none.
    numeric : array or None
        The right one; NaN where an entry was not differentiated by itself.
    error : float
        |a - n| / (|a| + |n|) by norm over the entries checked, the worst of the upstream gradients.
    direction_error : float
        The same of the gradient along random directions, for all entries at once.
    ties_error : float
        The same where equal entries move together; above 0 only where a maximum is paid more than once.
    threshold : float
        The largest error that passes.
    num_checked : int
        How many entries were checked one by one.
    kinks : list of Kink
        The entries at or near points without a derivative.
    ok : bool
        Whether the gradient is right.
    """

    name: str
    shape: Shape
    method: str
    analytic: Array | None = None
    numeric: Array | None = None
    error: float = np.nan
    direction_error: float = np.nan
    ties_error: float = 0.0
    threshold: float = np.nan
    num_checked: int = 0
    kinks: list[Kink] = field(default_factory=list)
    ok: bool = True

    @property
    def size(self) -> int:
        """How many numbers the array has."""
        return int(np.prod(self.shape))

    @property
    def deviation(self) -> Array | None:
        """analytic - numeric per entry, NaN where unchecked; None when the shapes do not allow it."""
        if self.analytic is None or self.numeric is None or self.analytic.shape != self.numeric.shape:
            return None
        return self.analytic - self.numeric

    @property
    def coverage(self) -> str:
        """How sure sampling makes us, in words; '' when every entry was checked."""
        if self.num_checked >= self.size:
            return ""
        missed = 0.99**self.num_checked
        what = f"{self.num_checked:,} of {self.size:,} entries one by one, all of them along 2 random directions"
        return f"{what}; a mistake in 1% of the entries stays among the unseen with probability {missed:.2g}"
