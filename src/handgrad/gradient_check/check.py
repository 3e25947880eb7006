"""check_gradients: the whole check, from the code under test to the report."""

import time
from functools import partial

import numpy as np

from .compare import compare_array, rounding_floors
from .conduct import check_conduct, fresh_gradients
from .locate import locate
from .mistakes import Case, diagnose
from .numeric import Differentiator, choose_entries
from .recognize import recognize
from .verdict import CodeFault, Report


def check_gradients(target, *arrays, wrt=None, kwargs=None, loss=None, seed=0, max_entries=400, seconds=5.0):
    """Check hand-written gradients against numeric ones, and say what is wrong with them.

    target: a pair (forward, backward), a layer or model, `f, grad` as a pair of plain functions, a closure that
    returns (loss, gradients), or a class with static forward(ctx, ...) and backward(ctx, dy).
    arrays: the arguments of its forward. wrt: names of the arrays to differentiate by, if not all arrays of floats.
    kwargs: keywords for the forward. loss: a loss to put on a model; its targets are the last of arrays.
    Arrays of more than 1,000 entries are sampled: max_entries of each, fewer when all would take over `seconds`.

    Faults of the code under test become verdicts of the report; misuse of this function raises ValueError or TypeError.
    """
    started = time.perf_counter()
    report = Report(target=getattr(target, "__name__", type(target).__name__), seed=seed)
    subject = None
    with np.errstate(all="ignore"):
        try:
            subject = recognize(target, arrays, kwargs, wrt, loss, seed)
            report.target = subject.label
            examine(subject, report, generator(seed), max_entries, seconds)
        except CodeFault as fault:
            report.verdicts.append(fault.verdict)
        if subject:
            locate(subject, report, partial(check_gradients, seed=seed, max_entries=max_entries, seconds=seconds))
    report.num_forwards = subject.num_forwards if subject else 0
    report.seconds = time.perf_counter() - started
    return report


def generator(seed):
    """A stream of our own: with plain default_rng(seed) dy would equal an x that was drawn from the same seed."""
    return np.random.default_rng([seed, 0x67726164])


def examine(subject, report, rng, max_entries, seconds):
    """Conduct first (what makes numbers meaningless), then each array's numbers."""
    upstreams, gradients = check_conduct(subject, report, rng)
    numbers = Differentiator(subject, upstreams, rng)
    plan = plan_entries(subject, numbers, gradients[0], rng, max_entries, seconds)
    floors = rounding_floors(subject, upstreams, gradients, fresh_gradients, rng)
    for name in subject.names:
        check, numeric = compare_array(subject, numbers, upstreams, gradients, name, plan[name], floors[name])
        report.arrays[name] = check
        if not check.ok:
            case = Case(subject, numbers, upstreams, gradients, check, numeric)
            report.add(diagnose(case))


def plan_entries(subject, numbers, gradients, rng, max_entries, seconds):
    """{name: entries to differentiate by}, fewer of each where the whole would take longer than `seconds`."""
    plan, cost = {}, {}
    for name in subject.names:
        array = numbers.real.arrays[name]
        plan[name] = choose_entries(array, gradients[name], rng, max_entries)
        cost[name] = len(plan[name]) * numbers.seconds_per_entry(name)
    excess = sum(cost.values()) / seconds
    if excess <= 1:
        return plan
    return {name: choose_entries(numbers.real.arrays[name], gradients[name], rng, max(20, int(len(entries) / excess)))
            for name, entries in plan.items()}
