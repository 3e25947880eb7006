"""Every kind of page there is, of small real runs: for tests in a browser, and for `scripts/screenshots` to look at."""

import contextlib
import json
import threading
import urllib.request

import numpy as np

import handgrad as hg
from handgrad import functional as F
from handgrad.experiments import RunFailed, configure, train
from handgrad.experiments.gather import LiveRuns, gather, gather_several
from handgrad.experiments.run_folder import Run
from handgrad.reports import save_comparison, save_report
from handgrad.reports.watch import WatchServer
from handgrad.teaching import write_up
from run_views import history, hostile_view, view

CONVOLUTION = (
    'model.layers=[{layer="Conv2D",filters=16,kernel_size=3},"ReLU","MaxPool2D","Flatten",'
    '{layer="Linear",units="classes"}]'
)

LINEAR = 'model.layers=[{layer="Linear",units=1}]'

# name of the run: (what is trained, the keys that are changed)
RUNS = {
    "classification": ("digits", ["epochs=12", "optimizer.learning_rate=0.02"]),
    "table": ("iris", ["epochs=30"]),
    "regression": ("diabetes", ["epochs=40"]),
    "one_epoch": ("images.npz", ["epochs=1", "batch_size=8", 'schedule={name="one_cycle",per="step"}', CONVOLUTION]),
    "images": ("images.npz", ["epochs=6", "batch_size=16", CONVOLUTION]),
    "diverged": (
        "diabetes",
        ["epochs=30", 'optimizer={name="sgd",learning_rate=0.9}', 'model.layers=[{layer="Linear",units=1}]'],
    ),
    "collapsed": ("digits", ["epochs=4", 'optimizer={name="sgd",learning_rate=20}']),
    "interrupted": ("iris", ["epochs=8", "recording.checkpoint_epochs=1"]),
    "classes30": ("many.npz", ["epochs=10"]),
}
PAGES = (
    *RUNS, "hostile", "comparison", "comparison_diverged", "hostile_comparison", "sweep", "settings40", "watch",
    "check", "check_right", "intermediates", "receipt", "writeup",
)  # fmt: skip


def make_runs(folder):
    """The runs, a folder each, with seeds 0 and 1 of one of them and a small sweep beside."""
    folder.mkdir(parents=True, exist_ok=True)
    write_images(folder / "images.npz", num_classes=4, channels=3)
    write_images(folder / "many.npz", num_classes=30, channels=1)
    for name, (source, changes) in RUNS.items():
        source = str(folder / source) if source.endswith(".npz") else source
        run_one(source, [f'name="{name}"', *changes], folder / name / "2026-01-01-120000")
    interrupt(folder / "interrupted/2026-01-01-120000/run.json")
    for rate in (0.2, 0.02):
        for seed in (0, 1):
            changes = ["epochs=10", f"seed={seed}", f"optimizer.learning_rate={rate}"]
            run_one("iris", ['name="seeds"', *changes], folder / f"seeds/{rate}-{seed}")
    for number, (rate, units) in enumerate((rate, units) for rate in (0.01, 0.1, 1.0) for units in (4, 16)):
        changes = ["epochs=5", f"optimizer.learning_rate={rate}", f"model.layers.0.units={units}"]
        run_one("iris", ['name="grid"', *changes], folder / f"grid/{number:03d}")


def run_one(source, changes, folder):
    with contextlib.suppress(RunFailed):
        train(
            configure(source, overrides=changes), folder=folder, progress=False, command=["handgrad", "train", source]
        )


def interrupt(file):
    """A run as one that was interrupted leaves it."""
    record = json.loads(file.read_text())
    record = {key: value for key, value in record.items() if key not in ("results", "ended")}
    file.write_text(json.dumps({**record, "status": "interrupted"}))
    lines = (file.parent / "metrics.jsonl").read_text().splitlines(keepends=True)
    (file.parent / "metrics.jsonl").write_text("".join(lines[: len(lines) // 2]))


def write_images(path, num_classes, channels):
    """Noisy 12x12 pictures, each class with a bright spot of its own."""
    rng = np.random.default_rng(0)
    y = np.arange(12 * num_classes) % num_classes
    x = rng.integers(0, 190, (len(y), 12, 12, channels), dtype=np.uint8)
    for i, label in enumerate(y):
        down, across = 2 * (label // 6), 2 * (label % 6)
        x[i, down : down + 3, across : across + 3] += 60
    np.savez(path, x=x, y=np.array([f"class {label}" for label in y]))


def make_pages(runs, folder):
    """Every page, of the runs that `make_runs` made, as NAME.html in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNS:
        save_report(gather(Run(runs / name / "2026-01-01-120000")), folder / f"{name}.html")
    save_report(hostile_view(), folder / "hostile.html")
    save_comparison(gather_several([runs / "seeds"]), folder / "comparison.html")
    save_comparison(gather_several([runs / "grid"]), folder / "sweep.html")
    diverged = gather_several([runs / "regression", runs / "diverged"])
    save_comparison(diverged, folder / "comparison_diverged.html")
    save_comparison([hostile_view(), view()], folder / "hostile_comparison.html")
    save_comparison(forty_settings(), folder / "settings40.html")
    with WatchServer(LiveRuns(runs)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        (folder / "watch.html").write_bytes(urllib.request.urlopen(server.url).read())
        server.shutdown()
    for name, page in code_pages().items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    write_up([runs / "seeds"], folder / "writeup.html", "html", code=["handgrad.functional.linear"])
    return {name: folder / f"{name}.html" for name in PAGES if (folder / f"{name}.html").is_file()}


def forty_settings():
    """Runs of forty settings of four keys, as plain data."""
    rng, views = np.random.default_rng(0), []
    for number in range(40):
        rate, units = float(10 ** rng.uniform(-4, 0)), int(2 ** rng.integers(2, 9))
        one = view(seed=0, learning_rate=rate)
        one.id = f"{number:03d}"
        one.configuration["model"] = {"layers": [{"layer": "Linear", "units": units}]}
        one.configuration["batch_size"] = int(rng.choice([16, 32, 64]))
        one.configuration["optimizer"]["name"] = str(rng.choice(["adam", "sgd"]))
        shift = (np.log10(rate) + 2) ** 2 / 10 + rng.normal() / 50
        one.history = {k: [v + shift * ("loss" in k) for v in values] for k, values in history(30, number).items()}
        one.results = {"validation accuracy": 0.93 - shift / 3, "validation loss": 0.3 + shift}
        views.append(one)
    return views


def wrong_backward(dy, cache):
    x, weight = cache
    dx = dy @ weight.T
    dweight = x.T @ dy / len(x)
    dbias = dy.sum(axis=0)
    return dx, dweight, dbias


def code_pages():
    """The pages about code: checks, every value on the way, and where PyTorch is, its receipt."""
    rng = np.random.default_rng(1)
    x, weight, bias = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    pair = (F.linear_forward, wrong_backward)
    pages = {
        "check": hg.check_gradients(pair, x, weight, bias).to_html(),
        "check_right": hg.check_gradients((F.relu_forward, F.relu_backward), rng.normal(size=(30, 40))).to_html(),
        "intermediates": hg.intermediates(pair, x, weight, bias).to_html(),
    }
    with contextlib.suppress(ImportError):
        from handgrad.torch_twin import compare

        layers = [hg.Linear(8), hg.BatchNorm(), hg.ReLU(), hg.Linear(3)]
        pages["receipt"] = compare(hg.Sequential(layers).build(4, rng=0), None, x, np.array([0, 1, 2, 0, 1])).to_html()
    return pages
