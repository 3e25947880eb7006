"""Optimizers against plain formulas, PyTorch, their own saved state, and wrong input."""

import numpy as np
import pytest

from handgrad import optimizers
from handgrad.optimizers import SGD, Adagrad, Adam, AdamW, ClipGlobalNorm, ClipParameterNorm, ClipValue, RMSprop

SHAPES = [(4, 3), (3,), ()]
CASES = [
    (SGD(0.1), "SGD", dict(lr=0.1)),
    (SGD(0.1, weight_decay=0.2), "SGD", dict(lr=0.1, weight_decay=0.2)),
    (SGD(0.1, momentum=0.9), "SGD", dict(lr=0.1, momentum=0.9)),
    (SGD(0.1, momentum=0.9, weight_decay=0.2), "SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.2)),
    (SGD(0.1, momentum=0.9, nesterov=True), "SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    (SGD(0.1, 0.8, True, 0.1), "SGD", dict(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.1)),
    (Adagrad(), "Adagrad", {}),
    (Adagrad(0.1, epsilon=1e-3, weight_decay=0.2), "Adagrad", dict(lr=0.1, eps=1e-3, weight_decay=0.2)),
    (RMSprop(), "RMSprop", {}),
    (RMSprop(0.1, 0.8, 1e-3, 0.2), "RMSprop", dict(lr=0.1, alpha=0.8, eps=1e-3, weight_decay=0.2)),
    (Adam(), "Adam", {}),
    (Adam(0.1, 0.8, 0.9, 1e-3, 0.2), "Adam", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)),
    (AdamW(), "AdamW", {}),
    (AdamW(0.1, 0.8, 0.9, 1e-3, 0.2), "AdamW", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)),
]
OPTIMIZERS = [case[0] for case in CASES]


def fresh(optimizer):
    return type(optimizer)(**optimizers.constructor_arguments(optimizer))


def arrays(seed, dtype=np.float64, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), dtype) for shape in shapes]


@pytest.mark.parametrize(("optimizer", "name", "options"), CASES, ids=repr)
def test_twenty_steps_are_pytorchs(optimizer, name, options):
    torch = pytest.importorskip("torch")
    optimizer, ours = fresh(optimizer), arrays(0)
    theirs = [torch.tensor(p, requires_grad=True) for p in ours]
    reference = getattr(torch.optim, name)(theirs, **options)
    for step in range(20):
        gradients = arrays(step + 1)
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = torch.tensor(g)
        reference.step()
        optimizer.update(ours, gradients)
        for p, q in zip(ours, theirs, strict=True):
            assert np.abs(p - q.detach().numpy()).max() <= 1e-10
