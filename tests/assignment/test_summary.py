"""A class at a glance: what the page says of made-up results, and what it keeps to itself."""

import json
import re

import pytest

from handgrad.assignment.summary import summarize
from handgrad.cli.application import run as handgrad

OWN = "def relu_backward(dy, cache):\n    kept = np.where(cache > 0, 1.0, 0.0)\n    dx = kept * dy + 0 * cache.sum(0)\n"
RENAMED = OWN.replace("kept", "mask").replace("dx", "gradient").replace("\n", "  # mine\n")
OTHER = "def relu_backward(dy, cache):\n    dx = dy.copy()\n    dx[cache <= 0] = 0\n    return (dx / len(dx) - 1,)\n"
WRONG = "def relu_backward(dy, cache):\n    return ({},)  # by {}\n"


def results(student, score=0.0, code="", slug="", line=None, title="Two layers"):
    mistakes = [{"array": "x", "mistake": slug, "line": line}] if slug else []
    return {
        "score": score,
        "tests": [{"name": "relu backward", "score": score, "max_score": 4.0}],
        "extra_data": {
            "assignment": title,
            "student": student,
            "tasks": {"relu backward": {"file": "layers.py", "arrays": {}, "mistakes": mistakes}},
            "files": {"layers.py": code},
            "handed_out": {"layers.py": [1]},
        },
    }


@pytest.fixture
def write(tmp_path):
    def write(*entries, name="results.json"):
        path = tmp_path / name
        path.write_text(json.dumps(list(entries)))
        return path

    return write


def class_of_six(write):
    return write(
        results("ada", 4.0, OTHER),
        results("bob", 0.0, WRONG.format("dy", "bob"), "derivative-missing", 2),
        results("cid", 0.0, WRONG.format("dy", "cid"), "derivative-missing", 2),
        results("dan", 1.0, WRONG.format("dy * (dy > 0)", "dan"), "mask-from-upstream", 2),
        results("eve", 2.0, OWN),
        results("fay", 2.0, RENAMED),
    )


def test_the_tables_say_where_a_class_stands(write, capsys):
    assert handgrad(["assignment", "summary", str(class_of_six(write))]) == 0
    printed = capsys.readouterr().out
    below = re.split(r"─ *\n", printed.partition("Who stands where")[2])[1]
    standing = [line.split() for line in re.split(r"\n *\n", below)[0].splitlines()]
    assert standing[0] == ["ada", "4", "4", "4"] and standing[-1][0] == "cid"
    _, sections = summarize([class_of_six(write)])
    tables = {section.title: section.rows for section in sections}
    assert tables["Points per task"] == [("relu backward", 6, 1.5, 4.0, 1)]
    (slug, task, count, lesson), _ = tables["Mistakes that the class made"]
    assert (slug, task, count) == ("derivative-missing", "relu backward", 2) and lesson
    assert tables["The commonest wrong lines"][0] == ("return (dy,)", "relu backward", "derivative-missing", 2)


def test_code_that_was_renamed_is_alike_and_the_handouts_lines_are_not_evidence(write):
    _, sections = summarize([class_of_six(write)])
    (pair,) = next(section.rows for section in sections if section.title == "Code that is alike")
    assert pair[:3] == ("eve", "fay", "100%")
    alone = write(*(results(name, 0.0, "def relu_backward(dy, cache, a, b, c, d):\n") for name in ("ada", "bob")))
    assert all(section.title != "Code that is alike" for section in summarize([alone])[1])


def test_what_half_a_class_writes_is_no_evidence(write):
    everybody = write(*(results(f"s{number}", 0.0, OWN) for number in range(10)))
    assert all(section.title != "Code that is alike" for section in summarize([everybody])[1])


def test_anonymous_leaves_every_name_out(write, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert handgrad(["assignment", "summary", str(class_of_six(write)), "--anonymous", "-o", str(page)]) == 0
    for text in (capsys.readouterr().out.partition("\nwritten")[0], page.read_text()):
        assert not re.search(r"\b(ada|bob|cid|dan|eve|fay)\b", text)
        assert "student 1" in text


def test_what_students_wrote_harms_neither_page_nor_spreadsheet(write, tmp_path):
    evil = "<script>alert(1)</script>"
    path = write(
        results("=cmd()", 0.0, f"x = '{evil}'\n", "derivative-missing", 1), results(evil, 1.0, "def f(:\n  '''\n")
    )
    for name in ("page.html", "points.csv"):
        assert handgrad(["assignment", "summary", str(path), "-o", str(tmp_path / name)]) == 0
    page, points = (tmp_path / "page.html").read_text(), (tmp_path / "points.csv").read_text()
    assert evil not in page and "&lt;script&gt;" in page
    assert "\n'=cmd(),0" in points and points.startswith("student,points,of")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([results("ada"), results("ada")], "ada stands in these results twice"),
        ([results("ada"), results("bob", title="Another")], "expected results of one assignment, got those of Another"),
        ([{"score": 1}], "results.json is damaged: 'tests' is missing"),
        ([], "expected results of one assignment, got those of none"),
    ],
)
def test_results_that_do_not_go_together_are_refused(write, capsys, entries, said):
    assert handgrad(["assignment", "summary", str(write(*entries))]) == 2
    assert said in capsys.readouterr().err


def test_files_that_cannot_be_read_or_written_are_named_first(write, tmp_path, capsys):
    (tmp_path / "not.json").write_text("no")
    assert handgrad(["assignment", "summary", str(tmp_path / "not.json")]) == 2
    assert handgrad(["assignment", "summary", str(tmp_path / "none.json")]) == 2
    assert handgrad(["assignment", "summary", str(write(results("ada"))), "-o", str(tmp_path / "x.pdf")]) == 2
    assert "unknown format of a summary '.pdf'" in capsys.readouterr().err


def test_a_bug_that_was_handed_out_is_nobodys_mistake(write):
    untouched, tried = (
        results(name, 0.0, WRONG.format("dy", "us"), "derivative-missing", 2) for name in ("ada", "bob")
    )
    untouched["extra_data"]["handed_out"]["layers.py"] = [1, 2]
    tables = {section.title: section.rows for section in summarize([write(untouched, tried)])[1]}
    assert tables["Mistakes that the class made"][0][2] == 1
    assert tables["The commonest wrong lines"][0][3] == 1
    assert len(summarize([write(untouched)])[1]) == 2


def test_one_endless_loop_is_one_mistake(write):
    looping = results("ada", 0.0, "while True: pass\n", "timed-out", 1)
    looping["extra_data"]["handed_out"] = {}
    looping["extra_data"]["tasks"]["relu forward"] = looping["extra_data"]["tasks"]["relu backward"]
    tables = {section.title: section.rows for section in summarize([write(looping)])[1]}
    assert [row[:3] for row in tables["Mistakes that the class made"]] == [("timed-out", "layers.py", 1)]
    assert tables["The commonest wrong lines"] == [("while True: pass", "layers.py", "timed-out", 1)]


def test_a_roster_gives_names_and_who_is_missing_but_not_on_the_screen(write, tmp_path, capsys):
    broken = results("bob")
    broken["extra_data"]["problems"] = ["it cannot be read: File is not a zip file"]
    (tmp_path / "class.csv").write_text("ID,Name\nada,Ada Lovelace\nbob,Robert Kahn\ndan,Dan Duck\n")
    command = [
        "assignment",
        "summary",
        str(write(results("ada", 4.0), broken)),
        "--roster",
        str(tmp_path / "class.csv"),
    ]
    assert handgrad([*command, "-o", str(tmp_path / "points.csv")]) == 0
    assert "Dan Duck     nothing was handed in" in capsys.readouterr().out
    lines = (tmp_path / "points.csv").read_text().splitlines()
    assert lines[0] == "student,name,points,of,relu backward,problems"
    assert lines[1] == "ada,Ada Lovelace,4,4,4,"
    assert lines[2] == "bob,Robert Kahn,0,4,0,it cannot be read: File is not a zip file"
    assert lines[3] == "dan,Dan Duck,,,,nothing was handed in"
    assert handgrad([*command, "--anonymous"]) == 0
    assert not re.search("Ada|Robert|bob|dan", capsys.readouterr().out)
