"""The receipt as text, as a page and as plain data."""

import html

TOLERANCES = {"float64": 1e-10, "float32": 1e-3}
TITLES = {"output": "output", "dx": "input gradient", "gradients": "parameter gradients", "statistics": "statistics"}


class Receipt:
    """How far a model and its PyTorch twin are apart. ok: every difference within the tolerance of its dtype.

    results: {dtype: {'layers': {label: {quantity: difference}}, 'whole': ..., 'optimizers': ...}}; a difference is
    None where there is nothing to compare.
    """

    tolerances = TOLERANCES

    def __init__(self, labels, results, conventions):
        self.labels, self.results, self.conventions = labels, results, conventions

    def worst(self, dtype="float64"):
        """(difference, where) of the largest one."""
        return max((value, place) for place, value in self.places(dtype) if value is not None)

    @property
    def ok(self):
        return all(self.worst(dtype)[0] <= tolerance for dtype, tolerance in self.tolerances.items())

    def places(self, dtype):
        """Yield ('linear1 output', difference) for everything compared."""
        result = self.results[dtype]
        for label, quantities in result["layers"].items():
            yield from ((f"{label} {TITLES[name]}", value) for name, value in quantities.items())
        for group in ("whole", "optimizers"):
            yield from result[group].items()

    def verdict(self):
        lines = []
        for dtype, tolerance in self.tolerances.items():
            value, place = self.worst(dtype)
            if value <= tolerance:
                lines.append(f"{dtype}: the engines agree to {value:.1e} ({place}; allowed {tolerance:.0e})")
                continue
            wrong = [label for label, found in self.results[dtype]["layers"].items() if found["output"] > tolerance]
            first = f", first in the output of {wrong[0]}" if wrong else ""
            lines.append(f"{dtype}: the engines DIFFER by {value:.1e} ({place}; allowed {tolerance:.0e}){first}")
        return lines

    def tables(self):
        """Two tables of text, each a list of rows with its header first: the layers, and what concerns the whole."""
        head = ["layer", *(f"{TITLES[q]} {dtype}" for q in TITLES for dtype in self.results)]
        layers = [head]
        for label in self.labels:
            found = {dtype: self.results[dtype]["layers"][label] for dtype in self.results}
            layers.append([label, *(self.number(found[dtype][q], dtype) for q in TITLES for dtype in self.results)])
        whole = [["", *self.results]]
        first = next(iter(self.results.values()))
        for group, text in (("whole", "{}"), ("optimizers", "two steps of {}")):
            for name in first[group]:
                numbers = [self.number(result[group][name], dtype) for dtype, result in self.results.items()]
                whole.append([text.format(name), *numbers])
        return layers, whole

    def number(self, value, dtype):
        """A difference as text, with a cross where it is too large."""
        if value is None:
            return "–"
        return f"{value:.1e}" if value <= self.tolerances[dtype] else f"✗ {value:.1e}"

    def __str__(self):
        layers, whole = self.tables()
        narrow = [[*(title.replace("parameter gradients", "gradients") for title in layers[0])], *layers[1:]]
        blocks = [stacked(narrow), aligned(whole), "\n".join(self.verdict())]
        if self.conventions:
            blocks.append("\n".join(["What is said differently:", *(f"  {line}" for line in self.conventions)]))
        return "\n\n".join(blocks)

    def as_dict(self):
        """Plain data, for JSON."""
        return {"ok": self.ok, "tolerances": self.tolerances, "results": self.results, "conventions": self.conventions}

    def to_html(self):
        """A page that stands alone."""
        tables = "".join(html_table(rows) for rows in self.tables())
        verdict = "".join(
            f"<p class='{'good' if ' agree ' in line else 'bad'}'>{html.escape(line)}</p>" for line in self.verdict()
        )
        notes = "".join(f"<li>{html.escape(line)}</li>" for line in self.conventions)
        return PAGE.format(verdict=verdict, tables=tables, notes=notes)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>handgrad and PyTorch: receipt</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }}
body {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1.5rem 0; display: block; overflow-x: auto; }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #8886; text-align: right; }}
td {{ font-variant-numeric: tabular-nums; }}
th:first-child, td:first-child {{ text-align: left; }}
.good::before {{ content: "✓ "; }} .bad {{ font-weight: bold; }} .bad::before {{ content: "✗ "; }}
</style></head><body>
<h1>The same network twice</h1>
{verdict}
<p>Largest differences on one batch, relative where the numbers are above 1; – where there is nothing to compare.</p>
{tables}
<h2>What is said differently</h2><ul>{notes}</ul>
</body></html>
"""


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [
        [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]
    return "\n".join("  ".join(row) for row in padded)


def stacked(rows):
    """The layers' table with its titles over two lines: the quantity above, the dtypes below."""
    above = [" ".join(title.split()[:-1]) if i % 2 else "" for i, title in enumerate(rows[0])]
    below = [rows[0][0], *(title.split()[-1] for title in rows[0][1:])]
    return aligned([above, below, *rows[1:]])


def html_table(rows):
    head = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
