"""Texts as data: what the numbers stand for, what is to be told, which part is held out, and what is refused."""

import gzip

import numpy as np
import pytest

import handgrad as hg

TEXT = "Call me Ishmael. Some years ago, never mind how long precisely. " * 8


def write(tmp_path, content=TEXT, name="whale.txt"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_each_token_is_told_once_and_the_end_is_held_out(tmp_path):
    data = hg.load_dataset(write(tmp_path), length=10)
    parts = data.train, data.validation, data.test
    assert [part.x.shape for part in parts] == [(41, 10), (5, 10), (5, 10)]
    told = "".join(data.class_names[i] for part in parts for i in part.y.ravel())
    assert told == TEXT[1:511]
    x, y = data.train
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    assert (x.dtype, y.dtype, data.tokens) == (np.uint8, np.int64, "characters")


def test_any_file_is_bytes_and_texts_may_be_gzipped(tmp_path):
    content = bytes(range(256)) * 2
    data = hg.load_dataset(write(tmp_path, content, "picture.png"), tokens="bytes", length=8)
    assert data.train.x[:2].tobytes() == content[:16]
    assert len(data.class_names) == 256
    packed = hg.load_dataset(write(tmp_path, gzip.compress(TEXT.encode()), "whale.txt.gz"), length=10)
    assert packed.fingerprint == hg.load_dataset(write(tmp_path), length=10).fingerprint


def test_more_than_256_characters(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 600)))
    data = hg.load_dataset(write(tmp_path, text.encode()), length=16, validation=0, test=0)
    assert data.validation is None
    assert "".join(data.class_names[i] for i in data.train.x.ravel()) == text[:592]


def test_the_novel_comes_along():
    data = hg.load_dataset("moby-dick")
    assert "".join(data.class_names[i] for i in data.train.x[0, :42]) == "CHAPTER 1. Loomings.\n\nCall me Ishmael. Som"
    assert (data.train.x.shape[1], data.licence) == (128, "public domain (CC0 1.0)")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"\xff\xfe" * 400, {}, r"whale.txt is no UTF-8 text \(invalid start byte at byte 0\): tokens=\"bytes\""),
        (b"", {}, r"has 0 characters.* sequences of 128 need 385"),
        (b"a" * 500, {}, r"has 500 characters, 1 of them different"),
        (b"ab" * 50, {"length": 40}, r"has 100 characters.* of 40 need 121"),
        (b"ab" * 500, {"length": 0}, "length must be .* got 0"),
        (b"ab" * 500, {"tokens": "words"}, "words.*characters, bytes"),
        (b"ab" * 500, {"target": "a"}, "read as a text.* for tables"),
        (b"\x1f\x8bbroken", {}, "cannot read"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, options, message):
    with pytest.raises(ValueError, match=message):
        hg.load_dataset(write(tmp_path, content), **options)


def test_a_table_is_no_text_and_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="iris is no text, but table: leave out tokens and length"):
        hg.load_dataset("iris", tokens="bytes")
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.txt"):
        hg.load_dataset(tmp_path / "gone.txt")
