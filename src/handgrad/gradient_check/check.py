"""check_gradients and assert_gradients: what a user calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..naming import advised, check_count, check_number, look_up
from .report import Report

if TYPE_CHECKING:  # what it names is loaded by a check, and not worth anybody's time who only trains
    from ..user_code.arguments import Settings, Wanted
    from ..user_code.layers import LossOrPair
    from .reference import Reference


@advised
def check_gradients(
    target: Any,
    *arrays: Any,
    wrt: Wanted = None,
    kwargs: Settings = None,
    loss: LossOrPair = None,
    seed: int = 0,
    max_entries: int = 400,
    seconds: float = 5.0,
    reference: Reference = None,
    hints: Literal["none", "where", "what", "fix"] = "fix",
) -> Report:
    """Check hand-written gradients against numeric ones, and say what is wrong with them.

    Parameters
    ----------
    target : pair of functions, layer, model, function or class
        What computes the gradients: a pair (forward, backward) with `forward(*arrays) -> (y, cache)` and
        `backward(dy, cache) -> gradients`; a layer or model, ours or any object with `forward` and `backward`; a
        function f and its gradient as a pair; a closure that returns (loss, gradients); or a class with static
        `forward(ctx, ...)` and `backward(ctx, dy)`.
    *arrays : array_like, or dict or list of these
        The arguments of its forward, of any shapes that it takes, examples first. In dicts and lists each array that
        the backward gives a gradient by is one of its own, called `params['W']`.
    wrt : str, int or sequence of these, optional
        Names or positions of the arrays to differentiate by; all arrays of floats by default.
    kwargs : dict, optional
        Keywords for the forward. A `rng` among them is put back before each forward, so that dropout can be checked.
    loss : Loss or pair of functions, optional
        A loss to put on a model; its targets are the last of arrays.
    seed : int
        The seed of the random upstream gradients and of what is sampled.
    max_entries : int
        How many entries of an array of more than 1,000 are checked one by one.
    seconds : float
        About how long the check may take; where it would take longer, fewer entries are.
    reference : function, pair, layer, str or True, optional
        What the forward should compute: its values are compared first, on these arrays and on others like them.
        "torch:gelu" is torch.nn.functional's function, "gelu" our pair, True the pair of ours named like the target.
    hints : str
        How much the report tells of a mistake: "none", which arrays are wrong; "where", the variable and line too;
        "what", its name and lesson too; "fix", everything, with the line that would be right.

    Returns
    -------
    Report
        `report.ok` says whether every gradient is right, `report.verdicts` what is wrong and why, `print(report)` all
        of it. Faults of the code under test, exceptions included, are verdicts.

    Raises
    ------
    TypeError
        When the target cannot be checked, or there is no array of floats to differentiate by.
    ValueError
        When an array is empty, `wrt` names none, `reference` is unknown or does not run on the arrays, or `seed`,
        `max_entries`, `seconds` or `hints` is out of range.
    ImportError
        When `reference` is a function of torch, which is not installed.

    Notes
    -----
    Numeric gradients are those of the complex step where the forward allows it (Squire & Trapp 1998), extrapolated
    central differences elsewhere (Richardson 1911). They are those of the forward as it is written: a wrong forward
    whose backward is right for it passes, unless there is a `reference`.

    Examples
    --------
    >>> import numpy as np
    >>> from handgrad import check_gradients
    >>> def forward(x):
    ...     return np.tanh(x), x
    >>> def backward(dy, x):
    ...     return dy * (1 - np.tanh(x))
    >>> report = check_gradients((forward, backward), np.array([[0.5, -1.0], [2.0, 0.1]]))
    >>> report.ok
    False
    >>> print(report.verdicts[0])
    x: formula-slip in line 2: dx / dy is 1 - y, which is not this function's derivative
    """
    check_count("check_gradients", "seed", seed, minimum=0)
    check_count("check_gradients", "max_entries", max_entries)
    check_number("check_gradients", "seconds", seconds, above=0)
    from .hints import HINTS, keep_to
    from .run import Limits, run_check

    look_up("hints", hints, HINTS)
    return keep_to(run_check(target, arrays, wrt, kwargs, loss, Limits(seed, max_entries, seconds), reference), hints)


def assert_gradients(target: Any, *arrays: Any, **options: Any) -> Report:
    """Fail with the whole report when a gradient is wrong: one line of a test.

    Parameters
    ----------
    target, *arrays, **options
        Those of `check_gradients`.

    Returns
    -------
    Report
        Of gradients that are right.

    Raises
    ------
    AssertionError
        When a gradient is wrong; its message is the report.

    Examples
    --------
    >>> import numpy as np
    >>> import handgrad as hg
    >>> x = np.random.default_rng(0).normal(size=(5, 4))
    >>> hg.assert_gradients(hg.Linear(3), x).ok
    True
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    report = check_gradients(target, *arrays, **options)
    if not report.ok:
        raise AssertionError(f"wrong gradients\n{report}")
    return report
