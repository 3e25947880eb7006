"""check_gradients and assert_gradients: what a user calls."""

from collections.abc import Mapping
from typing import Any

from ..naming import check_count
from .report import Report
from .subjects import Wanted


def check_gradients(
    target: Any,
    *arrays: Any,
    wrt: Wanted = None,
    kwargs: Mapping[str, Any] | None = None,
    loss: Any = None,
    seed: int = 0,
    max_entries: int = 400,
    seconds: float = 5.0,
) -> Report:
    """Check hand-written gradients against numeric ones, and say what is wrong with them.

    target: a pair (forward, backward), a layer or model, `f, grad` as a pair of plain functions, a closure that
    returns (loss, gradients), or a class with static forward(ctx, ...) and backward(ctx, dy).
    arrays: the arguments of its forward. wrt: names of the arrays to differentiate by, if not all arrays of floats.
    kwargs: keywords for the forward. loss: a loss to put on a model; its targets are the last of arrays.
    Arrays of more than 1,000 entries are sampled: max_entries of each, fewer when all would take over `seconds`.

    Faults of the code under test become verdicts of the report; misuse of this function raises ValueError or TypeError.
    """
    check_count("check_gradients", "seed", seed, minimum=0)
    check_count("check_gradients", "max_entries", max_entries)
    from .run import run_check  # loads the hypotheses: not worth anybody's time who only trains

    return run_check(target, arrays, wrt, kwargs, loss, seed, max_entries, seconds)


def assert_gradients(target: Any, *arrays: Any, **options: Any) -> Report:
    """Fail with the whole report when a gradient is wrong; the arguments are those of check_gradients.

        def test_my_layer():
            hg.assert_gradients(MyLayer(3), np.random.default_rng(0).normal(size=(5, 4)))

    Returns the report.
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    report = check_gradients(target, *arrays, **options)
    if not report.ok:
        raise AssertionError(f"wrong gradients\n{report}")
    return report
