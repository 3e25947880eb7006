"""How a training goes, on the screen: a bar over the whole of it with a line per epoch above, or lines alone."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, TextIO

from .history import History
from .trainer import Callback, Trainer

if TYPE_CHECKING:
    from .bar import RunBar

HISTORY = 25  # lines of a training that stay on a terminal, at most
QUIET = 20.0  # seconds of an epoch after which a line says how far it is, where there is no bar


class Progress(Callback):
    """show=True: a bar (rich) in a terminal or notebook, else a line per epoch; None: the bar or nothing."""

    runs_last = True

    def __init__(self, show: bool | None = None) -> None:
        self.show: bool | None = show
        self._bar: RunBar | None = None
        self._told = 0.0  # when the last line was printed

    def on_fit_begin(self, trainer: Trainer) -> None:
        self._bar, self._told = None if self.show is False else make_bar(), time.monotonic()
        if self._bar is not None:
            self._bar.start()
            self._update(self._bar, trainer)

    def epochs_unseen(self, trainer: Trainer) -> int:
        return 0 if self._bar is not None or self.show else sys.maxsize

    def steps_unseen(self, trainer: Trainer) -> int:
        return sys.maxsize

    def on_step_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._update(self._bar, trainer)
        elif self.show and time.monotonic() - self._told > QUIET:
            self._tell(
                f"{epoch_text(trainer, trainer.epoch + 1)}  step {trainer._so_far.steps_done}/{trainer.steps_per_epoch}"
            )

    on_steps_end = on_step_end

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self._bar is None and not self.show:
            return
        texts = [epoch_text(trainer, trainer.epoch), *figure_texts(trainer.history)]
        if self._bar is not None:
            every = -(-trainer.plan["epochs"] // HISTORY)
            if trainer.epoch % every == 0 or trainer.epoch in (1, trainer.plan["epochs"]):
                self._bar.keep(texts)
            self._update(self._bar, trainer)
        else:
            self._tell("  ".join(texts).rstrip())

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.stop()
        reason = trainer.stop_reason
        if trainer.was_interrupted:
            reason = (
                f"interrupted after {trainer.epoch} of {trainer.plan['epochs']} epochs; {trainer.resume_hint} goes on"
            )
        if reason and (self.show or self._bar is not None or trainer.was_interrupted):
            show(f"stopped: {reason}", sys.stderr)

    def _update(self, bar: RunBar, trainer: Trainer) -> None:
        """Have the bar show where the training is, all epochs together."""
        epochs, steps = trainer.plan["epochs"], trainer.steps_per_epoch
        done = trainer.epoch * steps + trainer._so_far.steps_done
        epoch = epoch_text(trainer, min(trainer.epoch + 1, epochs))
        bar.show(epoch, done, epochs * steps, figure_texts(trainer.history))

    def _tell(self, line: str) -> None:
        self._told = time.monotonic()
        show(line, sys.stdout)


def make_bar() -> RunBar | None:
    """A bar where it can be seen and rich is installed, else None."""
    try:
        from .bar import visible_bar
    except ImportError:
        return None
    return visible_bar()


def show(line: str, where: TextIO) -> None:
    """Print a line where somebody may have stopped reading, as `| head -1` does: training goes on all the same."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=where, flush=True)


def epoch_text(trainer: Trainer, epoch: int) -> str:
    """'epoch  7/50', as wide in all epochs."""
    epochs = str(trainer.plan["epochs"])
    return f"epoch {epoch:{len(epochs)}}/{epochs}"


def figure_texts(history: History) -> list[str]:
    """['loss 0.2539', 'accuracy 0.875 ', ...]: the newest figures, each as wide in all epochs."""
    return [
        f"{name.replace('_', ' ')} {f'{values[-1]:.4g}':<8}"
        for name, values in history.items()
        if name != "learning_rate"
    ]
