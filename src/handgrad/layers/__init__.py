"""The state: layers, with their parameters and the cache between forward and backward; losses; models of layers."""

from .activations import (
    ELU,
    GELU,
    Activation,
    Arctan,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .base import Layer
from .containers import Sequential, load_model
from .linear import Flatten, Linear
from .losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    ProbabilityCrossEntropy,
)
from .penalties import L1, L2

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "Activation",
    "Arctan",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Flatten",
    "Hinge",
    "Huber",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ProbabilityCrossEntropy",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "load_model",
]
