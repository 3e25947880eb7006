"""The kill matrix: which check catches which wrong version, and what it was called.

    python tests/kill_matrix.py [NAME...]

prints it; with names, only these wrong versions and what was said of each.
"""

import sys
from dataclasses import dataclass

import numpy as np

from handgrad import check_gradients
from zoo import SPECIMENS
from zoo.rivals import training_check, usual_check


@dataclass(frozen=True)
class Row:
    """What became of one specimen."""

    specimen: object
    trains: bool  # caught by looking whether it trains
    ones: bool  # caught by the usual check with dy = 1
    random: bool  # caught by the usual check with a random dy
    verdicts: tuple

    @property
    def detected(self):
        return bool(self.verdicts)

    @property
    def named(self):
        return self.specimen.slug in {v.mistake for v in self.verdicts}


def kill_matrix(names=None, seed=0, rivals=True):
    """A Row per specimen, in the zoo's order."""
    return [row(SPECIMENS[name], seed, rivals) for name in names or SPECIMENS]


def row(specimen, seed, rivals=True):
    def fresh():
        target, arrays, options = specimen.make(np.random.default_rng([seed, 77]))
        return target, arrays, options

    others = (False, False, False)
    if rivals:
        with np.errstate(all="ignore"):
            others = (training_check(*fresh()), usual_check(*fresh(), "ones"), usual_check(*fresh(), "random"))
    target, arrays, options = fresh()
    report = check_gradients(target, *arrays, seed=seed, **options)
    return Row(specimen, *others, tuple(report.verdicts))


def render(rows):
    """The matrix as text, a line per specimen and the totals."""
    width = max(len(r.specimen.name) for r in rows)
    lines = [f"{'wrong version':<{width}}  trains  dy=1  dy random  handgrad  verdict"]
    for r in rows:
        marks = "  ".join(
            f"{'caught' if caught else '·':^{size}}"
            for caught, size in ((r.trains, 6), (r.ones, 6), (r.random, 9), (r.detected, 8))
        )
        said = ", ".join(dict.fromkeys(v.mistake for v in r.verdicts)) or "nothing"
        lines.append(f"{r.specimen.name:<{width}}  {marks}  {said}{'' if r.named else f'  (is: {r.specimen.slug})'}")
    return "\n".join([*lines, "", totals(rows)])


def totals(rows):
    count = len(rows)
    figures = [
        ("caught by looking whether it trains", sum(r.trains for r in rows)),
        ("caught by the usual check, dy = 1, threshold 1e-4", sum(r.ones for r in rows)),
        ("caught by the usual check, dy random", sum(r.random for r in rows)),
        ("caught by check_gradients", sum(r.detected for r in rows)),
        ("called by the right name", sum(r.named for r in rows)),
    ]
    return "\n".join(f"{words:<52} {n:3d} of {count} ({n / count:.0%})" for words, n in figures)


def main(names):
    unknown = [name for name in names if name not in SPECIMENS]
    if unknown:
        sys.exit(f"no specimen '{unknown[0]}' in the zoo (run without names to see all {len(SPECIMENS)})")
    rows = kill_matrix(names or None)
    print(render(rows))
    for row in rows if names else ():
        print(f"\n{row.specimen.name}: {row.specimen.lesson}")
        for verdict in row.verdicts:
            print(f"  {verdict}\n    {verdict.evidence}")
    sys.exit(0 if all(row.detected for row in rows) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
