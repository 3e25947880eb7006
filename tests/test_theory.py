"""docs/theory.md: its lines run, and it holds the right answers of the homework's exercises."""

import doctest
import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "theory.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXERCISES = json.loads((ROOT / "tests" / "functional" / "cnn_exercises.json").read_text())


def test_every_statement_is_checked_and_every_check_passes():
    text = re.sub(r"^```.*$", "", TEXT, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.stem, str(PAGE), 0)
    report = []
    doctest.DocTestRunner().run(examples, out=report.append)
    assert not report, "".join(report)
    for section in TEXT.split("\n## ")[1:]:
        assert ">>> " in section, f"nothing checks the section {section.splitlines()[0]}"


def test_the_page_answers_the_exercises():
    for row in EXERCISES["convolution"]["y"]:
        assert re.search(r"\[ *" + r", +".join(map(str, row)) + r"\]", TEXT)
    for case in EXERCISES["output_size"]:
        cells = [f"{a} × {b}" for a, b in (case["input"], case["kernel"], case["output"])]
        assert f"| {cells[0]} | {cells[1]} | {case['padding']} | {case['stride']} | {cells[2]} |" in TEXT
    assert {answer["with_bias"] for answer in EXERCISES["parameters"]} == {28, 17, 259}
    assert all(f"= {n}" in TEXT or f": {n}" in TEXT for n in (28, 17, 259))


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target
