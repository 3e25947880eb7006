"""What goes into training: rows that are checked, cut into batches, and the random streams of one seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..arrays import Array, Generator, MappedRows, array_of, pieces, row_bytes, rows_of
from ..layers.containers import Sequential, check_finite
from ..layers.criteria import Loss
from ..naming import check_count
from .engine import Engine, Figures

Data: TypeAlias = "tuple[Any, ...]"  # (x, y), or (x, y, sample_weight)
BLOCK = 2**20  # bytes that lie together in a file and are read about the same time
WINDOW = 64  # blocks whose rows are shuffled among each other


def streams(seed: int | None) -> dict[str, Generator]:
    """One seed as four generators that never meet: {'init', 'shuffle', 'dropout', 'augment'}."""
    if seed is not None:
        check_count("Trainer", "seed", seed, minimum=0)
    children = np.random.SeedSequence(seed).spawn(4)
    names = ("init", "shuffle", "dropout", "augment")
    return {name: np.random.default_rng(child) for name, child in zip(names, children, strict=True)}


# In which order -------------------------------------------------------------------------------------------------------


def epoch_order(x: Any, num_rows: int, generator: Generator | None = None) -> Iterator[Array]:
    """The row numbers of one epoch, in pieces: shuffled by the generator, or as they come without one.

    Of an array that is one piece. Rows in a file are shuffled in blocks of 1 MB, and then within windows of 64 blocks:
    what the disk is asked for lies together, which is four times as fast as rows from all over the file, and what is
    remembered of the order is a window's.
    """
    block = max(1, BLOCK // max(1, row_bytes(x))) if isinstance(x, MappedRows) else num_rows
    if num_rows <= block * WINDOW:
        yield drawn(num_rows, generator)
        return
    starts = np.arange(0, num_rows, block)
    starts = starts if generator is None else generator.permutation(starts)
    for first in range(0, len(starts), WINDOW):
        window = [np.arange(start, min(start + block, num_rows)) for start in starts[first : first + WINDOW]]
        rows = np.concatenate(window)
        yield rows if generator is None else generator.permutation(rows)


def drawn(num_rows: int, generator: Generator | None) -> Array:
    """The numbers of so many rows, shuffled by the generator, or as they come without one."""
    return np.arange(num_rows) if generator is None else generator.permutation(num_rows)


def batches(order: Iterable[Array], batch_size: int, skip: int = 0) -> Iterator[Array]:
    """Yield the row numbers of each batch; the last may be short. skip: how many batches are done already."""
    rest = np.arange(0)
    for piece in order:
        rows = np.concatenate([rest, piece]) if len(rest) else piece
        whole = len(rows) // batch_size
        for i in range(min(skip, whole), whole):
            yield rows[i * batch_size : (i + 1) * batch_size]
        skip, rest = max(0, skip - whole), rows[whole * batch_size :]
    if len(rest) and not skip:
        yield rest


# From where -----------------------------------------------------------------------------------------------------------


class Batches(Protocol):
    """A source of batches, for data that no array holds: it has a length, and can be gone through again and again.

    `len(source)` is the number of batches in an epoch; `iter(source)` begins one and yields (x, y) or
    (x, y, sample_weight), arrays (N, ...) each. PyTorch's DataLoader is one. Two more methods are used where a source
    has them:

    set_epoch(epoch)    called before each epoch with its number, counted from 0, which its order may depend on
    seek(step)          called where the next iteration is to begin at this batch of the epoch, counted from 0

    With either of them, or as a list, it can be repositioned: an interrupted training goes on to the same bits. Any
    other source is refused in the middle of an epoch.

    Examples
    --------
    >>> class Halves:
    ...     def __len__(self):
    ...         return 2
    ...     def __iter__(self):
    ...         for start in (0, 10):
    ...             x = np.linspace(start, start + 1, 16).reshape(-1, 1)
    ...             yield x, 2 * x
    >>> trainer = hg.Trainer(hg.Sequential([hg.Linear(1)]), "mean-squared-error", hg.SGD(0.001))
    >>> trainer.fit(Halves(), epochs=3).num_epochs
    3
    """

    def __len__(self) -> int:
        """How many batches an epoch has."""

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch."""


def is_source(x: Any) -> bool:
    """Whether x yields batches: it can be gone through, and is neither an array nor a table."""
    return hasattr(x, "__iter__") and not hasattr(x, "shape") and not isinstance(x, (str, bytes, dict))


def check_source(x: Any, sample_weight: Any = None) -> None:
    """Refuse what is given alone, without targets, and is no source of batches; and one that cannot say its length."""
    if not is_source(x):
        what = f"there are no targets: pass x and y, or a source of batches alone; got {type(x).__name__} alone"
        raise TypeError(what)
    if not hasattr(x, "__len__") or hasattr(x, "__next__"):
        advice = "write a class with __len__, the number of batches, and __iter__, which begins an epoch"
        raise TypeError(f"a source of batches has a length and begins anew, as {type(x).__name__} cannot: {advice}")
    if not len(x):
        raise ValueError("the source of batches is empty: there is nothing to learn from or to measure")
    if sample_weight is not None:
        raise ValueError("sample_weight is for arrays: a source of batches yields (x, y, sample_weight)")


def can_reposition(source: Any) -> bool:
    """Whether a source can go on in the middle of an epoch, to the batches that it would have yielded."""
    return isinstance(source, (list, tuple)) or hasattr(source, "set_epoch") or hasattr(source, "seek")


class Source:
    """What an epoch's batches come from."""

    num_rows: int | None = None  # of an epoch, where that is known before
    is_gathered = False  # whether `order` and `gather` can be asked for any of an epoch's rows

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine

    def __len__(self) -> int:
        raise NotImplementedError

    def arrays(self, number: int, generator: Generator | None = None, skip: int = 0) -> Iterator[Data]:
        """Yield (x, y, sample_weight or None) of each batch of an epoch but the first `skip`, in an order drawn."""
        raise NotImplementedError

    def order(self, generator: Generator | None = None) -> Array:
        """The row numbers of one epoch, of a source that is gathered."""
        raise NotImplementedError

    def gather(self, rows: Array) -> Data:
        """(x, y, sample_weight or None) of these rows."""
        raise NotImplementedError

    def epoch(self, number: int, generator: Generator | None = None, skip: int = 0) -> Iterator[Data]:
        """The same where the engine wants them."""
        for batch in self.arrays(number, generator, skip):
            yield tuple(part if part is None else self.engine.place(part)[np.arange(len(part))] for part in batch)

    def measure(self, number: int) -> Figures:
        """The loss and the metrics over all rows, of which no more is kept than the model's outputs."""
        outputs, targets, weights = [], [], []
        for x, y, weight in self.arrays(number):
            outputs.append(self.engine.predict(x))
            targets.append(np.array(y))  # copies: a source may fill the same arrays anew for each batch
            weights.append(np.ones(len(y)) if weight is None else np.array(weight))
        weight = None if all((part == 1).all() for part in weights) else np.concatenate(weights)
        return self.engine.figures(np.concatenate(outputs), np.concatenate(targets), weight)


class ArraySource(Source):
    """Batches of the rows of arrays, in memory or in a file."""

    def __init__(self, data: Data, batch_size: int, engine: Engine) -> None:
        super().__init__(engine)
        self.is_mapped: bool = isinstance(data[0], MappedRows)
        self.is_gathered: bool = not self.is_mapped
        self.batch_size: int = batch_size
        self.num_rows: int | None = len(data[1])
        self.data: Data = data if self.is_mapped else tuple(p if p is None else engine.place(p) for p in data)

    def __len__(self) -> int:
        return -(-len(self.data[1]) // self.batch_size)

    def arrays(self, number: int, generator: Generator | None = None, skip: int = 0) -> Iterator[Data]:
        x, y, _ = self.data
        for rows in batches(epoch_order(x, len(y), generator), self.batch_size, skip):
            yield self.gather(rows)

    def order(self, generator: Generator | None = None) -> Array:
        return drawn(len(self.data[1]), generator)

    def gather(self, rows: Array) -> Data:
        x, y, weight = self.data
        x = x.take(rows, 0) if isinstance(x, np.ndarray) else x[rows]  # several times as fast as x[rows]
        return x, y[rows], None if weight is None else weight[rows]

    def epoch(self, number: int, generator: Generator | None = None, skip: int = 0) -> Iterator[Data]:
        how = super().epoch if self.is_mapped else self.arrays
        return how(number, generator, skip)

    def measure(self, number: int) -> Figures:
        return super().measure(number) if self.is_mapped else self.engine.evaluate(*self.data)


class BatchSource(Source):
    """Batches that a user's `Batches` yields, each checked."""

    def __init__(self, source: Any, model: Sequential, engine: Engine) -> None:
        super().__init__(engine)
        self.source: Any = source
        self.model: Sequential = model

    def __len__(self) -> int:
        return len(self.source)

    def arrays(self, number: int, generator: Generator | None = None, skip: int = 0) -> Iterator[Data]:
        done = skip
        for batch in self.begin(number, skip):
            if done == len(self):
                raise ValueError(f"the source of batches goes on after the {done} of its length")
            yield self.check(batch, done)
            done += 1
        if done < len(self):
            raise ValueError(f"the source of batches has a length of {len(self)}, and ended after {done}")

    def begin(self, number: int, skip: int) -> Iterator[Any]:
        """The batches of this epoch from step `skip` on."""
        if skip and not can_reposition(self.source):
            advice = "give it seek(step) or set_epoch(epoch); fit(...) begins the epoch anew"
            raise ValueError(f"the source of batches cannot go on in the middle of an epoch: {advice}")
        if hasattr(self.source, "set_epoch"):
            self.source.set_epoch(number)
        if skip and hasattr(self.source, "seek"):
            self.source.seek(skip)
            return iter(self.source)
        return itertools.islice(self.source, skip, None)

    def check(self, batch: Any, step: int) -> Data:
        """(x, y, sample_weight or None) as arrays that the model can take."""
        try:
            x, y, weight = parts_of(batch, step)
            check_rows(x, y, weight)
            self.model.check_shape(x)
            check_values(x, y, weight)
        except (TypeError, ValueError) as problem:
            raise type(problem)(f"batch {step} of the source: {problem}") from None
        return x, y, weight


def parts_of(batch: Any, step: int) -> Data:
    """(x, y, sample_weight or None), arrays, of what a source of batches yields."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        what = f"a source yields (x, y) or (x, y, sample_weight), and its batch {step} is"
        raise TypeError(f"{what} {type(batch).__name__}")
    names = ("x", "y", "sample_weight")
    return (*(array_of(name, part) for name, part in zip(names, batch, strict=False)), None)[:3]


def source_of(data: Data | Source, batch_size: int, engine: Engine) -> Source:
    """Where an epoch's batches come from: the arrays, in batches of so many rows, or the source that it is."""
    return data if isinstance(data, Source) else ArraySource(data, batch_size, engine)


# What is refused before the first step: what could only fail or mislead in the middle of training --------------------


def check_rows(x: Array | MappedRows, y: Array, weight: Array | None = None) -> None:
    """Refuse empty data, and targets or weights of another length than x."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("x has no rows: there is nothing to learn from or to measure")
    for name, array in (("y", y), ("sample_weight", weight)):
        if array is not None and (array.ndim == 0 or len(array) != len(x)):
            raise ValueError(f"x has {len(x)} rows, {name} has {len(array) if array.ndim else 'none'}: they must agree")


def check_values(x: Array | MappedRows, y: Array, weight: Array | None = None) -> None:
    """Refuse NaN and infinity, and weights that are negative or all 0."""
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"sample_weight must be a number for each row, ({len(x)},), got {weight.shape}")
    given: list[tuple[str, Array | MappedRows]] = [("x", x), ("y", y)]
    for name, array in given if weight is None else [*given, ("sample_weight", weight)]:
        for rows in pieces(array):
            check_finite(array[rows], name, rows.start)
    if weight is not None and (weight.dtype.kind not in "fiub" or (weight < 0).any() or not (weight > 0).any()):
        raise ValueError("sample_weight must be 0 or more, and not all 0")


def check_data(model: Sequential, loss: Loss, x: Any, y: Any, weight: Any = None) -> Data:
    """(x, y, sample_weight or None) as arrays; a ValueError for what the model or the loss cannot take."""
    x, y = rows_of("x", x), array_of("y", y)
    weight = None if weight is None else array_of("sample_weight", weight)
    check_rows(x, y, weight)
    model.check_shape(x)
    check_values(x, y, weight)
    share = model.dtype.type(1 / max(1, model.output_shape[-1]))
    outputs = np.broadcast_to(share, (len(x), *model.output_shape))
    for rows in pieces(outputs):
        loss(outputs[rows], y[rows])
    return x, y, weight


def check_training_data(model: Sequential, loss: Loss, x: Any, y: Any, weight: Any = None) -> Data:
    """The same of what is to be learnt, which has two classes at least."""
    x, y, weight = check_data(model, loss, x, y, weight)
    first = y[0] if len(model.output_shape) == 1 else y.flat[0]  # of sequences the steps have classes of their own
    if loss.classification and y.dtype.kind in "iu" and len(y) > 1 and (y == first).all():
        raise ValueError(f"all {len(y)} targets are class {y.flat[0]}: a classifier needs at least two classes")
    return x, y, weight


def check_validation(model: Sequential, loss: Loss, given: Any) -> Data:
    """validation_data as (x, y, sample_weight or None)."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        wanted = "(x, y), (x, y, sample_weight), or a source of batches"
        raise TypeError(f"validation_data must be {wanted}; got {type(given).__name__}")
    try:
        return check_data(model, loss, *given)
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"validation_data: {problem}") from None
