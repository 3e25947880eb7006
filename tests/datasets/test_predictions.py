"""Predictions as files: what stands in them, and that reading gives back what was written."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import examples
from handgrad.datasets.predictions import Predictions, guarded, plain, read_predictions, write_predictions

NAMES = ("=cmd|' /C calc'!A0", "+x", "-1", "@y", "'=z", 'a"b', "c,d", "two\nlines", " 1", "\tt")


@pytest.fixture
def predictions():
    labels = np.arange(len(NAMES))
    return Predictions(
        [f"r{i}" for i in labels], list(NAMES), "who", "kind", labels, np.eye(len(NAMES), dtype=np.float32), NAMES
    )


def test_a_table_has_id_target_and_probabilities_and_no_formula(predictions, tmp_path):
    write_predictions(tmp_path / "p.csv", predictions)
    with open(tmp_path / "p.csv", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(cell.startswith(("=", "+", "@", "\t")) for cell in cells)
    assert "-1" in cells
    found = read_predictions(tmp_path / "p.csv")
    assert list(found) == ["who", "kind", *(f"P({name})" for name in NAMES)]
    assert found["kind"] == list(NAMES)
    assert found["P(+x)"] == ["0.0", "1.0", *["0.0"] * 8]


@examples(300)
@given(st.text(st.sampled_from("='+-@\t\r1ax "), max_size=6))
def test_guarded_text_comes_back_and_is_no_formula(text):
    assert plain(guarded(text)) == text
    assert guarded(text)[:1] not in ("=", "@", "\t", "\r")


def test_kaggle_takes_whole_numbers(predictions, tmp_path):
    write_predictions(tmp_path / "k.csv", predictions, "kaggle")
    assert (tmp_path / "k.csv").read_text().splitlines()[:3] == ["Id,Category", "r0,0", "r1,1"]
    numbers = Predictions([1, 2], ["7", "3"], "row", "y", np.array([1, 0]), np.eye(2), ("3", "7"))
    write_predictions(tmp_path / "k.csv", numbers, "kaggle")
    assert (tmp_path / "k.csv").read_text() == "Id,Category\n1,7\n2,3\n"
    write_predictions(tmp_path / "k.csv", Predictions([1], np.array([0.1], np.float32)), "kaggle")
    assert (tmp_path / "k.csv").read_text() == "Id,Value\n1,0.1\n"
    with pytest.raises(ValueError, match="did you mean 'kaggle'"):
        write_predictions(tmp_path / "k.csv", numbers, "kagle")


@pytest.mark.parametrize("name", ["p.csv.gz", "p.tsv", "p.XLSX"])
def test_predictions_are_not_called_what_they_are_not(predictions, tmp_path, name):
    with pytest.raises(ValueError, match=r"name it \.csv"):
        write_predictions(tmp_path / name, predictions)
    assert not list(tmp_path.iterdir())
