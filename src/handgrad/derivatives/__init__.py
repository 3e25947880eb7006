"""Derivatives of anybody's forward, by its arrays and by every value on its way: as numbers, rows and a picture."""

from .graph import Graph as Graph
from .graph import draw_graph as draw_graph
from .intermediates import Intermediate as Intermediate
from .intermediates import Intermediates as Intermediates
from .intermediates import intermediates as intermediates
