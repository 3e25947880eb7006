"""Where wrong code in foreign styles is kept, beside the edits of our own pairs in handgrad/teaching/mistakes.toml."""

from collections.abc import Callable
from dataclasses import dataclass

FOREIGN: dict = {}  # name -> Specimen


@dataclass(frozen=True)
class Specimen:
    """One wrong piece of code: the mistake's slug, and what one learns from it.

    make(rng) gives (target, arrays, options) for check_gradients, as `handgrad.teaching.mistakes.Mistake.make` does.
    """

    name: str
    slug: str
    lesson: str
    make: Callable


def specimen(subject, slug, lesson):
    """Keep what make(rng) -> (target, arrays, options) gives as a specimen."""

    def register(make):
        name = f"{subject.replace(' ', '_')}.{make.__name__}"
        if name in FOREIGN:
            raise ValueError(f"two specimens are called {name}")
        FOREIGN[name] = Specimen(name, slug, lesson, make)
        return make

    return register
