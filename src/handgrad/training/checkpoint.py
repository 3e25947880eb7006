"""Checkpoints: nested state as one file of arrays and JSON, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..arrays import Array

KIND = "training state"


def save_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of plain data and arrays to path (.npz or .safetensors), atomically."""
    arrays: dict[str, Array] = {}
    skeleton = strip_arrays(state, "", arrays)
    files.write_arrays(path, arrays, {"handgrad": KIND, "state": json.dumps(skeleton)})


def read_state(path: str | Path) -> dict[str, Any]:
    """What `save_state` wrote. Nothing in the file is run; damage and foreign files raise a ValueError."""
    arrays, metadata = files.read_arrays(path)
    if metadata.get("handgrad") != KIND or "state" not in metadata:
        raise ValueError(f"{path} holds no training state (write one with trainer.save(path) or a Checkpoint callback)")
    try:
        state: dict[str, Any] = restore_arrays(json.loads(metadata["state"]), arrays)
        return state
    except (KeyError, json.JSONDecodeError) as problem:
        raise ValueError(f"{path} is damaged ({problem})") from None


def strip_arrays(tree: Any, path: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """The tree with each array moved to arrays[its path] and {"array": its path} in its place."""
    if isinstance(tree, np.ndarray):
        arrays[path] = tree
        return {"array": path}
    if isinstance(tree, Mapping):
        return {"dict": {k: strip_arrays(v, f"{path}/{k}", arrays) for k, v in tree.items()}}
    if isinstance(tree, (list, tuple)):
        return {"list": [strip_arrays(v, f"{path}/{i}", arrays) for i, v in enumerate(tree)]}
    return {"value": tree.item() if isinstance(tree, np.generic) else tree}


def restore_arrays(skeleton: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """The tree that `strip_arrays` took apart."""
    ((kind, content),) = skeleton.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {k: restore_arrays(v, arrays) for k, v in content.items()}
    return [restore_arrays(v, arrays) for v in content] if kind == "list" else content
