"""What the exercises are checked with where it is no array of normal numbers. Not handed out."""


def with_zeros(rng):
    """Numbers, some of which are exactly 0."""
    return {"x": rng.normal(size=(6, 5)) * (rng.uniform(size=(6, 5)) > 0.2)}


def scores(rng):
    """Scores far beyond what exp can take, near one another in a row."""
    return {"s": 1000 * rng.normal(size=(6, 1)) + rng.normal(size=(6, 5))}


def classes(rng):
    """Scores and labels."""
    return {"s": rng.normal(size=(6, 5)), "labels": rng.integers(0, 5, 6)}


def moments(rng):
    """A parameter, its gradient, and running averages as they are after some steps."""
    w, g, m = rng.normal(size=(3, 5))
    return {"w": w, "g": g, "m": m, "v": rng.uniform(0.1, 1, 5), "t": int(rng.integers(1, 9)), "epsilon": 0.1}


def steps(rng):
    """A step between the first and the last."""
    return {"step": int(rng.integers(1, 99)), "num_steps": 100, "peak": 0.1}


def masked(rng):
    """Numbers, and which of them stay."""
    return {"x": rng.normal(size=(6, 5)), "mask": rng.integers(0, 2, (6, 5)), "rate": 0.4}


def regression(rng):
    """Points, and the line so far."""
    x, y, w = rng.normal(size=(6, 3)), rng.normal(size=6), rng.normal(size=3)
    return {"x": x, "y": y, "w": w, "b": float(rng.normal()), "learning_rate": 0.1}
