"""The receipt as text, as a page and as plain data."""

from .. import html, text

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
        for group, title in (("whole", "{}"), ("optimizers", "two steps of {}")):
            for name in first[group]:
                numbers = [self.number(result[group][name], dtype) for dtype, result in self.results.items()]
                whole.append([title.format(name), *numbers])
        return layers, whole

    def number(self, value, dtype):
        """A difference as text, with a cross where it is too large."""
        if value is None:
            return "–"
        return f"{value:.1e}" if value <= self.tolerances[dtype] else f"✗ {value:.1e}"

    def __str__(self):
        layers, whole = self.tables()
        narrow = [title.replace("parameter gradients", "gradients") for title in layers[0]]
        blocks = [stacked(narrow, layers[1:]), text.aligned(text.figures_from(1, whole[0]), whole[1:]), self.verdict()]
        if self.conventions:
            blocks.append(["What is said differently:", *(f"  {line}" for line in self.conventions)])
        return "\n\n".join("\n".join(block) for block in blocks)

    def as_dict(self):
        """Plain data, for JSON."""
        return {"ok": self.ok, "tolerances": self.tolerances, "results": self.results, "conventions": self.conventions}

    def to_html(self) -> str:
        """A page that stands alone."""
        tables = [html.table(text.figures_from(1, titles), rows, titles[0]) for titles, *rows in self.tables()]
        verdict = [f"<p>{html.mark(' agree ' in line)} {html.escape(line)}</p>" for line in self.verdict()]
        notes = [f"<li>{html.escape(line)}</li>" for line in self.conventions]
        return html.page(
            "handgrad and PyTorch: receipt",
            "<main><h1>The same network twice</h1>",
            *verdict,
            f"<p>{EXPLAINED}</p>",
            *tables,
            "<h2>What is said differently</h2><ul>",
            *notes,
            "</ul></main>",
        )


EXPLAINED = "Largest differences on one batch, relative where numbers are above 1; – where there is nothing to compare."


def stacked(titles: list[str], rows: list[list[str]]) -> list[str]:
    """The layers' table with its titles over two lines: the quantity above, the dtypes below."""
    above = [" ".join(title.split()[:-1]) if i % 2 else "" for i, title in enumerate(titles)]
    below = [titles[0], *(title.split()[-1] for title in titles[1:])]
    return text.aligned(text.figures_from(1, above), [below, *rows])
