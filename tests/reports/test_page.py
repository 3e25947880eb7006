"""The report page: what it says is what the run's record says, for every kind of run, and nothing gets out of it."""

import base64
import hashlib
import html
import html.parser
import json
import re
from pathlib import Path

import numpy as np
import pytest

from handgrad import html as html_module
from handgrad.reports import RunView, WrongExample, save_report
from handgrad.reports.page import render_report
from handgrad.text import flatten
from run_views import ATTACK, history, hostile_view, view


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: elements with their attributes, and the text that shows."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._inside = [], [], []
        self.feed(text)
        self.shown = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside):
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(view):
    return Page(render_report(view))


def test_the_page_says_what_the_record_says():
    page = page_of(view())
    assert page.shown.startswith("fashion 2026-01-01")
    for expected in (
        "0.9 test accuracy",
        "3 s",
        "learning_rate 0.1",
        "handgrad train fashion",
        "versions.numpy 2.0",
        "relu1: 1 of 4 units are dead",
        "best: ",
        "coat 5 1 0 83.3%",
        "90% shirt",
        "is coat",
    ):
        assert all(word in page.shown for word in expected.split()), expected
    assert [c["id"] for c in page.all("figure") if "id" in c] == [
        "chart-loss",
        "chart-accuracy",
        "chart-rate",
        "chart-gradient",
        "chart-update",
    ]


def test_charts_hold_the_figures_of_every_epoch():
    charts = {c["id"]: json.loads(c["data-chart"]) for c in page_of(view()).all("figure") if "data-chart" in c}
    train, validation = charts["chart-loss"]["lines"]
    assert (train["label"], validation["label"]) == ("train", "validation")
    assert np.allclose(train["values"], history()["loss"], rtol=1e-4)
    assert np.allclose(validation["values"], history()["validation_loss"], rtol=1e-4)
    assert charts["chart-update"]["lines"][0]["values"][0] is None


def test_every_picture_has_words():
    page = page_of(view())
    assert len(page.all("img")) == 3 + 4 and all(image["alt"] for image in page.all("img"))
    assert all(svg.get("aria-label") for svg in page.all("svg") if svg.get("role") == "img")
    assert all(figure.get("aria-label") for figure in page.all("figure") if "data-chart" in figure)


def test_dead_units_are_marked_among_the_filters():
    seen = view()
    seen.units = [(2, False), (0, True), (1, False), (3, False)]
    page = page_of(seen)
    assert [picture["alt"] for picture in page.all("img") if "dead" in picture["alt"]] == [
        "weights of unit 0, which is dead"
    ]
    assert sum(item.get("class") == "dead" for item in page.all("li")) == 1 and "0 dead" in page.shown


def test_links_lead_to_sections_that_are_there():
    page = page_of(view())
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [link["href"] for link in page.all("a")]
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)


def test_nothing_is_loaded_from_anywhere():
    for tag, attributes in page_of(view()).elements:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, attributes)
    policy = next(m["content"] for m in page_of(view()).all("meta") if m.get("http-equiv"))
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy and "unsafe-eval" not in policy


def test_the_policy_allows_our_scripts_and_no_other():
    text = render_report(view())
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert hashes == set(re.findall(r"'sha256-([^']*)'", html.unescape(text))) and len(scripts) == 1


def test_hostile_names_stay_text():
    page, plain = page_of(hostile_view()), page_of(view())
    assert len(page.all("script")) == len(plain.all("script")) and len(page.all("img")) == len(plain.all("img"))
    assert {name for _, attributes in page.elements for name in attributes if name.startswith("on")} == set()
    assert ATTACK in page.shown and "{{ 7 * 7 }}" in page.shown
    assert not any(attributes.get("src", "").startswith("x") for _, attributes in page.elements)


def test_a_run_that_has_just_begun_is_a_page():
    page = page_of(RunView("iris", "1", status="running"))
    assert "iris 1 running" in page.shown and page.all("figure") == []


def test_a_page_of_a_run_that_trains_says_how_to_go_on_with_it_if_it_was_killed():
    begun = RunView("iris", "1", status="running", folder="my runs/1")
    assert "handgrad resume 'my runs/1' goes on with it" in page_of(begun).shown
    assert "was killed" not in render_report(begun, stamp="1")


def test_without_results_the_last_epoch_is_the_headline():
    figures = {"loss": [1.0, 0.5], "validation_loss": [2.0, 0.75]}
    assert "0.75 validation loss now" in swapped(page_of(RunView("iris", "1", history=figures)).shown)


def swapped(text):
    """Headline figures as they are shown: above their names."""
    return re.sub(r"(validation loss now) (\S+)", r"\2 \1", text)


def test_a_diverged_run_is_a_page():
    figures = {
        "loss": [1.0, 1e30, float("nan"), float("inf")],
        "validation_loss": [None, float("nan"), None, None],
        "learning_rate": [0.0, 0.0, 0.0, 0.0],
    }
    page = page_of(
        RunView(
            "bad",
            "1",
            status="failed",
            history=figures,
            norms={"a": {"gradient": [0, None], "update": [float("nan"), 0]}},
        )
    )
    assert "chart-loss" in {figure["id"] for figure in page.all("figure")}


def test_many_classes_are_told_by_their_worst_mistakes():
    many = view()
    many.confusion, many.class_names = np.eye(30, dtype=int) * 9, [f"class {i}" for i in range(30)]
    many.confusion[3, 7] = 4
    page = page_of(many)
    assert "class 3 class 7 4 30.8%" in page.shown and "class 4 class" not in page.shown


def test_examples_without_images_show_their_values():
    tabular = RunView("iris", "1", wrong=[WrongExample(21, "virginica", "versicolor", 0.6, values={"petal": 4.5})])
    page = page_of(tabular)
    assert "21 virginica versicolor 60.0% 4.5" in page.shown and "petal" in page.shown


def test_a_long_run_stays_small_and_keeps_its_spikes(tmp_path):
    long = view(num_epochs=30_000, size=64)
    long.history["loss"][12_345] = 500.0
    path = save_report(long, tmp_path / "report.html")
    assert path.stat().st_size < 2_000_000
    page = Page(path.read_text())
    assert "between 0.1 and 500" in next(f["aria-label"] for f in page.all("figure") if f.get("id") == "chart-loss")
    tops = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", page_path(page, "chart-loss"))]
    assert min(tops) < 20 and max(tops) > 100


def page_path(page, figure):
    """The first line of a chart."""
    place = next(i for i, (tag, a) in enumerate(page.elements) if a.get("id") == figure)
    return next(a["d"] for tag, a in page.elements[place:] if tag == "path" and "line" in a["class"])


def test_flatten_gives_dotted_keys_and_an_end():
    assert flatten({"a": {"b": [1, {"c": 2}]}, "d": [], "e": None}) == {"a.b.0": 1, "a.b.1.c": 2, "d": [], "e": None}
    deep = current = {}
    for _ in range(900):
        current["x"] = {}
        current = current["x"]
    current["x"] = 1
    assert len(flatten(deep)) == 1 and len(flatten({str(i): i for i in range(10**5)})) < 2000


LONG = "x" * 400, "x" * 300 + "…"


@pytest.mark.parametrize(
    "value, text",
    [
        (0.123456, "0.1235"),
        (None, ""),
        (10000, "10000"),
        (59000.0, "59000"),
        (123456.7, "1.235e+05"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        LONG,
    ],
)
def test_figures_are_short(value, text):
    from handgrad.text import figure_text

    assert figure_text(value) == text


def luminance(colour):
    """Relative luminance (WCAG 2.1) of '#rrggbb'."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_letters_and_lines_stand_out_in_light_and_dark():
    light, dark = html_module.read(html_module.STYLE).split("@media")[:2]
    for sheet in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", sheet))
        paper = luminance(colours["paper"])
        for name in set(colours) - {"paper", "line", "tint", "mark"}:
            darker, lighter = sorted((paper, luminance(colours[name])))
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def test_colours_stand_in_one_file():
    source = Path(html_module.__file__).parent
    files = sorted(path for kind in ("py", "html", "js", "css") for path in source.rglob(f"*.{kind}"))
    coloured = [path for path in files if re.search(r"#[0-9a-fA-F]{6}\b", path.read_text(encoding="utf-8"))]
    assert [path.name for path in coloured if "courses" not in path.parts] == ["html.py", "page.css"]  # one as example
