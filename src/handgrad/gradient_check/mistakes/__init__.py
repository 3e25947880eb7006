"""What was forgotten? Hypotheses on a wrong gradient, the simplest first; each must explain every entry."""

import numpy as np

from ..verdict import Verdict
from .arrangement import (
    averaged,
    extra_product,
    flipped,
    index_repeated,
    misshapen,
    partly_missing,
    reshaped,
    shifted,
    skip_missing,
    swapped,
    transposed,
)
from .case import Case
from .elementwise import elementwise, fused, hidden, other_formula, other_mask
from .factors import constant, single_precision, zero
from .losses import behind_product, losses, penalised, penalty
from .normalizing import jacobian, log_softmax_terms, other_terms, scale_terms, softmax_terms, statistics
from .other_call import changed, ignored, keyword, keyword_default, other_array, own_array
from .windows import counted, overwritten, ties, winners

__all__ = ["HYPOTHESES", "Case", "diagnose"]

HYPOTHESES = (
    ties,
    zero,
    single_precision,
    constant,
    ignored,
    keyword_default,
    transposed,
    elementwise,
    losses,
    softmax_terms,
    log_softmax_terms,
    statistics,
    scale_terms,
    jacobian,
    fused,
    extra_product,
    hidden,
    swapped,
    flipped,
    index_repeated,
    overwritten,
    counted,
    winners,
    averaged,
    changed,
    penalty,
    penalised,
    behind_product,
    skip_missing,
    partly_missing,
    shifted,
    reshaped,
    other_array,
    own_array,
    keyword,
    other_terms,
    other_mask,
    other_formula,
)


def diagnose(case):
    """The verdicts on a gradient that is wrong: the first hypothesis that explains it, or an honest 'unexplained'.

    One that ignores dy may be wrong for dy = 1 besides: then what it forgot there is named too.
    """
    verdict = misshapen(case) or explanation(case)
    if verdict is None:
        return [unexplained(case)]
    if verdict.mistake != "upstream-ignored" or not case.wrong_at_one:
        return [verdict]
    second = explanation(case.at_one())
    return [verdict] if second is None else [verdict, second]


def explanation(case):
    """The verdict of the first hypothesis that explains every entry, or None."""
    if not case.numeric.values.size or not np.isfinite(case.expected).all():
        return None
    return next(filter(None, (weigh(hypothesis, case) for hypothesis in HYPOTHESES)), None)


def unexplained(case):
    return Verdict(
        case.name,
        "unexplained",
        f"the gradient by {case.name} is wrong (error {worst(case.check):.2g}), and no mistake we know explains it",
        "most deviating: " + case.deviates_most(),
    )


def weigh(hypothesis, case):
    """What a hypothesis says; nothing when it does not fit this code's shapes."""
    try:
        return hypothesis(case)
    except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def worst(check):
    return max(e for e in (check.error, check.direction_error) if np.isfinite(e))
