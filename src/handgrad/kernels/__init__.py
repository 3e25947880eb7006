"""The engine room: worker threads, blocked products, fused passes over a batch, behind `handgrad.functional`."""

from . import blas, route
from .threads import num_threads as num_threads
from .threads import set_threads as set_threads

CONVOLUTIONS = {
    "numpy": "fused in blocks, in NumPy",
    "compiled": "fused in blocks, compiled by Numba",
    "winograd": "fused in blocks, compiled by Numba, those of 3x3 in float32 by Winograd's fewer products",
}


def describe() -> dict[str, object]:
    """For `handgrad info`: how convolutions are computed, by how many threads and which BLAS, and what would help."""
    found = blas.find()
    return {
        "dense networks": "many steps in one compiled call"
        if route.epochs()
        else f"step by step, in NumPy: {route.why_numpy()}",
        "convolutions": CONVOLUTIONS[route.name()] + (f": {why}" if (why := route.why_numpy()) else ""),
        "threads": num_threads(),
        "blas": found.name if found else "unknown to handgrad, which leaves its threads alone and uses none of its own",
        "advice": blas.advice(),
    }
