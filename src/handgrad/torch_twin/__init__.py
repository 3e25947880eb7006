"""The same model in PyTorch: modules both ways, a receipt that the two agree, and an engine for GPUs and machines."""

try:
    import torch  # noqa: F401 (only to say which extra is missing)
except ImportError:
    raise ImportError("handgrad.torch_twin needs PyTorch: pip install 'handgrad[torch]'") from None

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
