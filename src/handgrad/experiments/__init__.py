"""Runs as folders: configuration, training, exact resume, sweeps."""

from .configuration import READY as READY
from .configuration import check_configuration as check_configuration
from .configuration import load_configuration as load_configuration
from .generation import generate as generate
from .run_folder import Run as Run
from .runner import RunFailed as RunFailed
from .runner import configuration_text as configuration_text
from .runner import configure as configure
from .runner import resume as resume
from .runner import train as train
