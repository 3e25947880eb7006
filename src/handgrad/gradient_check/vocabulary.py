"""The words for mistakes: what each one teaches, how it is mended, and what its name tells.

The table is vocabulary.json; docs/gradient_check.md has a paragraph on each of its words.
"""

import json
from enum import Enum
from pathlib import Path
from typing import NamedTuple

PAGE = "docs/gradient_check.md"


class Clue(Enum):
    """How much the name of a mistake tells: only a cause is enough to mend it."""

    CAUSE = "the mistake itself"
    EFFECT = "what it looks like in the numbers"
    CHANGE = "what to change in the source, but not why"
    NOTHING = "that the gradient is wrong"


class Term(NamedTuple):
    """A word for a mistake, and what is true of it wherever it is made.

    Attributes
    ----------
    slug : str
        Its name, which stays the same from version to version.
    lesson : str
        What one learns from it, in a sentence.
    advice : str
        How it is mended, in a sentence.
    clue : Clue
        How much the name tells.
    group : str
        The heading that it stands under on the page.
    """

    slug: str
    lesson: str
    advice: str
    clue: Clue
    group: str

    @property
    def lesson_and_advice(self) -> str:
        """Both sentences."""
        return f"{self.lesson} {self.advice}"

    @property
    def link(self) -> str:
        """Where it is explained: the page, from the root of the repository, and the paragraph's anchor."""
        return f"{PAGE}#{self.slug}"


def read_terms(path: Path) -> dict[str, Term]:
    """{slug: Term} of a table, in its order."""
    table: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text("utf-8"))
    return {
        slug: Term(slug, row["lesson"], row["advice"], Clue[row.get("clue", "cause").upper()], group)
        for group, rows in table.items()
        for slug, row in rows.items()
    }


VOCABULARY: dict[str, Term] = read_terms(Path(__file__).with_name("vocabulary.json"))
