"""Zoos of people who have not read handgrad: what a check makes of their mistakes, zoo by zoo.

    python tests/zoo/strangers.py b [--seed 0] [--layouts N] [NAME...]
    python tests/zoo/strangers.py right [--layouts N]

prints a line a case and the figures of the zoo; with names, the whole reports of these cases. Each zoo's file marks
the line at fault with `# wrong` and names the variable that is first wrong, the kind of mistake and what a teacher
would say; d says which names it would accept, too. `right` is the zoo of right code, in which every verdict is a false
alarm. With --layouts, N rewrites of a zoo's code that mean the same (staged, in one line, with helpers, loops,
einsum...) are checked in place of the code, the line at fault followed through the rewriting; of wrong code it says
how many rewrites have the name of the original.
"""

import argparse
import importlib
import inspect
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handgrad import check_gradients

sys.path.insert(0, str(Path(__file__).parents[1]))
from zoo.strangers_layouts import generate

# the names that say what a teacher calls a mistake of this kind; a kind of its own words is judged by reading
CALLED = [
    ("factor-missing keyword-factor batch-size-factor class-count-factor element-count-factor kernel-area-factor "
     "factor-two penalty-missing not-averaged extra-product constant-factor", "missing/extra/wrong factor"),
    ("not-summed not-averaged element-count-factor batch-size-factor class-count-factor", "mean for sum/sum for mean"),
    ("transposed", "transposed operand/batched transpose"),
    ("reshaped transposed", "wrong reshape/reshape order"),
    ("wrong-axis not-summed", "wrong axis/forgotten axis/bias axis"),
    ("wrong-variable derivative-at-input value-for-derivative unnormalized-input mask-from-upstream wrong-mask",
     "wrong variable/other variable/cache item/wrong cache/wrong cache item"),
    ("derivative-at-input derivative-at-output wrong-variable", "wrong place"),
    ("derivative-twice upstream-twice function-too-many extra-product", "applied twice"),
    ("upstream-ignored", "forgotten upstream"),
    ("term-misplaced", "wrong eps/eps place/wrong eps place"),
    ("keyword-factor factor-missing", "dropout scale/wrong scale"),
    ("mask-from-upstream wrong-mask", "wrong mask"),
    ("reversed flipped-kernel", "loop order/wrong order"),
    ("shifted wrong-index off-by-one", "wrong slice/padding slice/off by one/off-by-one"),
    ("derivative-missing one-branch factor-missing", "derivative omitted/left out"),
    ("wrong-sign", "sign"),
    ("wrong-exponent", "exponent"),
    ("flipped-kernel", "missing flip"),
    ("overlap-overwritten", "= for +="),
    ("term-missing cross-terms-missing statistics-constant skip-missing", "omitted path/omitted sum"),
]  # fmt: skip
KINDS = {kind: set(names.split()) for names, kinds in CALLED for kind in kinds.split("/")}
KINDS |= {f"{kind} factor": KINDS["wrong factor"] for kind in ("missing", "extra")}


@dataclass(frozen=True)
class Outcome:
    """What a check said of one case."""

    name: str
    variable: str
    kind: str
    what: str
    lines: frozenset  # the numbers of the lines at fault
    report: object
    seconds: float
    accepted: frozenset | None = None  # the names that its author would accept, where the author says
    is_right: bool = False

    @property
    def detected(self):
        return not self.report.ok

    @property
    def slugs(self):
        return {v.mistake for v in self.report.verdicts}

    @property
    def unexplained(self):
        return any(v.mistake == "unexplained" for v in self.report.verdicts)

    @property
    def helped(self):
        """Whether it is named rightly, or placed."""
        return self.placed or bool(self.named)

    @property
    def placed(self):
        """Whether a verdict points at the right variable or line."""
        return any(v.line in self.lines or v.variable == self.variable for v in self.report.verdicts)

    @property
    def named(self):
        """Whether a verdict has a name that its author accepts, or for this kind: None where only a reader can tell."""
        known = KINDS.get(self.kind) if self.accepted is None else self.accepted
        return None if known is None else bool(known & {v.mistake for v in self.report.verdicts})


def lines_at_fault(module, make, target):
    """The numbers of the lines marked `# wrong` in the functions that a case is made of."""
    text = Path(module.__file__).read_text("utf-8").splitlines()
    marked = {number for number, line in enumerate(text, 1) if re.search(r"#\s*wrong\b", line)}
    spans = [span(part) for part in parts_of(target)] + [span(make)]
    return frozenset(n for n in marked if any(first <= n < last for first, last in spans))


def parts_of(target):
    """The functions and classes of a target, and the module's functions that they use."""
    is_code = inspect.isfunction(target) or inspect.isclass(target)
    first = list(target) if isinstance(target, tuple) else [target if is_code else type(target)]
    seen = []
    while first:
        part = first.pop()
        if part in seen or not (inspect.isfunction(part) or inspect.isclass(part)) or not has_source(part):
            continue
        seen.append(part)
        names = re.findall(r"\w+", inspect.getsource(part))
        around = vars(sys.modules[part.__module__])
        first += [around[n] for n in names if inspect.isfunction(around.get(n)) or inspect.isclass(around.get(n))]
        first = [f for f in first if f.__module__ == part.__module__ and f.__name__ not in ("case", "_")]
    return seen


def has_source(part):
    try:
        return bool(inspect.getsource(part))
    except (OSError, TypeError):  # a class that a call has made
        return False


def span(part):
    source, first = inspect.getsourcelines(part)
    return first, first + len(source)


def outcomes(zoo, names=(), seed=0, layouts=0):
    """An Outcome per case of strangers_<zoo>.py, in its order; or per rewrite, so many, of its cases."""
    module = importlib.import_module(f"zoo.strangers_{zoo}")
    cases = {name: [*facts, make] for name, *facts, make in module.CASES if not names or name in names}
    accepted = getattr(module, "EXPECTED", {})
    if layouts:
        for variant in generate(module.__file__, layouts, seed, names=list(cases)):
            with np.errstate(all="ignore"):
                target, arrays, keywords = variant.make(np.random.default_rng([seed, 5]))
            name = f"{variant.name} ({variant.kind})"
            facts, names_due = cases[variant.name][:-1], accepted.get(variant.name)
            yield checked(name, facts, variant.wrong_lines, target, arrays, keywords, seed, names_due)
        return
    for name, (*facts, make) in cases.items():
        with np.errstate(all="ignore"):
            target, arrays, keywords = make(np.random.default_rng([seed, 5]))
        lines = lines_at_fault(module, make, target) if facts else ()
        yield checked(name, facts, lines, target, arrays, keywords, seed, accepted.get(name))


def checked(name, facts, lines, target, arrays, keywords, seed, accepted=None):
    """The outcome of one check. facts: variable, kind and what a teacher would say; none of right code."""
    started = time.process_time()
    report = check_gradients(target, *arrays, kwargs=keywords or None, seed=seed)
    took = time.process_time() - started
    variable, kind, what = facts or ("", "", "right code")
    return Outcome(name, variable, kind, what, frozenset(lines), report, took, accepted, not facts)


def figures(found):
    """The zoo in figures, as text."""
    total, seconds = len(found), [o.seconds for o in found]
    if found[0].is_right:
        return f"{sum(o.detected for o in found)} false alarms in {total} right codes"
    known = [o.named for o in found if o.named is not None]
    rows = [
        ("detected", sum(o.detected for o in found), total),
        ("placed at the right variable or line", sum(o.placed for o in found), total),
        ("helped: placed or named", sum(o.helped for o in found), total),
        ("named, of those of a kind with a name of its own", sum(known), len(known)),
        ("unexplained", sum(o.unexplained for o in found), total),
    ]
    lines = [f"{words:<50} {n:3d} of {of} ({n / max(of, 1):.0%})" for words, n, of in rows]
    return "\n".join([*lines, f"seconds of one core: median {statistics.median(seconds):.2f}, most {max(seconds):.2f}"])


def agreement(alone, rewritten):
    """[(case, slugs as it stands, how many rewrites have the same, how many there are)]: a layout is no mistake."""
    rows = []
    for outcome in alone:
        others = [o for o in rewritten if o.name.startswith(f"{outcome.name} (")]
        rows.append((outcome.name, outcome.slugs, sum(o.slugs == outcome.slugs for o in others), len(others)))
    return rows


def agreement_text(rows):
    same, cells, of = sum(n == m for _, _, n, m in rows), sum(row[2] for row in rows), sum(row[3] for row in rows)
    lines = [f"{name:<45} {n} of {m} as {', '.join(sorted(slugs))}" for name, slugs, n, m in rows if n < m]
    return "\n".join(
        [*lines, f"the same name in all layouts: {same} of {len(rows)} mistakes, {cells} of {of} rewrites"]
    )


def line_of(outcome):
    if outcome.is_right:
        return f"{outcome.name:<60} {'' if outcome.report.ok else ' FALSE ALARM: ' + str(outcome.report.verdicts[0])}"
    said = "; ".join(f"{v.mistake} {v.variable or '?'}@{v.line}" for v in outcome.report.verdicts) or "NOTHING"
    marks = f"{'placed' if outcome.placed else '·':<7}{ {True: 'named', False: 'other'}.get(outcome.named, ''):<6}"
    is_at = f"{outcome.kind} {outcome.variable}@{','.join(map(str, sorted(outcome.lines)))}"
    return f"{outcome.name:<45} {marks} {said}   (is: {is_at})  {outcome.seconds:.2f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoo")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layouts", type=int, default=0)
    given = parser.parse_args()
    try:
        known = [case[0] for case in importlib.import_module(f"zoo.strangers_{given.zoo}").CASES]
    except (ModuleNotFoundError, AttributeError):
        parser.error(f"there is no zoo {given.zoo!r}: b, c, d or right")
    if others := [name for name in given.names if name not in known]:
        parser.error(f"zoo {given.zoo} has no case {others[0]!r}")
    found = []
    for outcome in outcomes(given.zoo, given.names, given.seed, given.layouts):
        found.append(outcome)
        print(f"{outcome.report}\n  IS: {outcome.what}\n" if given.names and not given.layouts else line_of(outcome))
    print(f"\nzoo {given.zoo}\n{figures(found)}")
    if given.layouts and not found[0].is_right:
        print(agreement_text(agreement([*outcomes(given.zoo, given.names, given.seed)], found)))


if __name__ == "__main__":
    main()
