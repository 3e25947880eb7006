"""Data larger than memory: rows in a file, and sources of batches; the same training, resumed to the same bits."""

import signal
import tracemalloc

import numpy as np
import pytest

import handgrad as hg
from handgrad.arrays import MappedRows
from handgrad.training import batches as room

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(int) + (X[:, 0] > 1)
WEIGHT = RNG.integers(0, 3, 70).astype(float)


def trainer(callbacks=(), **options):
    model = hg.Sequential([hg.Linear(6), hg.Dropout(0.2), hg.ReLU(), hg.Linear(3)])
    return hg.Trainer(model, optimizer=hg.Adam(0.01), callbacks=callbacks, **options)


class Interrupt(hg.Callback):
    """Ctrl-C after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, trainer):
        if trainer.num_steps == self.steps:
            signal.raise_signal(signal.SIGINT)


class Source:
    """Batches of 16 rows, in the order of the epoch's number if there is one."""

    def __init__(self, weighted=False, length=5):
        self.weighted, self.length, self.epoch, self.made = weighted, length, None, 0

    def __len__(self):
        return self.length

    def order(self):
        return np.arange(70) if self.epoch is None else np.random.default_rng(self.epoch).permutation(70)

    def __iter__(self):
        return self.batches(0)

    def batches(self, first):
        for start in range(16 * first, 70, 16):
            self.made += 1
            rows = self.order()[start : start + 16]
            yield (X[rows], Y[rows], WEIGHT[rows]) if self.weighted else (X[rows], Y[rows])


class Shuffled(Source):
    def set_epoch(self, epoch):
        self.epoch = epoch


class Seeking(Shuffled):
    first = 0

    def seek(self, step):
        self.first = step

    def __iter__(self):
        first, self.first = self.first, 0
        return self.batches(first)


@pytest.fixture
def mapped(tmp_path):
    def store(array, name="x.npy"):
        np.save(tmp_path / name, array)
        return np.load(tmp_path / name, mmap_mode="r")

    return store


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 4 rows and windows of 3 blocks."""
    monkeypatch.setattr(room, "BLOCK", 4 * X[0].nbytes)
    monkeypatch.setattr(room, "WINDOW", 3)


def same(one, other):
    np.testing.assert_array_equal(one.model.parameter_vector, other.model.parameter_vector)
    assert one.history == other.history


# Rows in a file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
def test_a_small_file_trains_as_its_array_does(mapped, exact):
    alone, lying = trainer(), trainer()
    how = {"epochs": 3, "batch_size": 16, "exact": exact}
    alone.fit(X, Y, (X[:9], Y[:9], WEIGHT[:9]), sample_weight=WEIGHT, **how)
    given = mapped(X), mapped(Y, "y.npy")
    lying.fit(*given, (*(part[:9] for part in given), WEIGHT[:9]), sample_weight=WEIGHT, **how)
    np.testing.assert_array_equal(lying.model.parameter_vector, alone.model.parameter_vector)
    for name, values in alone.history.items():
        np.testing.assert_allclose(lying.history[name], values, rtol=1e-6)


def test_each_row_once_an_epoch_in_blocks(small_blocks):
    rows = MappedRows(X)
    pieces = list(room.epoch_order(rows, 70, np.random.default_rng(0)))
    assert sorted(np.concatenate(pieces)) == list(range(70)) and len(pieces) == 6
    assert all(len(set(piece // 4)) <= 3 for piece in pieces)
    assert not (np.diff(pieces[0]) > 0).all()
    np.testing.assert_array_equal(np.concatenate(list(room.epoch_order(rows, 70))), np.arange(70))


@pytest.mark.parametrize("skip", range(6))
@pytest.mark.parametrize("sizes", [(70,), (30, 40), (16, 16, 38), (5, 5, 60), (64, 6)])
def test_batches_go_over_the_ends_of_pieces(sizes, skip):
    order = np.random.default_rng(0).permutation(70)
    pieces = np.split(order, np.cumsum(sizes)[:-1])
    expected = [order[start : start + 16] for start in range(16 * skip, 70, 16)]
    found = list(room.batches(pieces, 16, skip))
    assert [list(rows) for rows in found] == [list(rows) for rows in expected]


@pytest.mark.parametrize("steps", [3, 5, 8])
def test_a_file_is_gone_on_with_to_the_bit(mapped, small_blocks, steps, tmp_path):
    x, whole = mapped(X), trainer()
    whole.fit(x, Y, (x, Y), epochs=3, batch_size=16)
    broken = trainer([Interrupt(steps)])
    broken.fit(x, Y, (x, Y), epochs=3, batch_size=16)
    assert broken.was_interrupted
    broken.save(tmp_path / "state.npz")
    again = hg.Trainer.load(tmp_path / "state.npz", callbacks=[Interrupt(0)])
    again.resume(x, Y, (x, Y))
    same(again, whole)


def test_a_file_is_never_whole_in_memory(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (20_000, 500))
    x[:] = np.arange(500)
    y = np.arange(20_000) % 3
    t = trainer()
    tracemalloc.start()
    t.fit(x, y, (x, y), epochs=1, batch_size=100, exact=True)
    t.evaluate(x, y)
    t.model.predict(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_a_fault_in_a_file_is_named_before_the_first_step(mapped, monkeypatch):
    monkeypatch.setattr("handgrad.arrays.PIECE", 10 * X[0].nbytes)
    wrong = X.copy()
    wrong[33, 2] = np.nan
    t = trainer()
    with pytest.raises(ValueError, match=r"^x holds nan at row 33, position \(2,\)"):
        t.fit(mapped(wrong), Y)
    with pytest.raises(ValueError, match=r"^validation_data: x holds nan at row 33"):
        t.fit(X, Y, (mapped(wrong), Y))
    with pytest.raises(ValueError, match=r"got \(70, 3\)"):
        t.fit(mapped(X[:, :3]), Y)
    with pytest.raises(ValueError, match="labels must be 0 to 2"):
        t.fit(mapped(X), np.where(np.arange(70) == 69, 3, Y))
    assert t.num_steps == 0


# Sources of batches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_a_source_trains_as_its_arrays_do(weighted, exact):
    alone, streamed = trainer(), trainer()
    weight = WEIGHT if weighted else None
    alone.fit(
        X, Y, (X, Y, weight)[: 2 + weighted], sample_weight=weight, epochs=3, batch_size=16, shuffle=False, exact=exact
    )
    streamed.fit(Source(weighted), validation_data=Source(weighted), epochs=3, exact=exact)
    np.testing.assert_array_equal(streamed.model.parameter_vector, alone.model.parameter_vector)
    for name, values in alone.history.items():
        np.testing.assert_allclose(streamed.history[name], values, rtol=1e-6)
    assert streamed.evaluate(Source(weighted)) == pytest.approx(alone.evaluate(X, Y, weight))


def test_a_dataloader_is_a_source():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    alone, streamed = trainer(), trainer()
    alone.fit(X, Y, epochs=2, batch_size=16, shuffle=False)
    streamed.fit(torch.utils.data.DataLoader(pairs, batch_size=16), epochs=2)
    same(streamed, alone)


@pytest.mark.parametrize("make", [Shuffled, Seeking, lambda: list(Source())], ids=["epochs", "seek", "list"])
@pytest.mark.parametrize("steps", [3, 5, 8])
def test_a_source_is_gone_on_with_to_the_bit(make, steps, tmp_path):
    whole = trainer()
    whole.fit(make(), validation_data=Source(), epochs=3)
    broken = trainer([Interrupt(steps)])
    broken.fit(make(), validation_data=Source(), epochs=3)
    broken.save(tmp_path / "state.npz")
    again = hg.Trainer.load(tmp_path / "state.npz", callbacks=[Interrupt(0)])
    again.resume(make(), validation_data=Source())
    same(again, whole)


def test_a_source_that_seeks_makes_no_batch_twice():
    source, t = Seeking(), trainer([Interrupt(3)])
    t.model.build(4, rng=0)
    t.fit(source, epochs=2)
    t.resume(source)
    assert source.made == 10


def test_what_cannot_be_repositioned_is_refused_within_an_epoch():
    t = trainer([Interrupt(7)])
    t.fit(Source(), epochs=2)
    with pytest.raises(ValueError, match=r"cannot go on in the middle of an epoch: give it seek\(step\) or set_epoch"):
        t.resume(Source())
    assert t.fit(Source(), epochs=1).num_epochs == 2


def test_what_a_loaded_training_cannot_know_is_said(tmp_path):
    t = trainer()
    t.fit(Source(), epochs=1)
    t.save(tmp_path / "state.npz")
    with pytest.warns(UserWarning, match="cannot be repositioned"):
        hg.Trainer.load(tmp_path / "state.npz").fit(Source(), epochs=1)


class Wrong(Source):
    def __init__(self, batch):
        super().__init__(length=1)
        self.batch = batch

    def __iter__(self):
        yield self.batch


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (X, "there are no targets: pass x and y, or a source of batches alone; got ndarray alone"),
        (3, "got int alone"),
        (iter([(X, Y)]), "has a length and begins anew, as list_iterator cannot: write a class with __len__"),
        ([], "the source of batches is empty"),
        (Source(length=4), "the source of batches goes on after the 4 of its length"),
        (Source(length=6), "the source of batches has a length of 6, and ended after 5"),
        (Wrong(X), r"a source yields \(x, y\) or \(x, y, sample_weight\), and its batch 0 is ndarray"),
        (Wrong((X, Y[:3])), "batch 0 of the source: x has 70 rows, y has 3"),
        (Wrong((X, Y, -WEIGHT)), "batch 0 of the source: sample_weight must be 0 or more"),
        (Wrong((np.where(X > 2, np.nan, X), Y)), "batch 0 of the source: x holds nan at row"),
        (Wrong((X[:, :3], Y)), r"batch 0 of the source: linear1 expected x of shape \(N, 4\), got \(70, 3\)"),
        (Wrong((np.ma.masked_array(X), Y)), "batch 0 of the source: x is a masked array"),
    ],
)
def test_wrong_sources(source, words):
    t = trainer()
    t.model.build(4, rng=0)
    with pytest.raises((TypeError, ValueError), match=words) as problem:
        t.fit(source, epochs=1)
    assert "\n" not in str(problem.value)


def test_what_a_source_has_itself():
    with pytest.raises(ValueError, match="batch_size=8 is for arrays: a source of batches yields its own"):
        trainer().fit(Source(), batch_size=8)
    with pytest.raises(ValueError, match="sample_weight is for arrays"):
        trainer().fit(Source(), sample_weight=WEIGHT)


class Refilling(Source):
    """A source that fills the same arrays anew for each batch, as readers of large files do."""

    def __iter__(self):
        x, y, weight = np.empty((10, 4), np.float32), np.empty(10, int), np.empty(10)
        for start in range(0, 70, 10):
            rows = slice(start, start + 10)
            x[:], y[:], weight[:] = X[rows], Y[rows], WEIGHT[rows] + 1
            yield x, y, weight


def test_a_source_may_fill_the_same_arrays_anew():
    one = trainer()
    one.fit(Refilling(length=7), epochs=1)
    measured, expected = one.evaluate(Refilling(length=7)), one.evaluate(X, Y, WEIGHT + 1)
    assert measured == pytest.approx(expected, rel=1e-6)
