"""Wrong versions of losses and penalties."""

import numpy as np

from .specimens import wrong

MEAN = "A mean over m examples has 1/m in every gradient."


def one_hot(c, width=None):
    return np.eye(c.right[0].shape[1])[c.targets]


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@wrong("cross-entropy", "batch-size-factor", MEAN)
def not_divided_by_batch(dy, c):
    return (c.right[0] * len(c.logits),)


@wrong(
    "cross-entropy",
    "class-count-factor",
    "Divided by the number of classes, not of examples: every step is scaled by m / C.",
)
def divided_by_classes(dy, c):
    return (dy * (softmax(c.logits) - one_hot(c)) / c.logits.shape[1],)


@wrong(
    "cross-entropy",
    "brier-gradient",
    "p - t already contains the softmax Jacobian; with it twice, the network descends the Brier score and still "
    "trains.",
)
def softmax_jacobian_twice(dy, c):
    p = softmax(c.logits)
    off = p - one_hot(c)
    return (dy * p * (off - (off * p).sum(axis=1, keepdims=True)) / len(p),)


@wrong("cross-entropy", "target-ignored", "The gradient is p - t; p alone pushes every logit down.")
def target_not_subtracted(dy, c):
    return (dy * softmax(c.logits) / len(c.logits),)


@wrong("cross-entropy", "target-ignored", "The gradient is p - t; -t alone only ever pushes up.")
def only_the_target(dy, c):
    return (-dy * one_hot(c) / len(c.logits),)


@wrong("cross-entropy", "partly-missing", "All classes get a gradient: the wrong ones are pushed down by p.")
def only_the_target_column(dy, c):
    return (c.right[0] * one_hot(c),)


@wrong("cross-entropy", "softmax-missing", "The logits are no probabilities: softmax(x) - t.")
def logits_minus_target(dy, c):
    return (dy * (c.logits - one_hot(c)) / len(c.logits),)


@wrong("cross-entropy", "upstream-ignored", "A loss may be scaled or added to others: multiply by dloss.")
def ignores_dloss(dy, c):
    return (c.right[0] / dy,)


@wrong("cross-entropy", "wrong-sign", "p - t, not t - p: the latter is what to add, not what to subtract.")
def target_minus_p(dy, c):
    return (-c.right[0],)


@wrong("weighted cross-entropy", "keyword-ignored", "The class weights weigh the gradient as they weigh the loss.")
def class_weight_forgotten(dy, c):
    return (dy * (softmax(c.logits) - one_hot(c)) / len(c.logits),)


@wrong("smoothed cross-entropy", "keyword-ignored", "The gradient is p - q with the smoothed target q.")
def smoothing_forgotten(dy, c):
    return (dy * (softmax(c.logits) - one_hot(c)) / len(c.logits),)


@wrong(
    "probability cross-entropy",
    "brier-gradient",
    "By a probability, -log p has -1 / p; p - t belongs to softmax and loss together. The softmax behind it then "
    "applies its Jacobian a second time.",
)
def fused_gradient_on_probabilities(dy, c):
    return (dy * (c.probabilities - one_hot(c)) / len(c.probabilities),)


@wrong("probability cross-entropy", "log-missing", "The derivative of -log p is -1 / p.")
def logarithm_forgotten(dy, c):
    return (-dy * one_hot(c) / len(c.probabilities),)


@wrong("probability cross-entropy", "batch-size-factor", MEAN)
def probability_not_divided(dy, c):
    return (c.right[0] * len(c.probabilities),)


@wrong(
    "probability cross-entropy",
    "class-count-factor",
    "Divided by the classes, as one course text defines it, not by m.",
)
def probability_divided_by_classes(dy, c):
    return (c.right[0] * len(c.probabilities) / c.probabilities.shape[1],)


@wrong("probability cross-entropy", "wrong-sign", "-log p falls as p grows.")
def probability_sign(dy, c):
    return (-c.right[0],)


@wrong("binary cross-entropy", "derivative-twice", "σ(x) - t contains σ' already.")
def binary_derivative_twice(dy, c):
    p = 1 / (1 + np.exp(-c.logits))
    return (dy * (p - c.targets) * p * (1 - p) / c.logits.size,)


@wrong("binary cross-entropy", "target-ignored", "σ(x) - t, not σ(x).")
def binary_target_ignored(dy, c):
    return (dy / (1 + np.exp(-c.logits)) / c.logits.size,)


@wrong("binary cross-entropy", "element-count-factor", "The mean is over all elements: divide by N C.")
def binary_not_averaged(dy, c):
    return (c.right[0] * c.logits.size,)


@wrong("mean squared error", "factor-two", "(y - t)² has a 2 in its derivative; only a ½ in the loss removes it.")
def square_without_two(dy, c):
    return (c.right[0] / 2,)


@wrong("mean squared error", "class-count-factor", "The mean is over all N C elements, not over the N rows.")
def square_mean_over_rows(dy, c):
    return (2 * dy * (c.outputs - c.targets) / len(c.outputs),)


@wrong("mean squared error", "wrong-sign", "y - t, not t - y.")
def square_sign(dy, c):
    return (-c.right[0],)


@wrong("mean squared error", "broadcast", "(N,) and (N, 1) broadcast to (N, N): every output meets every target.")
def square_broadcast(dy, c):
    return (2 * dy * (c.outputs.ravel() - c.targets.reshape(-1, 1)) / c.outputs.size,)


@wrong("mean squared error", "target-ignored", "y - t, not y.")
def square_target_ignored(dy, c):
    return (2 * dy * c.outputs / c.outputs.size,)


@wrong("mean absolute error", "formula-slip", "|r| has sign(r) for its derivative; r is the square's.")
def absolute_as_square(dy, c):
    return (dy * (c.outputs - c.targets) / c.outputs.size,)


@wrong("huber", "one-branch", "Beyond delta the loss is linear and its gradient stays at ±delta.")
def huber_not_clipped(dy, c):
    return (dy * (c.outputs - c.targets) / c.outputs.size,)


@wrong("huber", "one-branch", "Beyond delta the slope is delta, not 1.")
def huber_clipped_at_one(dy, c):
    r = c.outputs - c.targets
    return (dy * np.where(np.abs(r) <= c.delta, r, np.sign(r)) / r.size,)


@wrong("hinge", "target-ignored", "Each violated margin also pulls the correct score up.")
def hinge_correct_class_forgotten(dy, c):
    return (c.right[0] * (1 - one_hot(c)),)


@wrong("hinge", "target-ignored", "The correct score gets minus the number of violated margins, not minus one.")
def hinge_correct_class_once(dy, c):
    return (c.right[0] * (1 - one_hot(c)) - dy * one_hot(c) / len(c.scores),)


@wrong("hinge", "margin-missing", "The condition is s_j - s_y + 1 > 0: the margin belongs into the mask too.")
def hinge_without_margin(dy, c):
    right = c.scores[np.arange(len(c.scores)), c.targets][:, None]
    over = (c.scores - right > 0).astype(float)
    return (dy * (over - one_hot(c) * over.sum(axis=1, keepdims=True)) / len(c.scores),)


@wrong("hinge", "batch-size-factor", MEAN)
def hinge_not_divided(dy, c):
    return (c.right[0] * len(c.scores),)


@wrong("l2 penalty", "factor-two", "½ λ w² has λ w, λ w² has 2 λ w: the loss and the gradient must agree on the ½.")
def l2_factor(dy, c):
    return (c.right[0] * 2,)


@wrong("l2 penalty", "keyword-factor", "The strength λ multiplies the gradient as it multiplies the penalty.")
def l2_strength_forgotten(dy, c):
    return (c.right[0] / c.strength,)


@wrong("l1 penalty", "formula-slip", "|w| has sign(w) for its derivative, w is the square's.")
def l1_as_l2(dy, c):
    return (dy * c.strength * c.weight,)
