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
from .containers import Sequential
from .criteria import (
    L1,
    L2,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    ProbabilityCrossEntropy,
)
from .dense import Dropout, Flatten, Linear
from .description import load_model
from .images import AvgPool2D, Conv2D, GlobalAvgPool2D, MaxPool2D
from .normalization import BatchNorm, LayerNorm, Normalize
from .recurrent import LSTM, RNN

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "LSTM",
    "RNN",
    "Activation",
    "Arctan",
    "AvgPool2D",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Conv2D",
    "CrossEntropy",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "Hinge",
    "Huber",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MaxPool2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Normalize",
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
