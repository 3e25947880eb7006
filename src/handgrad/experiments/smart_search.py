"""Sweeps led by Optuna: each trial's settings follow from the results of those before it."""

import math

from ..naming import require_extra
from ..training.history import lower_is_better
from .spaces import Choice


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
