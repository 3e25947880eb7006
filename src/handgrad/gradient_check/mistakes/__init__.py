"""What was forgotten? Hypotheses on a wrong gradient, the simplest first; each must explain every entry."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from ..verdict import Verdict
from . import arrangement, elementwise, factors, loss_gradients, normalizing, other_call
from .case import Case as Case

Hypothesis: TypeAlias = Callable[[Case], Verdict | None]

HYPOTHESES: tuple[Hypothesis, ...] = (
    *(arrangement.ties, factors.zero, factors.single_precision, factors.constant, other_call.ignored),
    *(other_call.keyword_default, arrangement.transposed, elementwise.elementwise, loss_gradients.losses),
    *(normalizing.softmax_terms, normalizing.statistics, normalizing.scale_terms),
    *(normalizing.jacobian, elementwise.fused, arrangement.extra_product, arrangement.flipped),
    *(arrangement.index_repeated, arrangement.overwritten, arrangement.winners, other_call.changed),
    *(loss_gradients.penalised, arrangement.skip_missing, arrangement.swapped, arrangement.partly_missing),
    *(arrangement.shifted, other_call.other_array, other_call.keyword, elementwise.other_formula),
    *(factors.some_signs, arrangement.let_through, arrangement.in_another_order),
)
AT_A_PLACE: tuple[Hypothesis, ...] = (
    *(factors.zero, factors.constant, factors.some_signs, arrangement.transposed, arrangement.flipped),
    *(arrangement.misplaced, arrangement.index_repeated, arrangement.in_another_order),
    *(arrangement.partly_missing, arrangement.let_through),
)


def diagnose(case: Case) -> list[Verdict]:
    """The verdicts on a gradient that is wrong: the first hypothesis that explains it; none where none does.

    One that ignores dy may be wrong for dy = 1 besides: then what it forgot there is named too.
    """
    found = [arrangement.misshapen(case)]
    if found == [None] and case.check.num_checked and np.isfinite(case.expected).all():
        at_one = case.at_one() if weigh(other_call.ignored, case) else None
        found = [first_of(HYPOTHESES, either) for either in (case, at_one) if either is not None]
    return [verdict for verdict in found if verdict is not None]


def at_a_place(case: Case) -> Verdict | None:
    """What a value of the backward is, beside the gradient that it should be."""
    return first_of(AT_A_PLACE, case)


def first_of(hypotheses: Sequence[Hypothesis], case: Case) -> Verdict | None:
    return next(filter(None, (weigh(hypothesis, case) for hypothesis in hypotheses)), None)


def unexplained(case: Case) -> Verdict:
    worst = np.nanmax([case.check.error, case.check.direction_error])
    message = f"{case.label} is wrong (error {worst:.2g})"
    return case.verdict("unexplained", message, f"most deviating: {case.deviates_most()}")


def weigh(hypothesis: Hypothesis, case: Case) -> Verdict | None:
    """What a hypothesis says; nothing when it does not fit this code's shapes."""
    try:
        return hypothesis(case)
    except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        return None
