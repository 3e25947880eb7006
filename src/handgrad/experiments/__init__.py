"""Runs as folders: configuration, training, exact resume, sweeps."""

from .configuration import READY, check_configuration, load_configuration
from .defaults import configure
from .run_folder import Run
from .runner import RunFailed, resume, train

__all__ = ["READY", "Run", "RunFailed", "check_configuration", "configure", "load_configuration", "resume", "train"]
