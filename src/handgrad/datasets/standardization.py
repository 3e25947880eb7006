"""Standardised columns: mean 0 and standard deviation 1, by the statistics of the rows to learn from."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array, ArrayLike, MappedRows, pieces
from ..kernels.plain import BatchStatistics
from ..layers.containers import check_finite


@dataclass(frozen=True, eq=False)
class Standardization:
    """x -> (x - mean) / scale by column, with the statistics of the training rows.

    Parameters
    ----------
    mean, scale : array_like (features,)
        What is subtracted from each column, and what the difference is divided by.

    Examples
    --------
    >>> standardization = Standardization.fit(np.array([[0.0, 5.0], [2.0, 5.0]]))
    >>> standardization.apply([[4.0, 5.0]])
    array([[3., 0.]])
    """

    mean: ArrayLike
    scale: ArrayLike

    @classmethod
    def fit(cls, x: Array | MappedRows) -> "Standardization":
        """Measure mean and standard deviation of the columns; a constant column keeps scale 1.

        Parameters
        ----------
        x : ndarray or MappedRows (N, features)
            The rows to measure, those to train on say; of those in a file a few MB at a time.

        Returns
        -------
        Standardization
            With these statistics.
        """
        mean, scale = mean_and_deviation(x) if isinstance(x, np.ndarray) else streamed(x)
        # rounding leaves a constant column a spread of a few ulps, which must not be blown up to 1
        constant = scale <= 10 * np.finfo(scale.dtype).eps * np.abs(mean)
        return cls(mean, np.where(constant, 1.0, scale))

    def apply(self, x: ArrayLike) -> Array:
        """Standardise rows.

        Parameters
        ----------
        x : array_like (N, features)
            Rows with the columns measured.

        Returns
        -------
        ndarray (N, features)
            In the dtype of x where that is a float type, else in float64.

        Raises
        ------
        ValueError
            For another number of columns.
        """
        x = np.asarray(x)
        mean, scale = np.asarray(self.mean, np.float64), np.asarray(self.scale, np.float64)
        if x.shape[-1:] != mean.shape[-1:]:
            raise ValueError(f"x is {x.shape}; expected (N, {len(mean)}), the features of the data set")
        exponents = -exponent_of(np.maximum(np.abs(mean), scale))  # neither x - mean nor 1/scale may overflow
        shrunk = np.ldexp(x.astype(np.float64, copy=False), exponents)
        standardised: Array = (shrunk - np.ldexp(mean, exponents)) / np.ldexp(scale, exponents)
        return standardised.astype(x.dtype, copy=False) if x.dtype.kind == "f" else standardised

    def as_dict(self) -> dict[str, list[float]]:
        """{'mean': [...], 'scale': [...]}, so that Standardization(**read_back) is the same again."""
        return {"mean": np.asarray(self.mean).tolist(), "scale": np.asarray(self.scale).tolist()}


def mean_and_deviation(x: Array) -> tuple[Array, Array]:
    """Those of each column."""
    shrunk, exponents = scaled(x if x.dtype.kind == "f" else x.astype(np.float64))
    deviation = np.where((shrunk == shrunk[:1]).all(axis=0), 0, shrunk.std(axis=0))  # no rounding where all are equal
    return np.ldexp(shrunk.mean(axis=0), exponents), np.ldexp(deviation, exponents)


def streamed(x: MappedRows) -> tuple[Array, Array]:
    """The same of rows in a file, in float64, from what each piece of them comes to; a ValueError names a NaN."""
    parts, first = [], x[0].astype(np.float64)
    is_constant = np.ones(first.shape, bool)
    for rows in pieces(x):
        block = x[rows].astype(np.float64)
        check_finite(block, start=rows.start)
        is_constant &= (block == first).all(axis=0)
        shrunk, exponents = scaled(block)
        mean = shrunk.mean(axis=0)
        parts.append((len(block), mean, ((shrunk - mean) ** 2).sum(axis=0), exponents))
    top = np.max([exponents for *_, exponents in parts], axis=0)
    moments = {i: (n, np.ldexp(m, e - top), np.ldexp(s, 2 * (e - top))) for i, (n, m, s, e) in enumerate(parts)}
    whole = BatchStatistics.combine(moments)
    return np.ldexp(whole.mean, top), np.where(is_constant, 0, np.ldexp(np.sqrt(whole.var), top))


def scaled(x: Array) -> tuple[Array, Array]:
    """(x (N, features) with the largest size of each column near 1, e (features,)), so that x is the first times 2ᵉ.

    Then squares neither overflow nor vanish; powers of 2 change no digit.
    """
    exponents = exponent_of(np.fmax(np.fmax.reduce(x, axis=0), -np.fmin.reduce(x, axis=0)))
    return np.ldexp(x, -exponents), exponents


def exponent_of(size: Array) -> Array:
    """The power of 2 above each size."""
    exponents: Array = np.frexp(size)[1]
    return exponents
