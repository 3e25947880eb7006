"""Exercises in the terminal, beside any editor: checked as the file is saved."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

import click
from rich.console import Console
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.syntax import Syntax
from rich.text import Text

from ..files import check_folder
from ..text import COLUMNS, printable
from ..user_files.runner import look_at, next_save
from .application import say
from .options import AS_JSON
from .show import console, print_json, table

if TYPE_CHECKING:
    from ..assignment.lessons import Attempt, Lessons

Typed: TypeAlias = "SimpleQueue[str | None]"  # lines, and None at the end of the input

NARROWEST, WIDEST = 60, 100  # columns
KEYS = {
    "h": "a hint",
    "n": "the next one",
    "NUMBER": "that one",
    "l": "list",
    "s": "the solution, once solved",
    "r": "put a deleted file back",
    "q": "end",
}


@click.command()
@click.argument("folder", metavar="[DIR]", default="handgrad-exercises")
@click.option("--list", "listing", is_flag=True, help="Show how far you are, and end.")
@AS_JSON
def learn(folder: str, listing: bool, as_json: bool) -> None:
    """Learn backpropagation by forty exercises, from a slope to attention.

    Their files are written into DIR, handgrad-exercises unless given. Edit the one that is shown in your editor: it is
    checked as you save it. Press h and Enter for a hint. Progress is kept in DIR, and what is solved unlocks its
    solution.
    """
    from ..assignment.lessons import Lessons, lessons_in
    from ..assignment.specification import read_assignment

    if folder.startswith("-"):
        raise click.UsageError(f"no such option: {folder} (a folder of that name is ./{folder})")
    if listing or as_json:
        lessons = Lessons(read_assignment("backpropagation"), check_folder(folder))
        show_list(lessons) if not as_json else print_json(
            [{"number": it.number, "file": it.file, "solved": it.file in lessons.solved} for it in lessons.exercises]
        )
        return
    with lessons_in(folder) as lessons:
        os.environ[COLUMNS] = str(screen().width - 2)  # what is told stands two to the right
        typed: Typed = SimpleQueue()
        Thread(target=read_lines, args=[typed], daemon=True).start()
        try:
            work(lessons, typed)
        except KeyboardInterrupt:
            print()
        say(f"{len(lessons.solved)} of {len(lessons.exercises)} solved; go on with: handgrad learn {folder}")


def read_lines(typed: Typed) -> None:
    """Pass on what is typed, a line at a time. Not by sys.stdin, whose lock a thread may keep when Python ends."""
    rest = ""
    while read := os.read(0, 4096):
        *lines, rest = (rest + read.decode("utf-8", "replace")).split("\n")
        for line in lines:
            typed.put(line.strip().lower())
    typed.put(None)


def work(lessons: Lessons, typed: Typed) -> None:
    """Show the current exercise and how its file stands, at each save and command anew, until the end is asked for."""
    while True:
        path = lessons.folder / lessons.current.file
        seen = look_at(path)
        show(lessons, lessons.attempt())
        is_due = False
        while not is_due:
            next_save(path, seen, lambda: not typed.empty())
            is_due = look_at(path, seen).digest != seen.digest
            if not typed.empty():
                line = typed.get()
                if line is None or line == "q":
                    return
                is_due |= obey(lessons, line)


def obey(lessons: Lessons, line: str) -> bool:
    """Do what was typed; whether the exercise is to be shown anew."""
    file = lessons.current.file
    commands: dict[str, Callable[[], object]] = {"h": lessons.more_hints, "n": lessons.next, "r": lessons.hand_out}
    shown: dict[str, Callable[[Lessons], object]] = {"l": show_list, "s": show_solution}
    if line == "" and file in lessons.solved:
        line = "n"
    if line == "r" and (lessons.folder / file).exists():
        print(f"{file} is there, and stays as it is: delete or rename it, and r writes it anew")
        return False
    if line in commands:
        commands[line]()
    elif line.isdecimal() and 1 <= int(line) <= len(lessons.exercises):
        lessons.go(int(line))
    elif line.isdecimal():
        print(f"there is no exercise {line}; they are 1 to {len(lessons.exercises)}")
        return False
    elif line in shown:
        shown[line](lessons)
        return False
    else:
        print(f"type one of these, and Enter: {keys()}")
        return False
    return True


def keys() -> str:
    return ", ".join(f"{key} {what}" for key, what in KEYS.items())


# Shown ----------------------------------------------------------------------------------------------------------------


def screen() -> Console:
    """The terminal, at a width that is read easily."""
    output = console()
    output.width = max(NARROWEST, min(output.width, WIDEST))
    return output


def show(lessons: Lessons, attempt: Attempt) -> None:
    """The current exercise, and what came of the attempt at it."""
    output, exercise, num = screen(), lessons.current, len(lessons.exercises)
    if output.is_terminal:
        output.clear()
    output.print(f"Exercise {exercise.number} of {num}   {len(lessons.solved)} solved", style="dim")
    output.print(ProgressBar(num, len(lessons.solved), width=min(40, NARROWEST)))
    output.print()
    output.print(Text(exercise.title, "bold"))
    for paragraph in exercise.text.split("\n\n"):
        is_code = paragraph.startswith("    ")
        output.print(Padding(Text(paragraph if is_code else " ".join(paragraph.split())), (1, 0, 0, 0)))
    output.print(Padding(Text(f"file: {lessons.folder / exercise.file}", "cyan"), (1, 0)))
    mark, style = ("✓ solved", "bold green") if attempt.solved else ("✗ not yet", "bold red")
    about = f": {lessons.task.function}" * (not attempt.solved)
    output.print(Text(f"{mark}{about}   ({time.strftime('%H:%M:%S')})", style))
    for line in attempt.told:
        output.print(Padding(Text(printable(line, "?").strip()), (0, 0, 0, 2 + len(line) - len(line.lstrip()))))
    for number, clue in enumerate(attempt.clues, 1):
        output.print(Padding(Text(f"hint {number}: {clue}", "yellow"), (1, 0, 0, 2)))
    if attempt.solved:
        output.print(Text(f"  our solution: {lessons.folder / 'solutions' / exercise.file}   (s shows it)"))
    if len(lessons.solved) == num:
        output.print(Text("\nAll of it: a gradient is nothing that you could not write yourself now.", "bold green"))
    output.print(Padding(Text("Enter or n: the next one" if attempt.solved else keys(), "dim"), (1, 0, 0, 0)))


def show_list(lessons: Lessons) -> None:
    """All exercises: which are solved, and which is at work."""
    rows = [
        ["✓" if it.file in lessons.solved else "→" if it == lessons.current else "", it.number, it.title]
        for it in lessons.exercises
    ]
    table(["", ">number", "exercise"], rows, f"{len(lessons.solved)} of {len(rows)} solved, in {lessons.folder}")


def show_solution(lessons: Lessons) -> None:
    """Our solution of the current exercise, if it is solved."""
    file = lessons.current.file
    if file not in lessons.unlocked():
        print("a solution is shown when yours is right; h gives a hint")
    else:
        text = lessons.assignment.contents[file].decode()
        screen().print(Syntax(text, "python", theme="ansi_dark", word_wrap=True, background_color="default"))
