"""The drawings of the course, each computed: a function a drawing, whose name is the file's, and which returns SVG.

python docs/drawings.py writes them into docs/drawings.
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import handgrad as hg
from handgrad import functional as F

BLUE, ORANGE, GREY, RED = "#1f5fa8", "#b4560b", "#6b7280", "#b3261e"
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "handgrad", "font.family": "sans-serif", "font.size": 11}


def svg(draw: Callable[[Any], None], *size: float, columns: int = 1) -> str:
    """What a function draws on axes, as SVG whose text stays text."""
    with matplotlib.rc_context(STYLE):
        figure, written = Figure(figsize=size or (6.4, 3.4), layout="constrained"), io.StringIO()
        draw(figure.subplots(1, columns))
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def graph(function: Callable[..., Any], *arrays: Any) -> str:
    """The computational graph of a function at numbers."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "graph.svg")
        hg.draw_graph(function, *(np.asarray(it, float) for it in arrays), upstream=np.ones(())).save(path)
        return path.read_text("utf-8")


def bare(axes: Axes, *, equal: bool = True) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal" if equal else "auto")


def grid(axes: Axes, values: Any, left: float, top: float, colours: Any = None, title: str = "") -> None:
    """An array as a grid of squares with its numbers."""
    for (row, column), value in np.ndenumerate(values):
        colour = "#ffffff" if colours is None else colours[row][column]
        axes.add_patch(Rectangle((left + column, -top - row), 1, -1, facecolor=colour, edgecolor=GREY, lw=0.8))
        axes.text(left + column + 0.5, -top - row - 0.5, f"{value:g}", ha="center", va="center")
    axes.text(left + np.shape(values)[1] / 2, -top + 0.25, title, ha="center", va="bottom")


# The course -------------------------------------------------------------------------------------------------------


def slope() -> str:
    def draw(axes: Axes) -> None:
        x = np.linspace(-1, 3, 200)
        axes.plot(x, x**2, color=BLUE)
        for h, colour in ((1.0, ORANGE), (0.25, RED)):
            steep = ((1 + h) ** 2 - (1 - h) ** 2) / (2 * h)
            axes.plot(
                [1 - h, 1 + h], [(1 - h) ** 2, (1 + h) ** 2], "o-", color=colour, label=f"h = {h:g}: slope {steep:g}"
            )
        axes.plot(x, 2 * x - 1, ":", color=GREY, label="tangent at 1: slope 2")
        axes.set(ylim=(-1, 6), xlabel="x", ylabel="y = x²")
        axes.legend(frameon=False)

    return svg(draw)


def chain() -> str:
    def chain(x: Any, w: Any, b: Any) -> Any:
        c = w * x + b
        return c**2

    return graph(chain, 2.0, 3.0, 1.0)


def used_twice() -> str:
    def wave(x: Any) -> Any:
        return x * np.sin(x)

    return graph(wave, 2.0)


def neuron() -> str:
    def neuron(x: Any, w: Any, b: Any) -> Any:
        return np.tanh(x @ w + b)

    return graph(neuron, [1.0, -2.0], [0.5, 0.25], 0.1)


def layer() -> str:
    def draw(axes: Axes) -> None:
        bare(axes)
        light, mid = "#dbe8f6", "#f7e3d3"
        for left, rows, columns, name, colour in (
            (0, 4, 3, "x  (N, in)", light),
            (4.5, 3, 2, "W  (in, out)", mid),
            (8, 1, 2, "b  (out,)", mid),
            (11.5, 4, 2, "y  (N, out)", light),
        ):
            for row in range(rows):
                for column in range(columns):
                    axes.add_patch(Rectangle((left + column, -row), 1, -1, facecolor=colour, edgecolor=GREY, lw=0.8))
            axes.text(left + columns / 2, 0.25, name, ha="center")
        for place, sign in ((3.75, "·"), (7.25, "+"), (10.75, "=")):
            axes.text(place, -1.5, sign, ha="center", va="center", fontsize=16)
        axes.add_patch(Rectangle((0, -1), 3, -1, fill=False, edgecolor=BLUE, lw=2.5))
        axes.add_patch(Rectangle((5.5, 0), 1, -3, fill=False, edgecolor=ORANGE, lw=2.5))
        axes.add_patch(Rectangle((9, 0), 1, -1, fill=False, edgecolor=ORANGE, lw=2.5))
        axes.add_patch(Rectangle((12.5, -1), 1, -1, fill=False, edgecolor=RED, lw=2.5))
        axes.set(xlim=(-0.3, 14), ylim=(-4.3, 1))

    return svg(draw, 7.2, 2.9)


def training() -> str:
    def draw(axes: Any) -> None:
        x, y, w, b = LINE
        losses = []
        for step in range(31):
            doutput = 2 * (w * x + b - y) / len(x)
            losses.append(float(np.mean((w * x + b - y) ** 2)))
            if step in (0, 1, 3, 30):
                axes[0].plot(x, w * x + b, color=BLUE, alpha=0.3 + 0.7 * step / 30, label=f"after step {step}")
            w, b = w - 0.1 * (doutput @ x), b - 0.1 * doutput.sum()
        axes[0].plot(x, y, "o", color=ORANGE)
        axes[0].legend(frameon=False, fontsize=9)
        axes[0].set(xlabel="x", title="the line")
        axes[1].semilogy(losses, color=BLUE)
        axes[1].set(xlabel="step", title="the loss")

    return svg(draw, 7.2, 3.2, columns=2)


LINE = (np.array([-1.0, 0.0, 1.0, 2.0]), np.array([-1.5, 0.5, 1.0, 3.5]), 0.0, 0.0)


def kink() -> str:
    def draw(axes: Axes) -> None:
        x = np.linspace(-1, 1, 200)
        axes.plot(x, F.relu_forward(x)[0], color=BLUE, label="ReLU")
        axes.plot([-0.2, 0.4], [0, 0.4], "o-", color=RED, label="a step across the kink: slope 0.67")
        axes.plot([0.35, 0.45], [0.35, 0.45], "s-", color=ORANGE, label="a step beside it: slope 1")
        axes.set(xlabel="x")
        axes.legend(frameon=False)

    return svg(draw)


def ravine() -> str:
    """Three optimizers from one place, in a valley ten times as steep across as along."""

    def path(optimizer: hg.optimizers.Optimizer, steps: int) -> Any:
        place, gradient = np.array([-4.0, 1.5]), np.zeros(2)
        places = [place.copy()]
        for _ in range(steps):
            gradient[...] = STEEPNESS * place
            optimizer.update([place], [gradient])
            places.append(place.copy())
        return np.array(places).T

    def draw(axes: Axes) -> None:
        x, y = np.meshgrid(np.linspace(-4.6, 2, 150), np.linspace(-2, 2, 150))
        axes.contour(x, y, (STEEPNESS[0] * x**2 + STEEPNESS[1] * y**2) / 2, 14, colors="#c9ced6", linewidths=0.8)
        for name, optimizer, colour in RUNNERS():
            axes.plot(*path(optimizer, 30), "o-", ms=3, lw=1.3, color=colour, label=name)
        axes.legend(frameon=False, loc="upper right")
        axes.set(xlabel="along the valley", ylabel="across it")

    return svg(draw, 6.8, 3.8)


STEEPNESS = np.array([1.0, 10.0])


def RUNNERS() -> Iterable[tuple[str, Any, str]]:
    yield "gradient descent, rate 0.17", hg.optimizers.SGD(learning_rate=0.17), GREY
    yield "momentum 0.6, rate 0.08", hg.optimizers.SGD(learning_rate=0.08, momentum=0.6), BLUE
    yield "Adam, rate 0.4", hg.optimizers.Adam(learning_rate=0.4), ORANGE


def scales() -> str:
    """The deviation of numbers on their way through twenty layers, by the scale of the weights."""

    def draw(axes: Axes) -> None:
        for factor, colour, name in ((1.0, GREY, "√(1 / n)"), (2.0, BLUE, "√(2 / n)"), (4.0, RED, "√(4 / n)")):
            rng, found = np.random.default_rng(0), [1.0]
            x = rng.normal(size=(200, 256))
            for _ in range(20):
                x = np.maximum(x @ (rng.normal(size=(256, 256)) * np.sqrt(factor / 256)), 0)
                found.append(float(np.sqrt(np.mean(x**2))))
            axes.semilogy(found, color=colour, label=f"weights of deviation {name}")
        axes.set(xlabel="layer", ylabel="root mean square")
        axes.legend(frameon=False)

    return svg(draw)


def schedules() -> str:
    def draw(axes: Axes) -> None:
        for schedule, colour in (
            (hg.schedules.Cosine(0.1, num_steps=100), BLUE),
            (hg.schedules.Step(0.1, stage_length=30, decay=0.3), ORANGE),
            (hg.schedules.OneCycle(0.1, num_steps=100), GREY),
        ):
            axes.plot([schedule(t) for t in range(101)], color=colour, label=type(schedule).__name__)
        axes.set(xlabel="epoch", ylabel="learning rate")
        axes.legend(frameon=False)

    return svg(draw)


# Beside the derivations -------------------------------------------------------------------------------------------


def convolution() -> str:
    """A window of a picture, a kernel, and the number that comes of them."""

    def draw(axes: Axes) -> None:
        bare(axes)
        picture = np.array([[0, 1, 2, 1], [1, 3, 1, 0], [2, 0, 1, 2], [1, 1, 0, 3]], float)
        kernel = np.array([[1, 0], [-1, 2]], float)
        y = F.conv2d_forward(picture[None, :, :, None], kernel[:, :, None, None])[0][0, :, :, 0]
        seen = [["#dbe8f6" if r in (1, 2) and c in (0, 1) else "#ffffff" for c in range(4)] for r in range(4)]
        grid(axes, picture, 0, 0, seen, "x")
        grid(axes, kernel, 5.5, 1, [["#f7e3d3"] * 2] * 2, "kernel")
        made = [["#dbe8f6" if (r, c) == (1, 0) else "#ffffff" for c in range(3)] for r in range(3)]
        grid(axes, y, 9, 0.5, made, "y")
        axes.text(6.5, -4.1, f"1·1 + 0·3 − 1·2 + 2·0 = {y[1, 0]:g}", ha="center")
        axes.set(xlim=(-0.2, 12.2), ylim=(-4.6, 0.9))

    return svg(draw, 7.2, 3.2)


def pooling() -> str:
    """Max pooling forward, and the way of dy back to the winners."""

    def draw(axes: Axes) -> None:
        bare(axes)
        x = np.array([[1, 5, 2, 0], [3, 2, 4, 1], [0, 1, 7, 6], [2, 3, 5, 8]], float)
        y, cache = F.max_pool2d_forward(x[None, :, :, None])
        dy = np.array([[1.0, 2.0], [3.0, 4.0]])
        dx = F.max_pool2d_backward(dy[None, :, :, None], cache)[0][0, :, :, 0]
        won = [["#f7e3d3" if value else "#ffffff" for value in row] for row in dx]
        grid(axes, x, 0, 0, won, "x")
        grid(axes, y[0, :, :, 0], 5, 1, None, "y: the largest of each window")
        grid(axes, dy, 9.5, 1, None, "dy")
        grid(axes, dx, 12.5, 0, won, "dx")
        axes.set(xlim=(-0.2, 16.7), ylim=(-4.3, 0.9))

    return svg(draw, 8, 2.7)


def batch_norm() -> str:
    """Each step of a batch norm, with its gradient."""

    def batch_norm(x: Any) -> Any:
        mean = x.mean(axis=0)
        centered = x - mean
        var = (centered**2).mean(axis=0)
        return centered / np.sqrt(var + 1e-5)

    with TemporaryDirectory() as folder:
        path = Path(folder, "graph.svg")
        hg.draw_graph(batch_norm, np.array([[1.0], [2.0], [6.0]])).save(path)
        return path.read_text("utf-8")


def lstm() -> str:
    def step(i: Any, f: Any, o: Any, g: Any, c: Any) -> Any:
        c_new = 1 / (1 + np.exp(-f)) * c + 1 / (1 + np.exp(-i)) * np.tanh(g)
        return 1 / (1 + np.exp(-o)) * np.tanh(c_new)

    return graph(step, 0.5, 1.0, -0.5, 2.0, 0.8)


def attention() -> str:
    """The weights of a causal attention: who looks at whom."""

    def draw(axes: Axes) -> None:
        rng = np.random.default_rng(1)
        q, k = 2 * rng.normal(size=(2, 6, 4))
        scores = np.where(np.tri(6, dtype=bool), q @ k.T / 2, -np.inf)
        weights = F.softmax_forward(scores)[0]
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(weights):
            if column <= row:
                axes.text(
                    column, row, f"{value:.2f}", ha="center", va="center", color="w" if value > 0.6 else "k", fontsize=9
                )
        axes.set(xlabel="looked at (key)", ylabel="looking (query)")

    return svg(draw, 4.6, 4.2)


def activations() -> str:
    def draw(axes: Any) -> None:
        x = np.linspace(-4, 4, 200)
        for name, colour in (("relu", GREY), ("sigmoid", ORANGE), ("tanh", BLUE), ("gelu", RED)):
            forward, backward = getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")
            y, cache = forward(x)
            axes[0].plot(x, y, color=colour, label=name)
            axes[1].plot(x, backward(np.ones_like(x), cache)[0], color=colour)
        axes[0].set(title="y", ylim=(-1.2, 2.5))
        axes[1].set(title="dy / dx")
        axes[0].legend(frameon=False)

    return svg(draw, 7.2, 3.2, columns=2)


def losses() -> str:
    def draw(axes: Any) -> None:
        error = np.linspace(-3, 3, 121)
        for name, colour in (("mean_squared_error", GREY), ("mean_absolute_error", ORANGE), ("huber", BLUE)):
            forward, backward = getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")
            found = [forward(np.array([it]), np.zeros(1)) for it in error]
            axes[0].plot(error, [loss for loss, _ in found], color=colour, label=name.replace("_", " "))
            axes[1].plot(error, [backward(1.0, cache)[0][0] for _, cache in found], color=colour)
        axes[0].set(title="loss", xlabel="output - target", ylim=(0, 6))
        axes[1].set(title="gradient", xlabel="output - target", ylim=(-4, 4))
        axes[0].legend(frameon=False)

    return svg(draw, 7.2, 3.2, columns=2)


def dropout() -> str:
    def draw(axes: Axes) -> None:
        bare(axes)
        x, dy = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], float), np.array([[2, 1, 4, 3], [6, 5, 8, 7]], float)
        y, cache = F.dropout_forward(x, rate=0.5, rng=1)
        dx = F.dropout_backward(dy, cache)[0]
        kept = [["#f7e3d3" if value else "#ffffff" for value in row] for row in y]
        for left, array, title in ((0, x, "x"), (4.7, y, "y: dropped, or doubled"), (9.4, dy, "dy"), (14.1, dx, "dx")):
            grid(axes, array, left, 0, kept, title)
        axes.set(xlim=(-0.2, 18.3), ylim=(-2.3, 0.9))

    return svg(draw, 8.2, 1.7)


def linear() -> str:
    def linear(x: Any, W: Any, b: Any) -> Any:
        return x @ W + b

    with TemporaryDirectory() as folder:
        path = Path(folder, "graph.svg")
        hg.draw_graph(linear, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [10.0]]), np.array([0.5])).save(path)
        return path.read_text("utf-8")


def embedding() -> str:
    """Rows of a table picked by numbers, and what comes back to them."""

    def draw(axes: Axes) -> None:
        bare(axes)
        table, indices, dy = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], float), np.array([2, 0, 2]), np.ones((3, 2))
        y, cache = F.embedding_forward(table, indices)
        dtable = F.embedding_backward(dy, cache)[-1]
        used = [["#f7e3d3" if row in indices else "#ffffff"] * 2 for row in range(4)]
        for left, array, colours, title in (
            (0, table, used, "W"),
            (3, indices[:, None], None, "i"),
            (5, y, [["#f7e3d3"] * 2] * 3, "y: rows of W"),
            (9, dy, None, "dy"),
            (12, dtable, used, "dW: row 2 twice"),
        ):
            grid(axes, array, left, 0, colours, title)
        axes.set(xlim=(-0.2, 14.9), ylim=(-4.3, 0.9))

    return svg(draw, 7.6, 2.7)


def penalties() -> str:
    def draw(axes: Any) -> None:
        weights = np.linspace(-2, 2, 201)
        for name, colour in (("l2_penalty", BLUE), ("l1_penalty", ORANGE)):
            forward, backward = getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")
            found = [forward(np.array([w]), 1.0) for w in weights]
            axes[0].plot(weights, [penalty for penalty, _ in found], color=colour, label=name.replace("_p", " p"))
            axes[1].plot(weights, [backward(1.0, cache)[0][0] for _, cache in found], color=colour)
        axes[0].set(title="penalty, λ = 1", xlabel="w")
        axes[1].set(title="gradient", xlabel="w")
        axes[0].legend(frameon=False)

    return svg(draw, 7.2, 3.0, columns=2)


def shapes() -> str:
    """An array, the same in another shape, and with its axes exchanged."""

    def draw(axes: Axes) -> None:
        bare(axes)
        x = np.arange(1.0, 7.0).reshape(2, 3)
        rows = np.array([["#dbe8f6"] * 3, ["#f7e3d3"] * 3])
        grid(axes, x, 0, 0, rows, "x (2, 3)")
        grid(axes, x.reshape(3, 2), 5, 0, rows.reshape(3, 2), "reshaped to (3, 2)")
        grid(axes, x.T, 10, 0, rows.T, "axes exchanged: (3, 2)")
        axes.set(xlim=(-0.2, 13.6), ylim=(-3.3, 0.9))

    return svg(draw, 6.6, 2.2)


def autoencoder() -> str:
    def autoencoder(x: Any, W: Any) -> Any:
        z = W @ x
        a = W * z - x
        return 0.5 * (a @ a)

    return graph(autoencoder, [1.0, 1.0], [0.8, 0.0])


def likelihood() -> str:
    """The two terms of the latent variable model's likelihood of one thing, and their sum."""

    def draw(axes: Axes) -> None:
        x = np.linspace(0, 4, 200)
        covariance = x**2 + 1
        for term, name, colour in (
            (-np.log(covariance), "-D/2 log|K|", GREY),
            (-4 / covariance, "-½ tr(K⁻¹ Y Yᵀ)", ORANGE),
            (-np.log(covariance) - 4 / covariance, "L", BLUE),
        ):
            axes.plot(x, term, color=colour, label=name)
        axes.plot(np.sqrt(3), -np.log(4) - 1, "o", color=RED)
        axes.set(xlabel="x")
        axes.legend(frameon=False)

    return svg(draw)


DRAWINGS = (
    slope, chain, used_twice, neuron, layer, training, kink, ravine, scales, schedules,
    convolution, pooling, batch_norm, lstm, attention, activations, linear, losses, dropout,
    embedding, penalties, shapes, autoencoder, likelihood,
)  # fmt: skip

if __name__ == "__main__":
    for drawing in DRAWINGS:
        Path(__file__).with_name("drawings").joinpath(f"{drawing.__name__}.svg").write_text(drawing(), "utf-8")
