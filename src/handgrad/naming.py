"""Names a user may type: look one up, or say which was nearest."""

import difflib
import inspect


def nearest(name, known):
    """'; did you mean 'adam'?' when a known name resembles this one, else ''."""
    close = difflib.get_close_matches(str(name).lower(), {str(k).lower(): k for k in known}, n=1, cutoff=0.5)
    original = {str(k).lower(): k for k in known}
    return f"; did you mean '{original[close[0]]}'?" if close else ""


def look_up(kind, name, table):
    """table[name], or a ValueError that says what kind of thing was unknown and which names exist.

    Upper and lower case, '-' and '_' count as the same, so 'breast_cancer' finds 'breast-cancer'.
    """
    folded = {fold(key): value for key, value in table.items()}
    if isinstance(name, str) and fold(name) in folded:
        return folded[fold(name)]
    raise ValueError(f"unknown {kind} '{name}'{nearest(name, table) or ''} (known: {', '.join(map(str, table))})")


def fold(name):
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def constructor_arguments(thing):
    """The constructor's arguments of an object that keeps each under its own name: {'units': 25, ...}.

    The convention is scikit-learn's: `__init__(self, units)` sets `self.units`. It makes any such object
    printable, comparable, and rebuildable from a configuration file.
    """
    return {name: getattr(thing, name) for name in constructor_names(type(thing))}


def constructor_names(cls):
    parameters = inspect.signature(cls.__init__).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.name != "self" and p.kind not in variable]


def check_arguments(kind, cls, arguments):
    """Raise a ValueError naming the first argument that cls's constructor does not take."""
    known = constructor_names(cls)
    for name in arguments:
        if name not in known:
            raise ValueError(f"{kind} {cls.__name__} has no argument '{name}'{nearest(name, known)} "
                             f"(it takes: {', '.join(known) or 'none'})")
