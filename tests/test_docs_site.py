"""docs/: what pages show runs as printed, what they link is there, and each drawing is drawn."""

import doctest
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import handgrad

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [*(DOCS / "learn").glob("*.md"), *(DOCS / name for name in ("index.md", "start.md", "training.md", "ship.md"))]
every_page = pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.stem)


def as_anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def load(name, monkeypatch):
    """A script of docs/ as a module."""
    monkeypatch.syspath_prepend(str(DOCS))
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@every_page
def test_what_is_shown_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    report = []
    doctest.DocTestRunner().run(
        doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0), out=report.append
    )
    assert not report, "".join(report)


@every_page
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"(?<!!)\[[^\]]*\]\((?!http)([^)#]*)(?:#([^)]*))?\)", text):
        linked = (page.parent / target).resolve() if target else page
        if not linked.is_relative_to(DOCS / "api") and not linked.is_relative_to(DOCS / "code"):  # which the site makes
            assert linked.exists(), target
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert not anchor or anchor in map(as_anchor, headings)


# what a student asks, the page and section that answers, and a word of the answer
QUESTIONS = {
    "what is a cache": ("learn/why.md", "what-a-cache-is-and-why", "what its backward will need"),
    "why is dy random": ("learn/why.md", "why-dy-is-random-in-a-check", "forget `dy` altogether"),
    "early stopping": ("training.md", "early-stopping", "hg.EarlyStopping"),
    "continue a finished run": ("training.md", "going-on-and-going-on-after-an-interruption", "call it again"),
    "why NHWC": ("learn/why.md", "why-nhwc", "side by side in memory"),
    "what is a batch": ("learn/layer.md", "a-layer-and-a-batch", "Each example is a row"),
    "what is a kink": ("learn/why.md", "kinks", "ReLU has a corner at 0"),
    "overfitting": ("training.md", "overfitting", "learns its training rows by heart"),
    "predict with a saved model": ("training.md", "saving-a-model-and-predicting-with-it", "hg.load_model"),
    "where do my files lie": ("start.md", "where-your-files-lie", "~/.cache/handgrad"),
}


def links_of(page):
    """(page, anchor) of what a page's text links, in docs/."""
    for target, anchor in re.findall(r"(?<!!)\[[^\]]*\]\((?!http)([^)#]*\.md)(?:#([^)]*))?\)", page.read_text("utf-8")):
        linked = (page.parent / target).resolve()
        if linked.is_file() and linked.is_relative_to(DOCS):
            yield linked, anchor


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_within_two_clicks(question):
    name, anchor, words = QUESTIONS[question]
    first = {*links_of(DOCS / "index.md")}
    second = {link for page, _ in first for link in links_of(page)}
    assert (DOCS / name, anchor) in first | second, "no link in the text of index.md, or of what it links"
    _, *parts = re.split(r"^#+ (.*)$", (DOCS / name).read_text("utf-8"), flags=re.MULTILINE)
    sections = dict(zip([as_anchor(title) for title in parts[::2]], parts[1::2], strict=True))
    assert words in sections[anchor]


def test_each_drawing_of_the_pages_is_drawn(monkeypatch):
    pytest.importorskip("matplotlib")
    names = {drawing.__name__ for drawing in load("drawings", monkeypatch).DRAWINGS}
    texts = [page.read_text(encoding="utf-8") for page in (*PAGES, *(DOCS / "derivations").glob("*.md"))]
    assert {name for text in texts for name in re.findall(r"drawings/(\w+)\.svg", text)} == names
    assert {path.stem for path in (DOCS / "drawings").glob("*.svg")} == names


def test_a_drawing_is_its_numbers(monkeypatch):
    pytest.importorskip("matplotlib")
    drawings = load("drawings", monkeypatch)
    assert all(f">{number}<" in drawings.chain() for number in (49, 14, 28, 42))
    drawn, kept = drawings.chain(), (DOCS / "drawings/chain.svg").read_text("utf-8")
    assert drawn.partition("</style>")[2] == kept.partition("</style>")[2]  # colours are those of all pages
    assert "1·1 + 0·3 − 1·2 + 2·0 = -1" in drawings.convolution()


def test_pages_are_put_together(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sympy")
    builder = load("build_site", monkeypatch)
    builder.copy_pages(tmp_path)
    derivation = (tmp_path / "derivations" / "linear.md").read_text(encoding="utf-8")
    assert "](../code/src/handgrad/functional/linear.py.md)" in derivation
    assert (tmp_path / "code" / "src" / "handgrad" / "functional" / "linear.py.md").is_file()
    entry = next(entry for entry in builder.pairs() if entry.name == "linear")
    page = builder.reference_page(entry, "functional")
    assert "../../derivations/linear.md#linear" in page and "`not-summed`" in page and "def linear_backward" in page
    assert "[Reference](../api/functional/linear.md) · Code: " in derivation
    layer = next(entry for entry in builder.public_entries(handgrad.layers) if entry.name == "Linear")
    assert "[linear](../functional/linear.md)" in builder.reference_page(layer, "layers")
    optimizer = next(builder.public_entries(handgrad.optimizers))
    assert "](../../learn/optimizers.md)" in builder.reference_page(optimizer, "optimizers")


def test_every_page_is_in_the_table_of_contents():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    trees = "".join(re.findall(r"```\{toctree\}\n(.*?)```", index, re.S))
    entries = set(re.findall(r"(?:^|<)([\w/-]+)>?$", trees, re.M))
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in [*DOCS.glob("*.md"), *DOCS.glob("*/*.md")]}
    assert pages - {"index"} <= entries
