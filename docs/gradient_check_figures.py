"""Measure what docs/gradient_check.md says, and write it there: python docs/gradient_check_figures.py [ROUNDS].

Each passage between <!-- measured: NAME --> and <!-- end --> is replaced, and its pictures are drawn anew.
With ROUNDS, that many random checks of all right code are made too (1,000 take over an hour).
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np

import handgrad as hg
from handgrad import functional as F

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from kill_matrix import kill_matrix, totals  # noqa: E402 (it stands beside the tests)

PAGE = HERE / "gradient_check.md"


def softmax_slopes():
    """For each method and step, the error of <dy, dsoftmax/dx> along a direction, against the exact gradient."""
    rng = np.random.default_rng(0)
    x, dy, v = (rng.normal(size=(8, 10)) for _ in range(3))
    _, cache = F.softmax_forward(x)
    exact = np.sum(F.softmax_backward(dy, cache)[0] * v)

    def value(t):
        return np.sum(dy * F.softmax_forward(x + t * v)[0])

    def central(h):
        return (value(h) - value(-h)) / (2 * h)

    methods = {
        "one-sided differences": lambda h: (value(h) - value(0)) / h,
        "central differences": central,
        "extrapolated (Richardson)": lambda h: (4 * central(h / 2) - central(h)) / 3,
        "complex step": lambda h: value(1j * h).imag / h,
    }
    steps = 10.0 ** np.arange(-20, 0.01, 0.25)
    return steps, {name: np.array([abs(slope(h) / exact - 1) for h in steps]) for name, slope in methods.items()}


def draw_steps(steps, errors):
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "handgrad"
    figure, axes = plt.subplots(figsize=(7, 4))
    for (name, values), colour in zip(errors.items(), ("#b8b8b8", "#2166ac", "#1b9e77", "#d66014"), strict=True):
        axes.loglog(steps, np.maximum(values, 1e-17), label=name, color=colour, linewidth=2)
    axes.set(xlabel="step h", ylabel="relative error of the derivative", ylim=(1e-17, 10))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(HERE / "gradient_check_steps.svg", metadata={"Date": None})


def steps_table(steps, errors):
    lines = ["| method | best error | at h = | error at h = 1e-5 |", "|---|---|---|---|"]
    near = int(np.argmin(np.abs(np.log10(steps) + 5)))
    lines += [
        f"| {name} | {values.min():.0e} | {steps[values.argmin()]:.0e} | {values[near]:.0e} |"
        for name, values in errors.items()
    ]
    return "\n".join(lines)


def kink_flips():
    """How many entries of a weight a fixed step of 1e-3 gets wrong in a layer of ReLUs, and how many handgrad does."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(100, 50)), rng.normal(size=(50, 40)), np.zeros(40)
    dy = rng.normal(size=(100, 40))

    def forward(x, weight, bias):
        z = x @ weight + bias
        return np.maximum(z.astype(np.float64, casting="same_kind"), 0), (x, weight, z)

    def backward(dy, cache):
        x, weight, z = cache
        dz = dy * (z > 0)
        return dz @ weight.T, x.T @ dz, dz.sum(axis=0)

    exact = backward(dy, forward(x, weight, bias)[1])[1]
    lines = ["| fixed step h | entries of 2,000 wrong by more than 1e-6 |", "|---|---|"]
    for h in (1e-2, 1e-3, 1e-4, 1e-5):
        numeric = np.empty_like(weight)
        for index in np.ndindex(weight.shape):
            sides = []
            for step in (h, -h):
                moved = weight.copy()
                moved[index] += step
                sides.append(np.sum(dy * forward(x, moved, bias)[0]))
            numeric[index] = (sides[0] - sides[1]) / (2 * h)
        off = np.abs(numeric - exact) / (np.abs(numeric) + np.abs(exact))
        lines.append(f"| {h:g} | {int((off > 1e-6).sum()):,} |")
    report = hg.check_gradients((forward, backward), x, weight, bias, max_entries=2000, seconds=600)
    crossed = sum(kink.array == "weight" for kink in report.kinks)
    lines.append(f"| `check_gradients` | 0, error {report['weight'].error:.0e}, with smaller steps for {crossed} |")
    assert report.ok, report
    return "\n".join(lines)


def accuracy():
    """The error of the complex step against hand-written gradients."""
    rng = np.random.default_rng(1)
    cases = {
        "linear": (rng.normal(size=(8, 6)), rng.normal(size=(6, 5)), rng.normal(size=5)),
        "conv2d": (rng.normal(size=(2, 6, 6, 3)), rng.normal(size=(3, 3, 3, 4)), rng.normal(size=4)),
        "batch_norm": (rng.normal(size=(8, 6)), rng.normal(size=6), rng.normal(size=6)),
        "softmax": (rng.normal(size=(8, 6)),),
        "cross_entropy": (rng.normal(size=(8, 6)), rng.integers(0, 6, 8)),
    }
    lines = ["| pair | largest error of an array |", "|---|---|"]
    for name, arrays in cases.items():
        report = hg.check_gradients((getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")), *arrays)
        assert report.ok and report.max_error < 1e-13, report
        lines.append(f"| {name} | {report.max_error:.0e} |")
    return "\n".join(lines)


def cost():
    """Seconds of one core, the best of five."""
    rng = np.random.default_rng(2)
    images = rng.normal(size=(4, 8, 8, 3)), rng.normal(size=(3, 3, 3, 8)), rng.normal(size=8)
    real = (lambda x: (np.maximum(x.astype(np.float64, casting="same_kind"), 0), x), lambda dy, x: (dy * (x > 0),))
    dense, x = hg.Linear(100).build(1000, rng=0), rng.normal(size=(32, 1000))
    work = {
        "softmax, 1,000 entries": ((F.softmax_forward, F.softmax_backward), rng.normal(size=(20, 50))),
        "a ReLU that takes no complex numbers, 1,000 entries": (real, rng.normal(size=(20, 50))),
        "conv2d, 984 entries": ((F.conv2d_forward, F.conv2d_backward), *images),
        "a dense layer of 100,100 parameters on 32 x 1,000 numbers (sampled)": (dense, x),
    }
    lines = ["| check | seconds of one core |", "|---|---|"]
    for name, (target, *arrays) in work.items():
        lines.append(f"| {name} | {min(timed(target, arrays) for _ in range(5)):.2g} |")
    return "\n".join(lines)


def timed(target, arrays):
    start = time.process_time()
    assert hg.check_gradients(target, *arrays).ok
    return time.process_time() - start


def zoo():
    return "```\n" + totals(kill_matrix()) + "\n```"


def alarms(rounds):
    script = HERE.parent / "tests" / "right_code.py"
    done = subprocess.run([sys.executable, script, str(rounds)], capture_output=True, text=True, check=True)
    return f"`python tests/right_code.py {rounds}`: {done.stdout.splitlines()[-1]}."


def write(name, text):
    """Put text into the page's passage of this name."""
    passage = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, count = passage.subn(lambda match: f"{match[1]}{text}\n{match[2]}", PAGE.read_text())
    if count != 1:
        raise ValueError(f"{PAGE} has {count} passages 'measured: {name}', it should have one")
    PAGE.write_text(page)


def normalize(x, gamma, beta):
    xmu = x - x.mean(axis=0)
    var = (xmu**2).mean(axis=0)
    xhat = xmu / np.sqrt(var + 1e-5)
    return gamma * xhat + beta


def draw_normalization():
    """The graph of a batch norm, as the page's example draws it."""
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=4)
    hg.draw_graph(normalize, *arrays).save(HERE / "gradient_check_graph.svg")


def main():
    draw_normalization()
    steps, errors = softmax_slopes()
    draw_steps(steps, errors)
    write("steps", steps_table(steps, errors))
    for measure in (kink_flips, accuracy, cost, zoo):
        write(measure.__name__, measure())
        print(measure.__name__, flush=True)
    if len(sys.argv) > 1:
        write("alarms", alarms(int(sys.argv[1])))


if __name__ == "__main__":
    main()
