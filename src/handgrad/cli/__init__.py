"""The command line: parse, load, call. A command is loaded when it is called, and imports what it needs when run."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from ..naming import require_extra
from ..text import COLUMNS, MAX_LINE

if TYPE_CHECKING:
    from typing_extensions import Buffer


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 the work failed, 2 bad input, 130 interrupted (Ctrl-C, SIGTERM, SIGHUP).

    Where nobody reads what is printed any more, as after `| head -1`, the work goes on, and its code is the exit code.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        os.environ[COLUMNS] = str(min(MAX_LINE, shutil.get_terminal_size().columns))
    for name in ("stdout", "stderr"):
        is_ours = getattr(sys, name) is getattr(sys, f"__{name}__")  # not in a notebook or a test
        if is_ours and sys.platform != "win32":  # whose consoles are no files
            with contextlib.suppress(AttributeError, OSError):  # none at all, as after >&-
                setattr(sys, name, unbroken(getattr(sys, name)))
    try:
        with require_extra("app", "the command line"):
            from .application import run
        with interrupted_by_signals():
            sys.exit(run(arguments))
    except ImportError as problem:
        print(f"handgrad: {problem}", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP, where nobody handles or ignores them, do what Ctrl-C does: end in order."""
    in_main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if in_main and hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def unbroken(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream that writes where this one does, and minds neither readers who are gone nor letters it does not know."""
    raw = Unbroken(stream.fileno(), "w", closefd=False)
    buffer = raw if stream.write_through else io.BufferedWriter(raw)  # PYTHONUNBUFFERED: a log must not wait
    is_lenient = stream.errors != "strict" and (stream.errors != "surrogateescape" or "utf" in stream.encoding.lower())
    errors = stream.errors if is_lenient else "replace"
    return io.TextIOWrapper(buffer, stream.encoding, errors, None, stream.line_buffering, stream.write_through)


class Unbroken(io.FileIO):
    """A pipe or terminal whose other end may be closed: what is written then is lost, and that is all."""

    def write(self, data: Buffer) -> int:
        try:
            return super().write(data) or 0
        except OSError as problem:
            if problem.errno not in (errno.EPIPE, errno.EIO):
                raise
            return memoryview(data).nbytes
