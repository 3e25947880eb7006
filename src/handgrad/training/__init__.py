"""The loop: batches, trainer, callbacks, history, checkpoints."""

from .batches import Batches as Batches
from .callbacks import Checkpoint as Checkpoint
from .callbacks import EarlyStopping as EarlyStopping
from .callbacks import Schedule as Schedule
from .engine import Engine as Engine
from .engine import NumpyEngine as NumpyEngine
from .history import History as History
from .trainer import Callback as Callback
from .trainer import Trainer as Trainer
