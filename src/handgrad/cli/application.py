"""The command `handgrad`: its subcommands, loaded by name, and its exit codes."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click
from click import shell_completion

from ..naming import require_extra
from ..text import folded, message_line, one_line

SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 110}


NUMBERS = type(click.INT), type(click.FLOAT)  # click keeps their classes to itself


class Verb(NamedTuple):
    """A command: the module beside this one that holds it, imported when it is called; a line of help; an example."""

    module: str
    help: str
    example: str


GROUPS = {
    "Train": {
        "train": Verb("train", "Train a ready example, a table of yours, or a configuration.", "iris --epochs 100"),
        "resume": Verb("train", "Go on with a run that was interrupted, to the same bits.", "RUN"),
        "sweep": Verb(
            "train",
            "Train one configuration with many settings, and compare.",
            "iris --set 'optimizer.learning_rate=log(1e-3,1,7)'",
        ),
        "config": Verb("tools", "Show a configuration as it would run.", "list"),
        "summary": Verb("tools", "Show a network's layers: shapes, parameters, work, memory.", "lenet"),
        "data": Verb("tools", "List, fetch and find data sets.", "get mnist"),
    },
    "Use what was trained": {
        "predict": Verb("runs", "Predict new examples with a run's model.", "RUN new-flowers.csv -o predictions.csv"),
        "generate": Verb("runs", "Continue a text with a run's model.", "RUN --prompt 'Call me '"),
        "export": Verb("runs", "Write a run's network as a file that needs no handgrad.", "RUN -o network.onnx"),
        "compare-engines": Verb("tools", "Prove that a run's model is the same in PyTorch.", "RUN"),
        "export-tensorboard": Verb("runs", "Write a run's figures for TensorBoard.", "RUN"),
    },
    "Look into runs": {
        "runs": Verb("runs", "List runs: filter, sort, find the best.", "--where name=iris --sort test.accuracy"),
        "report": Verb("runs", "Write one page that shows a run.", "RUN"),
        "compare": Verb("runs", "Write one page that compares runs.", "experiments/iris"),
        "judge": Verb("runs", "Say whether runs underfit, overfit or generalize.", "RUN"),
        "watch": Verb("runs", "Show runs in the browser while they train.", "experiments"),
        "evaluate": Verb("runs", "Measure a run's model again.", "RUN"),
        "replay": Verb("runs", "Show one training step layer by layer.", "RUN --step 1"),
    },
    "Learn, prove, teach": {
        "learn": Verb("learn", "Learn backpropagation by exercises, checked as you save.", "exercises"),
        "check": Verb("check", "Check gradients of your own code, and name the mistakes.", "my_layers.py --watch"),
        "writeup": Verb("runs", "Write up runs and code as LaTeX, Markdown or HTML.", "RUN --format html"),
        "courses": Verb("tools", "Courses: copy their packages, run their scripts.", "copy cs189 homework --blank"),
        "assignment": Verb(
            "assignment",
            "Homework: make handouts, grade, sum up a class.",
            "make layer-norm handouts",
        ),
    },
    "This machine": {
        "info": Verb("tools", "Versions, threads and how products are computed.", "iris"),
    },
}
COMMANDS = {name: verb for verbs in GROUPS.values() for name, verb in verbs.items()}


class Lazy(click.Group):
    """A group whose commands are imported when they are called, so that --help is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        with require_extra("app", f"handgrad {name}"):
            module = importlib.import_module(f"handgrad.cli.{COMMANDS[name].module}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        command.epilog = f"Example: {example(name)}"
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from ..naming import nearest

        if arguments and arguments[0] not in COMMANDS:
            raise click.UsageError(f"unknown command '{arguments[0]}'{nearest(arguments[0], COMMANDS)}")
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:18}", verb.help) for name, verb in verbs.items()])
        with formatter.section("Examples"):
            for verbs in GROUPS.values():
                formatter.write_text(example(next(iter(verbs))))


def example(name: str) -> str:
    """A command line that has this command do something."""
    return f"handgrad {name} {COMMANDS[name].example}"


@click.group(cls=Lazy, context_settings=SETTINGS, epilog="handgrad COMMAND --help says more. RUN is a run's folder.")
@click.version_option(package_name="handgrad")
def application() -> None:
    """Neural networks in plain NumPy: train them, look into them, prove their gradients."""


class OrFile(shell_completion.ShellComplete):
    """Completes to a file what nothing else is known of."""

    def get_completions(self, args: list[str], incomplete: str) -> list[shell_completion.CompletionItem]:
        return super().get_completions(args, incomplete) or [shell_completion.CompletionItem(incomplete, type="file")]


@shell_completion.add_completion_class
class Bash(OrFile, shell_completion.BashComplete):
    """In bash."""


@shell_completion.add_completion_class
class Zsh(OrFile, shell_completion.ZshComplete):
    """In zsh."""


@shell_completion.add_completion_class
class Fish(OrFile, shell_completion.FishComplete):
    """In fish."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        code = application.main(arguments, prog_name="handgrad", standalone_mode=False)
        return int(code or 0)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":  # of click 8.2: a group without a command; help, as laid out
            print(problem.format_message(), file=sys.stderr)
            return problem.exit_code
        context = problem.ctx if isinstance(problem, click.UsageError) else None
        help_line = f" (see {context.command_path} --help)" if context else ""
        return complain(told(problem).removesuffix(".") + help_line, problem.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return complain("stopped", 130)
    except (ValueError, TypeError, OSError, ImportError) as problem:
        return complain(problem, 2)
    except Exception as problem:
        from ..experiments import RunFailed  # here, since most commands need nothing that trains

        if not isinstance(problem, RunFailed):
            raise
        return complain(problem, 1)


def told(problem: click.ClickException) -> str:
    """What is wrong: of an option's value what it takes, and what it got."""
    param = problem.param if isinstance(problem, click.BadParameter) else None
    kind = param.type if param else None
    got, is_not, _ = problem.message.partition(" is not ")
    if not param or not is_not or not isinstance(kind, (click.Choice, *NUMBERS)):
        return problem.format_message()
    if isinstance(kind, click.Choice):
        takes = f"one of {', '.join(kind.choices)}"
    else:
        low, high = getattr(kind, "min", None), getattr(kind, "max", None)
        what = "a whole number" if kind.name.startswith("integer") else "a number"
        takes = what if low is None else f"{what} of {low} or more" if high is None else f"{what} from {low} to {high}"
    return f"{param.opts[0]} takes {takes}; got {got}"


def say(line: str) -> None:
    """Print a line of what was found."""
    print(folded(one_line(line), sys.stdout), flush=True)


def warn(problem: object, colour: str = "yellow") -> None:
    """Print what there is to say about the work, as one line of standard error."""
    start, line = "handgrad:", folded(f"handgrad: {message_line(problem)}", sys.stderr)
    if sys.stderr is None:  # as after 2>&-
        return
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        line = click.style(start, fg=colour) + line.removeprefix(start)
    print(line, file=sys.stderr)


def complain(problem: object, code: int) -> int:
    """Print what went wrong, in one line; returns the exit code."""
    if isinstance(problem, OSError) and problem.strerror:  # as Python says it: [Errno 36] File name too long: 'x'
        path = problem.filename2 or problem.filename  # where two are named, the second is written
        problem = f"{path}: {problem.strerror}" if path else problem.strerror
    warn(problem, "red")
    return code
