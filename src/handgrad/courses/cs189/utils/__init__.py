"""neural_networks.utils: a package whose names are also its own, as the course had it both ways."""

from .data_processing import center, normalize, standardize
from .data_structures import AttrDict, integers_to_one_hot
from .grad_check import check_gradients

__all__ = ["AttrDict", "center", "check_gradients", "integers_to_one_hot", "normalize", "standardize"]
