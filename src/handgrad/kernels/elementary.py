"""The exponential function and what is made of it, for loops of compiled code that become vectors.

A call of the C library takes 3 to 11 ns a number, whatever stands around it. Here is arithmetic alone, of which LLVM
makes vectors: 0.1 to 0.5 ns with AVX-512. It is of float32, and exact but for 3 units in the last place (`erfc`: 20, in
its tail); for float64 each name means the function that takes its time.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numba import types
from numba.extending import overload

from .compiled import bare

Real: TypeAlias = "np.floating[Any]"
Function: TypeAlias = Callable[[Any], Any]
ZERO, HALF, ONE, TWO, INFINITY = map(np.float32, (0, 0.5, 1, 2, np.inf))
LOWEST, HIGHEST = np.float32(-87.3), np.float32(88.3)  # beyond them 2ⁿ is no ordinary float
ROUND = np.float32(1.5 * 2**23)  # a float so large has no fraction, and its lowest bits are those of a whole number
LOG2_E, LOG_2 = np.float32(1 / math.log(2)), np.float32(0.693359375)  # the second has few digits: n times it is exact,
LOG_2_REST = np.float32(math.log(2) - 0.693359375)  # and this is what it lacks
# (eʳ - 1 - r) / r² for |r| <= ½ log 2, and (tanh x - x) / x³ in x² for |x| < 0.625, both from Cephes; erfc from Press
# et al., Numerical Recipes, 6.2. The highest power comes first.
EXP = tuple(map(np.float32, (1.98756915e-4, 1.39819995e-3, 8.33345191e-3, 4.16657959e-2, 1.66666655e-1, 0.5)))
TANH = tuple(map(np.float32, (-5.70498873e-3, 2.06390888e-2, -5.37397156e-2, 1.33314422e-1, -3.33332819e-1)))
LOG = tuple(np.float32(1 / k) for k in (15, 13, 11, 9, 7, 5, 3, 1))  # atanh(s) / s in s²
ERFC = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368)
TAIL, SHIFT = tuple(map(np.float32, ERFC)), np.float32(-1.26551223)


def in_vectors(exact: Any) -> Callable[[Function], Function]:
    """The function for float32, and for other numbers the exact one: chosen when a caller is compiled."""

    def decorate(function: Function) -> Function:
        ours: Any = bare(function)

        def stub(x: Real) -> Real:
            """The function in compiled code."""
            result: Real = exact(x)
            return result

        def choose(x: Any) -> Any:
            chosen: Any = ours if x == types.float32 else exact
            return lambda x: chosen(x)

        overloading: Any = overload
        overloading(stub, jit_options={"_nrt": False}, strict=False)(choose)
        return stub

    return decorate


@bare
def polynomial(factors: tuple[Real, ...], x: Real) -> Real:
    """The sum of factors times powers of x, by Horner's rule."""
    total = factors[0] * x + factors[1]
    for factor in factors[2:]:
        total = total * x + factor
    return total


@in_vectors(np.exp)
def exp(x: Real) -> Real:
    """eˣ = 2ⁿ eʳ, where n is the whole number next to x / log 2, and r = x - n log 2."""
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = x - n * LOG_2 - n * LOG_2_REST
    bits = np.int32((np.float32(shifted).view(np.int32) << 23) + (127 << 23))
    power = bits.view(np.float32)  # 2ⁿ: a float keeps n + 127 from its bit 23 on
    y: Real = (polynomial(EXP, r) * r * r + r + ONE) * power
    return ZERO if x < LOWEST else INFINITY if x > HIGHEST else y


@in_vectors(np.tanh)
def tanh(x: Real) -> Real:
    """Tanh x = 1 - 2 / (e²ˣ + 1) with the sign of x; near 0, where that cancels, a polynomial."""
    size = abs(x)
    far = ONE - TWO / (exp(size + size) + ONE)
    near: Real = polynomial(TANH, x * x) * x * x * x + x
    return near if size < np.float32(0.625) else far if x > ZERO else -far


@in_vectors(np.expm1)
def expm1(x: Real) -> Real:
    """eˣ - 1 = 2 t / (1 - t) with t = tanh(x / 2), for x <= 0."""
    t: Real = tanh(HALF * x)
    return TWO * t / (ONE - t)


@in_vectors(np.log1p)
def log1p(x: Real) -> Real:
    """log(1 + x) = 2 atanh(x / (2 + x)), for 0 <= x <= 1."""
    s = x / (TWO + x)
    return TWO * s * polynomial(LOG, s * s)


@in_vectors(math.erfc)
def erfc(x: Real) -> Real:
    """2 / √π ∫ exp(-t²) dt from x on, by a polynomial in 1 / (1 + |x| / 2)."""
    t = ONE / (ONE + HALF * abs(x))
    tail: Real = t * exp(SHIFT + t * polynomial(TAIL, t) - x * x)
    return tail if x >= ZERO else TWO - tail
