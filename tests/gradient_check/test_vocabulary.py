"""One vocabulary: the table, the source, the zoo and the page use the same words for mistakes."""

import ast
import re
import runpy
from pathlib import Path

from handgrad.gradient_check.edits import RULES
from handgrad.gradient_check.vocabulary import VOCABULARY, Clue
from handgrad.teaching.mistakes import mistakes
from zoo import SPECIMENS

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "src" / "handgrad"
SOURCE = [path for room in ("gradient_check", "user_code", "user_files") for path in (HOUSE / room).rglob("*.py")]
NO_MISTAKES = {"one-hot", "site-packages", "dist-packages"}


def words_of(path):
    """The string constants of a file that are written like a mistake's name."""
    constants = (n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant))
    return {text for text in constants if isinstance(text, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", text)}


def test_every_word_in_the_source_and_the_zoo_is_in_the_table():
    hyphened = {word for path in SOURCE for word in words_of(path) if "-" in word} - NO_MISTAKES
    assert sorted((hyphened | {s.slug for s in SPECIMENS.values()}) - VOCABULARY.keys()) == []


def test_every_rule_has_a_mistake_of_the_table_and_a_message_that_can_be_told():
    for rule in (rule for rules in RULES.values() for rule in rules):
        names = {n.id for side in (rule.wrong, rule.right) for n in ast.walk(side) if isinstance(n, ast.Name)}
        assert rule.mistake in VOCABULARY
        assert set(re.findall(r"{(\w+)}", rule.message)) <= names | {"new"}, rule.message


def test_every_word_in_the_table_is_used():
    used = {word for path in SOURCE for word in words_of(path)} | {s.slug for s in SPECIMENS.values()}
    used |= {rule.mistake for rules in RULES.values() for rule in rules}
    assert sorted(VOCABULARY.keys() - used) == []


def test_a_term_teaches_and_advises_in_a_sentence_each():
    for term in VOCABULARY.values():
        for sentence in (term.lesson, term.advice):
            assert len(sentence) > 8 and sentence.endswith(".") and "\n" not in sentence
        assert term.link == f"docs/gradient_check.md#{term.slug}"
    assert {term.clue for term in VOCABULARY.values()} == set(Clue)


def test_the_page_has_a_paragraph_on_every_word_that_says_what_the_table_says():
    page = (ROOT / "docs" / "gradient_check.md").read_text()
    written = runpy.run_path(str(ROOT / "docs" / "gradient_check_words.py"))
    assert written["paragraphs"]() in page, "run python docs/gradient_check_words.py"
    assert all(f'<a id="{slug}"></a>' in page for slug in VOCABULARY)


def test_the_zoo_adds_to_the_lesson_of_the_table_and_does_not_repeat_it():
    for mistake in mistakes().values():
        lesson = VOCABULARY[mistake.slug].lesson
        assert mistake.lesson.startswith(lesson) and lesson not in mistake.lesson.removeprefix(lesson)
