"""A class at a glance: where students stand, points per task, mistakes, the lines they stand in, code that is alike."""

import csv
import io
import itertools
import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ..datasets.predictions import guarded
from ..files import check_form, from_json, is_device, write_text
from ..gradient_check.vocabulary import VOCABULARY
from ..html import escape, page, table
from ..naming import look_up
from ..text import clipped, column_title, figure_text, figures_from, one_line
from .make import read_roster

Counted = TypeVar("Counted", bound=tuple[str, ...])
Results: TypeAlias = Mapping[str, Any]  # of one submission, as `grade` writes them

MISTAKE = {"array": str, "mistake": str, "line?": int}
FORM = {
    "score": float,
    "tests": [{"name": str, "score": float, "max_score": float}],
    "extra_data": {
        **{"assignment": str, "student": str, "problems?": [str], "files": {str: str}, "handed_out": {str: [int]}},
        "tasks": {str: {"file": str, "mistakes": [MISTAKE]}},
    },
}
K = 8  # tokens in a piece of code that is compared
LEAST_SHARED = 0.5  # of the shorter of two that are called alike
MOST_SHOWN = 20  # rows of tables that could go on
UNREAD = "What could not be graded"


class Section(NamedTuple):
    """A table of the page, with what it says."""

    title: str
    told: str
    columns: list[str]
    rows: Sequence[Sequence[object]]


def summarize(
    paths: Iterable[str | Path], anonymous: bool = False, roster: str | Path | None = None
) -> tuple[str, list[Section]]:
    """(title, sections) of what results say of a class.

    Parameters
    ----------
    paths : iterable of str or path
        Files that `handgrad assignment grade` wrote, of one submission or of many.
    anonymous : bool
        Whether students are numbered, by their scores, in place of their names; lines that name them are left out.
    roster : str or path, optional
        The class as `make` takes it: its column name is shown, and who handed in nothing.

    Returns
    -------
    title : str
        The assignment's.
    sections : list of Section
        Tables to be shown, those without rows left out.

    Raises
    ------
    ValueError
        For a file that holds no results, results of several assignments, and a student who stands there twice.
    """
    found = sorted(read_all(paths), key=lambda results: (-results["score"], student_of(results)))
    titles = sorted({results["extra_data"]["assignment"] for results in found})
    if len(titles) != 1:
        raise ValueError(f"expected results of one assignment, got those of {' and '.join(titles) or 'none'}")
    names = {student_of(it): f"student {i + 1}" if anonymous else student_of(it) for i, it in enumerate(found)}
    listed = {} if anonymous or roster is None else read_roster(roster)
    unread = [] if anonymous else [problems(found, listed)]
    parts = [per_task(found), mistakes(found), wrong_lines(found), likeness(found, names)]
    sections = [standing(found, names, listed), *unread, *parts]
    return titles[0], [section for section in sections if section.rows]


def read_all(paths: Iterable[str | Path]) -> list[Results]:
    """The results in files, each student's once."""
    found: dict[str, Results] = {}
    for path in paths:
        if is_device(path):
            raise ValueError(f"{path} is a device or a pipe; expected a file of results")
        data = from_json(Path(path).read_text(encoding="utf-8", errors="replace"), path)
        for results in data if isinstance(data, list) else [data]:
            check_form(results, FORM, path)
            student = student_of(results)
            if student in found:
                raise ValueError(f"{path}: {clipped(student, 80)} stands in these results twice: leave one out")
            found[student] = results
    return list(found.values())


def student_of(results: Results) -> str:
    return str(results["extra_data"]["student"])


# The sections ---------------------------------------------------------------------------------------------------------


def standing(found: Sequence[Results], names: Mapping[str, str], listed: Mapping[str, str]) -> Section:
    """Students with their points, the most first; a task that a student's variant has not is empty."""
    tasks = list(dict.fromkeys(test["name"] for results in found for test in results["tests"]))
    called = ["name"] if any(listed.values()) else []
    rows = []
    for results in found:
        student, points = student_of(results), {test["name"]: test["score"] for test in results["tests"]}
        of = sum(test["max_score"] for test in results["tests"])
        name = [listed.get(student, "")] * len(called)
        rows.append((names[student], *name, results["score"], of, *map(points.get, tasks)))
    columns = figures_from(1 + len(called), ["student", *called, "points", "of", *tasks])
    return Section("Who stands where", "", columns, rows)


def problems(found: Iterable[Results], listed: Mapping[str, str]) -> Section:
    """What was missing, could not be read or was another student's; then who is on the roster and handed in nothing."""
    rows = [(student_of(it), one_line(line)) for it in found for line in it["extra_data"].get("problems") or ()]
    absent = set(listed) - set(map(student_of, found))
    rows += [(student, "nothing was handed in") for student in listed if student in absent]
    called = ["name"] if any(listed.values()) else []
    named = [(student, *[listed.get(student, "")] * len(called), why) for student, why in rows]
    return Section(UNREAD, "", ["student", *called, "why"], named)


def per_task(found: Sequence[Results]) -> Section:
    """What was reached in each task, by those who had to write it."""
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for test in (test for results in found for test in results["tests"]):
        scores[test["name"]].append((test["score"], test["max_score"]))
    rows = list[tuple[object, ...]]()
    for name, pairs in scores.items():
        mean = sum(score for score, _ in pairs) / len(pairs)
        rows.append((name, len(pairs), mean, pairs[0][1], sum(score >= most for score, most in pairs)))
    return Section("Points per task", "", ["task", ">students", ">mean points", ">of", ">all right"], rows)


def mistakes(found: Sequence[Results]) -> Section:
    """How many students made which mistake in which task, with what is to be learnt from it."""
    made = {(it["mistake"], task, student_of(results)) for results, task, it in each_mistake(found)}
    counts = Counter((slug, task) for slug, task, _ in made)
    lessons = {slug: name.lesson for slug, name in VOCABULARY.items()}
    rows = [(slug, task, count, lessons.get(slug, "")) for (slug, task), count in ordered(counts)]
    return Section("Mistakes that the class made", "", ["mistake", "task", ">students", "lesson"], rows)


def ordered(counts: Mapping[Counted, int]) -> list[tuple[Counted, int]]:
    """What was counted, the most first."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def each_mistake(found: Iterable[Results]) -> Iterator[tuple[Results, str, Mapping[str, Any]]]:
    """(results, task, mistake) of all that were found in code that is not the handout's as it was.

    One that ends several tasks at one line, as an endless loop does, comes once, with its file in the task's place.
    """
    for results in found:
        tasks = results["extra_data"]["tasks"]
        touched = {name: task for name, task in tasks.items() if is_touched(results, task["file"])}
        made = [(name, it) for name, task in touched.items() for it in task["mistakes"]]
        hit = defaultdict(set)
        for name, it in made:
            hit[tasks[name]["file"], it["mistake"], it.get("line")].add(name)
        for name, it in made:
            file, line = tasks[name]["file"], it.get("line")
            yield results, file if line and len(hit[file, it["mistake"], line]) > 1 else name, it


def is_touched(results: Results, file: str) -> bool:
    """Whether a file has lines that the handout had not, or too few of its lines."""
    given, text = results["extra_data"]["handed_out"].get(file, ()), results["extra_data"]["files"].get(file, "")
    return not text or len(set(given)) < len(text.splitlines())


def wrong_lines(found: Sequence[Results]) -> Section:
    """The lines in which mistakes were found, the commonest first, without comments and spaces around."""
    lines = ((task, line_at(results, task, it.get("line")), it, results) for results, task, it in each_mistake(found))
    wrong = {(task, line, it["mistake"], student_of(results)) for task, line, it, results in lines if line}
    counts = Counter((task, line, slug) for task, line, slug, _ in wrong)
    rows = [(line, task, slug, count) for (task, line, slug), count in ordered(counts)[:MOST_SHOWN]]
    return Section("The commonest wrong lines", "", ["line", "task", "mistake", ">students"], rows)


def line_at(results: Results, task: str, number: int | None) -> str:
    """A line of the file that a task stands in, or '' where it was handed out as it is."""
    extra = results["extra_data"]
    file = extra["tasks"].get(task, {"file": task})["file"]
    lines = dict(enumerate(extra["files"].get(file, "").splitlines(), 1))
    given = number in extra["handed_out"].get(file, ())
    return "" if number is None or given else clipped(one_line(lines.get(number, "").partition("#")[0]), 160)


# Likeness -------------------------------------------------------------------------------------------------------------


def likeness(found: Sequence[Results], names: Mapping[str, str]) -> Section:
    """Pairs of students whose own code is alike, in pieces that few others have.

    A piece is K tokens in a row, with names as one and the same and comments left out, so that renaming changes
    nothing: the fingerprints of Schleimer, Wilkerson & Aiken (2003), all of them kept. Lines of the handout, and
    pieces that more than a quarter of the class has, are no evidence.
    """
    pieces = {student_of(results): set(pieces_of(results)) for results in found}
    counts = Counter(piece for own in pieces.values() for piece in own)
    most = max(2, len(found) // 4)
    rare = {student: {piece for piece in own if counts[piece] <= most} for student, own in pieces.items()}
    rows = []
    for first, second in itertools.combinations(rare, 2):
        shared, least = len(rare[first] & rare[second]), min(len(rare[first]), len(rare[second]))
        if least and shared >= max(K, LEAST_SHARED * least):
            rows.append((names[first], names[second], f"{shared / least:.0%}", shared))
    told = "A reason to look at both, and no proof: what a course teaches makes answers alike."
    columns = ["student", "and", ">of the shorter", ">pieces shared"]
    return Section("Code that is alike", told, columns, sorted(rows, key=lambda row: -row[3])[:MOST_SHOWN])


def pieces_of(results: Results) -> Iterator[tuple[str, ...]]:
    """Each K tokens in a row of a student's own lines."""
    for name, text in results["extra_data"]["files"].items():
        given = set(results["extra_data"]["handed_out"].get(name, ()))
        tokens = [word for line, word in words_of(text) if line not in given]
        yield from zip(*(tokens[start:] for start in range(K)), strict=False)


def words_of(text: str) -> Iterator[tuple[int, str]]:
    """(line, token) of a source as far as it is one, with 'v' for names but those behind a dot, and no comments."""
    left_out = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    before = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            is_free = token.type == tokenize.NAME and before != "." and not keyword.iskeyword(token.string)
            if token.type not in left_out:
                yield token.start[0], "v" if is_free else token.string
            before = token.string
    except (tokenize.TokenError, SyntaxError):
        return


# Shown ----------------------------------------------------------------------------------------------------------------


def as_page(title: str, sections: Sequence[Section]) -> str:
    """The tables as a page that stands alone."""
    parts = [f"<h2>{it.title}</h2>\n<p>{it.told}</p>\n{table(it.columns, it.rows, it.title)}" for it in sections]
    return page(title, '<main class="words">', f"<h1>{escape(title)}</h1>", *parts, "</main>")


def as_csv(title: str, sections: Sequence[Section]) -> str:
    """Students, points and what could not be graded, for a spreadsheet: nothing in it is taken for a formula."""
    output = io.StringIO()
    columns, rows = [column_title(it) for it in sections[0].columns], sections[0].rows
    if unread := [row for section in sections if section.title == UNREAD for row in section.rows]:
        shown = {row[0] for row in rows}
        columns = [*columns, "problems"]
        rows = [(*row, "; ".join(str(it[-1]) for it in unread if it[0] == row[0])) for row in rows]
        rows += [(*it[:-1], *[""] * (len(columns) - len(it)), it[-1]) for it in unread if it[0] not in shown]
    csv.writer(output, lineterminator="\n").writerows(map(guarded, map(figure_text, row)) for row in (columns, *rows))
    return output.getvalue()


FORMATS = {".html": as_page, ".csv": as_csv}


def write(path: str | Path, title: str, sections: Sequence[Section]) -> None:
    """Write the page, or the points, as the file's name says."""
    write_text(path, look_up("format of a summary", Path(path).suffix, FORMATS)(title, sections))
