"""docs/pytorch.md: its examples run, each row of its table is what to_torch makes, and no layer is missing."""

import doctest
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import handgrad as hg
from handgrad import torch_twin

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"
ROWS = re.findall(r"^\| `(hg\.[^`]*)` \| `([^`]*)` \| (\([^|]*\)) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
NAMES = {"hg": hg, "nn": nn, "torch_twin": torch_twin}


def test_examples_run():
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(str(PAGE), module_relative=False, optionflags=flags).failed == 0


@pytest.mark.parametrize(("ours", "theirs", "shape"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_is_the_same_twice(ours, theirs, shape):
    shape = eval(shape)
    model = hg.Sequential([eval(ours, NAMES)]).build(shape, rng=0, dtype=np.float64)
    module = torch_twin.to_torch(model)
    assert repr(eval(theirs, NAMES)) in [repr(child) for child in module]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 7, (4, *shape)) if model.takes_indices else rng.standard_normal((4, *shape))
    if isinstance(model.layers[0], hg.TableEmbedding):
        x = abs(x).round() % np.maximum(model.layers[0].sizes, 1)
    y = rng.standard_normal((4, *model.output_shape))
    assert torch_twin.compare(model, module, x, y).worst("float64")[0] <= 1e-10


def test_no_layer_is_missing():
    assert {row.layer.__name__ for row in torch_twin.ROWS} == {re.match(r"hg\.(\w+)", ours)[1] for ours, *_ in ROWS}


def test_commands_have_the_options_they_name():
    from handgrad.cli.train import train

    known = {option for parameter in train.params for option in parameter.opts}
    commands = re.findall(r"handgrad train (.*?)(?:#|$)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    used = {word for command in commands for word in shlex.split(command) if word.startswith("--")}
    assert used and used <= known
