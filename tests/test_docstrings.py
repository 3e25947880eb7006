"""Examples in docstrings run as printed. np, hg and F are there as everywhere in the documents."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import handgrad as hg

ROOMS_OF_EXTRAS = {
    "sklearn": "sklearn",
    "torch_twin": "torch",
    "cli": "click",
    "experiments": "pydantic",
    "exchange.runs": "pydantic",
}
MODULES = [
    info.name
    for info in pkgutil.walk_packages(hg.__path__, "handgrad.")
    if ".courses" not in info.name and "__main__" not in info.name
]


@pytest.mark.parametrize("name", ["handgrad", *MODULES])
def test_examples_run(name):
    within = name.removeprefix("handgrad.")
    extra = ROOMS_OF_EXTRAS.get(within, ROOMS_OF_EXTRAS.get(within.partition(".")[0]))
    if extra:
        pytest.importorskip(extra)
    module = importlib.import_module(name)
    shared = {"np": np, "hg": hg, "F": hg.functional}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=shared):
        doctest.DocTestRunner(optionflags=flags).run(test, out=report.append)
    assert not report, "".join(report)
