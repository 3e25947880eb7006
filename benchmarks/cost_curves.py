"""What training costs as things grow: time and peak memory, handgrad beside PyTorch and scikit-learn, as a page.

    python benchmarks/cost_curves.py -o page.html [--quick] [--only batch width]

Each point is a process of its own: it trains once to warm up, then the median of five times of an epoch is taken,
handgrad's in a fit of 100 steps at least, which compiled calls do where they can, and the most memory that it needed
beyond what it had when its libraries were loaded. PyTorch is eager, with the better of one thread and all;
scikit-learn is MLPClassifier, which has no images. The machine's load stands on the page: ratios count, and only
those of a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

AXES = {  # what grows: (what is trained, its places)
    "batch": ("784-256-128-10, Adam", [1, 4, 16, 64, 256, 1024, 4096]),
    "width": ("784-w-w-10, Adam, batch 64", [16, 64, 256, 1024, 4096]),
    "depth": ("128 units a layer, Adam, batch 64", [1, 2, 4, 8, 16, 32]),
    "image size": ("conv 32, conv 64, dense 10; SGD, batch 16", [8, 16, 32, 64, 128]),
    "threads": ("cifar-cnn's three convolutions, SGD, batch 64", [1, 2]),
    "rows": ("20-50-2, Adam, batch 200", [1_000, 10_000, 100_000, 1_000_000]),
}
CONTESTANTS = {
    "handgrad": "var(--train)",
    "NumPy alone": "var(--series-2)",
    "PyTorch": "var(--validation)",
    "scikit-learn": "var(--series-1)",
}
STEPS = 8  # in an epoch, but where the rows are what grows


def task(axis, place):
    """What to train: {'shape', 'hidden' or 'filters', 'outputs', 'batch', 'rows', 'adam'}."""
    it = {"shape": (784,), "hidden": [256, 128], "outputs": 10, "batch": 64, "adam": True}
    if axis == "batch":
        it["batch"] = place
    elif axis == "width":
        it["hidden"] = [place, place]
    elif axis == "depth":
        it.update(shape=(128,), hidden=[128] * place)
    elif axis == "image size":
        it.update(shape=(place, place, 3), hidden=[], filters=[32, 64], batch=16, adam=False)
    elif axis == "threads":
        it.update(shape=(32, 32, 3), hidden=[], filters=[32, 64, 128], adam=False)
    else:
        it.update(shape=(20,), hidden=[50], outputs=2, batch=200, rows=place)
    return {"rows": STEPS * it["batch"], "filters": [], **it}


# The contestants: each a function that trains, and how many epochs it does -------------------------------------------


def handgrad_epoch(it, x, y):
    import handgrad as hg

    blocks = [[hg.Conv2D(n, 3, padding=1), hg.BatchNorm(), hg.ReLU(), hg.MaxPool2D()] for n in it["filters"]]
    dense = [layer for units in it["hidden"] for layer in (hg.Linear(units), hg.ReLU())]
    layers = [*(layer for block in blocks for layer in block), *[hg.Flatten()] * bool(blocks), *dense]
    model = hg.Sequential([*layers, hg.Linear(it["outputs"])])
    rule = hg.Adam(1e-3) if it["adam"] else hg.SGD(0.01, momentum=0.9)
    trainer = hg.Trainer(model, hg.CrossEntropy(), rule, seed=0)
    epochs = 1 if blocks else -(-100 * it["batch"] // len(x))  # fewer steps are not worth compiling: see `Trainer.fit`
    return lambda: trainer.fit(x, y, epochs=epochs, batch_size=it["batch"]), epochs


def torch_epoch(it, x, y):
    import torch
    from torch import nn

    if threads := os.environ.get("HANDGRAD_THREADS"):
        torch.set_num_threads(int(threads))
    channels, layers, size = it["shape"][-1], [], it["shape"]
    for n in it["filters"]:
        layers += [nn.Conv2d(channels, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU(), nn.MaxPool2d(2)]
        channels, size = n, (size[0] // 2, size[1] // 2, n)
    inputs = int(np.prod(size))
    layers += [nn.Flatten()] * bool(it["filters"])
    for units in [*it["hidden"], it["outputs"]]:
        layers += [nn.Linear(inputs, units), nn.ReLU()]
        inputs = units
    model, loss = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    if it["filters"]:  # channels_last, the faster layout here
        model, x = model.to(memory_format=torch.channels_last), x.permute(0, 3, 1, 2)
    parameters = model.parameters()
    rule = torch.optim.Adam(parameters, 1e-3) if it["adam"] else torch.optim.SGD(parameters, 0.01, momentum=0.9)

    def epoch():
        order = torch.randperm(len(x))
        for start in range(0, len(x), it["batch"]):
            rows = order[start : start + it["batch"]]
            rule.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            rule.step()

    return epoch, 1


def sklearn_epoch(it, x, y):
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    sizes = {"hidden_layer_sizes": it["hidden"], "batch_size": it["batch"]}
    network = MLPClassifier(**sizes, max_iter=1, warm_start=True, alpha=0.0, random_state=0)
    return lambda: network.fit(x, y), 1


EPOCHS = {"handgrad": handgrad_epoch, "PyTorch": torch_epoch, "scikit-learn": sklearn_epoch}


def memory(key):
    """VmRSS or VmHWM of this process in bytes; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(key)), 0)


def measure(contestant, axis, place):
    """[seconds of a step (of an epoch, by rows), bytes at most]."""
    it = task(axis, place)
    rng = np.random.default_rng(0)
    x = rng.random((it["rows"], *it["shape"]), dtype=np.float32)
    y = np.arange(it["rows"]) % it["outputs"]
    small = {**it, "rows": it["batch"], "hidden": it["hidden"] and [4], "filters": it["filters"] and [16]}
    EPOCHS[contestant](small, x[: it["batch"]], y[: it["batch"]])[0]()  # libraries loaded, functions compiled
    before = memory("VmRSS")
    if before:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    train, epochs = EPOCHS[contestant](it, x, y)
    train()
    times = []
    while len(times) < 5 and epochs * sum(times) < 20:
        start = time.perf_counter()
        train()
        times.append((time.perf_counter() - start) / epochs)
    steps = 1 if axis == "rows" else STEPS
    return [float(np.median(times)) / steps, memory("VmHWM") - before]


def ask(contestant, axis, place, threads):
    """`measure` in a process of its own; None where it failed."""
    count = str(threads)
    limits = {"HANDGRAD_THREADS": count, "OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count}
    limits["HANDGRAD_KERNELS"] = "numpy" if contestant == "NumPy alone" else "auto"
    job = json.dumps([contestant.replace("NumPy alone", "handgrad"), axis, place])
    command = [sys.executable, __file__, "--measure", job]
    done = subprocess.run(command, env={**os.environ, **limits}, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{contestant}, {axis} {place}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def curves(axis, places, cores):
    """{contestant: [[seconds, bytes] or None for each place]}."""
    found = {}
    for name in CONTESTANTS:
        if name == "scikit-learn" and axis in ("image size", "threads"):
            continue
        found[name] = []
        for place in places:
            counts = [place] if axis == "threads" else sorted({1, cores}) if name == "PyTorch" else [cores]
            answers = [answer for count in counts if (answer := ask(name, axis, place, count))]
            found[name].append(min(answers) if answers else None)
            print(f"{axis:>12} {place:>9,}  {name:<14}{found[name][-1]}", flush=True)
    return found


# The page -------------------------------------------------------------------------------------------------------------


def crossovers(axis, places, found):
    """A sentence for each other contestant: where it is faster than handgrad, and by how much."""
    for name, theirs in found.items():
        if name in ("handgrad", "NumPy alone"):
            continue
        both = zip(places, theirs, found["handgrad"], strict=True)
        ratios = [(place, their[0] / our[0]) for place, their, our in both if their and our]
        if not ratios:
            continue
        lost = [(place, 1 / ratio) for place, ratio in ratios if ratio < 1]
        low, high = min(ratio for _, ratio in ratios), max(ratio for _, ratio in ratios)
        where = ", ".join(f"{place:,} ({ratio:.2g}x)" for place, ratio in lost)
        said = f"{name} is faster at {axis} {where}" if lost else "handgrad is faster throughout"
        yield f"{said}; {name} takes {low:.2g} to {high:.2g} times handgrad's time."


def render(found, cores, load):
    """The page as text."""
    from handgrad import html, kernels
    from handgrad.reports.charts import Line, line_chart
    from handgrad.reports.page import FILES, environment

    chart = environment().get_template("parts.html").module.chart
    blas, convolutions = (html.escape(str(kernels.describe()[key])) for key in ("blas", "convolutions"))
    body = [
        "<main><h1>What training costs as things grow</h1>",
        f"<p>{cores} threads, {blas}; convolutions: {convolutions}. "
        f"Load of the machine before and after: {load[0]:.1f} and {load[1]:.1f}. Medians of five epochs.</p>",
    ]
    for axis, (places, lines) in found.items():
        what, names = AXES[axis][0], [f"{place:,}" for place in places]
        body.append(f"<h2>By {axis}</h2><p>{html.escape(what)}.</p>")
        body += [f"<p>{html.escape(said)}</p>" for said in crossovers(axis, places, lines)]
        unit = "an epoch" if axis == "rows" else "a step"
        drawn, columns = [], []
        for index, title, factor in ((0, f"milliseconds {unit}", 1e3), (1, "peak memory, MB", 1e-6)):
            values = {n: [None if v is None else factor * v[index] for v in line] for n, line in lines.items()}
            columns += [(f">{name}, {title}", line) for name, line in values.items()]
            figures = [Line(name, line, CONTESTANTS[name]) for name, line in values.items()]
            key = f"{axis}-{index}".replace(" ", "-")
            drawn.append(line_chart(key, title, figures, log=True, axis=axis, points=names))
        body.append(f'<div class="charts">{"".join(str(chart(c)) for c in drawn if c)}</div>')
        rows = [[name, *(line[i] for _, line in columns)] for i, name in enumerate(names)]
        body.append(html.table([axis, *(name for name, _ in columns)], rows, f"the figures by {axis}"))
    scripts = [html.read(FILES / "charts.js")]
    return html.page("What training costs as things grow", *body, "</main>", scripts=scripts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", default="cost_curves.html", help="the page to write")
    parser.add_argument("--quick", action="store_true", help="the first three places of each axis")
    parser.add_argument("--only", nargs="+", choices=AXES, default=list(AXES), help="what is to grow")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*json.loads(options.measure))))
        return
    from handgrad.files import check_output, write_text
    from handgrad.kernels.threads import len_affinity

    check_output(options.output, [])
    cores, before, found = len_affinity(), os.getloadavg()[0], {}
    for axis in options.only:
        places = AXES[axis][1][: 3 if options.quick else None]
        found[axis] = places, curves(axis, places, cores)
    write_text(options.output, render(found, cores, (before, os.getloadavg()[0])))
    print(f"page: {options.output}")


if __name__ == "__main__":
    main()
