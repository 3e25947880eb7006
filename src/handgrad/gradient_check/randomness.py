"""Random generators inside the code under test, put back to where they were before every forward."""

import inspect
from types import ModuleType

import numpy as np


class Replay:
    """Every np.random.Generator (or RandomState) reachable from these things, and its state now."""

    def __init__(self, *things):
        found = {}
        for thing in things:
            search(thing, found, depth=8, seen=set())
        self.states = [(setter, state) for setter, state in found.values()]

    def restore(self):
        for setter, state in self.states:
            setter(state)


def search(thing, found, depth, seen):
    if depth == 0 or id(thing) in seen or thing is None:
        return
    if isinstance(thing, np.random.Generator):
        bits = thing.bit_generator
        found[id(bits)] = (lambda state, bits=bits: setattr(bits, "state", state), bits.state)
    elif isinstance(thing, np.random.RandomState):
        found[id(thing)] = (thing.set_state, thing.get_state())
    elif isinstance(thing, (dict, list, tuple)):
        seen.add(id(thing))
        for item in thing.values() if isinstance(thing, dict) else thing:
            search(item, found, depth - 1, seen)
    elif hasattr(thing, "__dict__") and not isinstance(thing, (type, ModuleType)) and not inspect.isroutine(thing):
        seen.add(id(thing))
        search(vars(thing), found, depth - 1, seen)
