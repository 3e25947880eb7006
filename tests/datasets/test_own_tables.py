"""Tables as people have them: texts, ids, missing values, odd headers and separators; read, told, repeated."""

import os

import numpy as np
import pytest

from handgrad.datasets import Schema, load_dataset, load_features
from handgrad.datasets.csv_files import open_table

PEOPLE = "id,name,sex,age,port,alive\n" + "".join(
    f"{100 + i},Person {i},{'fm'[i % 2]},{20 + i}.5,{'SCQ'[i % 3]},{'no' if i % 4 else 'yes'}\n" for i in range(40)
)


@pytest.fixture
def write(tmp_path):
    def write(text, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def load(path, **options):
    return load_dataset(path, **{"standardize": False, "dtype": "float64", **options})


def all_rows(data):
    return np.concatenate([split.x for split in (data.train, data.validation, data.test)])


# Labels


@pytest.mark.parametrize(
    "labels, names",
    [
        (["1", "01"], ("01", "1")),
        (["1", "1.0"], ("1", "1.0")),
        (["2_5", "25"], ("25", "2_5")),
        (["1", " 1"], (" 1", "1")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["1", "+1"], ("+1", "1")),
        (["red ", "red"], ("red", "red ")),
        (["9007199254740993", "9007199254740992"], ("9007199254740992", "9007199254740993")),
        (["٣", "3"], ("3", "٣")),
    ],
)
def test_labels_stay_as_they_stand(write, labels, names):
    rows = "".join(f'{i},"{label}"\n' for i, label in enumerate(labels * 6))
    data = load(write("a,kind\n" + rows))
    assert data.class_names == names
    x, y = (np.concatenate(parts) for parts in zip(data.train, data.validation, data.test, strict=True))
    assert [data.class_names[k] for k in y[np.argsort(x[:, 0])]] == labels * 6


def test_labels_that_look_alike_are_told(write):
    data = load(write("a,kind\n" + "".join(f"{i},{'1.0' if i % 2 else '1'}\n" for i in range(20))))
    assert any("kind: '1', '1.0' look alike" in note for note in data.notes)


@pytest.mark.parametrize(
    "cell, advice",
    [("{}%", "without its sign"), ("€ {}", "without its sign"), ("1,00{}", "no comma between thousands")],
)
def test_what_is_nearly_a_number_is_no_category(write, cell, advice):
    path = write("a,b,kind\n" + "".join(f'"{cell.format(i % 9)}",{i},{"xy"[i % 2]}\n' for i in range(20)))
    with pytest.raises(ValueError, match=rf"row 2, column 1 \('a'\): .* is not a finite number.*{advice}"):
        load(path)


def test_a_slip_among_numbers_makes_no_classes(write):
    rows = "".join(f"{i},{i / 7:.3f}\n" for i in range(50))
    with pytest.raises(ValueError, match="51 different values in 51 rows, which are no classes, and 'x' of example 51"):
        load(write(f"a,b\n{rows}1,x\n"))


def test_whole_numbers_of_arrays_are_exact(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((10, 1)), y=np.array([2**60, 2**60 + 1] * 5))
    assert load_dataset(tmp_path / "a.npz").class_names == (str(2**60), str(2**60 + 1))


# Headers and separators


@pytest.mark.parametrize(
    "first, is_header",
    [
        ("a,b,c", True),
        ("Na,K,Ca", True),
        ("a,,c", False),
        ("a,?,c", False),
        ("a,2,c", False),
        ("a,b,a", False),
        ("a,NA,c", False),
    ],
)
def test_what_is_a_header(write, first, is_header):
    path = write(first + "\nx,y,z\n")
    table = open_table(path)
    assert table.header is is_header
    assert len(list(table.rows)) == 2 - is_header
    assert open_table(path, header=False).names == ["column 1", "column 2", "column 3"]


def test_a_header_may_be_asked_for(write):
    text = "2019,2020,kind\n" + "".join(f"{i},{i + 1},{'ab'[i % 2]}\n" for i in range(12))
    assert load(write(text), header=True).feature_names == ("2019", "2020")
    with pytest.raises(ValueError, match=r"'kind'.*number"):
        load(write(text), task="regression")
    with pytest.raises(ValueError, match="no name for column 1"):
        load(write(",a,b\n0,1,x\n1,2,y\n"))
    text = ",a,b\n" + "".join(f"{i},{i}.5,{'xy'[i % 2]}\n" for i in range(12))
    assert load(write(text), header=True).feature_names == ("column 1", "a")


@pytest.mark.parametrize(
    "text",
    [
        "a;b;kind\n{0};1.5;x\n",
        "a\tb\tkind\n{0}\t1.5\tx\n",
        "a, b, kind\n{0}, 1.5, x\n",
        "a,b,kind,\n{0},1.5,x,\n",
        '"a","b","kind"\r\n"{0}","1.5","x"\r\n',
        '\ufeffa,b,"kind"\n{0},1.5,x\n',
        "a,b,kind\n\n{0},1.5,x\n\n",
    ],
)
def test_ways_to_write_the_same_table(write, text):
    header, row = text.split("\n", 1)
    rows = "".join(row.format(i).replace("x", "xy"[i % 2]) for i in range(12))
    data = load(write(f"{header}\n{rows}" + ",,\n,,\n" * ("b,k" in text)))
    assert data.feature_names == ("a", "b") and data.target_name == "kind" and data.class_names == ("x", "y")
    np.testing.assert_array_equal(np.sort(all_rows(data)[:, 0]), range(12))


def test_decimal_commas_on_request(write):
    rows = "".join(f"{i},5;{'xy'[i % 2]}\n" for i in range(12))
    data = load(write("a;kind\n" + rows), decimal=",")
    np.testing.assert_array_equal(np.sort(all_rows(data)[:, 0]), np.arange(12) + 0.5)
    assert load_features(write("a\n1\n", "new.csv"), data.schema) == 1
    assert load(write(rows), decimal=",").feature_names == ("column 1",)
    with pytest.raises(ValueError, match=r"decimal point.*--decimal ,"):
        load(write("a;kind\n" + rows))


def test_a_quoted_line_end_is_part_of_its_cell(write):
    data = load(write("a,kind\n" + "".join(f'{i},"two\nlines {i % 2}"\n' for i in range(8))))
    assert data.class_names == ("two\nlines 0", "two\nlines 1")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a,b\n1,x\n\0,y\n", "row 3 holds a NUL byte"),
        ("größe,b\n1,x\n".encode("latin-1"), "not UTF-8 text"),
        ("a,b\n1,x\n".encode("utf-16"), "not UTF-8 text"),
        (b"PK\3\4 no", "cannot read"),
        ("a\n", "needs at least one feature"),
        ("a,b\n1,2,\n1,2,\n", "row 2 has 3 cells where the first row has 2"),
        ("a,b\n1,x\n,\n2,y\n", r"row 3, column 1 \('a'\): the value is missing"),
    ],
)
def test_other_files_are_refused_in_one_line(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(write(content))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", "/dev/zero"):
        with pytest.raises(ValueError, match="is a device or a pipe; expected a file"):
            load_features(path, ("a",))
    with pytest.raises(ValueError, match="is a device or a pipe"):
        load_dataset(tmp_path / "pipe.csv")


def test_a_file_is_what_its_first_bytes_say(write):
    np.testing.assert_array_equal(load_features(write("a\n1\n", "my-idx-table"), ("a",)), [[1]])
    images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9])
    np.testing.assert_array_equal(load_features(write(images, "pictures.csv")), [[[[7], [9]]]])


def test_a_wide_table_is_read_in_one_pass(write):
    """100,000 columns in a second or two: what is quadratic in columns would take minutes."""
    count = 100_000
    names = ",".join(f"c{i}" for i in range(count))
    row = ",".join(["0.5"] * count)
    path = write(f"{names},kind\n" + "".join(f"{row},{'ab'[i % 2]}\n" for i in range(6)))
    data = load_dataset(path)
    assert data.train.x.shape[1] == count
    assert load_features(path, data.schema).shape == (6, count)


# Columns


def test_texts_become_one_hot(write):
    data = load(write(PEOPLE), drop="name", id="id", standardize=True)
    assert data.feature_names == ("sex=f", "sex=m", "age", "port=C", "port=Q", "port=S")
    x = data.train.x
    assert set(x[:, [0, 1, 3, 4, 5]].ravel()) == {0, 1}
    assert (x[:, :2].sum(axis=1) == 1).all() and (x[:, 3:].sum(axis=1) == 1).all()
    assert abs(x[:, 2].mean()) < 1e-9 and abs(x[:, 2].std() - 1) < 1e-9
    assert "one-hot: sex (2 categories), port (3 categories); left out: id (the id), name" in data.notes[0]
    assert "row 1 is the header" in data.notes[0]


def test_the_schema_repeats_the_reading(write):
    path = write(PEOPLE)
    data = load(path, drop=["name"], id="id")
    again = Schema.from_dict(data.schema.as_dict())
    assert again == data.schema
    new = again.read(path)
    assert new.ids == [str(100 + i) for i in range(40)] and not new.notes
    np.testing.assert_array_equal(sorted(map(tuple, new.x)), sorted(map(tuple, all_rows(data))))
    shuffled = write("port,age,sex\nQ,30,m\n", "new.csv")
    np.testing.assert_array_equal(again.read(shuffled).x, [[0, 1, 30, 0, 1, 0]])
    assert again.read(shuffled).ids == []


def test_unknown_texts_are_no_category_and_told(write):
    schema = load(write(PEOPLE), drop=["name"], id="id").schema
    new = write("sex,age,port\nm,30,X\nf,31,X\nd,32,S\n", "new.csv")
    x = schema.read(new).x
    np.testing.assert_array_equal(x[:, 3:], [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    new = write("sex,age,port\nm,30,X\nf,31,X\n", "new.csv")
    with pytest.warns(UserWarning, match=r"'port' holds texts that were not there in training.*'X' \(2\)"):
        load_features(new, schema)


def test_new_rows_without_a_header_are_told_their_order(write):
    schema = load(write(PEOPLE), drop=["name"], id="id").schema
    for row in ("7,Ann,f,30,S,no", "7,Ann,f,30,S", "f,30,S"):
        rows = schema.read(write(row + "\n", "new.csv"))
        assert rows.x.tolist() == [[1, 0, 30, 0, 0, 1]]
        assert (
            "has no header, since the first row holds a number, so its columns are taken in the order" in rows.notes[0]
        )
    with pytest.raises(ValueError, match="has 4 columns; expected the 3 features"):
        schema.read(write("7,f,30,S\n", "new.csv"))


def test_categories_are_those_of_the_training_rows(write):
    text = PEOPLE + "999,Last,f,1,Z,yes\n"
    seeds = {seed: load(write(text), drop="name", id="id", seed=seed) for seed in range(8)}
    for data in seeds.values():
        is_there = (data.train.x[:, data.feature_names.index("age")] == 1).any()
        assert ("port=Z" in data.feature_names) == is_there
    assert len({len(data.feature_names) for data in seeds.values()}) == 2


def test_numbers_are_categories_where_they_are_said_to_be(write):
    text = "zip,kind\n" + "".join(f"{'01234' if i % 3 else '1234'},{'ab'[i % 2]}\n" for i in range(12))
    assert load(write(text)).feature_names == ("zip",)
    assert load(write(text), category="zip").feature_names == ("zip=01234", "zip=1234")
    assert load(write(text), category=1).feature_names == ("zip=01234", "zip=1234")


@pytest.mark.parametrize(
    "cell, message",
    [
        ("2024-01-{:02}", r"column 1 \('a'\): 30 different texts in 30 rows \('2024-01-00', ...\) are dates.*numbers"),
        ("{}. Mar 2024", "are dates and no categories"),
        ("a long remark, number {}", "are no categories; leave the column out .--drop a., --id a if it is one"),
        ("{0}, or {0}", "30 different texts"),
    ],
)
def test_dates_and_free_text_are_refused_with_advice(write, cell, message):
    path = write("a,b,kind\n" + "".join(f'"{cell.format(i)}",1,{"xy"[i % 2]}\n' for i in range(30)))
    with pytest.raises(ValueError, match=message):
        load(path)
    assert load(path, drop="a").feature_names == load(path, id="a").feature_names == ("b",)
    assert len(load(path, category="a").feature_names) > 2


def test_more_categories_than_a_hundred_are_refused(write):
    path = write("a,kind\n" + "".join(f"t{i % 101},{'xy'[i % 2]}\n" for i in range(1010)))
    with pytest.raises(ValueError, match="more than 100 different texts"):
        load(path)


@pytest.mark.parametrize("unit, advice", [(1000, "larger units"), (1e-4, "smaller units"), (1, "")])
def test_a_regression_is_told_and_so_is_a_target_far_from_1(write, unit, advice):
    notes = load(write("a,price\n" + "".join(f"{i % 7},{unit * (i + 0.5) / 9}\n" for i in range(90)))).notes
    assert "the target is price (a number: regression)" in notes[0]
    assert any("price reaches" in note and advice in note for note in notes) == bool(advice)


def test_numbers_too_large_to_be_told_apart_are_suggested_as_id(write):
    data = load(write("tweet,a,kind\n" + "".join(f"{10**17 + i},{i % 5},{'xy'[i % 2]}\n" for i in range(40))))
    assert any("'tweet': another value in each row" in note for note in data.notes)


def test_ids_of_new_rows_that_are_missing_or_repeated_are_told(write):
    schema = load(write("nr,a,kind\n" + "".join(f"{i},{i % 5},{'xy'[i % 2]}\n" for i in range(20))), id="nr").schema
    assert schema.read(write("nr,a\n1,2\n2,3\n", "new.csv")).notes == ()
    (note,) = schema.read(write("nr,a\n1,2\n1,3\n,4\n", "new.csv")).notes
    assert note.endswith("the id in 'nr' is missing or repeated in 2 rows")


def test_advice_on_numbers_fits_the_decimal_sign_and_the_command(write):
    comma = write("a;b;kind\n" + "".join(f"1.{100 + i},5;{i};{'xy'[i % 2]}\n" for i in range(20)))
    with pytest.raises(ValueError, match=r"a decimal comma and no point between thousands$"):
        load(comma, decimal=",")
    with pytest.raises(ValueError, match=r"between thousands \(of a decimal comma, say --decimal ,\)$"):
        load(comma)
    schema = load(write("a,kind\n" + "".join(f"{i % 5},{'xy'[i % 2]}\n" for i in range(20)))).schema
    with pytest.raises(ValueError, match=r"a decimal point and no comma between thousands$"):
        schema.read(write('a\n"1,5"\n', "new.csv"))


def test_a_column_of_another_number_in_each_row_is_suggested_as_id(write):
    assert "'id': another value in each row" in load(write(PEOPLE), drop="name").notes[1]
    assert len(load(write(PEOPLE), drop="name", id="id").notes) == 1
    few = "who,a,kind\n" + "".join(f"p{i},{i / 2},{'xy'[i % 2]}\n" for i in range(12))
    assert "'who': another value in each row" in load(write(few)).notes[1]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"drop": "nme"}, "no column to drop 'nme'; did you mean 'name'"),
        ({"id": "no"}, "no id column 'no'"),
        ({"drop": "alive", "target": "alive"}, "'alive' is the target"),
        ({"category": ["alive"]}, "'alive' is no feature"),
        ({"drop": [1, 2, 3, 4, 5]}, "the target column 'alive' alone"),
        ({"missing": "men"}, "missing is 'men'; did you mean 'mean'"),
        ({"header": "yes"}, "header is 'yes'; expected True, False"),
        ({"decimal": ";"}, "decimal is ';'"),
    ],
)
def test_wrong_options_are_named(write, options, message):
    with pytest.raises(ValueError, match=message):
        load(write(PEOPLE), **options)


# Missing values

GAPS = "a,b,kind\n" + "".join(
    f"{'' if i == 3 else i},{'?' if i == 5 else 'uv'[i % 2]},{'xy'[i % 2]}\n" for i in range(20)
)


@pytest.mark.parametrize("rule", ["mean", "median"])
def test_missing_numbers_are_filled_by_the_training_rows(write, rule):
    data = load(write(GAPS), missing=rule)
    there = data.train.x[:, 0][data.train.x[:, 0] == np.round(data.train.x[:, 0])]
    new = load_features(write("a,b\n,u\n1,\n", "new.csv"), data.schema)
    assert new[1].tolist() == [1, 0, 0] and new[0, 1:].tolist() == [1, 0]
    assert 5 < new[0, 0] < 15 and data.schema.fill == {"a": new[0, 0]}
    assert len(there) >= 11
    assert "missing values: a 1, b 1; numbers become the " + rule in data.notes[1]


def test_rows_with_missing_values_are_dropped_on_request(write):
    data = load(write(GAPS), missing="drop")
    assert len(all_rows(data)) == 18
    assert "rows left out for a missing value: 2" in data.notes[-2]
    with pytest.raises(ValueError, match=r"row 2, column 1 \('a'\): the value is missing.*training had no rule"):
        load_features(write("a,b\n,u\n", "new.csv"), data.schema)


def test_rows_without_a_target_are_left_out_by_any_rule(write):
    path = write(GAPS + "30,u,\n")
    assert len(all_rows(load(path, missing="mean"))) == 20
    with pytest.raises(ValueError, match="the target is missing"):
        load(write("a,kind\n1,x\n2,\n"))


def test_a_column_without_values_is_named(write):
    text = "a,b,kind\n" + "".join(f",{i},{'xy'[i % 2]}\n" for i in range(12))
    with pytest.raises(ValueError, match="column 'a' is empty; leave it out"):
        load(write(text), missing="mean")


@pytest.mark.parametrize("size, word", [("e200", "large"), ("e-200", "small")])
def test_numbers_that_single_precision_lacks_are_refused(write, size, word):
    targets = write("a,y\n" + "".join(f"{i},{i}.5{size}\n" for i in range(20)))
    with pytest.raises(ValueError, match=f"the target holds a number too {word} for float32"):
        load_dataset(targets)
    features = write("a,kind\n" + "".join(f"{i}.5{size},{'xy'[i % 2]}\n" for i in range(20)))
    with pytest.raises(ValueError, match=f"feature 1 holds a number too {word} for float32"):
        load_dataset(features, standardize=False)
    assert load_dataset(targets, dtype="float64").train.y.any()


def test_the_statistics_of_very_large_and_small_numbers(write):
    plain = load_dataset(write("a,b,kind\n" + "".join(f"{i},{i},{'xy'[i % 2]}\n" for i in range(20))))
    for a, b in (("e200", "e-200"), ("e306", "e-306")):
        path = write("a,b,kind\n" + "".join(f"{i}{a},{i}{b},{'xy'[i % 2]}\n" for i in range(20)))
        np.testing.assert_allclose(load_dataset(path).train.x, plain.train.x, rtol=1e-6)
    gaps = write("a,kind\n" + "".join(f"{i or ''}{'e306' * bool(i)},{'xy'[i % 2]}\n" for i in range(20)))
    assert np.isfinite(load_dataset(gaps, missing="mean").train.x).all()
