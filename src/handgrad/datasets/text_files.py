"""Texts as data: characters or bytes by number, in sequences that are to tell the next one at each step."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..files import FilePath
from ..naming import check_count, look_up
from .catalog import Text
from .data_files import check_regular, unpacked
from .dataset import Dataset, Split, fingerprint, num_rows

TOKENS = {"characters": "characters", "bytes": "bytes"}
SUFFIXES = (".txt", ".txt.gz")
LENGTH, HELD_OUT = 128, 0.1


def load_text(
    about: Text,
    tokens: str | None = None,
    length: int | None = None,
    validation: float | None = None,
    test: float | None = None,
) -> Dataset:
    """The Dataset of a text, as it is read: its end is the test, what comes before that the validation.

    x are sequences (N, length) of numbers that stand in class_names, and y the same one token on, so that each token
    of the text is told once.
    """
    tokens = look_up("kind of tokens", tokens or "characters", TOKENS)
    length = check_count("load_dataset", "length", LENGTH if length is None else length)
    content = read_bytes(about.path)
    ids: Array
    if tokens == "bytes":
        ids, names = np.frombuffer(content, np.uint8), tuple(map(chr, range(256)))
    else:
        codes = np.frombuffer(as_text(content, about.path).encode("utf-32-le"), np.uint32)
        kinds, ids = np.unique(codes, return_inverse=True)
        names = tuple(map(chr, kinds.tolist()))
    count = (len(ids) - 1) // length
    if count < 3 or len(names) < 2:
        what = f"{about.path} has {len(ids)} {tokens}, {len(names)} of them different"
        raise ValueError(f"{what}: sequences of {length} need {3 * length + 1}, not all the same; write a lower length")
    ids = ids.astype(np.min_scalar_type(len(names) - 1))
    x, y = (ids[start : start + count * length].reshape(count, length) for start in (0, 1))
    num_test = num_rows(HELD_OUT if test is None else test, count, "test")
    num_validation = num_rows(HELD_OUT if validation is None else validation, count - num_test, "validation")
    ends = np.cumsum([count - num_test - num_validation, num_validation, num_test])
    parts = [Split(x[a:b], y[a:b].astype(np.int64)) for a, b in zip([0, *ends], ends, strict=False)]
    splits, target = (part if len(part.y) else None for part in parts), f"the next of the {tokens}"
    return Dataset.of(about, "classification", splits, names, target, fingerprint(ids, length, names), tokens=tokens)


def read_bytes(path: Path) -> bytes:
    """What is in a file, unpacked where it is gzipped."""
    check_regular(path)
    with unpacked(path) as file:
        return bytes(file.read())


def as_text(content: bytes, path: FilePath) -> str:
    """UTF-8 as characters."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        what = f"{path} is no UTF-8 text ({problem.reason} at byte {problem.start})"
        raise ValueError(f'{what}: tokens="bytes" takes any file') from None


def encode(text: str, names: Sequence[str], tokens: str) -> Array:
    """The numbers (T,) of a text's tokens, which are to be among those trained on."""
    if tokens == "bytes":
        return np.frombuffer(text.encode(errors="surrogateescape"), np.uint8)
    numbers = {name: i for i, name in enumerate(names)}
    if (strange := next((character for character in text if character not in numbers), None)) is not None:
        what = f"the text that the model was trained on has no {strange!r}"
        raise ValueError(f"{what}; it has {''.join(names)!r}")
    return np.array([numbers[character] for character in text], np.intp)
