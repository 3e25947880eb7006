"""docs/: what pages show runs as printed, what they link is there, and each drawing is drawn."""

import doctest
import importlib.util
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [*(DOCS / "learn").glob("*.md"), *(DOCS / name for name in ("index.md", "start.md", "training.md", "ship.md"))]
every_page = pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.stem)


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
            assert not anchor or anchor in {re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in headings}


def test_each_drawing_of_the_pages_is_drawn(monkeypatch):
    pytest.importorskip("matplotlib")
    names = {drawing.__name__ for drawing in load("drawings", monkeypatch).DRAWINGS}
    texts = [page.read_text(encoding="utf-8") for page in (*PAGES, *(DOCS / "derivations").glob("*.md"))]
    assert {name for text in texts for name in re.findall(r"drawings/(\w+)\.svg", text)} == names


def test_a_drawing_is_its_numbers(monkeypatch):
    pytest.importorskip("matplotlib")
    drawings = load("drawings", monkeypatch)
    assert all(f">{number}<" in drawings.chain() for number in (49, 14, 28, 42))
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


def test_every_page_is_in_the_table_of_contents():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    entries = set(re.findall(r"^[\w/-]+$", "".join(re.findall(r"```\{toctree\}\n(.*?)```", index, re.S)), re.M))
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in [*DOCS.glob("*.md"), *DOCS.glob("*/*.md")]}
    assert pages - {"index"} <= entries
