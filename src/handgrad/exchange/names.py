"""Names that may hold anything, as names in other languages, and as text that ends no comment and no string."""

import re
from collections.abc import Container, Iterable


def identifiers(names: Iterable[str], taken: Container[str] = ()) -> dict[str, str]:
    """{name: one of letters, digits and _, which no other name has and which is none of those taken}."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        stem = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "value"
        stem = f"n{stem}" if stem[0].isdigit() else stem
        number, made = 1, stem
        while made in taken or made in found.values():
            number += 1
            made = f"{stem}_{number}"
        found[name] = made
    return found


def harmless(text: object) -> str:
    """The text with '?' for all but letters, digits, spaces and a few signs: for comments in any language."""
    return re.sub(r"[^\w .,:;=()\[\]+-]|--+", "?", str(text), flags=re.ASCII)
