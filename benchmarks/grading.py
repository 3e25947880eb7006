"""A class of 200 graded: ten tasks each, most right, some wrong, and how long it takes; hanging ones cost their limit.

python benchmarks/grading.py [--students 200] [--jobs 2] [--hanging 0]
python benchmarks/grading.py --variants 100   # whether the key of each student's variant gets all points
"""

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

from handgrad.assignment import grade, read_assignment, read_key
from handgrad.assignment.make import make

LAYERS = '''
import numpy as np


def relu_forward(x):
    """max(x, 0)."""
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    """dx."""
    return dy * (x > 0)


def sigmoid_forward(x):
    """1 / (1 + exp(-x))."""
    y = 1 / (1 + np.exp(-x))
    return y, y


def sigmoid_backward(dy, y):
    """dx."""
    return dy * y * (1 - y)


def affine_forward(x, weight, bias):
    """x W + b."""
    return x @ weight + bias, (x, weight)


def affine_backward(dy, cache):
    """dx, dweight, dbias."""
    x, weight = cache
    return dy @ weight.T, x.T @ dy, dy.sum(axis=0)


def softmax_forward(x):
    """exp(x) over its sum along the rows."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y


def softmax_backward(dy, y):
    """dx."""
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))


def layer_norm_forward(x, gamma, beta):
    """gamma (x - mean) / std + beta, along the rows."""
    std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    normalized = (x - x.mean(axis=1, keepdims=True)) / std
    return gamma * normalized + beta, (normalized, gamma, std)


def layer_norm_backward(dy, cache):
    """dx, dgamma, dbeta."""
    normalized, gamma, std = cache
    dn = dy * gamma
    dx = (dn - dn.mean(axis=1, keepdims=True) - normalized * (dn * normalized).mean(axis=1, keepdims=True)) / std
    return dx, (dy * normalized).sum(axis=0), dy.sum(axis=0)
'''
INPUTS = {
    "relu": "x = [8, 6]",
    "sigmoid": "x = [8, 6]",
    "affine": "x = [8, 6], weight = [6, 5], bias = [5]",
    "softmax": "x = [8, 6]",
    "layer_norm": "x = [8, 6], gamma = [6], beta = [6]",
}
MISTAKES = [
    ("return dy * (x > 0)", "return dy * (dy > 0)"),
    ("dy * y * (1 - y)", "dy * y"),
    ("x.T @ dy, dy.sum(axis=0)", "x.T @ dy / len(x), dy.sum(axis=0)"),
    ("y * (dy - (dy * y).sum(axis=1, keepdims=True))", "y * (1 - y) * dy"),
    ("dn - dn.mean(axis=1, keepdims=True) - ", "dn - "),
    ("x.var(axis=1, keepdims=True)", "x.var(axis=0, keepdims=True)"),
]
HANGING = ("return dy * (x > 0)", "while True: pass")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--hanging", type=int, default=0)
    parser.add_argument("--variants", type=int, default=0)
    options = parser.parse_args()
    if options.variants:
        return grade_variants(options.variants, options.jobs)
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        spec = write_spec(Path(folder))
        paths = [Path(folder, f"student{number}.py") for number in range(options.students)]
        for number, path in enumerate(paths):
            edits = [HANGING] if number < options.hanging else rng.sample(MISTAKES, rng.choice([0, 0, 1, 2]))
            path.write_text(edited(LAYERS, edits))
        started = time.perf_counter()
        scores = [results["score"] for results in grade(read_assignment(spec), paths, jobs=options.jobs)]
        seconds = time.perf_counter() - started
    used, about = sum(os.times()[:4]), f"{options.hanging} hanging, {options.jobs} at a time"  # children included
    print(f"{len(scores)} submissions of ten tasks, {about}: {seconds:.0f} s")
    print(f"{used:.0f} s of processor time")
    print(f"mean score {sum(scores) / len(scores):.2f} of 10")


def grade_variants(students: int, jobs: int) -> None:
    """Draw everything that can differ between students, and grade each one's solution."""
    with tempfile.TemporaryDirectory() as folder:
        spec, out = write_spec(Path(folder)), Path(folder, "out")
        with open(spec, "a") as file:
            file.write("[variant]\nblank = 5\nshapes = true\nconstants = { SLOPE = [0.01, 0.05] }\n")
            file.write('find_the_bug = { "layer norm" = 2, softmax = 2 }\n')
        with open(spec.parent / "layers.py", "a") as file:
            file.write("\n\nSLOPE = 0.1\n")
        roster = Path(folder, "roster.csv")
        roster.write_text("\n".join(["id", *(f"s{number}" for number in range(students))]))
        made, key = make(spec, out, roster), read_key(out / "key")
        solved = [out / "key" / "solutions" / student for student in made.students]
        results = list(grade(read_assignment(spec), solved, key, jobs=jobs))
    full = sum(it["score"] == it["extra_data"]["max_score"] for it in results)
    different = len({str({**told, "student": ""}) for told in key.variants.values()})
    print(f"{students} students, {different} unlike tasks, shapes and constants: {full} solutions with all points")


def write_spec(folder: Path) -> Path:
    """The assignment: forward and backward of each layer."""
    tasks = [
        f'[[tasks]]\nfunction = "{name}_{way}"\ninputs = {{ {inputs} }}\n'
        for name, inputs in INPUTS.items()
        for way in ("forward", "backward")
    ]
    (folder / "spec").mkdir()
    (folder / "spec" / "layers.py").write_text(LAYERS)
    (folder / "spec" / "SPEC.toml").write_text('title = "Ten"\nfiles = ["layers.py"]\n' + "\n".join(tasks))
    return folder / "spec" / "SPEC.toml"


def edited(text: str, edits: list[tuple[str, str]]) -> str:
    for right, wrong in edits:
        text = text.replace(right, wrong)
    return text


if __name__ == "__main__":
    main()
