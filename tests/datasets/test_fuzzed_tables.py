"""Any file at all is read or refused in one line, and new rows are read as those learnt from were."""

import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import fuzzed
from handgrad.datasets import Schema, load_dataset, load_features

CELLS = st.one_of(
    st.sampled_from(
        ["", "?", "NA", "nan", "inf", "-1", "01", "1.0", "1_0", "1,5", "1e400", "=1+1", "red", "Red ", "2024-01-01"]
    ),
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.text(max_size=5),
    st.sampled_from(['"', '""', '"a\nb"', "'", "\x00", "\ufeff", "\u2028", "٣"]),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "target": st.sampled_from([1, 2, "a", "column 1"]),
        "drop": st.sampled_from([1, "a", [1, 2]]),
        "id": st.sampled_from([1, 2]),
        "category": st.sampled_from([1, 2, [2, 1]]),
        "missing": st.sampled_from(["mean", "median", "drop"]),
        "header": st.booleans(),
        "decimal": st.just(","),
        "task": st.sampled_from(["classification", "regression"]),
    },
)


@st.composite
def tables(draw):
    """The bytes of a table, more or less: rows of cells of one kind a column, with slips."""
    columns = draw(st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=4))
    separator, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows = [
        separator.join(draw(st.sampled_from(column)) for column in columns) for _ in range(draw(st.integers(0, 12)))
    ]
    header = draw(st.sampled_from([[], [separator.join("abcd"[: len(columns)])]]))
    return end.join([*header, *rows]).encode(draw(st.sampled_from(["utf-8", "utf-8-sig"])), "surrogatepass")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "t.csv"


@fuzzed
@given(data=tables() | st.binary(max_size=60), options=OPTIONS)
def test_a_file_is_read_or_refused_in_one_line(path, data, options):
    path.write_bytes(data)
    try:
        found = load_dataset(path, standardize=False, dtype="float64", **options)
    except ValueError as refusal:
        assert str(refusal) and "\n" not in str(refusal)
        return
    assert len(found.train.x) and found.train.x.shape[1] == len(found.feature_names) > 0
    assert all(np.isfinite(part.x).all() for part in (found.train, found.validation, found.test))
    schema = Schema.from_dict(found.schema.as_dict())
    with contextlib.suppress(ValueError), warnings.catch_warnings():  # rows that were dropped are refused
        warnings.simplefilter("ignore")
        again = load_features(path, schema)
        kept = {tuple(row) for part in (found.train, found.validation, found.test) for row in part.x}
        assert kept <= {tuple(row) for row in again}


@fuzzed
@given(data=tables() | st.binary(max_size=60))
def test_new_rows_are_read_or_refused_in_one_line(path, data):
    schema = Schema(("a", "b", "c"), "c", "d", categories={"b": ("red", "1")}, fill={"a": 1.0}, missing="mean")
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert load_features(path, schema).shape[1] == 3
        except ValueError as refusal:
            assert "\n" not in str(refusal)
