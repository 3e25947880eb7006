"""Kill training runs at random instants, resume them, and compare every bit with runs that were left alone.

    python benchmarks/kills.py [--kills 100] [--seed 0]

Ten small configurations (tests/example_runs.py) between them use every optimizer, schedules, dropout, batch norm,
augmentation, early stopping, penalties, clipping and checkpoints between epochs. Each kill is a SIGKILL after a random
share of the time a whole run takes; some runs are killed several times before they end. Reported: how many runs differ
(hashes of model and checkpoint, lines of metrics, results) and how many folders could not be read.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from example_runs import TABLES, prints, table
from handgrad.experiments import Run, check_configuration, runner, train

START = """
import json, sys
from handgrad.experiments import check_configuration, runner, train
runner.save_curves = lambda *arguments, **keywords: None
print("ready", flush=True)
train(check_configuration(json.loads(sys.argv[1])), sys.argv[2], progress=False)
"""
RESUME = """
import sys
from handgrad.experiments import resume, runner
runner.save_curves = lambda *arguments, **keywords: None
print("ready", flush=True)
resume(sys.argv[1], progress=False)
"""


def killed(code, arguments, delay):
    """Run the code; kill it `delay` seconds after it is ready. True when it was killed before its end."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        process.kill()
    process.stdout.close()
    return process.wait() != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, kills = random.Random(options.seed), 0
    found = {"runs": 0, "different": 0, "unreadable": 0, "killed before a checkpoint": 0}
    with tempfile.TemporaryDirectory() as folder:
        whole = {name: uninterrupted(name, Path(folder)) for name in TABLES}
        while kills < options.kills:
            kills += one_run(whole[rng.choice(list(TABLES))], Path(folder) / str(found["runs"]), rng, found)
        found["kills"] = kills
    print(json.dumps(found))
    return int(found["different"] + found["unreadable"] > 0)


def uninterrupted(name, folder):
    """(configuration, what a run left alone leaves, its seconds)."""
    runner.save_curves = lambda *arguments, **keywords: None
    configuration = check_configuration(table(name, folder))
    train(configuration, folder / "warm", progress=False)
    start = time.perf_counter()
    run = train(configuration, folder / "whole", progress=False)
    return configuration, prints(run), time.perf_counter() - start


def one_run(whole, out, rng, found):
    """Train with kills until it ends; returns the number of kills."""
    configuration, expected, seconds = whole
    found["runs"] += 1
    kills = int(killed(START, [json.dumps(configuration.as_table()), out], rng.uniform(0, 1.2 * seconds)))
    folders = [path for path in out.glob("*/*") if not path.name.startswith(".")]
    if not folders:  # killed before anything was written
        return kills
    while True:
        try:
            run = Run(folders[0])
            run.lines()
            status = run.status
            if run.has_checkpoint:
                run.checkpoint()
            else:
                found["killed before a checkpoint"] += 1
        except ValueError as problem:
            print(problem, file=sys.stderr)
            found["unreadable"] += 1
            return kills
        if status == "finished":
            break
        kills += killed(RESUME, folders, rng.uniform(0, 2 * seconds))
    if prints(run) != expected:
        print(f"{configuration.name}: different", file=sys.stderr)
        found["different"] += 1
    return kills


if __name__ == "__main__":
    sys.exit(main())
