"""The callback that writes a run down while it trains."""

import json
import math
import os
import time
from pathlib import Path

import numpy as np

from ..training import Callback
from .lock import open_locked
from .run_folder import CHECKPOINT, METRICS, read_lines

SHARE = 0.01  # of the time, at most, that goes into checkpoints when nothing says how often to write them


class Recorder(Callback):
    """metrics.jsonl, a line per epoch, flushed; and checkpoints as `recording` says, each whole or not there."""

    runs_last = True

    def __init__(self, recording):
        self.folder, self.recording = None, recording
        self._metrics = self._before = self._norms = None
        self._epoch_start = self._checkpoint_end = time.perf_counter()
        self._checkpoint_cost = 0.0

    def open(self, folder):
        """Write into this folder from now on; raises ValueError where another process trains it."""
        self.folder = Path(folder)
        self._metrics = open_locked(self.folder / METRICS)

    def close(self):
        if self._metrics is not None:
            os.close(self._metrics)
            self._metrics = None

    def rewind(self, epoch, step):
        """Cut metrics.jsonl back to what was written up to this epoch and step."""
        keep = 0
        for line, end in read_lines(self.folder / METRICS):
            if line.get("epoch", 0) > epoch or ("epoch" not in line and line.get("step", 0) > step):
                break
            keep = end
        os.ftruncate(self._metrics, keep)

    def state(self):
        return {"norms": self._norms}

    def load_state(self, state):
        self._norms = state["norms"]

    # Hooks ------------------------------------------------------------------------------------------------------

    def on_fit_begin(self, trainer):
        self._epoch_start = time.perf_counter()

    def on_step_begin(self, trainer):
        if (trainer.num_steps + 1) % trainer.steps_per_epoch == 0:
            self._watch(trainer)

    def on_step_end(self, trainer):
        if self._before is not None:
            self._norms = self._unwatch(trainer)
        every = self.recording.metrics_steps
        if every and trainer.num_steps % every == 0:
            self._write(
                {"step": trainer.num_steps, **trainer.figures, "learning_rate": float(trainer.optimizer.learning_rate)}
            )
        every = self.recording.checkpoint_steps
        if every and trainer.num_steps % every == 0:
            self.checkpoint(trainer)

    def on_epoch_end(self, trainer):
        now = time.perf_counter()
        self._write(
            {
                "epoch": trainer.epoch,
                "step": trainer.num_steps,
                "seconds": round(now - self._epoch_start, 6),
                **trainer.history.epoch(-1),
                **({"layers": self._norms} if self._norms else {}),
            }
        )
        self._norms = None
        if self._is_due(trainer, now):
            self.checkpoint(trainer)
        self._epoch_start = time.perf_counter()

    def checkpoint(self, trainer):
        """Write the trainer's state, and remember what that cost."""
        start = time.perf_counter()
        trainer.save(self.folder / CHECKPOINT)
        self._checkpoint_end = time.perf_counter()
        self._checkpoint_cost = self._checkpoint_end - start

    # ------------------------------------------------------------------------------------------------------------

    def _is_due(self, trainer, now):
        if self.recording.checkpoint_epochs:
            return trainer.epoch % self.recording.checkpoint_epochs == 0
        return not self.recording.checkpoint_steps and self._checkpoint_cost <= SHARE * (now - self._checkpoint_end)

    def _write(self, line):
        try:
            rest = memoryview((json.dumps(finite(line)) + "\n").encode())
            while rest:
                rest = rest[os.write(self._metrics, rest) :]
        except OSError as problem:
            raise OSError(f"cannot write {self.folder / METRICS}: {problem.strerror}") from None

    def _watch(self, trainer):
        """Before an epoch's last step: note the parameters, and ask the engine for the norms of its gradients."""
        if hasattr(trainer.engine, "on_gradients"):
            self._before = trainer.model_state()["parameters"]
            self._gradient_norms = {}
            trainer.engine.on_gradients = self._note_gradients

    def _note_gradients(self, gradients):
        self._gradient_norms = {name: norm(array) for name, array in gradients.items()}

    def _unwatch(self, trainer):
        """{'linear1.weight': {'norm': ..., 'gradient': ..., 'update': ...}} of the step just done."""
        before, self._before = self._before, None
        trainer.engine.on_gradients = None
        gradients = self._gradient_norms
        return {
            name: {"norm": norm(array), "gradient": gradients[name], "update": norm(array - before[name])}
            for name, array in trainer.model_state()["parameters"].items()
        }


def norm(array):
    """The Euclidean norm, to seven digits: these are for pictures."""
    flat = array.ravel()
    return float(f"{math.sqrt(float(np.dot(flat, flat))):.7g}")


def finite(value):
    """The same with None for NaN and infinities, which JSON has not."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
