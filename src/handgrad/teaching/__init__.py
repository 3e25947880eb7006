"""Write-ups: implementations with their gradient checks, and runs with what their records say, as one document."""

from .writeup import FORMATS, write_up

__all__ = ["FORMATS", "write_up"]
