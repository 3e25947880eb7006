"""What every format needs: its templates, and the program that runs its files."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..text import message_line

TEMPLATES = Path(__file__).parent / "templates"


def read(name: str) -> str:
    """A template."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def output_of(command: Sequence[str | Path], given: bytes = b"") -> bytes:
    """What a program prints that reads what is given; a ValueError with what it complains of."""
    found = subprocess.run(command, input=given, capture_output=True, check=False)
    if found.returncode:
        raise ValueError(f"{command[0]} fails: {message_line(found.stderr.decode(errors='replace').strip())}")
    return found.stdout
