"""Checkpoints: nested state as one file of arrays and JSON, written whole or not at all."""

import json

import numpy as np

from .. import files
from ..naming import require_extra

KIND = "training state"


def save_state(path, state):
    """Write nested dicts and lists of plain data and arrays to path (.npz or .safetensors), atomically."""
    arrays = {}
    skeleton = strip_arrays(state, "", arrays)
    files.write_arrays(path, arrays, {"handgrad": KIND, "state": json.dumps(skeleton)})


def read_state(path):
    """What `save_state` wrote. Nothing in the file is run; damage and foreign files raise a ValueError."""
    arrays, metadata = files.read_arrays(path)
    if metadata.get("handgrad") != KIND or "state" not in metadata:
        raise ValueError(f"{path} holds no training state (write one with trainer.save(path) or a Checkpoint callback)")
    try:
        return restore_arrays(json.loads(metadata["state"]), arrays)
    except (KeyError, json.JSONDecodeError) as problem:
        raise ValueError(f"{path} is damaged ({problem})") from None


def strip_arrays(tree, path, arrays):
    """The tree with each array moved to arrays[its path] and {"array": its path} in its place."""
    if isinstance(tree, np.ndarray):
        arrays[path] = tree
        return {"array": path}
    if isinstance(tree, dict):
        return {"dict": {k: strip_arrays(v, f"{path}/{k}", arrays) for k, v in tree.items()}}
    if isinstance(tree, (list, tuple)):
        return {"list": [strip_arrays(v, f"{path}/{i}", arrays) for i, v in enumerate(tree)]}
    return {"value": tree.item() if isinstance(tree, np.generic) else tree}


def restore_arrays(skeleton, arrays):
    """The tree that `strip_arrays` took apart."""
    ((kind, content),) = skeleton.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {k: restore_arrays(v, arrays) for k, v in content.items()}
    return [restore_arrays(v, arrays) for v in content] if kind == "list" else content


def write_safetensors(path, arrays, metadata):
    # One entry, because the library writes several in no definite order: the same state makes the same bytes.
    packed = {"handgrad": json.dumps(metadata, sort_keys=True)}
    with open(path, "wb") as file:
        file.write(library().numpy.save(arrays, packed))


def read_safetensors(path):
    safetensors = library()
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            metadata = json.loads((file.metadata() or {}).get("handgrad", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError("its metadata is no JSON object")
        return arrays, metadata
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError) as problem:
        raise ValueError(f"{path} is damaged or no .safetensors file ({problem})") from None


def library():
    with require_extra("app", "a .safetensors file", "safetensors", "or use a path that ends in .npz"):
        import safetensors.numpy
    return safetensors


files.FORMATS[".safetensors"] = (write_safetensors, read_safetensors)
