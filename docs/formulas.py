"""The formulas of docs/derivations as SymPy expressions: from each its page is typeset, and our backward is proved.

python docs/formulas.py writes the blocks `<!-- formula: PAIR -->` of the pages anew. tests/functional/test_formulas.py
differentiates each forward by SymPy, and compares that, the gradient as it is printed, and our backward.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from sympy.printing.latex import LatexPrinter

from handgrad import functional

PAGES = Path(__file__).parent / "derivations"
PROVED = re.compile(r"<!-- proved -->\n.*?<!-- end -->", re.S)
BLOCK = re.compile(r"<!-- formula: (\w+) -->\n.*?<!-- end -->", re.S)


# Entry by entry: y = f(x) -----------------------------------------------------------------------------------------

x, y, alpha = sp.symbols("x y alpha", real=True)


class Branch(NamedTuple):
    """Where x is between two numbers: y, and its derivative in terms of x and y; what is printed of the interval."""

    value: sp.Expr
    slope: sp.Expr
    low: float = -3.0
    high: float = 3.0
    where: str = ""


def sides(negative: tuple[Any, Any], positive: tuple[Any, Any]) -> list[Branch]:
    """Two branches that meet at 0."""
    return [
        Branch(sp.sympify(positive[0]), sp.sympify(positive[1]), 0.1, 3, "x > 0"),
        Branch(sp.sympify(negative[0]), sp.sympify(negative[1]), -3, -0.1, "x < 0"),
    ]


def sigma(value: Any) -> Any:
    return 1 / (1 + sp.exp(-value))


lam, a = sp.Float("1.0507009873554805", 20), sp.Float("1.6732632423543772", 20)
inner = sp.sqrt(2 / sp.pi) * (x + sp.Float("0.044715", 20) * x**3)
density = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
ENTRYWISE: dict[str, list[Branch]] = {
    "identity": [Branch(x, sp.Integer(1))],
    "relu": sides((0, 0), (x, 1)),
    "relu6": [
        Branch(sp.Integer(6), sp.Integer(0), 6.1, 9, "x > 6"),
        Branch(x, sp.Integer(1), 0.1, 5.9, "0 < x < 6"),
        Branch(sp.Integer(0), sp.Integer(0), -3, -0.1, "x < 0"),
    ],
    "leaky_relu": sides((alpha * x, alpha), (x, 1)),
    "elu": sides((alpha * (sp.exp(x) - 1), y + alpha), (x, 1)),
    "selu": sides((lam * a * (sp.exp(x) - 1), y + lam * a), (lam * x, lam)),
    "sigmoid": [Branch(sigma(x), y * (1 - y))],
    "tanh": [Branch((sp.exp(x) - sp.exp(-x)) / (sp.exp(x) + sp.exp(-x)), 1 - y**2)],
    "arctan": [Branch(sp.atan(x), 1 / (1 + x**2))],
    "softplus": [Branch(sp.log(1 + sp.exp(x)), sigma(x))],
    "silu": [Branch(x * sigma(x), sigma(x) + y * (1 - sigma(x)))],
    "gelu": [
        Branch(
            x * (1 + sp.tanh(inner)) / 2,
            (1 + sp.tanh(inner)) / 2 + x * (1 - sp.tanh(inner) ** 2) * sp.diff(inner, x) / 2,
        )
    ],
    "exact_gelu": [Branch(x * (1 + sp.erf(x / sp.sqrt(2))) / 2, (1 + sp.erf(x / sp.sqrt(2))) / 2 + x * density)],
}
OPTIONS = {"leaky_relu": {"alpha": 0.1}, "elu": {"alpha": 0.7}}

# Arrays: entries with indices -------------------------------------------------------------------------------------

Arrays = dict[str, np.ndarray[Any, Any]]


class Definition(NamedTuple):
    """A letter with indices, and what stands for it."""

    name: Any
    value: Any


class Formula(NamedTuple):
    """A forward entry by entry, and the gradient by each of its arrays as the page prints it.

    `dy` stands in gradients for that of the loss by y; where y is itself a loss it is one number, and left out.
    """

    output: Any
    value: Any
    gradients: Mapping[str, Definition]
    shapes: Mapping[str, tuple[int, ...]]
    where: Sequence[Definition] = ()
    sizes: Mapping[Any, int] = {}
    draw: Callable[[np.random.Generator], Arrays] | None = None
    call: Callable[..., Any] | None = None

    def definitions(self) -> dict[Any, Definition]:
        return {it.name.base: it for it in self.where}


def bases(names: str) -> list[Any]:
    return [sp.IndexedBase(name) for name in names.split()]


def index(names: str) -> Any:
    return sp.symbols(names, integer=True)


def total(value: Any, *indices: Any) -> Any:
    """The sum over indices, each from 0 to its size."""
    return sp.Sum(value, *((it, 0, SIZES[it] - 1) for it in indices))


n, i, o, d, e, f, c, j, k, h, w, t, s, r, q, p, u, v, m, b = index("n i o d e f c j k h w t s r q p u v m b")
letters = (n, i, o, d, e, f, c, j, k, h, w, t, s, r, q, p, u, v, m, b)
N, I, O, D, C, T, S, K, P, H = sp.symbols("N I O D C T S K P H", integer=True, positive=True)
SIZES = dict(zip(letters, (N, I, O, D, D, D, C, C, C, H, H, T, S, S, D, P, K, K, N, N), strict=True))
X, W, B, Y, DY, G, BETA, XH, MU, VAR, GAMMA, TARGET = bases("x weight bias y dy g beta xhat mu var gamma target")
Q, KEY, V, A, MASK, PROB, LOGITS, HIDDEN, U = bases("q k v A mask p s h u")
OUT, MARGIN, OVER, DA = bases("yhat m z da")
miss, HALF = OUT[n, d] - TARGET[n, d], sp.Rational(1, 2)
EPSILON, EXTRA = sp.Rational(1, 10**5), sp.Rational(1, 10**6)


def normalization(array: Any, over: Any, index_of: Callable[[Any], Any], size: Any, one: Any) -> list[Definition]:
    """μ, v and x̂, the mean over one index; index_of gives the entry with another letter there."""
    mean = Definition(MU[one], total(array[index_of(e)], e).subs(D, size) / size)
    variance = Definition(VAR[one], total((array[index_of(f)] - MU[one]) ** 2, f).subs(D, size) / size)
    hat = Definition(XH[index_of(over)], (array[index_of(over)] - MU[one]) / sp.sqrt(VAR[one] + EPSILON))
    return [mean, variance, hat]


def row(letter: Any) -> tuple[Any, Any]:
    return n, letter


def column(letter: Any) -> tuple[Any, Any]:
    return letter, d


g_row = Definition(G[n, d], DY[n, d] * GAMMA[d])
softmaxed = Definition(PROB[n, c], sp.exp(LOGITS[n, c]) / total(sp.exp(LOGITS[n, k]), k))
scores = total(Q[t, d] * KEY[s, d], d) / sp.sqrt(D)
weights = Definition(A[t, s], sp.exp(scores) / total(sp.exp(total(Q[t, e] * KEY[r, e], e) / sp.sqrt(D)), r))
d_weights = total(DY[t, u] * V[s, u], u)
d_scores = Definition(
    sp.IndexedBase("ds")[t, s],
    A[t, s] * (d_weights - total(A[t, r] * total(DY[t, v] * V[r, v], v), r)) / sp.sqrt(D),
)
DS = d_scores.name.base
one_hot = {"s": (3, 4)}


def classes(rng: np.random.Generator) -> Arrays:
    """Scores and distributions over the classes."""
    target = rng.uniform(0.1, 1, (3, 4))
    return {"s": rng.normal(size=(3, 4)), "target": target / target.sum(axis=1, keepdims=True)}


def normal(*shapes: tuple[str, tuple[int, ...]]) -> Callable[[np.random.Generator], Arrays]:
    return lambda rng: {name: rng.normal(size=shape) for name, shape in shapes}


rms = Definition(VAR[n], total(X[n, e] ** 2, e) / D)
rms_hat = Definition(XH[n, d], X[n, d] / sp.sqrt(VAR[n] + EXTRA))
column_sizes = {N: 4, D: 2}
FORMULAS: dict[str, Formula] = {
    "linear": Formula(
        Y[n, o],
        total(X[n, i] * W[i, o], i) + B[o],
        {
            "x": Definition(X[n, i], total(DY[n, o] * W[i, o], o)),
            "weight": Definition(W[i, o], total(X[n, i] * DY[n, o], n)),
            "bias": Definition(B[o], total(DY[n, o], n)),
        },
        {"x": (4, 3), "weight": (3, 2), "bias": (2,)},
        sizes={N: 4, I: 3, O: 2},
    ),
    "softmax": Formula(
        Y[n, c],
        sp.exp(X[n, c]) / total(sp.exp(X[n, k]), k),
        {"x": Definition(X[n, c], Y[n, c] * (DY[n, c] - total(DY[n, j] * Y[n, j], j)))},
        {"x": (2, 4)},
        sizes={N: 2, C: 4},
    ),
    "log_softmax": Formula(
        Y[n, c],
        X[n, c] - sp.log(total(sp.exp(X[n, k]), k)),
        {"x": Definition(X[n, c], DY[n, c] - sp.exp(Y[n, c]) * total(DY[n, j], j))},
        {"x": (2, 4)},
        sizes={N: 2, C: 4},
    ),
    "layer_norm": Formula(
        Y[n, d],
        GAMMA[d] * XH[n, d] + BETA[d],
        {
            "x": Definition(
                X[n, d],
                (G[n, d] - total(G[n, q], q) / D - XH[n, d] * total(G[n, q] * XH[n, q], q) / D)
                / sp.sqrt(VAR[n] + EPSILON),
            ),
            "gamma": Definition(GAMMA[d], total(DY[n, d] * XH[n, d], n)),
            "beta": Definition(BETA[d], total(DY[n, d], n)),
        },
        {"x": (2, 4), "gamma": (4,), "beta": (4,)},
        [*normalization(X, d, row, D, n), g_row],
        {N: 2, D: 4},
    ),
    "batch_norm": Formula(
        Y[n, d],
        GAMMA[d] * XH[n, d] + BETA[d],
        {
            "x": Definition(
                X[n, d],
                GAMMA[d]
                * (DY[n, d] - total(DY[m, d], m) / N - XH[n, d] * total(DY[m, d] * XH[m, d], m) / N)
                / sp.sqrt(VAR[d] + EPSILON),
            ),
            "gamma": Definition(GAMMA[d], total(DY[m, d] * XH[m, d], m)),
            "beta": Definition(BETA[d], total(DY[m, d], m)),
        },
        {"x": (4, 2), "gamma": (2,), "beta": (2,)},
        [
            Definition(MU[d], sp.Sum(X[b, d], (b, 0, N - 1)) / N),
            Definition(VAR[d], sp.Sum((X[k, d] - MU[d]) ** 2, (k, 0, N - 1)) / N),
            Definition(XH[n, d], (X[n, d] - MU[d]) / sp.sqrt(VAR[d] + EPSILON)),
        ],
        column_sizes,
    ),
    "rms_norm": Formula(
        Y[n, d],
        GAMMA[d] * XH[n, d],
        {
            "x": Definition(X[n, d], (G[n, d] - XH[n, d] * total(G[n, q] * XH[n, q], q) / D) / sp.sqrt(VAR[n] + EXTRA)),
            "gamma": Definition(GAMMA[d], total(DY[n, d] * XH[n, d], n)),
        },
        {"x": (2, 4), "gamma": (4,)},
        [rms, rms_hat, g_row],
        {N: 2, D: 4},
    ),
    "attention": Formula(
        Y[t, u],
        total(A[t, s] * V[s, u], s),
        {
            "q": Definition(Q[t, d], total(DS[t, s] * KEY[s, d], s)),
            "k": Definition(KEY[s, d], total(DS[t, s] * Q[t, d], t)),
            "v": Definition(V[s, u], total(A[t, s] * DY[t, u], t)),
        },
        {"q": (2, 3), "k": (2, 3), "v": (2, 2)},
        [weights, d_scores],
        {T: 2, S: 2, D: 3, K: 2},
    ),
    "conv2d": Formula(
        Y[n, h, w, o],
        B[o] + sp.Sum(X[n, h + p, w + q, i] * W[p, q, i, o], (p, 0, K - 1), (q, 0, K - 1), (i, 0, I - 1)),
        {
            "weight": Definition(
                W[p, q, i, o],
                sp.Sum(DY[n, h, w, o] * X[n, h + p, w + q, i], (n, 0, N - 1), (h, 0, H - 1), (w, 0, H - 1)),
            ),
            "bias": Definition(B[o], sp.Sum(DY[n, h, w, o], (n, 0, N - 1), (h, 0, H - 1), (w, 0, H - 1))),
        },
        {"x": (2, 3, 3, 1), "weight": (2, 2, 1, 2), "bias": (2,)},
        sizes={N: 2, H: 2, K: 2, I: 1, O: 2},
    ),
    "avg_pool2d": Formula(
        Y[n, h, w, c],
        sp.Sum(X[n, 2 * h + p, 2 * w + q, c], (p, 0, 1), (q, 0, 1)) / 4,
        {"x": Definition(X[n, u, v, c], DY[n, sp.floor(u / 2), sp.floor(v / 2), c] / 4)},
        {"x": (1, 4, 4, 2)},
    ),
    "cross_entropy": Formula(
        sp.Symbol("L"),
        -total(total(TARGET[n, c] * sp.log(PROB[n, c]), c), n) / N,
        {"s": Definition(LOGITS[n, c], (PROB[n, c] - TARGET[n, c]) / N)},
        one_hot,
        [softmaxed],
        {N: 3, C: 4},
        classes,
    ),
    "probability_cross_entropy": Formula(
        sp.Symbol("L"),
        -total(total(TARGET[n, c] * sp.log(PROB[n, c]), c), n) / N,
        {"p": Definition(PROB[n, c], -TARGET[n, c] / PROB[n, c] / N)},
        {"p": (3, 4)},
        sizes={N: 3, C: 4},
        draw=lambda rng: {"p": rng.dirichlet(np.ones(4), 3), "target": rng.dirichlet(np.ones(4), 3)},
    ),
    "binary_cross_entropy": Formula(
        sp.Symbol("L"),
        total(sp.log(1 + sp.exp(LOGITS[n])) - TARGET[n] * LOGITS[n], n) / N,
        {"s": Definition(LOGITS[n], (sigma(LOGITS[n]) - TARGET[n]) / N)},
        {"s": (4,)},
        sizes={N: 4},
        draw=lambda rng: {"s": rng.normal(size=4), "target": rng.integers(0, 2, 4).astype(float)},
    ),
    "mean_squared_error": Formula(
        sp.Symbol("L"),
        total(total((OUT[n, d] - TARGET[n, d]) ** 2, d), n) / (N * D),
        {"yhat": Definition(OUT[n, d], 2 * (OUT[n, d] - TARGET[n, d]) / (N * D))},
        {"yhat": (3, 2)},
        sizes={N: 3, D: 2},
        draw=normal(("yhat", (3, 2)), ("target", (3, 2))),
    ),
    "mean_absolute_error": Formula(
        sp.Symbol("L"),
        total(total(sp.Piecewise((miss, miss > 0), (-miss, True)), d), n) / (N * D),
        {"yhat": Definition(OUT[n, d], sp.Piecewise((1, miss > 0), (-1, True)) / (N * D))},
        {"yhat": (3, 2)},
        sizes={N: 3, D: 2},
        draw=normal(("yhat", (3, 2)), ("target", (3, 2))),
    ),
    "huber": Formula(
        sp.Symbol("L"),
        total(total(sp.Piecewise((miss**2 / 2, sp.Abs(miss) <= 1), (sp.Abs(miss) - HALF, True)), d), n) / (N * D),
        {"yhat": Definition(OUT[n, d], sp.Piecewise((miss, sp.Abs(miss) <= 1), (miss / sp.Abs(miss), True)) / (N * D))},
        {"yhat": (4, 2)},
        sizes={N: 4, D: 2},
        draw=normal(("yhat", (4, 2)), ("target", (4, 2))),
    ),
    "hinge": Formula(
        sp.Symbol("L"),
        total(total((1 - TARGET[n, c]) * sp.Piecewise((MARGIN[n, c], MARGIN[n, c] > 0), (0, True)), c), n) / N,
        {"s": Definition(LOGITS[n, c], (OVER[n, c] - TARGET[n, c] * total(OVER[n, j], j)) / N)},
        one_hot,
        [
            Definition(MARGIN[n, c], LOGITS[n, c] - total(TARGET[n, k] * LOGITS[n, k], k) + 1),
            Definition(OVER[n, c], sp.Piecewise((1 - TARGET[n, c], MARGIN[n, c] > 0), (0, True))),
        ],
        {N: 3, C: 4},
        lambda rng: {"s": rng.normal(size=(3, 4)), "target": np.eye(4)[rng.integers(0, 4, 3)]},
    ),
    "rnn": Formula(
        Y[n, t, d],
        sp.tanh(total(X[n, t, i] * W[i, d], i) + sp.Sum(HIDDEN[n, q] * U[q, d], (q, 0, D - 1)) + B[d]),
        {
            "x": Definition(X[n, t, i], total(DA[n, t, d] * W[i, d], d)),
            "h": Definition(HIDDEN[n, q], total(DA[n, t, d] * U[q, d], t, d)),
            "weight": Definition(W[i, d], total(X[n, t, i] * DA[n, t, d], n, t)),
            "u": Definition(U[q, d], total(HIDDEN[n, q] * DA[n, t, d], n, t)),
            "bias": Definition(B[d], total(DA[n, t, d], n, t)),
        },
        {"x": (2, 1, 3), "h": (2, 2), "weight": (3, 2), "u": (2, 2), "bias": (2,)},
        [Definition(DA[n, t, d], DY[n, t, d] * (1 - Y[n, t, d] ** 2))],
        {N: 2, T: 1, D: 2, I: 3},
    ),
    "l2_penalty": Formula(
        sp.Symbol("L"),
        sp.Symbol("lambda") * total(total(W[i, o] ** 2, o), i) / 2,
        {"weight": Definition(W[i, o], sp.Symbol("lambda") * W[i, o])},
        {"weight": (3, 2)},
        sizes={I: 3, O: 2},
    ),
    "positional_embedding": Formula(
        Y[n, t, d],
        X[n, t, d] + W[t, d],
        {"x": Definition(X[n, t, d], DY[n, t, d]), "weight": Definition(W[t, d], total(DY[n, t, d], n))},
        {"x": (3, 2, 2), "weight": (2, 2)},
        sizes={N: 3, T: 2, D: 2},
    ),
}
# What a block says before its formula.
NOTES = {
    "attention": "Without a mask, with s = q kᵀ:",
    "avg_pool2d": "For windows of 2 × 2:",
    "batch_norm": "In training:",
    "conv2d": "For stride 1, without padding:",
    "hinge": "With t = 1 for the right class, else 0:",
    "huber": "For δ = 1:",
    "rnn": "For one step, with a for what the tanh is taken of:",
}
# What the forward is given beside the arrays, by pair.
KEYWORDS: dict[str, dict[str, Any]] = {"l2_penalty": {"strength": 0.3}}
NUMBERS = {sp.Symbol("lambda"): 0.3}

# Proved: three numbers for each entry of each gradient --------------------------------------------------------------


def expanded(value: Any, formula: Formula) -> Any:
    """The expression with definitions put in, and with sizes for their letters."""
    table = formula.definitions()

    def is_defined(it: Any) -> bool:
        return isinstance(it, sp.Indexed) and it.base in table

    def defined(it: Any) -> Any:
        name, meaning = table[it.base]
        return meaning.xreplace(dict(zip(name.indices, it.indices, strict=True)))

    while value.has(sp.Indexed) and any(is_defined(it) for it in value.atoms(sp.Indexed)):
        value = value.replace(is_defined, defined)
    return value.subs({**formula.sizes, **NUMBERS}).doit()


def entries(formula: Formula, shape: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    """(place, y there) for each entry of the output."""
    value = expanded(formula.value, formula)
    letters = formula.output.indices if isinstance(formula.output, sp.Indexed) else ()
    for place in product(*map(range, shape)):
        yield place, value.subs(dict(zip(letters, place, strict=True))).doit()


def numbers_of(arrays: Mapping[str, Any]) -> dict[Any, float]:
    """{entry: its number} of arrays, for expressions."""
    return {
        sp.IndexedBase(name)[place] if place else sp.Symbol(name): float(array[place])
        for name, array in arrays.items()
        for place in np.ndindex(np.shape(array))
    }


def put_in(value: Any, numbers: Mapping[Any, float]) -> float:
    return float(value.xreplace({it: sp.Float(number, 30) for it, number in numbers.items()}).evalf(30))


def prove(formula: Formula, arrays: Arrays, shape: Sequence[int], dy: Any) -> Iterator[tuple[str, Arrays]]:
    """Yield ("y", the output), then each array's name with its gradient by SymPy and as it is printed."""
    numbers, y = numbers_of(arrays), dict(entries(formula, shape))
    values = {place: put_in(value, numbers) for place, value in y.items()}
    yield "y", {"value": np.array([*values.values()]).reshape(shape)}
    loss = sum(float(dy[place]) * value for place, value in y.items())
    known = {**numbers, **numbers_of({"dy": dy, "y": np.array([*values.values()]).reshape(shape)})} | numbers
    for name, (entry, gradient) in formula.gradients.items():
        printed, derived = np.zeros(formula.shapes[name]), np.zeros(formula.shapes[name])
        gradient = expanded(gradient, formula)
        for place in np.ndindex(*formula.shapes[name]):
            own, symbol = sp.IndexedBase(name)[place], sp.Dummy(real=True)
            there = loss.xreplace({it: sp.Float(number, 30) for it, number in numbers.items() if it != own})
            slope = sp.diff(there.xreplace({own: symbol}), symbol)
            derived[place] = put_in(slope, {symbol: numbers[own]})
            here = gradient.subs(dict(zip(entry.indices, place, strict=True))).doit()
            printed[place] = put_in(here, known) * (1.0 if shape else float(dy[()]))
        yield name, {"derived": derived, "printed": printed}


# Typeset ------------------------------------------------------------------------------------------------------------

SIGNS = {
    "yhat": r"\hat y",
    "weight": "w",
    "bias": "b",
    "xhat": r"\hat x",
    "mu": r"\mu",
    "var": "v",
    "gamma": r"\gamma",
    "beta": r"\beta",
}
LOSS = {"target": "t", "p": "p", "s": "s"}


class Printer(LatexPrinter):  # type: ignore[misc]
    """LaTeX in the notation of the pages: indices without commas, sums without bounds, ∂L/∂y for dy."""

    def _print_Indexed(self, it: Any) -> str:
        name, indices = str(it.base), [self._print(index) for index in it.indices]
        joined = ("" if all(len(index) == 1 for index in indices) else ",").join(indices)
        if name == "dy":
            return rf"\frac{{\partial L}}{{\partial y_{{{joined}}}}}"
        if name in ("ds", "da"):
            return rf"\frac{{\partial L}}{{\partial {name[1]}_{{{joined}}}}}"
        return f"{({**SIGNS, **LOSS}).get(name, name)}_{{{joined}}}"

    def _print_Sum(self, it: Any) -> str:
        below = ", ".join(self._print(limit[0]) for limit in it.limits)
        inside = self._print(it.function)
        return rf"\sum_{{{below}}} " + (rf"\left({inside}\right)" if it.function.is_Add else inside)

    def _as_ordered_terms(self, it: Any, order: Any = None) -> list[Any]:
        return sorted(it.args, key=lambda term: bool(term.could_extract_minus_sign()))

    def _print_Float(self, it: Any) -> str:
        return f"{float(it):.5g}"


def latex(value: Any) -> str:
    return str(Printer({"ln_notation": False, "order": "none"}).doprint(value))


def named_epsilon(text: str) -> str:
    """ε for the small number that norms add."""
    return text.replace(r"\frac{1}{100000}", r"\varepsilon").replace(r"\frac{1}{1000000}", r"\varepsilon")


def block(pair: str) -> str:
    """The formula of a pair as Markdown, between the marks of its block."""
    lines = list(entrywise(ENTRYWISE[pair]) if pair in ENTRYWISE else arraywise(FORMULAS[pair]))
    body = " \\\\\n".join(lines)
    note = f"{NOTES.get(pair, '')}\n\n" * (pair in NOTES)
    text = f"{note}$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"
    return f"<!-- formula: {pair} -->\n{named_epsilon(text)}\n<!-- end -->"


def entrywise(branches: Sequence[Branch]) -> Iterator[str]:
    for left, part in (("y", "value"), (r"\frac{\partial y}{\partial x}", "slope")):
        values = [latex(getattr(branch, part)) for branch in branches]
        if len(branches) > 1:
            rows = r" \\ ".join(f"{text} & {it.where}" for text, it in zip(values, branches, strict=True))
            values = [rf"\begin{{cases}} {rows} \end{{cases}}"]
        yield f"{left} &= {values[0]}"


def arraywise(formula: Formula) -> Iterator[str]:
    used = {it.base for it in formula.value.atoms(sp.Indexed)}
    for name, value in formula.where:
        if not any(it.base in (DY, DS) for it in value.atoms(sp.Indexed)):
            yield f"{latex(name)} &= {latex(value)}"
    yield f"{latex(formula.output)} &= {latex(formula.value)}"
    for name, value in formula.where:
        if any(it.base == DY for it in value.atoms(sp.Indexed)) and name.base not in used:
            yield f"{latex(name)} &= {latex(value)}"
    for entry, gradient in formula.gradients.values():
        yield rf"\frac{{\partial L}}{{\partial {latex(entry)}}} &= {latex(gradient)}"


def proved() -> str:
    """Which pairs have a formula here, and which have none."""
    every = sorted(name.removesuffix("_forward") for name in vars(functional) if name.endswith("_forward"))
    groups: dict[bool, list[str]] = {True: [], False: []}
    for name in every:
        groups[name in ENTRYWISE or name in FORMULAS].append(f"`{name}`")
    said = [f"These have such a formula: {', '.join(groups[True])}.", ""]
    said.append(f"These are held to numeric and complex-step gradients alone: {', '.join(groups[False])}.")
    return "\n".join(["<!-- proved -->", *said, "<!-- end -->"])


def write() -> None:
    """Put every formula into its page, and the list of them on the first one."""
    index = PAGES / "index.md"
    index.write_text(PROVED.sub(lambda _: proved(), index.read_text(encoding="utf-8")), encoding="utf-8")
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for pair in (it for it in (*ENTRYWISE, *FORMULAS) if f"\n## {it}\n" in text):
            if f"<!-- formula: {pair} -->" not in text:
                head = re.search(rf"\n## {pair}\n\nCode:.*?\n\n", text, re.S)
                assert head, f"{page}: no section {pair} that begins with its code"
                text = text[: head.end()] + f"<!-- formula: {pair} -->\n<!-- end -->\n\n" + text[head.end() :]
        page.write_text(BLOCK.sub(lambda found: block(found[1]), text), encoding="utf-8")


if __name__ == "__main__":
    write()
