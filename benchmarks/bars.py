"""Every figure that handgrad's speed is judged by, in one run, each beside its bar; and the tables of the documents.

    python benchmarks/bars.py                     all of them: some five minutes of a machine that does nothing else
    python benchmarks/bars.py --only fits shapes  some of them
    python benchmarks/bars.py -o docs/speed.json  keeps the figures there, and writes the tables of README.md,
                                                  docs/results.md and docs/scikit-learn.md from them
    python benchmarks/bars.py --cpu               processor time on one thread each, for a machine with other work

The contestants take turns; a ratio is the median of five, PyTorch at the better of one thread and two, in the faster
layout. One above 1 means that handgrad is faster. For the others, told by '<=' before the bar, less is better.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import convolution
import numpy as np
import sklearn
import steps
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

import handgrad as hg
from handgrad import kernels
from handgrad.files import write_text
from handgrad.sklearn import NetClassifier

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "speed.json"
ROUNDS = 5
PLAIN = "117c9ab"  # the commit whose steps in NumPy alone are compared
BARS = {  # of `fit`, to PyTorch and to MLPClassifier
    "4-25-3, batch 32, 120 rows": (25, 15),
    "64-100-10, batch 64, 1437 rows": (8, 5),
    "784-256-128-10, batch 64, 2560 rows": (1.8, 2.2),
    "3072-50-10, batch 200, 4000 rows": (1.3, None),
}
SHAPES = [  # of tables: (layer sizes, batch size, rows, epochs)
    ((4, 25, 3), 32, 150, 100),
    ((4, 100, 3), 150, 150, 100),
    ((13, 50, 3), 32, 178, 50),
    ((8, 32, 16, 2), 64, 768, 30),
    ((30, 100, 2), 200, 569, 50),
    ((64, 100, 10), 64, 1797, 20),
    ((64, 100, 10), 200, 1797, 20),
    ((64, 50, 50, 10), 128, 1797, 20),
    ((20, 100, 2), 200, 10_000, 5),
    ((50, 100, 50, 5), 256, 10_000, 5),
    ((54, 100, 7), 200, 20_000, 3),
    ((784, 100, 10), 200, 5_000, 5),
]
FIRST_USE = """
import time, numpy as np, handgrad as hg
x, y = np.ones((64, 4)), np.arange(64) % 2
start = time.{clock}()
hg.Trainer(hg.Sequential([hg.Linear(2)])).fit(x, y, epochs=100)
print(time.{clock}() - start)
"""
STEP = """
import time, numpy as np, handgrad as hg
sizes, batch = {sizes}, {batch}
layers = [layer for units in sizes[1:-1] for layer in (hg.Linear(units), hg.ReLU())] + [hg.Linear(sizes[-1])]
trainer = hg.Trainer(hg.Sequential(layers).build((sizes[0],), rng=0), hg.CrossEntropy(), hg.SGD(0.01, momentum=0.9))
rng = np.random.default_rng(0)
x, y = rng.standard_normal((batch, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], batch)
best = 1.0
for _ in range(40):
    start = time.process_time()
    for _ in range(25):
        trainer.step(x, y)
    best = min(best, (time.process_time() - start) / 25)
print(best)
"""


BARE = """
import time, numpy as np
(inputs, hidden, outputs), batch, rng = {sizes}, {batch}, np.random.default_rng(0)
ends = np.cumsum([inputs * hidden, hidden, hidden * outputs, outputs])
p = rng.standard_normal(ends[-1], dtype=np.float32) / 10
g, v, scratch = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
shapes = (inputs, hidden), (hidden,), (hidden, outputs), (outputs,)
w1, b1, w2, b2 = (part.reshape(shape) for part, shape in zip(np.split(p, ends[:-1]), shapes))
dw1, db1, dw2, db2 = (part.reshape(shape) for part, shape in zip(np.split(g, ends[:-1]), shapes))
x, y, rows = rng.standard_normal((batch, inputs), dtype=np.float32), rng.integers(0, outputs, batch), np.arange(batch)
rate, momentum, share = np.float32(0.01), np.float32(0.9), np.float32(1 / batch)
def step():
    z = x @ w1
    z += b1
    h = np.maximum(z, 0)
    d = h @ w2
    d += b2
    d -= d.max(axis=1, keepdims=True)
    picked = d[rows, y].sum()
    np.exp(d, out=d)
    total = d.sum(axis=1, keepdims=True)
    loss = (np.log(total).sum() - picked) * share
    d /= total
    d[rows, y] -= 1
    d *= share
    np.matmul(h.T, d, out=dw2)
    np.add.reduce(d, 0, out=db2)
    dh = d @ w2.T
    dh *= z > 0
    np.matmul(x.T, dh, out=dw1)
    np.add.reduce(dh, 0, out=db1)
    np.multiply(v, momentum, out=v)
    np.add(v, g, out=v)
    np.multiply(v, rate, out=scratch)
    np.subtract(p, scratch, out=p)
    return float(loss)
best = 1.0
for _ in range(40):
    start = time.process_time()
    for _ in range(25):
        step()
    best = min(best, (time.process_time() - start) / 25)
print(best)
"""


def row(what, against, ratio, bar=None, less=False, **times):
    """One figure: how many times as fast as what, or with `less` a figure that is to be small; and what was timed."""
    return {"what": what, "against": against, "ratio": float(ratio), "bar": bar, "less": less, "times": times}


def median_ratio(theirs, ours):
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def fit_times(name):
    """({contestant: seconds of each round}, steps of a fit), PyTorch's the better of its threads."""
    sizes, batch, optimizer, num_rows, epochs = steps.FITS[name]
    cores = 1 if steps.CLOCK[0] is time.process_time else 2
    times = np.array(steps.race_fits(sizes, batch, optimizer, num_rows, epochs, ROUNDS, cores)).T
    columns = times[0], times[1:3].min(axis=0), times[3], times[4]
    names = "handgrad", "PyTorch", "NetClassifier", "MLPClassifier"
    return dict(zip(names, columns, strict=True)), epochs * -(-num_rows // batch)


def fits():
    """`fit` of dense networks."""
    for name, (torch_bar, sklearn_bar) in BARS.items():
        times, count = fit_times(name)
        each = {who: float(statistics.median(column)) / count for who, column in times.items()}
        yield row(name, "PyTorch", median_ratio(times["PyTorch"], times["handgrad"]), torch_bar, **each)
        yield row(name, "MLPClassifier", median_ratio(times["MLPClassifier"], times["NetClassifier"]), sklearn_bar)


def shapes():
    """NetClassifier.fit beside MLPClassifier's on tables of twelve shapes."""
    ratios = {}
    for sizes, batch, num_rows, epochs in SHAPES:
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((num_rows, sizes[0]), dtype=np.float32), np.arange(num_rows) % sizes[-1]
        task = sizes, batch, "adam", x, y, epochs
        turns = [lambda task=task, kind=kind: steps.sklearn_fit(*task, kind) for kind in (MLPClassifier, NetClassifier)]
        pairs = [[steps.seconds(turn, 1) for turn in turns] for _ in range(ROUNDS + 1)][1:]
        name = f"{'-'.join(map(str, sizes))}, batch {batch}, {num_rows} rows"
        ratios[name] = median_ratio(*zip(*pairs, strict=True))
        yield row(name, "MLPClassifier", ratios[name], 1.5)
    yield row("NetClassifier.fit, median of the shapes", "MLPClassifier", statistics.median(ratios.values()), 6)


def networks():
    """A training step of the image networks; 1,024 predictions; an epoch beside the sum of its steps."""
    for name, bar in (("cifar-cnn", 1.6), ("fashion-cnn", 1.7), ("lenet", None)):
        plain, fast, nchw, last = convolution.race(name, 64, ROUNDS)
        times = {"NumPy alone": plain, "handgrad": fast, "PyTorch": nchw, "channels last": last}
        yield row(f"a step of {name}, batch 64", "PyTorch", min(nchw, last) / fast, bar, **times)
    for name in ("lenet", "cifar-cnn"):
        fast, nchw, last = convolution.prediction_race(name, ROUNDS)
        times = {"handgrad": fast, "PyTorch": nchw, "channels last": last}
        yield row(f"1,024 predictions of {name}", "PyTorch", min(nchw, last) / fast, 1, **times)
    for name in ("lenet", "cifar-cnn"):
        ratio = convolution.epoch_over_steps(name, 64, 2 * ROUNDS)
        yield row(f"an epoch of {name}", "the sum of its steps", ratio, 1.05, less=True)


def busy():
    """The fit of a network whose products could share threads, beside busy neighbours."""
    name = "784-256-128-10, batch 64, 2560 rows"
    for count in (1, 2):
        with steps.neighbours(count):
            times, _ = fit_times(name)
        ratio = median_ratio(times["PyTorch"], times["handgrad"])
        yield row(f"{name}, beside {count} busy", "PyTorch", ratio, BARS[name][0])


def searches():
    """A whole grid search, of the one estimator and of the other."""
    x, y = load_digits(return_X_y=True)
    grid = {"hidden_layer_sizes": [(50,), (100,)], "alpha": [1e-5, 1e-3, 1e-1]}
    times = []
    for _ in range(2):
        for kind in (MLPClassifier, NetClassifier):
            network = kind(max_iter=30, random_state=0)
            search = GridSearchCV(network, grid, cv=3)
            times.append(steps.seconds(lambda search=search: search.fit(x / 16, y), 1))
    yield row("a grid search, 6 settings x 3 folds of digits", "MLPClassifier", times[2] / times[3])


def ask(code, **environment):
    """The number that a new interpreter prints last."""
    command = [sys.executable, "-c", code]
    answer = subprocess.check_output(command, env={**os.environ, **environment}, text=True, stderr=subprocess.DEVNULL)
    return float(answer.split()[-1])


def first_use():
    """What a first `fit` takes that has to compile."""
    with tempfile.TemporaryDirectory() as empty:
        taken = ask(FIRST_USE.format(clock=steps.CLOCK[0].__name__), NUMBA_CACHE_DIR=empty)
        yield row("first use after install, seconds", "", taken, 20, less=True)


def plain():
    """A step in NumPy alone beside that of an early commit, where this is a git checkout."""
    with tempfile.TemporaryDirectory() as before:
        archive = subprocess.run(["git", "archive", PLAIN, "src"], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            return
        subprocess.run(["tar", "-x", "-C", before], input=archive.stdout, check=True)
        for sizes, batch in (((4, 25, 3), 32), ((64, 100, 10), 64)):
            code, plain = STEP.format(sizes=sizes, batch=batch), {"HANDGRAD_KERNELS": "numpy"}
            trees = f"{before}/src", str(ROOT / "src")
            pairs = [[ask(code, PYTHONPATH=tree, **plain) for tree in trees] for _ in range(ROUNDS)]
            name = f"a step of {'-'.join(map(str, sizes))} in NumPy alone"
            yield row(name, f"commit {PLAIN}", median_ratio(*zip(*pairs, strict=True)), 1.3)
            bare, ours = (
                min(ask(BARE.format(sizes=sizes, batch=batch)) for _ in range(ROUNDS)),
                min(p[1] for p in pairs),
            )
            yield row(
                f"the same written out in bare NumPy, {name.split()[3]}", "handgrad", ours / bare, bare=bare, ours=ours
            )


def others():
    """Fits that are not judged: other activations, few but large steps, float64, early stopping."""
    rng = np.random.default_rng(0)
    many = "64-100-10", ((64, 100, 10), 64, "sgd"), 1437, 10
    large = "784-300-100-10, 94 steps", ((784, 300, 100, 10), 128, "sgd"), 6000, 2
    for (what, task, num_rows, epochs), activation in [(many, "Tanh"), (many, "GELU"), (large, "ReLU")]:
        x, y = rng.standard_normal((num_rows, task[0][0]), dtype=np.float32), rng.integers(0, 10, num_rows)
        every = *task, x, y, epochs
        turns = [partial(steps.torch_fit, *every, threads, activation) for threads in (1, 2)]
        turns.append(partial(steps.handgrad_fit, *every, activation))
        times = np.array([[steps.seconds(turn, 1) for turn in turns] for _ in range(ROUNDS + 1)][1:])
        yield row(f"fit of {what}, {activation}", "PyTorch", median_ratio(times[:, :2].min(axis=1), times[:, 2]))
    for what, sizes, num_rows, options in (
        ("64-100-10, float64", (64, 100, 10), 1797, {}),
        ("4-10-3, early stopping", (4, 10, 3), 150, {"early_stopping": True}),
    ):
        task = sizes, 64, "adam", rng.standard_normal((num_rows, sizes[0])), np.arange(num_rows) % sizes[-1], 20
        turns = [partial(steps.sklearn_fit, *task, kind, **options) for kind in (MLPClassifier, NetClassifier)]
        pairs = [[steps.seconds(turn, 1) for turn in turns] for _ in range(ROUNDS + 1)][1:]
        yield row(f"NetClassifier.fit, {what}", "MLPClassifier", median_ratio(*zip(*pairs, strict=True)))


def measured_before(path, rows):
    """The rows of a file of figures that are not among these."""
    known = {(it["what"], it["against"]) for it in rows}
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    return [it for it in before if (it["what"], it["against"]) not in known]


PARTS = {f.__name__: f for f in (fits, shapes, networks, busy, searches, first_use, plain, others)}


def text_of(it):
    """A row as it is printed."""
    bar = "" if it["bar"] is None else f"{'<=' if it['less'] else '>='} {it['bar']:g}"
    reached = it["bar"] is None or (it["ratio"] <= it["bar"] if it["less"] else it["ratio"] >= it["bar"])
    return f"{it['what']:<48}{it['against']:<22}{it['ratio']:>7.2f}  {bar:<9}{'' if reached else 'not reached'}"


def machine():
    """What the figures were measured on."""
    versions = f"NumPy {np.__version__}, PyTorch {torch.__version__}, scikit-learn {sklearn.__version__}"
    clock = "processor time, one thread" if steps.CLOCK[0] is time.process_time else f"{kernels.num_threads()} threads"
    return f"{versions}, {kernels.describe()['blas']}, {clock}, load {os.getloadavg()[0]:.1f}"


# What the documents say -----------------------------------------------------------------------------------------------


def milliseconds(seconds):
    return f"{seconds * 1e3:.3g} ms"


def dense_table(rows):
    """README's: `fit` of dense networks, time of a step."""
    yield "| `fit`, time of a step | `Trainer.fit` | PyTorch | `NetClassifier` | `MLPClassifier` |"
    yield "|---|---|---|---|---|"
    ratios = {it["what"]: it["ratio"] for it in rows if it["against"] == "MLPClassifier"}
    for ours in rows:
        if ours["what"] in BARS and ours["against"] == "PyTorch":
            t = {who: milliseconds(value) for who, value in ours["times"].items()}
            cells = f"{t['handgrad']} | {t['PyTorch']} ({ours['ratio']:.3g}x) | {t['NetClassifier']}"
            yield f"| {ours['what']} | {cells} | {t['MLPClassifier']} ({ratios[ours['what']]:.3g}x) |"


def image_table(rows):
    """README's and results.md's: steps of image networks."""
    yield "| one training step | NumPy alone | `[fast]` | PyTorch | PyTorch, channels last | `[fast]` : the better |"
    yield "|---|---|---|---|---|---|"
    for it in rows:
        if it["what"].startswith("a step of") and "NumPy alone" in it["times"]:
            cells = " | ".join(milliseconds(value) for value in it["times"].values())
            yield f"| `{it['what'].split()[3].strip(',')}` | {cells} | {it['ratio']:.2f}x |"


def shape_table(rows):
    """scikit-learn.md's: NetClassifier.fit beside MLPClassifier's."""
    yield "| `fit` of `NetClassifier` | times as fast as `MLPClassifier` |\n|---|---|"
    for it in rows:
        if it["against"] == "MLPClassifier" and it["what"] not in BARS:
            yield f"| {it['what'].replace('NetClassifier.fit, ', '')} | {it['ratio']:.3g} |"


TABLES = {"dense": dense_table, "images": image_table, "shapes": shape_table}
PAGES = {"README.md": ("dense", "images"), "docs/results.md": ("images",), "docs/scikit-learn.md": ("shapes",)}


def pages(found):
    """{path: what it says with these figures}."""
    for path, names in PAGES.items():
        text = (ROOT / path).read_text()
        for name in names:
            said = "\n".join([*TABLES[name](found["rows"]), "", f"{found['machine']}.", ""])
            passage = re.compile(rf"(?<=<!-- written: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
            text = passage.sub(lambda _, said=said: said, text, count=1)
        yield ROOT / path, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cpu", action="store_true", help="processor time, one thread for each")
    parser.add_argument(
        "-o", "--output", help="the JSON file of the figures; docs/speed.json writes the documents, too"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.cpu:
        steps.CLOCK[0] = convolution.CLOCK[0] = time.process_time
        hg.set_threads(1)
        torch.set_num_threads(1)
    else:
        torch.set_num_threads(kernels.num_threads())
    print(machine(), flush=True)
    rows = []
    for name in options.only:
        for it in PARTS[name]():
            rows.append(it)
            print(text_of(it), flush=True)
    found = {"machine": machine(), "rows": rows}
    if options.output:
        found["rows"] = [*measured_before(Path(options.output), rows), *rows]
        write_text(options.output, json.dumps(found, indent=1) + "\n")
        if Path(options.output).resolve() == RESULTS:
            for path, text in pages(found):
                path.write_text(text)


if __name__ == "__main__":
    main()
