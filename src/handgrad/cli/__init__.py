"""The command line: parse, load, call. A command is loaded when it is called, and imports what it needs when run."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from ..naming import require_extra


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 the work failed, 2 bad input, 130 Ctrl-C."""
    try:
        with require_extra("app", "the command line"):
            from .application import run
    except ImportError as problem:
        print(f"handgrad: {problem}", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(arguments))
