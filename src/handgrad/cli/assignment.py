"""Homework for a class: handouts made, submissions graded, what the class knows summed up."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..files import check_output, write_json
from ..naming import look_up
from .application import say, warn
from .options import AS_JSON


@click.group()
def assignment() -> None:
    """Homework out of solved source: what a SPEC.toml describes."""


@assignment.command()
@click.argument("spec", metavar="SPEC.toml|NAME")
@click.argument("folder", metavar="DIR")
@click.option("--roster", metavar="FILE.csv", help="The class, with a column id: a handout for each student.")
def make(spec: str, folder: str, roster: str | None) -> None:
    """Write handouts with bodies to write into DIR/handouts, and the solutions into DIR/key."""
    from ..assignment.grading import try_reference
    from ..assignment.make import make
    from ..assignment.specification import read_assignment

    try_reference(read_assignment(spec))
    made = make(spec, folder, roster)
    count = f"{len(made.students)} handouts" if len(made.students) > 1 else "1 handout"
    say(f"{count} in {folder}/handouts, {len(made.written)} files new; {folder}/key is yours alone: never publish it")
    if made.left:
        say(f"left alone, since they were there: {', '.join(str(path) for path in made.left)}")


@assignment.command()
@click.argument("spec", metavar="SPEC.toml|NAME")
@click.argument("submissions", metavar="SUBMISSION...", nargs=-1, required=True)
@click.option("-o", "output", metavar="OUT.json", help="Also write all results: Gradescope's, a list of several.")
@click.option("--key", "folder", metavar="DIR/key", help="What make kept, where each student has a variant.")
@click.option("--seed", type=click.IntRange(0), help="Grade again with the arrays of that seed, which results hold.")
@click.option("-j", "--jobs", default=1, type=click.IntRange(1), help="How many submissions at a time.")
@click.option("--metadata", metavar="FILE.json", help="Gradescope's submission_metadata.json: who handed it in.")
def grade(
    spec: str,
    submissions: Sequence[str],
    output: str | None,
    folder: str | None,
    seed: int | None,
    jobs: int,
    metadata: str | None,
) -> None:
    """Grade folders, .py files, .zip and .tar.gz archives, named like their students.

    Each runs in processes that hold nothing but its own code; what it returns is compared here.
    """
    from ..assignment import grade, read_assignment, read_key
    from ..assignment.gradescope import read_submitters

    if output:
        check_output(output, [spec, *submissions])
    by, key = read_submitters(metadata) if metadata else None, read_key(folder) if folder else None
    done = []
    try:
        for results in grade(read_assignment(spec), submissions, key, seed, jobs, by):
            done.append(results)
            about = results["extra_data"]
            say(f"{about['student']}: {results['score']:g} of {about['max_score']:g}")
            for problem in about["problems"]:
                warn(f"{about['student']}: {problem}")
    finally:
        if output and done:
            write_json(output, done[0] if len(submissions) == 1 else done)


@assignment.command()
@click.argument("spec", metavar="SPEC.toml|NAME")
@click.argument("output", metavar="OUT.zip")
@click.option("--key", "folder", metavar="DIR/key", help="What make kept, where each student has a variant.")
def gradescope(spec: str, output: str, folder: str | None) -> None:
    """Write the archive that Gradescope takes as an autograder. It holds the solutions: never publish it."""
    from ..assignment import read_assignment, read_key
    from ..assignment.gradescope import write_autograder

    say(f"written: {write_autograder(output, read_assignment(spec), read_key(folder) if folder else None)}")


@assignment.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULTS.json...")
@click.option("-o", "--output", metavar="OUT", help="Also write a page (.html), or the points (.csv).")
@click.option("--anonymous", is_flag=True, help="Number the students, and leave their names out.")
@click.option("--roster", metavar="FILE.csv", help="The class: its names are shown, and who handed in nothing.")
@AS_JSON
def summary(results: tuple[str, ...], output: str | None, anonymous: bool, roster: str | None, as_json: bool) -> None:
    """Show where a class stands: points, the mistakes it made, its commonest wrong lines, code that is alike."""
    from ..assignment.summary import FORMATS, summarize, write
    from .show import print_json, table

    if output:
        look_up("format of a summary", check_output(output, [*results, *filter(None, [roster])]).suffix, FORMATS)
    title, sections = summarize(results, anonymous, roster)
    if output:
        write(output, title, sections)
    if as_json:
        print_json({"title": title, "sections": sections})
        return
    say(title)
    for section in sections:
        table(section.columns, section.rows, ": ".join(filter(None, section[:2])))
    if output:
        say(f"written: {output}")
