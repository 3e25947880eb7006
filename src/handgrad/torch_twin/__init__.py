"""The same model in PyTorch: modules both ways, a receipt that the two agree, and an engine for GPUs and machines."""

from ..naming import require_extra

with require_extra("torch", "handgrad.torch_twin", "PyTorch"):
    import torch as torch  # only to say which extra is missing

from .convert import from_torch as from_torch
from .convert import load_state_dict as load_state_dict
from .convert import load_weights as load_weights
from .convert import save_weights as save_weights
from .convert import state_dict as state_dict
from .convert import to_torch as to_torch
from .receipt import Receipt as Receipt
from .receipt import compare as compare
from .table import ROWS as ROWS
from .table import Row as Row
from .torch_engine import TorchEngine as TorchEngine
