"""The command `handgrad`: its subcommands, loaded by name, and its exit codes."""

import importlib
import sys
from collections.abc import Sequence

import click

from ..text import message_line

# command -> (module beside this one, one line of help): a command is imported when it is called.
COMMANDS = {
    "train": ("train", "Train a ready example, a table of yours, or a configuration."),
    "resume": ("train", "Go on with a run that was interrupted, to the same bits."),
    "sweep": ("train", "Train one configuration with many settings, and compare."),
    "predict": ("runs", "Predict new examples with a run's model."),
    "generate": ("runs", "Continue a text with a run's model."),
    "evaluate": ("runs", "Measure a run's model again."),
    "replay": ("runs", "Show one training step layer by layer."),
    "runs": ("runs", "List runs: filter, sort, find the best."),
    "learn": ("learn", "Learn backpropagation by exercises, checked as you save."),
    "check": ("check", "Check gradients of your own code, and name the mistakes."),
    "report": ("runs", "Write one page that shows a run."),
    "judge": ("runs", "Say whether runs underfit, overfit or generalize."),
    "writeup": ("runs", "Write up runs and code as LaTeX, Markdown or HTML."),
    "compare": ("runs", "Write one page that compares runs."),
    "compare-engines": ("tools", "Prove that a run's model is the same in PyTorch."),
    "watch": ("runs", "Show runs in the browser while they train."),
    "export": ("runs", "Write a run's network as a file that needs no handgrad."),
    "export-tensorboard": ("runs", "Write a run's figures for TensorBoard."),
    "config": ("tools", "Show a configuration as it would run."),
    "data": ("tools", "List, fetch and find data sets."),
    "courses": ("tools", "Courses: copy their packages, run their scripts."),
    "assignment": ("assignment", "Homework: make handouts, grade, sum up a class."),
    "info": ("tools", "Versions, threads and how products are computed."),
}


class Lazy(click.Group):
    """A group whose commands are imported when they are called, so that --help is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"handgrad.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from ..naming import nearest

        if arguments and arguments[0] not in COMMANDS:
            raise click.UsageError(f"unknown command '{arguments[0]}'{nearest(arguments[0], COMMANDS)}")
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="handgrad")
def application() -> None:
    """Neural networks in plain NumPy: train them, look into them, prove their gradients."""


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
        return complain(problem.format_message() + help_line, problem.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return complain("stopped", 130)
    except (ValueError, TypeError, OSError, ImportError) as problem:
        return complain(problem, 2)
    except Exception as problem:
        from ..experiments import RunFailed  # here, since most commands need nothing that trains

        if not isinstance(problem, RunFailed):
            raise
        return complain(problem, 1)


def complain(problem: object, code: int) -> int:
    """Print what went wrong, in one line; returns the exit code."""
    print(f"handgrad: {message_line(problem)}", file=sys.stderr)
    return code
