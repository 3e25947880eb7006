"""The exponential function and what is made of it, for loops of compiled code that become vectors.

A call of the C library takes 3 to 15 ns a number, whatever stands around it. Here is arithmetic alone, of which LLVM
makes vectors: 0.1 to 0.6 ns with AVX-512, twice that in float64. Results are exact but for 4 units in the last place
(`erfc`, which is of float32 alone: 20, in its tail). What is called in compiled code stands at the end.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
from numba import types
from numba.extending import overload

from .compiled import bare

Real: TypeAlias = "np.floating[Any]"
Function: TypeAlias = Callable[[Any], Any]
# erfc(x) exp(x²) by powers of t = 1 / (1 + |x| / 2), the highest first: Press et al., Numerical Recipes, 6.2
ERFC = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368)


@bare
def polynomial(factors: tuple[Real, ...], x: Real) -> Real:
    """The sum of factors times powers of x, by Horner's rule."""
    total = factors[0] * x + factors[1]
    for factor in factors[2:]:
        total = total * x + factor
    return total


def splitting(real: Any, whole: Any, terms: int) -> Any:
    """A function that splits eˣ = 2ⁿ eʳ, where n is the whole number next to x / log 2, into 2ⁿ and eʳ - 1."""
    layout = np.finfo(real)
    digits, bias = layout.nmant, whole(1 - layout.minexp)  # a float is its digits, and above them its exponent + bias
    around = real(1.5 * 2**digits)  # so large that it has no fraction: its lowest bits are those of a whole number
    shift = 2 ** (digits - 14)
    few = round(math.log(2) * shift) / shift  # so few digits of log 2 that n times it is exact
    log_2, rest, per_log_2 = real(few), real(Decimal(2).ln() - Decimal(few)), real(1 / math.log(2))
    series = tuple(real(1 / math.factorial(k)) for k in range(terms, 1, -1))  # (eʳ - 1 - r) / r², |r| <= ½ log 2

    @bare
    def split(x: Real) -> tuple[Real, Real]:
        shifted = x * per_log_2 + around
        n = shifted - around
        r = x - n * log_2 - n * rest
        bits = whole((real(shifted).view(whole) + bias) << digits)
        return bits.view(real), polynomial(series, r) * r * r + r

    return split


def functions_of(real: Any, whole: Any, terms: int) -> dict[str, Function]:
    """{name: function} for this type of numbers; whole is that of whole numbers of as many bits."""
    split, layout = splitting(real, whole, terms), np.finfo(real)
    lowest, highest = (real(math.log(2) * limit) for limit in (layout.minexp - 0.5, layout.maxexp - 0.5))
    zero, one, two, infinity = (real(number) for number in (0, 1, 2, math.inf))
    atanh = tuple(real(1 / k) for k in range(2 * terms + 7, 0, -2))  # atanh(s) / s in s², |s| <= ⅓
    tail, shift = tuple(real(factor) for factor in ERFC), real(-1.26551223)

    @bare
    def exp(x: Real) -> Real:
        power, more = split(x)
        y: Real = zero if x < lowest else infinity if x > highest else power * more + power
        return y

    @bare
    def expm1(x: Real) -> Real:
        power, more = split(x)
        y: Real = -one if x < lowest else infinity if x > highest else power * more + (power - one)
        return y

    @bare
    def tanh(x: Real) -> Real:
        t: Real = expm1(-two * abs(x))
        size: Real = -t / (two + t)
        return size if x > zero else -size

    @bare
    def log1p(x: Real) -> Real:
        s = x / (two + x)
        y: Real = two * s * polynomial(atanh, s * s)
        return y

    @bare
    def erfc(x: Real) -> Real:
        t = two / (two + abs(x))
        far = t * exp(shift + t * polynomial(tail, t) - x * x)
        y: Real = far if x >= zero else two - far
        return y

    return {"exp": exp, "expm1": expm1, "tanh": tanh, "log1p": log1p, "erfc": erfc}


OURS = {
    types.float32: functions_of(np.float32, np.int32, 7),
    types.float64: functions_of(np.float64, np.int64, 13),
}
OURS[types.float64]["erfc"] = math.erfc


def chosen(exact: Function, name: str) -> Function:
    """A function for compiled code: that of the type that it is called with."""

    def stub(x: Real) -> Any:
        return exact(x)

    def choose(x: Any) -> Any:
        ours = OURS[x][name]
        return lambda x: ours(x)

    overloading: Any = overload
    overloading(stub, jit_options={"_nrt": False}, strict=False)(choose)
    return stub


exp, expm1, tanh = chosen(np.exp, "exp"), chosen(np.expm1, "expm1"), chosen(np.tanh, "tanh")
log1p = chosen(np.log1p, "log1p")  # for 0 <= x <= 1: 2 atanh(x / (2 + x))
erfc = chosen(math.erfc, "erfc")
