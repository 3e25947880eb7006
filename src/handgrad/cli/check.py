"""The gradients in a file of somebody's: check, once or whenever it is saved."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import click

from ..files import check_output, write_text
from ..gradient_check.hints import HINTS
from ..gradient_check.report import page_of
from ..text import printable
from ..user_files import Checked, Limits, check_apart, follow, read_source
from .application import complain
from .options import AS_JSON

STYLES = {"✓": "green", "✗": "red", "→": "bold", "?": "yellow"}  # of a line, by the sign that it begins with


@click.command()
@click.argument("file", metavar="FILE.py[:NAME]")
@click.option("--html", "output", metavar="FILE", help="Also write a page with heat maps.")
@AS_JSON
@click.option("--watch", "watching", is_flag=True, help="Check again whenever the file is saved; Ctrl-C ends it.")
@click.option("--hints", default="fix", type=click.Choice([*HINTS]), help="How much is told of a mistake.")
@click.option(
    "--reference", metavar="NAME", help="What the forward should compute: gelu, torch:gelu, or auto, ours of its name."
)
@click.option("--timeout", default=30.0, type=click.FloatRange(0.1, 86400), help="Seconds that each check may take.")
@click.option("--seed", default=0, type=click.IntRange(0), help="The seed of the arrays and upstream gradients.")
@click.pass_context
def check(
    context: click.Context,
    file: str,
    output: str | None,
    as_json: bool,
    watching: bool,
    hints: str,
    reference: str | None,
    timeout: float,
    seed: int,
) -> None:
    """Check the gradients of the layers and pairs in a file of yours, and name the mistakes.

    This imports the file, and so runs its code, in a process of its own; each check runs in a copy of that process.
    Where no process can be copied (not on Linux, or the file starts a thread) each check imports the file anew.

    Exit code 0: every gradient is right. 1: something is wrong. 2: the file, or something in it, cannot be checked.
    """
    path, name = split(file)
    if watching and as_json:
        raise click.UsageError("--watch shows one report after the other, --json is one document: leave one out")
    if output:
        check_output(output, [path])
    options = {"seed": seed, "hints": hints, "reference": True if reference == "auto" else reference}
    checks = partial(check_apart, path, name, options, Limits(seconds=timeout), with_page=bool(output))
    if watching:
        read_source(path)
        with contextlib.suppress(KeyboardInterrupt):
            follow(path, lambda stop: show_again(path, checks(stop), output))
        print()
    else:
        context.exit(print_document(path, checks()) if as_json else show(checks(), output))


def split(file: str) -> tuple[Path, str | None]:
    """'mine.py:Layer' -> (mine.py, 'Layer')."""
    path, colon, name = file.rpartition(":")
    return (Path(path), name) if colon and name.isidentifier() else (Path(file), None)


def show(checks: Iterable[Checked], output: str | None) -> int:
    """Print what comes as it comes, then write the page. Returns the exit code."""
    done: list[Checked] = []
    for checked in checks:
        if parts := list(filter(None, [printable(checked.printed, "?"), checked.text])):
            print_report("\n".join([*[""] * bool(done), *parts]))
        if checked.problem:
            complain(checked.problem, 2)
        done.append(checked)
    pages = [(checked.title, checked.section) for checked in done if checked.section]
    if output and pages:
        write_text(output, page_of(pages))
        print(f"\npage: {output}", flush=True)
    return exit_code(done)


def print_report(report: str) -> None:
    """Print a report, on a terminal in colours: what is right and what is wrong, and the names of mistakes."""
    from .show import console

    output = console()
    for line in report.split("\n"):
        output.print(line, style=STYLES.get(line.strip()[:1]), soft_wrap=True)


def exit_code(checks: Iterable[Checked]) -> int:
    """0 when all is right, 1 when something is wrong, 2 when something could not be checked."""
    codes = {(2 if c.report.get("unchecked") else 0) if c.ok else 2 if c.problem else 1 for c in checks}
    return 1 if 1 in codes else max(codes)


def print_document(path: Path, checks: Iterable[Checked]) -> int:
    """Print all checks as one JSON document. Returns the exit code."""
    refused: ValueError | None = None
    done: list[Checked] = []
    try:
        done.extend(checks)
    except ValueError as problem:
        refused = problem
    entries = [{"name": c.name, **c.report, "printed": c.printed} for c in done if not c.problem]
    problems = [{"name": c.name, "message": c.problem} for c in done if c.problem]
    if refused:
        problems.append({"name": "", "message": str(refused)})
    ok = bool(entries) and not problems and all(entry["ok"] and not entry["unchecked"] for entry in entries)
    from .show import print_json

    print_json({"file": str(path), "ok": ok, "checks": entries, "problems": problems})
    if refused:
        raise refused
    return exit_code(done)


def show_again(path: Path, checks: Iterable[Checked], output: str | None) -> None:
    """One round of watching: on a terminal, with a clear screen before it."""
    clear = "\033[2J\033[H" if sys.stdout.isatty() else ""
    print(f"{clear}{path} at {time.strftime('%H:%M:%S')}: saving it runs its code again (Ctrl-C ends)\n", flush=True)
    try:
        show(checks, output)
    except (ValueError, OSError) as problem:
        complain(problem, 2)
    print(flush=True)
