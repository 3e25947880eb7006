"""The command line: parse, load, call. A command is loaded when it is called, and imports what it needs when run."""

import sys


def main(arguments=None):
    """Run a command; returns never, but exits: 0 done, 1 the work failed, 2 bad input, 130 Ctrl-C."""
    try:
        from .application import run
    except ModuleNotFoundError as problem:
        if (problem.name or "").startswith("handgrad"):
            raise
        print(f"handgrad: {problem.name} is missing: pip install 'handgrad[app]'", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(arguments))
