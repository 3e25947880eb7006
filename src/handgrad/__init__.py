"""handgrad: neural networks in plain NumPy, every gradient written by hand.

import handgrad as hg
from handgrad import functional as F
"""

import sys as _sys
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import functional as functional
from . import initializers as initializers
from . import layers as layers
from . import metrics as metrics
from . import models as models
from . import naming as _naming
from . import optimizers as optimizers
from . import schedules as schedules
from . import training as training
from .datasets import load_dataset as load_dataset
from .derivatives import draw_graph as draw_graph
from .derivatives import intermediates as intermediates
from .diagnosis import diagnose as diagnose
from .gradient_check import assert_gradients as assert_gradients
from .gradient_check import check_gradients as check_gradients
from .kernels import set_threads as set_threads
from .layers import ELU as ELU
from .layers import GELU as GELU
from .layers import GRU as GRU
from .layers import L1 as L1
from .layers import L2 as L2
from .layers import LSTM as LSTM
from .layers import RNN as RNN
from .layers import SELU as SELU
from .layers import Activation as Activation
from .layers import AdaptiveAvgPool2D as AdaptiveAvgPool2D
from .layers import Arctan as Arctan
from .layers import AvgPool2D as AvgPool2D
from .layers import BatchNorm as BatchNorm
from .layers import BinaryCrossEntropy as BinaryCrossEntropy
from .layers import Branches as Branches
from .layers import Conv1D as Conv1D
from .layers import Conv2D as Conv2D
from .layers import ConvTranspose2D as ConvTranspose2D
from .layers import CrossEntropy as CrossEntropy
from .layers import Dropout as Dropout
from .layers import Embedding as Embedding
from .layers import Flatten as Flatten
from .layers import GlobalAvgPool1D as GlobalAvgPool1D
from .layers import GlobalAvgPool2D as GlobalAvgPool2D
from .layers import GroupNorm as GroupNorm
from .layers import Hinge as Hinge
from .layers import Huber as Huber
from .layers import Identity as Identity
from .layers import Last as Last
from .layers import Layer as Layer
from .layers import LayerNorm as LayerNorm
from .layers import LeakyReLU as LeakyReLU
from .layers import Linear as Linear
from .layers import LogSoftmax as LogSoftmax
from .layers import Loss as Loss
from .layers import MaxPool2D as MaxPool2D
from .layers import MeanAbsoluteError as MeanAbsoluteError
from .layers import MeanSquaredError as MeanSquaredError
from .layers import MultiHeadAttention as MultiHeadAttention
from .layers import Normalize as Normalize
from .layers import Permute as Permute
from .layers import PositionalEmbedding as PositionalEmbedding
from .layers import ProbabilityCrossEntropy as ProbabilityCrossEntropy
from .layers import ReLU as ReLU
from .layers import ReLU6 as ReLU6
from .layers import Reshape as Reshape
from .layers import Residual as Residual
from .layers import RMSNorm as RMSNorm
from .layers import Sequential as Sequential
from .layers import Sigmoid as Sigmoid
from .layers import SiLU as SiLU
from .layers import Softmax as Softmax
from .layers import Softplus as Softplus
from .layers import TableEmbedding as TableEmbedding
from .layers import Tanh as Tanh
from .layers import load_model as load_model
from .optimizers import SGD as SGD
from .optimizers import Adagrad as Adagrad
from .optimizers import Adam as Adam
from .optimizers import AdamW as AdamW
from .optimizers import ClipGlobalNorm as ClipGlobalNorm
from .optimizers import ClipParameterNorm as ClipParameterNorm
from .optimizers import ClipValue as ClipValue
from .optimizers import RMSprop as RMSprop
from .training import Callback as Callback
from .training import Checkpoint as Checkpoint
from .training import EarlyStopping as EarlyStopping
from .training import History as History
from .training import Schedule as Schedule
from .training import Trainer as Trainer

if _TYPE_CHECKING:
    from .exchange import export as export
    from .exchange import load_onnx as load_onnx

_naming.advise_on_names(
    *(_sys.modules[__name__], functional, initializers, layers, metrics, models, optimizers, schedules, training),
    later=dict.fromkeys(("exchange", "export", "load_onnx"), "handgrad.exchange"),
)

__version__ = "0.1.0"
