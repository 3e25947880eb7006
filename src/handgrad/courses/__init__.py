"""The interfaces of known courses on handgrad's engine: their names, shapes and random draws, our maths.

Students' scripts run unchanged after `handgrad courses link COURSE FOLDER`, or by `handgrad courses run COURSE SCRIPT`;
see link.py. A course needs a row in COURSES and the modules that the row names.
"""

from typing import NamedTuple


class Course(NamedTuple):
    """One course; modules: {the top-level name that its scripts import: our module or package of that content}.

    What lies in the package `starter` beside the modules is copied to the student: scripts, tests, data. Its
    function `furnish(folder)`, if it has one, adds what has to be made, and returns the paths.
    """

    title: str
    modules: dict[str, str]
    starter: str | None = None


COURSES = {
    "cs189": Course(
        title="UC Berkeley CS189/289A: neural_networks",
        modules={"neural_networks": "handgrad.courses.cs189"},
        starter="handgrad.courses.cs189._starter",
    ),
    "nndl": Course(
        title="UCLA ECE C147/C247: nndl, with Stanford CS231n's support package",
        modules={
            "nndl": "handgrad.courses.nndl",
            "utils": "handgrad.courses.cs231n",
            "cs231n": "handgrad.courses.cs231n",
        },
    ),
    "purdue": Course(
        title="Purdue CS373, homework 4: NumpyANN, PyTorchANN, PyTorchCNN",
        modules={
            name: f"handgrad.courses.purdue.{name}" for name in ("numpy_ann", "pytorch_ann", "pytorch_cnn", "utils")
        },
    ),
}
