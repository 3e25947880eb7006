"""The model elsewhere: as an ONNX file, or one file of Python that needs NumPy alone; and ONNX files as models."""

from . import rules as rules
from .export import Receipt as Receipt
from .export import export as export
from .load import load_onnx as load_onnx
from .operations import OPERATIONS as OPERATIONS
from .program import Operation as Operation
from .program import Program as Program
from .program import Value as Value
from .program import Weight as Weight
from .program import exports as exports
from .program import record as record
