"""Images: uint8 arrays (N, height, width, channels) read from checked files into memory once."""

import numpy as np

from .dataset import Dataset, Split, fingerprint
from .image_sets import IMAGE_SETS
from .layouts import READERS
from .splits import draw_rows, num_rows
from .storage import read_contents

VALIDATION_ROWS = 5000


def load_images(name, validation, seed):
    """An image data set with its own test part; validation (None: 5000 rows) is drawn from its training part.

    Raises ValueError where a file is missing, cut off or altered.
    """
    about = IMAGE_SETS[name]
    x, y = read_part(name, about.train)
    rows = num_rows(VALIDATION_ROWS if validation is None else validation, len(y), "validation")
    chosen, _ = draw_rows(y, rows, np.random.default_rng(seed))
    move_to_end(x, y, chosen)
    cut = len(y) - rows
    return Dataset(
        name=name,
        task="classification",
        train=Split(x[:cut], y[:cut]),
        validation=Split(x[cut:], y[cut:]) if rows else None,
        test=Split(*read_part(name, about.test)),
        class_names=about.class_names,
        feature_names=(),
        target_name="label",
        standardization=None,
        source=about.source,
        licence=about.licence,
        fingerprint=fingerprint(*(file.sha256 for file in (*about.train, *about.test))),
    )


def read_part(name, files):
    """(x, y) of the training or the test files, filled a file at a time."""
    about = IMAGE_SETS[name]
    total = about.num_images(files)
    x, y = np.empty((total, *about.shape), np.uint8), np.empty(total, np.int64)
    READERS[about.layout]((read_contents(name, file) for file in files), x, y)
    return x, y


def move_to_end(x, y, chosen):
    """Put the chosen rows last, in place: they change seats with those of the last rows that are not chosen.

    So both parts are views of one array, and no copy of the data set is made.
    """
    cut = len(y) - len(chosen)
    last = np.arange(cut, len(y))
    leaving = chosen[chosen < cut]
    staying = last[~np.isin(last, chosen)]
    for array in (x, y):
        array[leaving], array[staying] = array[staying], array[leaving]
