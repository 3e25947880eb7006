"""The checks that people use, for comparison: one step, one upstream gradient, one number."""

import numpy as np

from handgrad.user_code.faults import CodeFault
from handgrad.user_code.recognize import recognize

STEP = 1e-5


def usual_check(target, arrays, options, upstream):
    """True if |a - n| / (|a| + |n|) exceeds 1e-4 for some array: 'ones' or 'random' for dy, central differences.

    An exception, a missing gradient or one of a wrong shape counts as caught.
    """
    try:
        subject = recognize(target, arrays, options.get("kwargs"), None, None, 0)
        point = subject.at(np.float64)
        y = point.forward().astype(float)
        dy = np.ones_like(y) if upstream == "ones" else np.random.default_rng(11).normal(size=y.shape)
        gradients = point.backward(np.array(dy))
        return any(wrong(point, name, dy, gradients[name]) for name in subject.names)
    except (CodeFault, ValueError, TypeError, AttributeError):
        return True


def wrong(point, name, dy, analytic):
    array = point.arrays[name]
    if analytic is None or analytic.shape != array.shape:
        return True
    numeric = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        saved = array[index]
        sides = []
        for step in (STEP, -STEP):
            array[index] = saved + step
            sides.append(np.sum(dy * point.forward()))
        array[index] = saved
        numeric[index] = (sides[0] - sides[1]) / (2 * STEP)
    size = np.linalg.norm(analytic) + np.linalg.norm(numeric)
    return not np.linalg.norm(analytic - numeric) <= 1e-4 * size


def training_check(target, arrays, options):
    """'It trains': True if twenty steps against the gradient fail to lower <dy, y> for a fixed random dy.

    What this lets pass looks healthy in a loss curve.
    """
    try:
        subject = recognize(target, arrays, options.get("kwargs"), None, None, 0)
        point = subject.at(np.float64)
        start = point.forward().astype(float)
        dy = np.random.default_rng(12).normal(size=start.shape)
        for _ in range(20):
            point.forward()
            for name, gradient in point.backward(np.array(dy)).items():
                point.arrays[name] -= 1e-4 * gradient
        return not np.sum(dy * point.forward()) < np.sum(dy * start)
    except (CodeFault, ValueError, TypeError, AttributeError):
        return True
