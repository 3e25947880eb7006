"""The zoo: every wrong version we keep, edits of our own pairs and whole code in foreign styles."""

from handgrad.teaching.mistakes import mistakes

from . import layers, models, students  # noqa: F401 (they register)
from .specimens import FOREIGN

SPECIMENS = {**mistakes(), **FOREIGN}
