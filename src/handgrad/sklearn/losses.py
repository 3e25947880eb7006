"""The losses that scikit-learn has and handgrad has not: the Poisson deviance, and sums where handgrad takes means."""

import numpy as np

from ..layers import CrossEntropy, Loss


class LogLoss(CrossEntropy):
    """CrossEntropy of int labels, without the checks that an estimator has made: they are a tenth of a small step."""

    def compute(self, outputs, targets, sample_weight):
        if sample_weight is not None:
            return super().compute(outputs, targets, sample_weight)
        shifted = outputs - np.maximum.reduce(outputs, axis=1, keepdims=True)
        label, share = (np.arange(len(targets)), targets), 1 / len(targets)
        picked = np.add.reduce(shifted[label])
        exponentials = np.exp(shifted, out=shifted)
        totals = np.add.reduce(exponentials, axis=1, keepdims=True)
        loss = share * float(np.add.reduce(np.log(totals), axis=None) - picked)
        return loss, (exponentials, totals, label, share, share)  # the cache of the pair, whose backward follows


class Scaled(Loss):
    """factor times another loss.

    scikit-learn sums over the outputs where handgrad takes their mean, and halves the squared error: of K outputs
    Scaled(BinaryCrossEntropy(), K) and Scaled(MeanSquaredError(), K / 2) are its losses.
    """

    def __init__(self, loss, factor):
        self.loss, self.factor, self.classification = loss, factor, loss.classification

    def compute(self, outputs, targets, sample_weight):
        value, cache = self.loss.compute(outputs, targets, sample_weight)
        return self.factor * value, cache

    def pair_backward(self, dloss, cache):
        return self.loss.pair_backward(self.factor * dloss, cache)


class PoissonDeviance(Loss):
    """Half the Poisson deviance of counts t at the rate eᶻ: Σ t log(t / eᶻ) - t + eᶻ over outputs, mean over rows.

    z are the outputs, so that a rate is positive whatever the network says; the derivative by z is eᶻ - t.
    """

    def compute(self, outputs, targets, sample_weight):
        targets = np.asarray(targets, outputs.dtype).reshape(outputs.shape)
        share = row_shares(sample_weight, outputs)
        rates = np.exp(outputs)
        entropy = targets * np.log(np.where(targets.real > 0, targets, 1))  # t log t, 0 at t = 0
        deviance = (entropy - targets * outputs - targets + rates).sum(axis=1, keepdims=True)
        return (share * deviance).sum().item(), (rates, targets, share)

    @staticmethod
    def pair_backward(dloss, cache):
        rates, targets, share = cache
        return (dloss * share * (rates - targets),)


def row_shares(sample_weight, outputs):
    """Each row's share of the mean, (N, 1): 1 / N, or w / Σ w."""
    weight = np.ones(len(outputs)) if sample_weight is None else np.asarray(sample_weight)
    return (weight / weight.sum()).astype(outputs.real.dtype)[:, None]
