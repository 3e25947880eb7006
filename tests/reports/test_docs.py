"""The page about reports shows what happens."""

import doctest
from pathlib import Path


def test_snippets_print_what_the_page_says(tmp_path, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "reports.md"
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted > 5 and results.failed == 0
    assert {path.name for path in tmp_path.iterdir()} == {"curves.png", "confusion.png"}
