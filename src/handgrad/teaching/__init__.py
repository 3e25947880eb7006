"""Write-ups: implementations with their gradient checks, and runs with what their records say, as one document."""

from .writeup import FORMATS as FORMATS
from .writeup import write_up as write_up
