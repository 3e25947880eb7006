"""Sweeps: one configuration with many settings, a process each, all in one folder that can be gone on with.

sweep.json     the configuration, what varies, and what became of each trial
sweep.lock     empty: who runs the trials has it locked
000/, 001/     a run folder for each trial
"""

import contextlib
import datetime
import itertools
import json
import math
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypedDict

import numpy as np

from .. import files
from ..arrays import Generator
from ..kernels import num_threads, set_threads
from ..naming import check_count, look_up, nearest, require_extra
from ..training.history import lower_is_better
from .configuration import Configuration, check_configuration, parse_value, set_key
from .run_folder import RECORD, SWEEP, Run, create_folder, locked, read_form
from .runner import INTERRUPTS, Job, prepare, resume, rows_of, train

with require_extra("app", "a sweep"):
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

LOCK, FORMAT = "sweep.lock", 1
RANGE = re.compile(r"(\w+)\((.*)\)\s*")


class Outcome(TypedDict):
    """What became of a trial: its run's status, its value by the sweep's metric, and why it failed where it did."""

    status: str
    value: float | None
    error: str | None


class Trial(Outcome):
    """One of a sweep's runs: its number, what is set for it, and what became of it; 'waiting' until it has run."""

    number: int
    settings: dict[str, Any]


def new_trial(number: int, settings: dict[str, Any]) -> Trial:
    """A trial that waits to be run."""
    return {"number": number, "settings": settings, "status": "waiting", "value": None, "error": None}


# The form of sweep.json, see `files.check_form`
RECORDED = {
    "base": dict,
    "axes": [str],
    "mode": {"grid", "random", "optuna"},
    "seed": files.COUNT,
    "count": range(1, 10**6),
    "metric": str,
    "command?": list,
    "trials": [{"number": files.COUNT, "settings": dict, "status?": str, "value?": float, "error?": str}],
}


class Sweep:
    """A sweep's folder and its record: {'base', 'axes', 'mode', 'seed', 'count', 'metric', 'trials'}."""

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        file = self.path / SWEEP
        if not file.is_file():
            raise ValueError(f"{path} is no sweep: it has no {SWEEP}")
        self.record: dict[str, Any] = read_form(file, RECORDED, FORMAT)
        with files.reading(file):
            self.axes: Axes = dict(parse_axis(text) for text in self.record["axes"])
        self.trials: list[Trial] = []
        for number, trial in enumerate(self.record["trials"]):
            settings = trial["settings"]
            is_ours = set(settings) == set(self.axes) and all(axis.holds(settings[k]) for k, axis in self.axes.items())
            if trial["number"] != number or not is_ours:
                raise ValueError(f"{file} is damaged: trial {number} is {trial!s:.50}")
            self.trials.append({**new_trial(number, settings), **trial})

    def write(self) -> None:
        """Write down what has become of the trials so far."""
        files.write_json(self.path / SWEEP, {**self.record, "trials": self.trials})

    def unfinished(self) -> list[Trial]:
        """The trials that are still to be run, or run to their end."""
        return [trial for trial in self.trials if trial["status"] != "finished"]

    def ranked(self) -> list[Trial]:
        """The finished trials, the best first by the sweep's metric."""
        sign = 1 if lower_is_better(self.record["metric"]) else -1
        done = [(value, trial) for trial in self.trials if (value := trial["value"]) is not None]
        return [trial for _, trial in sorted(done, key=lambda pair: sign * pair[0])]

    def folder(self, trial: Trial) -> Path:
        """The run folder of a trial."""
        return self.path / f"{trial['number']:03d}"


Report: TypeAlias = Callable[[Sweep, Trial], object]


def start_sweep(
    base: dict[str, Any],
    settings: Sequence[str],
    out: str | Path = "experiments",
    *,
    random: int | None = None,
    optuna: int | None = None,
    metric: str = "validation.loss",
    seed: int = 0,
    command: Sequence[str] | None = None,
) -> Sweep:
    """Make the folder of a sweep over a configuration table; `run_sweep` does the work.

    settings: 'key=1,2' or 'key=log(1e-4,1e-1,5)' each; all combinations, or `random` of them, or `optuna` chosen
    one after the other by Optuna. Everything is checked before anything is written.
    """
    if not (axes := dict(parse_axis(text) for text in settings)):
        raise ValueError("a sweep needs something to vary: --set key=1,2 or --set key=log(1e-4,1e-1,5)")
    if random is not None and optuna is not None:
        raise ValueError("a sweep is random or led by Optuna, not both")
    rng, mode, combinations = np.random.default_rng(seed), "optuna", list[dict[str, Any]]()
    if optuna is not None:
        load_optuna()
    elif random is not None:
        mode, combinations = "random", draws(axes, random, rng)
    else:
        mode, combinations = "grid", grid(axes)
    configurations = [configured(base, combination) for combination in combinations or draws(axes, 1, rng)]
    job = prepare(configurations[0])
    check_metric(metric, job)
    record = {
        "format": FORMAT,
        "command": list(command or []),
        "base": base,
        "axes": list(settings),
        "mode": mode,
        "seed": seed,
        "count": optuna or len(combinations),
        "metric": metric,
        "trials": [new_trial(number, combination) for number, combination in enumerate(combinations)],
    }
    path = Path(out) / job.configuration.name / datetime.datetime.now().strftime("sweep-%Y-%m-%d-%H%M%S")
    return Sweep(create_folder(path, SWEEP, record))


def check_metric(metric: str, job: Job) -> None:
    """Refuse a metric that the runs will not have."""
    figures = ["loss", *job.trainer.metrics, *(["r2"] if job.data.task == "regression" else [])]
    known = [f"{split}.{figure}" for split in rows_of(job.data) for figure in figures]
    if metric not in known:
        what = f"the runs have no '{metric}' to compare by{nearest(metric, known)}"
        raise ValueError(f"{what} (they have: {', '.join(known)})")


def configured(base: dict[str, Any], settings: dict[str, Any]) -> Configuration:
    """The checked configuration of one trial."""
    table = json.loads(json.dumps(base))
    for key, value in settings.items():
        set_key(table, key, value)
    return check_configuration(table, "sweep")


def run_sweep(sweep: Sweep, jobs: int | None = None, report: Report = lambda sweep, trial: None) -> Sweep:
    """Train every trial that is not finished, `jobs` at a time, and call report(sweep, trial) as each ends.

    The usable threads are shared out evenly. What fails is recorded with its message and stops nothing else. Processes
    are joblib's: within joblib.parallel_config(backend="dask") the trials go to a cluster. A ValueError, and nothing
    done, where another process runs the sweep.
    """
    jobs = max(1, min(jobs or num_threads(), sweep.record["count"]))
    threads = max(1, num_threads() // jobs)
    with locked(sweep.path / LOCK), interruptible():
        run_trials(sweep, sweep.unfinished(), jobs, threads, report)
        if sweep.record["mode"] == "optuna":
            search(sweep, jobs, lambda trials: run_trials(sweep, trials, jobs, threads, report))
    return sweep


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP are a Ctrl-C, where nobody handles or ignores them: no trial outlives it."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    taken = [number for number in INTERRUPTS[1:] if in_main and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def run_trials(sweep: Sweep, trials: Iterable[Trial], jobs: int, threads: int, report: Report) -> None:
    """Run these trials in processes. Where one is killed, those it ran beside are tried again, each by itself."""
    waiting = {trial["number"]: trial for trial in trials}
    while waiting:
        try:
            for number, outcome in results(sweep, waiting.values(), jobs, threads):
                finish(sweep, waiting.pop(number), outcome, report)
        except TerminatedWorkerError:
            for trial in list(waiting.values())[:jobs]:
                finish(sweep, waiting.pop(trial["number"]), run_alone(sweep, trial, threads), report)


def run_alone(sweep: Sweep, trial: Trial, threads: int) -> Outcome:
    """What becomes of a trial when nothing else runs that could be killed."""
    try:
        ((_, outcome),) = results(sweep, [trial], 2, threads)  # of two processes, as one would be this very one
        return outcome
    except TerminatedWorkerError:
        return {"status": "failed", "value": None, "error": "its process was killed (out of memory?)"}


def results(sweep: Sweep, trials: Iterable[Trial], jobs: int, threads: int) -> Iterator[tuple[int, Outcome]]:
    """Yield (number, outcome) of each trial as it ends."""
    base, metric = sweep.record["base"], sweep.record["metric"]
    tasks = [joblib.delayed(run_trial)(base, trial, sweep.folder(trial), threads, metric) for trial in trials]
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)


def finish(sweep: Sweep, trial: Trial, outcome: Outcome, report: Report) -> None:
    """Write down what became of a trial, and report it."""
    trial["status"], trial["value"], trial["error"] = outcome["status"], outcome["value"], outcome["error"]
    sweep.write()
    report(sweep, trial)


def run_trial(base: dict[str, Any], trial: Trial, folder: Path, threads: int, metric: str) -> tuple[int, Outcome]:
    """(number, what became of the trial), in a process of its own; whatever fails is recorded, not raised."""
    set_threads(threads)
    outcome: Outcome
    try:
        run = train_or_resume(configured(base, trial["settings"]), folder)
        split, _, figure = metric.partition(".")
        value = run.results.get(split, {}).get(figure)
        outcome = {"status": run.status, "value": files.finite(value), "error": None}
    except Exception as problem:
        outcome = {"status": "failed", "value": None, "error": str(problem)}
    return trial["number"], outcome


def train_or_resume(configuration: Configuration, folder: Path) -> Run:
    """The trial's run; where its folder is there already, from the last good checkpoint."""
    there = (folder / RECORD).is_file()
    return resume(folder, progress=False) if there else train(configuration, folder=folder, progress=False)


# What a sweep varies: lists of values and ranges ----------------------------------------------------------------------


class Choice(NamedTuple):
    """One of these values. Optuna chooses among their positions, as values may be tables."""

    values: list[Any]

    def grid(self) -> list[Any]:
        return self.values

    def holds(self, value: object) -> bool:
        return value in self.values

    def draw(self, rng: Generator) -> Any:
        return self.values[rng.integers(len(self.values))]

    def distribution(self, optuna: Any) -> Any:
        return optuna.distributions.IntDistribution(0, len(self.values) - 1)

    def to_optuna(self, value: Any) -> Any:
        return self.values.index(value)

    def from_optuna(self, parameter: Any) -> Any:
        return self.values[parameter]


class Range(NamedTuple):
    """A number from low to high, evenly or by its logarithm; on a grid, num_values of them with both ends."""

    logarithmic: bool
    low: float
    high: float
    num_values: int | None

    def grid(self) -> list[float]:
        if self.num_values is None:
            name = "log" if self.logarithmic else "linear"
            raise ValueError(f"a grid needs to know how many: write {name}({self.low:g}, {self.high:g}, 5)")
        shown = range(min(self.num_values, MOST_TRIALS + 1))  # more are refused
        return [self.at(i / max(1, self.num_values - 1)) for i in shown]

    def holds(self, value: object) -> bool:
        return isinstance(value, (int, float)) and math.isclose(value, min(max(value, self.low), self.high))

    def draw(self, rng: Generator) -> float:
        return self.at(rng.random())

    def at(self, fraction: float) -> float:
        """The number at a fraction of the way, rounded to ten digits so that it can be read."""
        if not self.logarithmic:
            return float(f"{self.low + fraction * (self.high - self.low):.10g}")
        return float(f"{math.exp(math.log(self.low) + fraction * math.log(self.high / self.low)):.10g}")

    def distribution(self, optuna: Any) -> Any:
        return optuna.distributions.FloatDistribution(self.low, self.high, log=self.logarithmic)

    def to_optuna(self, value: Any) -> Any:
        return value

    def from_optuna(self, parameter: Any) -> Any:
        return parameter


Axes: TypeAlias = dict[str, Choice | Range]
MOST_TRIALS = 100_000  # each is a folder


def parse_axis(text: str) -> tuple[str, Choice | Range]:
    """(key, Choice or Range) for 'key=1,2,3', 'key=log(low,high,count)' or 'key=linear(low,high,count)'."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ValueError(f"--set takes key=values, such as optimizer.learning_rate=0.01,0.1; got '{text}'")
    parts = split(text, values)
    if ranged := RANGE.fullmatch(values.strip()):
        return key.strip(), parse_range(text, *ranged.groups())
    choices = [parse_value(part.strip()) for part in parts]
    if files.finite(choices) != choices:
        raise ValueError(f"a sweep varies finite numbers, as JSON holds no others; got '{text}'")
    return key.strip(), Choice(choices)


def parse_range(text: str, kind: str, numbers: str) -> Range:
    """The Range written as kind(numbers) in the text."""
    logarithmic = look_up("range", kind, {"log": True, "linear": False})
    parts = [parse_value(part.strip()) for part in numbers.split(",")]
    if len(parts) not in (2, 3) or not all(isinstance(p, (int, float)) and not isinstance(p, bool) for p in parts):
        raise ValueError(f"a range is {kind}(low, high) or {kind}(low, high, count); got '{text}'")
    low, high = parts[:2]
    if not low < high or (logarithmic and low <= 0):
        raise ValueError(f"{kind}(low, high) needs {'0 < ' if logarithmic else ''}low < high; got '{text}'")
    count = check_count(text, "the count", parts[2]) if len(parts) == 3 else None
    return Range(logarithmic, float(low), float(high), count)


PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}


def split(text: str, values: str) -> list[str]:
    """The parts between commas that stand in no brackets and no quotes; ValueError for one that is open, or no pair."""
    parts, opened = [""], list[str]()
    for character in values:
        is_quoted = bool(opened) and opened[-1] in "\"'"
        if opened and character == opened[-1]:
            opened.pop()
        elif character in PAIRS and not is_quoted:
            opened.append(PAIRS[character])
        elif character in ")]}" and not is_quoted:
            raise ValueError(f"--set {text}: a bracket closes what was not opened")
        if character == "," and not opened:
            parts.append("")
        else:
            parts[-1] += character
    if opened:
        raise ValueError(f"--set {text}: a '{opened[0]}' is missing")
    return parts


def grid(axes: Axes) -> list[dict[str, Any]]:
    """Every combination, as tables {key: value}; the last axis changes fastest."""
    combinations = list(itertools.islice(itertools.product(*(axis.grid() for axis in axes.values())), MOST_TRIALS + 1))
    if len(combinations) > MOST_TRIALS:
        raise ValueError(f"a sweep has at most {MOST_TRIALS:,} trials: vary less, or take some of them by --random N")
    return [dict(zip(axes, values, strict=True)) for values in combinations]


def draws(axes: Axes, count: int, rng: Generator) -> list[dict[str, Any]]:
    """`count` random combinations."""
    return [{key: axis.draw(rng) for key, axis in axes.items()} for _ in range(count)]


# Led by Optuna: each trial's settings follow from the results of those before it --------------------------------------


def search(sweep: Sweep, jobs: int, run: Callable[[list[Trial]], object]) -> None:
    """Tell Optuna the results there are, and ask it for settings, `jobs` at a time, until the sweep has its count."""
    optuna = load_optuna()
    direction = "minimize" if lower_is_better(sweep.record["metric"]) else "maximize"
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=sweep.record["seed"]))
    space = {key: axis.distribution(optuna) for key, axis in sweep.axes.items()}
    for done in sweep.trials:
        settings = {key: axis.to_optuna(done["settings"][key]) for key, axis in sweep.axes.items()}
        study.add_trial(optuna.trial.create_trial(params=settings, distributions=space, **outcome_of(optuna, done)))
    while len(sweep.trials) < sweep.record["count"]:
        asked = [study.ask(space) for _ in range(min(jobs, sweep.record["count"] - len(sweep.trials)))]
        trials: list[Trial] = []
        for number, trial in enumerate(asked, start=len(sweep.trials)):
            settings = {key: axis.from_optuna(trial.params[key]) for key, axis in sweep.axes.items()}
            trials.append(new_trial(number, settings))
        sweep.trials += trials
        sweep.write()
        run(trials)
        for trial, done in zip(asked, trials, strict=True):
            study.tell(trial, **outcome_of(optuna, done))


def load_optuna() -> Any:
    """Optuna, quiet; an ImportError names the extra where it is missing."""
    with require_extra("optuna", "smart search"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def outcome_of(optuna: Any, trial: Trial) -> dict[str, Any]:
    """How a trial ended, as Optuna is told."""
    if (value := trial["value"]) is None:
        return {"state": optuna.trial.TrialState.FAIL}
    return {"state": optuna.trial.TrialState.COMPLETE, "values": [value]}
