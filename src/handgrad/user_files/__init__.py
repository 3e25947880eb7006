"""Somebody's Python file: run in a process of its own, what is in it found, and its gradients checked."""

from .checks import Checked as Checked
from .checks import check_apart as check_apart
from .checks import check_file as check_file
from .checks import check_one as check_one
from .checks import discover as discover
from .loading import load as load
from .runner import Limits as Limits
from .runner import follow as follow
from .runner import read_source as read_source
