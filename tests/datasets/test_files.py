"""The user's own CSV and NPZ files, good and bad."""

import gzip

import numpy as np
import pytest

from handgrad.datasets import load_dataset, load_features

FLOWERS = "length,width,kind\n" + "".join(f"{i},{i % 3}.5,{'red' if i % 2 else 'blue'}\n" for i in range(20))


@pytest.fixture
def write(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def rows(data):
    x, y = (np.concatenate(arrays) for arrays in zip(data.train, data.validation, data.test, strict=True))
    order = np.lexsort(x.T[::-1])
    return x[order], y[order]


def test_header_and_text_labels(write):
    data = load_dataset(write(FLOWERS), standardize=False)
    x, y = rows(data)
    np.testing.assert_array_equal(x, [[i, i % 3 + 0.5] for i in range(20)])
    np.testing.assert_array_equal(y, [i % 2 for i in range(20)])
    assert data.class_names == ("blue", "red") and data.feature_names == ("length", "width")
    assert data.target_name == "kind" and data.name == "data" and data.source.endswith("data.csv")


@pytest.mark.parametrize(
    "target, features",
    [("kind", ("length", "width")), (3, ("length", "width")), ("3", ("length", "width")), (None, ("length", "width"))],
)
def test_the_target_by_name_and_number(write, target, features):
    assert load_dataset(str(write(FLOWERS)), target=target).feature_names == features


def test_the_target_may_stand_first_and_be_a_number(write):
    data = load_dataset(write("y,a\n" + "".join(f"{i / 7},{i}\n" for i in range(30))), target="y", standardize=False)
    x, y = rows(data)
    assert data.task == "regression" and data.class_names == () and y.dtype == np.float32
    np.testing.assert_allclose(y, x[:, 0] / 7, rtol=1e-6)


def test_without_a_header_columns_have_numbers(write):
    data = load_dataset(write("".join(f"{i};{i * i};{i % 2}\n" for i in range(12))))
    assert data.feature_names == ("column 1", "column 2") and data.target_name == "column 3"
    assert data.class_names == ("0", "1") and len(rows(data)[0]) == 12


def test_quotes_blank_lines_marks_and_tabs(write):
    text = '\ufeff"a, b"\tlabel\r\n' + "".join(f' {i}\t "yes, it {i % 2}"\r\n\r\n' for i in range(10))
    data = load_dataset(write(text, "data.tsv"), standardize=False)
    assert data.feature_names == ("a, b",) and data.class_names == ("yes, it 0", "yes, it 1")
    assert load_dataset(write(gzip.compress(text.encode()), "z.csv.gz")).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    "targets, task",
    [
        (range(10), "regression"),
        ([1, 2] * 5, "classification"),
        ([1.5, 2] * 5, "regression"),
        (["1", "x"] * 5, "classification"),
        ([-1, 1] * 5, "classification"),
        ([*range(25)] * 2, "regression"),
    ],
)
def test_what_the_targets_are(write, targets, task):
    path = write("a,b\n" + "".join(f"{i},{target}\n" for i, target in enumerate(targets)))
    assert load_dataset(path).task == task


def test_the_task_can_be_said(write):
    path = write("a,grade\n" + "".join(f"{i},{3 + i % 2}\n" for i in range(10)))
    assert load_dataset(path).class_names == ("3", "4")
    as_numbers = load_dataset(path, task="regression")
    assert set(rows(as_numbers)[1]) == {3.0, 4.0} and as_numbers.class_names == ()
    with pytest.raises(ValueError, match="task is 'guess'"):
        load_dataset(path, task="guess")
    with pytest.raises(ValueError, match="target 'blue' of example 1 is not a number"):
        load_dataset(write(FLOWERS), task="regression")


BAD = {
    "": "is empty",
    "\n \n": "is empty",
    "a,b\n": "a header and no rows",
    "a,b\n1,2\n1\n": "row 3 has 1 cells where the first row has 2",
    "a,b\n1,2\n\n1,2,3\n": "row 4 has 3 cells",
    "a,b\n1,x\n,y\n": r"row 3, column 1 \('a'\): the value is missing \(''\)",
    "a,b\n1,x\n?,y\n": r"row 3, column 1 \('a'\): the value is missing \('\?'\)",
    "a,b\n1,x\nnan,y\n": r"row 3, column 1 \('a'\).*nan",
    "a,b\n1,x\ninf,y\n": r"row 3, column 1 \('a'\): 'inf' is not a finite number",
    "a,b\n1,x\nred,y\n": r"row 3, column 1 \('a'\): 'red' is not a finite number",
    "a,b\n1,x\n2,\n": r"row 3, column 2 \('b'\): the target is missing",
    "a,2,b\n1,2,x\n": r"row 1, column 1 \('column 1'\): 'a' is not a finite number.*header",
    "a,a,b\n1,2,x\n": "more than one column called 'a'",
    "b\nx\ny\n": "needs at least one feature",
    "a,b\n1,x\n2,x\n3,x\n": "every one of the 3 targets is 'x'",
    "a,b\n1,x\n2,y\n": "has 2 rows",
    'a,b\n1,"x\n': "row 2 is not CSV",
    'a,b\n1,x\n2,"y\n3,x\n4,y\n': "row 3 is not CSV",
    "a,b\n1,x\n1_0,y\n": r"row 3, column 1 \('a'\): '1_0' is not a finite number",
    b"a,b\n1,\xff\n": "not UTF-8",
    "a,b\n1e300,x\n2,y\n3,x\n4,y\n": "feature 1 holds a number too large for float32",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_csv_is_refused_in_one_line(write, text):
    with pytest.raises(ValueError, match=BAD[text]) as caught:
        load_dataset(write(text), standardize=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["colour", 0, 4, "-1"])
def test_a_missing_target_column(write, target):
    with pytest.raises(ValueError, match=r"no target column .*length, width, kind.*from 1 to 3"):
        load_dataset(write(FLOWERS), target=target)


def test_unreadable_files(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.csv"):
        load_dataset(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"cannot read .*: Is a directory"):
        (tmp_path / "folder.csv").mkdir()
        load_dataset(tmp_path / "folder.csv")
    with pytest.raises(ValueError, match="cannot read"):
        load_dataset(write(gzip.compress(FLOWERS.encode())[:-20], "cut.csv.gz"))
    with pytest.raises(ValueError, match="no kind of data file"):
        load_dataset(tmp_path / "data.xlsx")


def test_npz(tmp_path):
    x, y = np.arange(40.0).reshape(20, 2), np.array(["b", "a"] * 10)
    np.savez(tmp_path / "d.npz", x=x, y=y[:, None])
    data = load_dataset(tmp_path / "d.npz", standardize=False)
    np.testing.assert_array_equal(rows(data)[0], x)
    np.testing.assert_array_equal(rows(data)[1], [1, 0] * 10)
    assert data.class_names == ("a", "b") and data.train.x.dtype == np.float32
    assert load_dataset(tmp_path / "d.npz").standardization is not None


def test_images_in_an_npz_stay_uint8(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(20) % 2)
    data = load_dataset(tmp_path / "d.npz")
    assert data.train.x.dtype == np.uint8 and data.standardization is None
    assert load_features(tmp_path / "d.npz").dtype == np.uint8
    with pytest.raises(ValueError, match="standardize=True needs a table"):
        load_dataset(tmp_path / "d.npz", standardize=True)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"x": np.ones((4, 2))}, "no array 'y'"),
        ({"x": np.ones((4, 2)), "y": np.ones(3)}, "one target for each row"),
        ({"x": np.ones((4, 2)), "y": np.array([b"a", b"b"] * 2)}, r"y is \|S1 .*; expected labels or finite numbers"),
        ({"x": np.ones((4, 2)), "y": np.ones((4, 3))}, "one target for each row"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "expected numbers"),
        ({"x": np.array([[1.0], [np.nan]]), "y": np.ones(2)}, r"x\[1, 0\] is nan"),
        ({"x": np.ones((2, 1)), "y": np.array([1, np.inf])}, "NaN or inf"),
        ({"x": np.ones((4, 1)), "y": np.ones(4, np.int64)}, "every one of the 4 targets is '1'"),
        ({"x": np.array([[{}]], object), "y": np.ones(1)}, "cannot read"),
        ({"x": np.full((4, 1), "a"), "y": np.ones(4)}, "expected numbers"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(tmp_path / "d.npz")
    assert "\n" not in str(caught.value)


def test_what_is_no_npz(write):
    for content in (b"", b"PK\x03\x04 cut", b"text", b"\x93NUMPY"):
        with pytest.raises(ValueError, match=r"cannot read .*: it is no NPZ file; write one by np.savez"):
            load_dataset(write(content, "d.npz"))
    with pytest.raises(ValueError, match="target='a' names a column"):
        load_dataset(write(b"", "d.npz"), target="a")


FEATURES = ("length", "width")


@pytest.mark.parametrize(
    "text",
    [
        "length,width\n1,2\n3,4\n",
        "width,length\n2,1\n4,3\n",
        "length,width,kind\n1,2,\n3,4,?\n",
        "1,2\n3,4\n",
        "1,2,x\n3,4,x\n",
        "id,length,width\na,1,2\nb,3,4\n",
    ],
)
def test_features_of_new_rows(write, text):
    np.testing.assert_array_equal(load_features(write(text), FEATURES, "kind"), [[1, 2], [3, 4]])


def test_a_headerless_label_column_keeps_its_place(write):
    names = ("column 1", "column 3")
    np.testing.assert_array_equal(load_features(write("1,x,2\n"), names, "column 2"), [[1, 2]])
    np.testing.assert_array_equal(load_features(write("1,2\n"), names, "column 2"), [[1, 2]])


@pytest.mark.parametrize(
    "text, message",
    [
        ("length,kind\n1,x\n", "no column 'width'"),
        ("1\n", "has 1 columns; expected the 2 features"),
        ("length,width\n1,\n", r"row 2, column 2 \('width'\): the value is missing"),
        ("length,width\n", "no rows"),
        ("", "is empty"),
    ],
)
def test_features_that_do_not_fit(write, text, message):
    with pytest.raises(ValueError, match=message):
        load_features(write(text), FEATURES, "kind")


def test_features_of_an_npz(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones((2, 2), np.float32))
    assert load_features(tmp_path / "x.npz", FEATURES).shape == (2, 2)
    with pytest.raises(ValueError, match=r"expected \(N, 3\)"):
        load_features(tmp_path / "x.npz", ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"no named columns; expected .* IDX files"):
        load_features(tmp_path / "x.csv")


def test_new_rows_pass_through_the_kept_statistics(write):
    data = load_dataset("iris")
    path = write(",".join(data.feature_names) + "\n5.1,3.5,1.4,0.2\n")
    x = data.standardization.apply(load_features(path, data.feature_names, data.target_name))
    everything = np.concatenate([data.train.x, data.validation.x, data.test.x])
    assert np.abs(everything - x).max(axis=1).min() < 1e-6


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("1,2,kind\n1,2,a\n3,4,b\n5,6,a\n", "kind", "first row holds a number and so is no header"),
        ("a;b\n0,5;x\n1,5;y\n2,5;x\n", "b", "'0,5' is not a finite number.*decimal point"),
    ],
)
def test_faults_of_tables_with_a_hint(write, text, target, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(write(text), target=target)


def test_a_share_of_one_as_a_fraction_is_refused():
    with pytest.raises(ValueError, match=r"test is 1.0; give a fraction"):
        load_dataset("iris", test=1.0)
