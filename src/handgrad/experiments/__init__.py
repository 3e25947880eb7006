"""Runs as folders: configuration, training, exact resume, sweeps."""

from .configuration import READY, check_configuration, load_configuration
from .defaults import configuration_text, configure
from .run_folder import Run
from .runner import RunFailed, resume, train

__all__ = [
    "READY",
    "Run",
    "RunFailed",
    "check_configuration",
    "configuration_text",
    "configure",
    "load_configuration",
    "resume",
    "train",
]
