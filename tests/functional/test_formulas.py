"""The formulas of the derivations: what SymPy derives, what is printed, and what our backwards compute are one."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from handgrad import functional as F

pytest.importorskip("sympy")
ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("formulas", ROOT / "docs" / "formulas.py")
formulas = importlib.util.module_from_spec(spec)
spec.loader.exec_module(formulas)


def pair_of(name):
    return getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")


def alike(a, b):
    return np.abs(a - b).max(initial=0) <= 1e-10 * max(1, np.abs(b).max(initial=0))


@pytest.mark.parametrize("name", formulas.ENTRYWISE)
def test_an_activation_is_its_formula(name):
    rng, options = np.random.default_rng(0), formulas.OPTIONS.get(name, {})
    forward, backward = pair_of(name)
    for branch in formulas.ENTRYWISE[name]:
        x, dy = rng.uniform(branch.low, branch.high, 6), rng.normal(size=6)
        y, cache = forward(x, **options)
        (dx,) = backward(dy, cache)
        for number in range(6):
            numbers = {formulas.x: x[number], formulas.y: y[number], formulas.alpha: options.get("alpha", 1)}
            derived = formulas.sp.diff(branch.value, formulas.x)
            assert alike(y[number], formulas.put_in(branch.value, numbers))
            assert alike(dx[number], dy[number] * formulas.put_in(derived, numbers))
            assert alike(dx[number], dy[number] * formulas.put_in(branch.slope, numbers))


@pytest.mark.parametrize("name", formulas.FORMULAS)
def test_a_backward_is_its_formula(name):
    formula, rng = formulas.FORMULAS[name], np.random.default_rng(0)
    draw = formula.draw or formulas.normal(*formula.shapes.items())
    arrays = draw(rng)
    forward, backward = pair_of(name)
    given = {**arrays, "target": arrays["target"].argmax(axis=1)} if name == "hinge" else arrays
    y, cache = forward(*given.values(), **formulas.KEYWORDS.get(name, {}))
    dy = np.asarray(rng.normal(size=np.shape(y)))
    gradients = dict(zip(formula.shapes, backward(dy if dy.ndim else dy.item(), cache), strict=False))
    for array, found in formulas.prove(formula, arrays, np.shape(y), dy):
        if array == "y":
            assert alike(np.asarray(y), found["value"])
        else:
            assert alike(gradients[array], found["derived"]), f"{array}: not what SymPy derives"
            assert alike(gradients[array], found["printed"]), f"{array}: not what the page prints"


def test_every_page_prints_the_formulas_as_they_are():
    for page in formulas.PAGES.glob("*.md"):
        for found in formulas.BLOCK.finditer(page.read_text(encoding="utf-8")):
            assert found[0] == formulas.block(found[1]), f"run python docs/formulas.py ({page.name}: {found[1]})"
    index = (formulas.PAGES / "index.md").read_text(encoding="utf-8")
    assert formulas.proved() in index, "run python docs/formulas.py"
