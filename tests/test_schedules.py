"""Schedules against PyTorch's, at their ends, composed, and by name."""

import math

import pytest

from handgrad import schedules
from handgrad.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Sequence,
    Step,
    WarmUp,
    get,
)


def pytorch_rates(make, initial=0.1, steps=20, metrics=None):
    """The learning rates of the PyTorch schedule make(lr_scheduler, optimizer) at t = 0 ... steps - 1."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=initial, momentum=0.9)
    scheduler, rates = make(torch.optim.lr_scheduler, optimizer), []
    for t in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if metrics is None else scheduler.step(metrics[t])
    return rates


CASES = [
    (Constant(0.1), lambda s, o: s.ConstantLR(o, factor=1.0)),
    (Exponential(0.1, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    (Exponential(0.1, 0.5, 3, staircase=True), lambda s, o: s.StepLR(o, 3, 0.5)),
    (Exponential(0.1, 0.5, 4), lambda s, o: s.ExponentialLR(o, 0.5**0.25)),
    (Step(0.1, 7), lambda s, o: s.StepLR(o, 7)),
    (Polynomial(0.1, 15), lambda s, o: s.PolynomialLR(o, 15)),
    (Polynomial(0.1, 15, power=2.0), lambda s, o: s.PolynomialLR(o, 15, 2.0)),
    (Cosine(0.1, 19, final=0.01), lambda s, o: s.CosineAnnealingLR(o, 19, 0.01)),
    (WarmUp(Constant(0.1), 4), lambda s, o: s.LinearLR(o, 1 / 5, total_iters=4)),
    (
        WarmUp(Exponential(0.1, 0.9), 4),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 1 / 5, total_iters=4), s.ExponentialLR(o, 0.9)], [4]),
    ),
    (OneCycle(0.1, 20), lambda s, o: s.OneCycleLR(o, 0.1, total_steps=20)),
    (
        OneCycle(0.1, 20, 0.45, 10, 100),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=20, pct_start=0.45, div_factor=10, final_div_factor=100),
    ),
    (
        Sequence([Constant(0.1), Exponential(0.1, 0.9), Step(0.1, 2)], [3, 8]),
        lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 1.0), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [3, 11]),
    ),
]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("schedule", "make"), CASES, ids=[repr(schedule) for schedule, _ in CASES])
def test_twenty_rates_are_pytorchs(schedule, make):
    steps = 19 if isinstance(schedule, OneCycle) else 20  # PyTorch's refuses the step after its last rate
    expected = pytorch_rates(make, steps=steps)
    assert max(abs(schedule(t) - rate) for t, rate in enumerate(expected)) <= 1e-10


NOISY = [5.0, 4.0, 4.0, 3.9999, 4.1, math.nan, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5]


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({"patience": 2}, {"patience": 2}),
        ({"patience": 0, "factor": 0.5, "minimum": 0.01}, {"patience": 0, "factor": 0.5, "min_lr": 0.01}),
        ({"patience": 1, "threshold": 0.1}, {"patience": 1, "threshold": 0.1}),
        ({"patience": 1, "mode": "max"}, {"patience": 1, "mode": "max"}),
    ],
)
def test_reduce_on_plateau_is_pytorchs(options, theirs):
    expected = pytorch_rates(lambda s, o: s.ReduceLROnPlateau(o, eps=0, **theirs), metrics=NOISY)
    schedule = ReduceOnPlateau(0.1, **options)
    for t, (metric, rate) in enumerate(zip(NOISY, expected, strict=True)):
        assert abs(schedule(t) - rate) <= 1e-10
        schedule.observe(metric)


@pytest.mark.parametrize(("mode", "small", "large"), [("max", 1.05, 1.2), ("min", 0.95, 0.8)])
@pytest.mark.parametrize("first", [1.0, -1.0])
def test_reduce_on_plateau_wants_more_than_the_threshold(mode, small, large, first):
    for change, rate in ((small - 1, 0.05), (large - 1, 0.1)):
        schedule = ReduceOnPlateau(0.1, factor=0.5, patience=0, threshold=0.1, mode=mode)
        schedule.observe(first)
        schedule.observe(first + change)
        assert schedule(0) == rate


def test_reduce_on_plateau_goes_on_from_its_state():
    first, second = ReduceOnPlateau(0.1, patience=2), ReduceOnPlateau(0.1, patience=2)
    for metric in NOISY[:9]:
        first.observe(metric)
    second.load_state(first.state())
    for metric in NOISY[9:]:
        first.observe(metric)
        second.observe(metric)
        assert first(0) == second(0)
    assert first.state() == second.state()


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (Polynomial(0.1, 5, final=0.02), 0.02),
        (Cosine(0.1, 5, final=0.02), 0.02),
        (OneCycle(0.1, 5), 0.1 / 25 / 1e4),
        (WarmUp(Cosine(0.1, 5), 5), 0.0),
    ],
)
def test_the_final_rate_lasts(schedule, end):
    for t in (10, 11, 1000):
        assert schedule(t) == pytest.approx(end, abs=1e-17)


@pytest.mark.parametrize(("num_steps", "warm_up"), [(1, 0.3), (2, 0.5), (3, 0.0), (10, 0.1)])
def test_one_cycle_without_room_for_a_rise_starts_near_its_peak(num_steps, warm_up):
    schedule = OneCycle(0.1, num_steps, warm_up)
    rates = [schedule(t) for t in range(num_steps)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert rates == sorted(rates, reverse=True)


def test_warm_up_rises_evenly_from_above_zero():
    schedule = WarmUp({"name": "constant", "initial": 1.0}, 3)
    assert [schedule(t) for t in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_same_t_same_rate_in_any_order():
    for schedule, _ in CASES:
        assert [schedule(t) for t in (7, 3, 7)] == [schedule(7), schedule(3), schedule(7)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"name": "exponential", "initial": 0.1, "decay": 0.9}, Exponential(0.1, 0.9)),
        ({"name": "OneCycle", "peak": 0.1, "num_steps": 9}, OneCycle(0.1, 9)),
        (
            {"name": "warm_up", "num_steps": 2, "schedule": {"name": "step", "initial": 1, "stage_length": 5}},
            WarmUp(Step(1, 5), 2),
        ),
        (
            {"name": "sequence", "schedules": [{"name": "constant", "initial": 1}, Step(1, 5)], "lengths": [2]},
            Sequence((Constant(1), Step(1, 5)), (2,)),
        ),
    ],
)
def test_get(spec, expected):
    assert get(spec) == expected
    assert get(expected) is expected


@pytest.mark.parametrize(
    ("make", "error", "fragment"),
    [
        (lambda: get("cosin"), ValueError, "did you mean 'cosine'?"),
        (lambda: get("cosine"), ValueError, "Cosine needs the argument 'initial'"),
        (lambda: get({"name": "step", "initial": 0.1, "stage": 3}), ValueError, "did you mean 'stage_length'?"),
        (lambda: get(0.1), TypeError, "got 0.1"),
        (lambda: Constant(0), ValueError, "Constant: initial must be a finite number > 0, got 0"),
        (lambda: Exponential(0.1, -0.5), ValueError, "decay must be a finite number > 0, got -0.5"),
        (lambda: Exponential(0.1, 0.5, 0), ValueError, "stage_length must be a whole number >= 1, got 0"),
        (lambda: Step(0.1, 2.5), ValueError, "got 2.5"),
        (lambda: Cosine(math.nan, 5), ValueError, "got nan"),
        (lambda: Cosine(0.1, 5, -1), ValueError, "final must be a finite number >= 0, got -1"),
        (lambda: OneCycle(0.1, 5, 1.0), ValueError, "warm_up must be a finite number >= 0 and < 1, got 1.0"),
        (lambda: WarmUp(Constant(1), 0), ValueError, "num_steps"),
        (lambda: Sequence([Constant(1)], [3]), ValueError, "a length for each but the last, got 1 lengths"),
        (lambda: ReduceOnPlateau(0.1, factor=1.0), ValueError, "factor must be a finite number > 0 and < 1, got 1.0"),
        (lambda: ReduceOnPlateau(0.1, patience=-1), ValueError, "patience must be a whole number >= 0, got -1"),
        (lambda: ReduceOnPlateau(0.1, mode="down"), ValueError, "unknown mode 'down'"),
    ],
)
def test_wrong_input_is_refused(make, error, fragment):
    with pytest.raises(error) as raised:
        make()
    assert fragment in str(raised.value)


def test_every_schedule_has_a_name():
    classes = {value for value in vars(schedules).values() if getattr(value, "__module__", "") == schedules.__name__}
    named = {value for value in classes if isinstance(value, type)} - {schedules.LearningRateSchedule}
    assert named == set(schedules.SCHEDULES.values())
