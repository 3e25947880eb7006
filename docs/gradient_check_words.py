"""Write what docs/gradient_check.md says of each mistake, from the vocabulary and the zoo.

python docs/gradient_check_words.py
"""

import re
from pathlib import Path

from handgrad.gradient_check.vocabulary import VOCABULARY
from handgrad.teaching.mistakes import mistakes

PAGE = Path(__file__).with_name("gradient_check.md")
PASSAGE = re.compile(r"(?<=<!-- written: words -->\n).*?(?=<!-- end -->)", re.DOTALL)


def paragraphs():
    """A heading for each group of the vocabulary, and a paragraph with an anchor for each of its words."""
    lines, group = [], None
    for term in VOCABULARY.values():
        if term.group != group:
            group = term.group
            lines += [f"### {group}", ""]
        lines += [f'<a id="{term.slug}"></a>**`{term.slug}`** {term.lesson} {term.advice}{example(term.slug)}', ""]
    return "\n".join(lines)


def example(slug):
    """' In linear, say, `this` where `that` is due.': the shortest mistake of this name that is one line."""
    edits = [(m.subject.name, *m.wrong, *m.right) for m in mistakes().values() if m.slug == slug]
    single = [lines for lines in edits if len(lines) == 3 and all(lines) and "\n" not in "".join(lines)]
    if not single:
        return ""
    subject, wrong, right = (
        text.removeprefix("return ") for text in min(single, key=lambda lines: len("".join(lines)))
    )
    return f" In {subject}, say, `{wrong}` where `{right}` is due."


if __name__ == "__main__":
    PAGE.write_text(PASSAGE.sub(lambda _: paragraphs(), PAGE.read_text()))
