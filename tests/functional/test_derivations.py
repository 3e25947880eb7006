"""docs/derivations: a page per functional file, a section per pair, links that lead somewhere, examples that run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from handgrad import functional as F

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "derivations").glob("*.md"))
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def pairs_by_module():
    """The names of the pairs that each file of functional/ defines."""
    found = {}
    for module_info in pkgutil.iter_modules(F.__path__):
        module = importlib.import_module(f"{F.__name__}.{module_info.name}")
        names = [name for name in vars(module) if name.endswith("_forward")]
        found[module_info.name] = [
            name.removesuffix("_forward") for name in names if getattr(module, name).__module__ == module.__name__
        ]
    return found


def sections(page):
    """Heading -> text of each second-level section."""
    _, *parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.splitlines()[0].strip(): part for part in parts}


@pytest.mark.parametrize(
    ("module", "pair"), [(module, pair) for module, pairs in pairs_by_module().items() for pair in pairs]
)
def test_each_pair_has_its_section(module, pair):
    page = ROOT / "docs" / "derivations" / f"{module}.md"
    assert page in PAGES, f"no page {page.relative_to(ROOT)}"
    assert pair in sections(page), f"no section '## {pair}' in {page.relative_to(ROOT)}"
    section = sections(page)[pair]
    assert f"(../../src/handgrad/functional/{module}.py)" in section, "no link to the code"
    assert f"F.{pair}_" in section or f'"{pair}"' in section, "no example"
    assert ">>> " in section, "no example"


@every_page
def test_the_examples_run(page):
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    report = []
    doctest.DocTestRunner().run(examples, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "notation.md"], ids=lambda page: page.stem)
def test_the_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve() if target else page
        if linked.parent.name == "drawings":  # drawn by the site: tests/test_docs_site.py holds that each is
            continue
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {heading.strip().lower().replace(" ", "-") for heading in headings}
