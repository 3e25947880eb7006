"""Homework from solved source: handed out with bodies to write, collected, graded, and a class's mistakes in sight."""

import importlib

from ..naming import require_extra

with require_extra("app", "handgrad assignment"):
    for name in ("pydantic", "joblib"):
        importlib.import_module(name)

from .grading import grade as grade
from .make import read_key as read_key
from .specification import Assignment as Assignment
from .specification import Task as Task
from .specification import read_assignment as read_assignment
