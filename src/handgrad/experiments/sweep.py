"""Sweeps: one configuration with many settings, a process each, all in one folder that can be gone on with.

sweep.json     the configuration, what varies, and what became of each trial
000/, 001/     a run folder for each trial
"""

import datetime
import itertools
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import files
from ..kernels import num_threads, set_threads
from ..naming import check_count, look_up, nearest, require_extra
from ..training.history import lower_is_better
from .configuration import check_configuration, parse_value, set_key
from .run_folder import LARGEST_RECORD, RECORD, harmless, parse, read_text
from .runner import prepare, resume, rows_of, train

with require_extra("app", "a sweep"):
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

SWEEP, FORMAT = "sweep.json", 1
RANGE = re.compile(r"(\w+)\((.*)\)\s*")


class Sweep:
    """A sweep's folder and its record: {'base', 'axes', 'mode', 'seed', 'count', 'metric', 'trials'}."""

    def __init__(self, path):
        self.path = Path(path)
        file = self.path / SWEEP
        if not file.is_file():
            raise ValueError(f"{path} is no sweep: it has no {SWEEP}")
        with harmless(file):
            self.record = parse(read_text(file, LARGEST_RECORD), file)
            self.axes = dict(parse_axis(text) for text in self.record["axes"])
            self.trials = list(self.record["trials"])
            for number, trial in enumerate(self.trials):
                if trial["number"] != number or not isinstance(trial["settings"], dict):
                    raise ValueError(f"{file} is damaged: trial {number} is {trial!s:.60}")

    def write(self):
        files.write_json(self.path / SWEEP, {**self.record, "trials": self.trials})

    def ranked(self):
        """The finished trials, the best first by the sweep's metric."""
        sign = 1 if lower_is_better(self.record["metric"]) else -1
        done = [trial for trial in self.trials if trial.get("value") is not None]
        return sorted(done, key=lambda trial: sign * trial["value"])

    def folder(self, trial):
        return self.path / f"{trial['number']:03d}"


def start_sweep(
    base, settings, out="experiments", *, random=None, optuna=None, metric="validation.loss", seed=0, command=None
):
    """Make the folder of a sweep over a configuration table; `run_sweep` does the work.

    settings: 'key=1,2' or 'key=log(1e-4,1e-1,5)' each; all combinations, or `random` of them, or `optuna` chosen
    one after the other by Optuna. Everything is checked before anything is written.
    """
    axes = dict(parse_axis(text) for text in settings)
    if not axes:
        raise ValueError("a sweep needs something to vary: --set key=1,2 or --set key=log(1e-4,1e-1,5)")
    if random is not None and optuna is not None:
        raise ValueError("a sweep is random or led by Optuna, not both")
    rng = np.random.default_rng(seed)
    if optuna is not None:
        load_optuna()
        mode, combinations = "optuna", []
    else:
        mode = "grid" if random is None else "random"
        combinations = grid(axes) if random is None else draws(axes, random, rng)
    job = prepare(configured(base, (combinations or draws(axes, 1, rng))[0]))
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
    }
    trials = [{"number": i, "settings": combination} for i, combination in enumerate(combinations)]
    path = new_sweep_folder(Path(out) / job.configuration.name)
    files.write_json(path / SWEEP, {**record, "trials": trials})
    return Sweep(path)


def check_metric(metric, job):
    """Refuse a metric that the runs will not have."""
    figures = ["loss", *job.trainer.metrics, *(["r2"] if job.data.task == "regression" else [])]
    known = [f"{split}.{figure}" for split in rows_of(job.data) for figure in figures]
    if metric not in known:
        raise ValueError(
            f"the runs have no '{metric}' to compare by{nearest(metric, known)} (they have: {', '.join(known)})"
        )


def new_sweep_folder(parent):
    stem = datetime.datetime.now().strftime("sweep-%Y-%m-%d-%H%M%S")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 10_000):
            path = parent / (stem + (f"-{attempt}" if attempt > 1 else ""))
            if not path.exists():
                path.mkdir()
                return path
    except OSError as problem:
        raise OSError(f"cannot write in {parent}: {problem.strerror} (choose a folder with --out)") from None
    raise OSError(f"cannot find a free name in {parent}")


def configured(base, settings):
    """The checked configuration of one trial."""
    table = json.loads(json.dumps(base))
    for key, value in settings.items():
        set_key(table, key, value)
    return check_configuration(table, "sweep")


def run_sweep(sweep, jobs=None, report=lambda sweep, trial: None):
    """Train every trial that is not finished, `jobs` at a time, and call report(sweep, trial) as each ends.

    The usable threads are shared out evenly. What fails is recorded with its message and stops nothing else. Processes
    are joblib's: within joblib.parallel_config(backend="dask") the trials go to a cluster.
    """
    jobs = max(1, min(jobs or num_threads(), sweep.record["count"]))
    threads = max(1, num_threads() // jobs)
    if sweep.record["mode"] == "optuna":
        search(sweep, jobs, lambda trials: run_trials(sweep, trials, jobs, threads, report))
    else:
        unfinished = [trial for trial in sweep.trials if trial.get("status") != "finished"]
        run_trials(sweep, unfinished, jobs, threads, report)
    return sweep


def run_trials(sweep, trials, jobs, threads, report):
    """Run these trials in processes. Where one is killed, those it ran beside are tried again, each by itself."""
    waiting = {trial["number"]: trial for trial in trials}
    while waiting:
        try:
            for number, outcome in results(sweep, waiting.values(), jobs, threads):
                finish(sweep, waiting.pop(number), outcome, report)
        except TerminatedWorkerError:
            for trial in list(waiting.values())[:jobs]:
                finish(sweep, waiting.pop(trial["number"]), run_alone(sweep, trial, threads), report)


def run_alone(sweep, trial, threads):
    try:
        ((_, outcome),) = results(sweep, [trial], 2, threads)  # of two processes, as one would be this very one
        return outcome
    except TerminatedWorkerError:
        return {"status": "failed", "value": None, "error": "its process was killed (out of memory?)"}


def results(sweep, trials, jobs, threads):
    """Yield (number, outcome) of each trial as it ends."""
    base, metric = sweep.record["base"], sweep.record["metric"]
    tasks = [joblib.delayed(run_trial)(base, trial, sweep.folder(trial), threads, metric) for trial in trials]
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)


def finish(sweep, trial, outcome, report):
    trial.update(outcome)
    sweep.write()
    report(sweep, trial)


def run_trial(base, trial, folder, threads, metric):
    """(number, what became of the trial), in a process of its own; whatever fails is recorded, not raised."""
    set_threads(threads)
    try:
        run = train_or_resume(configured(base, trial["settings"]), folder)
        split, _, figure = metric.partition(".")
        value = run.results.get(split, {}).get(figure)
        return trial["number"], {"status": run.status, "value": value, "error": None}
    except Exception as problem:
        return trial["number"], {"status": "failed", "value": None, "error": str(problem)}


def train_or_resume(configuration, folder):
    """The trial's run; where its folder is there already, from the last good checkpoint."""
    if (folder / RECORD).is_file():
        return resume(folder, progress=False)
    return train(configuration, folder=folder, progress=False)


# What a sweep varies: lists of values and ranges ------------------------------------------------------------------


class Choice(NamedTuple):
    """One of these values."""

    values: list

    def grid(self):
        return self.values

    def draw(self, rng):
        return self.values[rng.integers(len(self.values))]


class Range(NamedTuple):
    """A number from low to high, evenly or by its logarithm; on a grid, num_values of them with both ends."""

    logarithmic: bool
    low: float
    high: float
    num_values: int | None

    def grid(self):
        if self.num_values is None:
            raise ValueError(f"a grid needs to know how many: write {self.name}({self.low:g}, {self.high:g}, 5)")
        return [self.at(i / max(1, self.num_values - 1)) for i in range(self.num_values)]

    def draw(self, rng):
        return self.at(rng.random())

    def at(self, fraction):
        """The number at a fraction of the way, rounded to ten digits so that it can be read."""
        if not self.logarithmic:
            return float(f"{self.low + fraction * (self.high - self.low):.10g}")
        return float(f"{math.exp(math.log(self.low) + fraction * math.log(self.high / self.low)):.10g}")

    @property
    def name(self):
        return "log" if self.logarithmic else "linear"


def parse_axis(text):
    """(key, Choice or Range) for 'key=1,2,3', 'key=log(low,high,count)' or 'key=linear(low,high,count)'."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ValueError(f"--set takes key=values, such as optimizer.learning_rate=0.01,0.1; got '{text}'")
    ranged = RANGE.fullmatch(values.strip())
    if ranged:
        return key.strip(), parse_range(text, *ranged.groups())
    return key.strip(), Choice([parse_value(part.strip()) for part in split(values)])


def parse_range(text, kind, numbers):
    logarithmic = look_up("range", kind, {"log": True, "linear": False})
    parts = [parse_value(part.strip()) for part in numbers.split(",")]
    if len(parts) not in (2, 3) or not all(isinstance(p, (int, float)) and not isinstance(p, bool) for p in parts):
        raise ValueError(f"a range is {kind}(low, high) or {kind}(low, high, count); got '{text}'")
    low, high = parts[:2]
    if not low < high or (logarithmic and low <= 0):
        raise ValueError(f"{kind}(low, high) needs {'0 < ' if logarithmic else ''}low < high; got '{text}'")
    count = check_count(text, "the count", parts[2]) if len(parts) == 3 else None
    return Range(logarithmic, float(low), float(high), count)


def split(text):
    """The parts between commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, None
    for character in text:
        if quote:
            quote = None if character == quote else quote
        elif character in "\"'":
            quote = character
        depth += (character in "[{") - (character in "]}") if not quote else 0
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def grid(axes):
    """Every combination, as tables {key: value}; the last axis changes fastest."""
    combinations = itertools.product(*(axis.grid() for axis in axes.values()))
    return [dict(zip(axes, values, strict=True)) for values in combinations]


def draws(axes, count, rng):
    """`count` random combinations."""
    return [{key: axis.draw(rng) for key, axis in axes.items()} for _ in range(count)]


# Sweeps led by Optuna: each trial's settings follow from the results of those before it -----------------------------


def search(sweep, jobs, run):
    """Ask Optuna for settings, `jobs` trials at a time, and tell it the results, until the sweep has its count.

    A sweep that was stopped is gone on with: what is finished is told again, what is not is run first.
    """
    optuna = load_optuna()
    direction = "minimize" if lower_is_better(sweep.record["metric"]) else "maximize"
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=sweep.record["seed"]))
    run([trial for trial in sweep.trials if trial.get("status") != "finished"])
    for trial in sweep.trials:
        study.add_trial(told(optuna, sweep, trial))
    while len(sweep.trials) < sweep.record["count"]:
        asked = [study.ask() for _ in range(min(jobs, sweep.record["count"] - len(sweep.trials)))]
        trials = [
            {"number": number, "settings": suggest(sweep.axes, trial)}
            for number, trial in enumerate(asked, start=len(sweep.trials))
        ]
        sweep.trials += trials
        sweep.write()
        run(trials)
        for trial, done in zip(asked, trials, strict=True):
            state = optuna.trial.TrialState
            study.tell(
                trial, done.get("value") if usable(done) else None, state=state.COMPLETE if usable(done) else state.FAIL
            )


def load_optuna():
    """Optuna, quiet; an ImportError names the extra where it is missing."""
    with require_extra("optuna", "smart search"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def usable(trial):
    return trial.get("value") is not None and math.isfinite(trial["value"])


def suggest(axes, trial):
    """Optuna's proposal for each axis; a choice is among the positions of its values, which may be tables."""
    return {
        key: axis.values[trial.suggest_int(key, 0, len(axis.values) - 1)]
        if isinstance(axis, Choice)
        else trial.suggest_float(key, axis.low, axis.high, log=axis.logarithmic)
        for key, axis in axes.items()
    }


def told(optuna, sweep, trial):
    """A trial of an earlier session as Optuna keeps it."""
    parameters, distributions = {}, {}
    for key, axis in sweep.axes.items():
        value = trial["settings"][key]
        if isinstance(axis, Choice):
            distributions[key] = optuna.distributions.IntDistribution(0, len(axis.values) - 1)
            parameters[key] = axis.values.index(value)
        else:
            distributions[key] = optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.logarithmic)
            parameters[key] = value
    state = optuna.trial.TrialState
    return optuna.trial.create_trial(
        params=parameters,
        distributions=distributions,
        value=trial.get("value"),
        state=state.COMPLETE if usable(trial) else state.FAIL,
    )
