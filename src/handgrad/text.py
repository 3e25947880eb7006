"""Text for people to read: durations, and what is safe to show."""

import math
from typing import Any


def duration(seconds: Any) -> str | None:
    """'2.5 s', '7 min 12 s', '1 h 3 min'; None for what is no finite number."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return None
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def printable(text: object, replacement: str = "") -> str:
    """The text with tabs as spaces and without other control characters, which no document may hold."""
    shown = (c if c.isprintable() or c in "\n\u00a0" else replacement for c in str(text).expandtabs(4))
    return "".join(shown)


def one_line(text: object) -> str:
    """The text in one line, with '?' for what could steer a terminal."""
    return printable(" ".join(str(text).split()), "?")
