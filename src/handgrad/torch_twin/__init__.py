"""The same model in PyTorch: modules both ways, a receipt that the two agree, and an engine for GPUs and machines."""

from ..naming import require_extra

with require_extra("torch", "handgrad.torch_twin", "PyTorch"):
    import torch  # noqa: F401 (only to say which extra is missing)

from .convert import from_torch, load_state_dict, load_weights, save_weights, state_dict, to_torch
from .engine import TorchEngine
from .receipt import compare
from .receipt_text import Receipt
from .table import ROWS, Row

__all__ = [
    "ROWS",
    "Receipt",
    "Row",
    "TorchEngine",
    "compare",
    "from_torch",
    "load_state_dict",
    "load_weights",
    "save_weights",
    "state_dict",
    "to_torch",
]
