"""What was forgotten? Hypotheses on a wrong gradient, the simplest first; each must explain every entry."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..verdict import ArrayCheck, Verdict
from .arrangement import (
    extra_product,
    flipped,
    index_repeated,
    misshapen,
    overwritten,
    partly_missing,
    reshaped,
    shifted,
    skip_missing,
    ties,
    transposed,
    winners,
)
from .case import Case as Case
from .elementwise import elementwise, fused, other_formula, other_mask
from .factors import constant, single_precision, zero
from .loss_gradients import losses, penalised, penalty
from .normalizing import jacobian, log_softmax_terms, scale_terms, softmax_terms, statistics
from .other_call import changed, ignored, keyword, keyword_default, other_array

Hypothesis: TypeAlias = Callable[[Case], Verdict | None]

HYPOTHESES: tuple[Hypothesis, ...] = (
    *(ties, zero, single_precision, constant, ignored, keyword_default, transposed, elementwise, losses, softmax_terms),
    *(log_softmax_terms, statistics, scale_terms, jacobian, fused, extra_product, flipped, index_repeated, overwritten),
    *(winners, changed, penalty, penalised, skip_missing, partly_missing, shifted, reshaped, other_array),
    *(keyword, other_mask, other_formula),
)


def diagnose(case: Case) -> list[Verdict]:
    """The verdicts on a gradient that is wrong: the first hypothesis that explains it; none where none does.

    One that ignores dy may be wrong for dy = 1 besides: then what it forgot there is named too.
    """
    misplaced = misshapen(case)
    found = [misplaced or explanation(case)]
    if misplaced is None and case.ignores_upstream and case.wrong_at_one:
        found.append(explanation(case.at_one()))
    return [verdict for verdict in found if verdict is not None]


def explanation(case: Case) -> Verdict | None:
    """The verdict of the first hypothesis that explains every entry, or None."""
    if not case.check.num_checked or not np.isfinite(case.expected).all():
        return None
    return next(filter(None, (weigh(hypothesis, case) for hypothesis in HYPOTHESES)), None)


def unexplained(case: Case) -> Verdict:
    message = f"{case.label} is wrong (error {worst(case.check):.2g})"
    return case.verdict("unexplained", message, f"most deviating: {case.deviates_most()}")


def weigh(hypothesis: Hypothesis, case: Case) -> Verdict | None:
    """What a hypothesis says; nothing when it does not fit this code's shapes."""
    try:
        return hypothesis(case)
    except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def worst(check: ArrayCheck) -> float:
    return max(e for e in (check.error, check.direction_error) if np.isfinite(e))
