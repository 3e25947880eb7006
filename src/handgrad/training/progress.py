"""Progress for whoever watches: a bar in a terminal or notebook, a line per epoch in a pipe."""

import sys

from .callbacks import Callback


class Progress(Callback):
    """show=True: a bar (rich) in a terminal or notebook, else a line per epoch; None: the bar or nothing."""

    runs_last = True

    def __init__(self, show=None):
        self.show, self._bar = show, None

    def on_fit_begin(self, trainer):
        self._bar = None if self.show is False else make_bar()
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task("", total=trainer.steps_per_epoch, epoch=epoch_text(trainer), figures="")

    def on_epoch_begin(self, trainer):
        if self._bar is not None:
            figures = figures_text(trainer.history)  # reset forgets every field that it is not given
            self._bar.reset(0, total=trainer.steps_per_epoch, epoch=epoch_text(trainer), figures=figures)

    def on_step_end(self, trainer):
        if self._bar is not None:
            self._bar.advance(0)

    def on_epoch_end(self, trainer):
        if self._bar is not None:
            self._bar.update(0, figures=figures_text(trainer.history))
        elif self.show:
            print(f"epoch {trainer.epoch}/{trainer.plan['epochs']}  {figures_text(trainer.history)}", flush=True)

    def on_fit_end(self, trainer):
        if self._bar is not None:
            self._bar.stop()
        reason = trainer.stop_reason
        if trainer.was_interrupted:
            reason = f"Ctrl-C after {trainer.epoch} of {trainer.plan['epochs']} epochs; {trainer.resume_hint} goes on"
        if reason and (self.show or self._bar is not None or trainer.was_interrupted):
            print(f"stopped: {reason}", file=sys.stderr)


def make_bar():
    """A rich progress bar where it can be seen and rich is installed, else None."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
    except ImportError:
        return None
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        return None
    columns = TextColumn("{task.fields[epoch]}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn()
    return Bar(*columns, TextColumn("{task.fields[figures]}"), console=console)


def epoch_text(trainer):
    return f"epoch {trainer.epoch + 1}/{trainer.plan['epochs']}"


def figures_text(history):
    shown = {name.replace("_", " "): values[-1] for name, values in history.items() if name != "learning_rate"}
    return "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
