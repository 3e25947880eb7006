"""neural_networks.utils.data_structures: dictionaries with attributes, and one-hot rows."""

import numpy as np


class AttrDict(dict):
    """A dictionary whose keys are attributes too: d.name is d["name"]."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__ = self


def integers_to_one_hot(integer_vector, max_val=None):
    """(n, max_val + 1) rows of zeros with a one at each integer; max_val is the largest integer, 9 for ten classes."""
    integers = np.atleast_1d(np.squeeze(integer_vector)).astype(int)
    return np.eye((integers.max() if max_val is None else max_val) + 1)[integers]
