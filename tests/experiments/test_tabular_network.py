"""The network `tabular`: texts of a table by number, learnt as rows, in training and in predictions."""

import numpy as np
import pytest

import handgrad as hg
from handgrad.datasets import Schema
from handgrad.experiments import configure, train
from handgrad.experiments.replay import predict
from handgrad.experiments.runner import prepare

ROWS = "size,make,colour,sold\n" + "".join(
    f"{i % 7},{make},{colour},{'yes' if make == 'bmw' else 'no'}\n"
    for i in range(10)
    for make in ("audi", "bmw", "fiat")
    for colour in ("red", "", "blue")
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "cars.csv"
    path.write_text(ROWS)
    return path


def test_texts_come_as_their_numbers_and_others_behind_the_last(table, tmp_path):
    data = hg.load_dataset(table, encoding="index", missing="mean", standardize=False)
    assert data.feature_names == ("size", "make", "colour")
    assert data.schema.sizes == (0, 4, 3)
    assert set(np.unique(data.train.x[:, 1])) == {0, 1, 2}
    assert set(np.unique(data.train.x[:, 2])) == {0, 1, 2}  # blue, red and none
    new = tmp_path / "new.csv"
    new.write_text("size,make,colour\n1,vw,red\n2,audi,\n")
    read = Schema.from_dict(data.schema.as_dict()).read(new)
    np.testing.assert_array_equal(read.x, [[1, 3, 1], [2, 0, 2]])


def test_numbers_alone_are_standardised(table):
    x = hg.load_dataset(table, encoding="index", missing="mean").train.x
    assert abs(x[:, 0].mean()) < 1e-6
    assert x[:, 1].max() == 2


def test_the_network_learns_and_predicts_new_texts(table, tmp_path):
    run = train(configure("tabular", overrides=[f"data.name={table}", "data.missing=mean"]), tmp_path, progress=False)
    assert run.results["test"]["accuracy"] == 1.0
    assert run.model().parameters["tableembedding1.weight"].shape == (7, 8)
    new = tmp_path / "new.csv"
    new.write_text("size,make,colour\n1,bmw,red\n2,vw,green\n")
    assert predict(run, new).values[0] == "yes"


def test_numbers_to_predict_want_another_loss(table):
    settings = [f"data.name={table}", "data.missing=mean", "data.target=size", "data.task=regression"]
    with pytest.raises(ValueError, match=r'^loss: CrossEntropy is for classes, .* write loss = "mean-squared-error"'):
        prepare(configure("tabular", overrides=settings))
    job = prepare(configure("tabular", overrides=[*settings, "loss=mean-squared-error"]))
    assert job.trainer.model.output_shape == (1,)


def test_an_unknown_encoding_is_refused(table):
    with pytest.raises(ValueError, match="encoding is 'hot'; expected 'one-hot' or 'index'"):
        hg.load_dataset(table, encoding="hot")
