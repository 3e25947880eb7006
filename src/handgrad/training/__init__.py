"""The loop: batches, trainer, callbacks, history, checkpoints."""

from .callbacks import Callback, Checkpoint, EarlyStopping, Schedule
from .engine import Engine, NumpyEngine
from .history import History
from .trainer import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Engine", "History", "NumpyEngine", "Schedule", "Trainer"]
