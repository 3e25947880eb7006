"""Names a user may type: look one up, or say which was nearest."""

import difflib
import inspect
import math


def nearest(name, known):
    """'; did you mean 'adam'?' when a known name resembles this one, else ''."""
    original = {str(k).lower(): k for k in known}
    begun = [k for k in original if str(name) and k.startswith(str(name).lower())]
    close = begun or difflib.get_close_matches(str(name).lower(), original, n=1, cutoff=0.5)
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
            raise ValueError(
                f"{kind} {cls.__name__} has no argument '{name}'{nearest(name, known)} "
                f"(it takes: {', '.join(known) or 'none'})"
            )


def build(kind, spec, table):
    """The object a user meant: by name ('adam'), by table ({'name': 'adam', 'learning_rate': 0.1}), or itself.

    kind is the word for messages, table maps names to classes. ValueError for an unknown name, an unknown or a
    missing argument; TypeError for a class where an object is wanted.
    """
    if isinstance(spec, str):
        spec = {"name": spec}
    if isinstance(spec, type) or spec is None:
        got = f"the class {spec.__name__}; write {spec.__name__}(...)" if isinstance(spec, type) else "None"
        raise TypeError(f"{kind} must be a name, a table with a 'name', or an object, got {got}")
    if isinstance(spec, (bool, int, float, list, tuple)):
        raise TypeError(f"{kind} must be a name, a table with a 'name', or an object, got {spec!r}")
    if not isinstance(spec, dict):
        return spec
    if "name" not in spec:
        raise ValueError(f"{kind} {spec} has no 'name' (known: {', '.join(map(str, table))})")
    cls = look_up(kind, spec["name"], table)
    arguments = {key: value for key, value in spec.items() if key != "name"}
    check_arguments(kind, cls, arguments)
    check_complete(kind, cls, arguments)
    return cls(**arguments)


def check_complete(kind, cls, arguments):
    """Raise a ValueError naming the first argument without a default that is not given."""
    for parameter in inspect.signature(cls).parameters.values():
        variable = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and parameter.name not in arguments and not variable:
            raise ValueError(f"{kind} {cls.__name__} needs the argument '{parameter.name}'")


def check_number(owner, name, value, minimum=-math.inf, above=-math.inf, maximum=math.inf, below=math.inf):
    """value as a float, or a ValueError that names its owner when it is no finite number in the range."""
    limits = {">=": minimum, ">": above, "<=": maximum, "<": below}
    wanted = " and ".join(f"{sign} {limit:g}" for sign, limit in limits.items() if math.isfinite(limit))
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and minimum <= number <= maximum and above < number < below):
        raise ValueError(f"{owner}: {name} must be a finite number {wanted}".rstrip() + f", got {value!r}")
    return number


def check_count(owner, name, value, minimum=1):
    """value as an int, or a ValueError that names its owner when it is no whole number >= minimum."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < minimum:
        raise ValueError(f"{owner}: {name} must be a whole number >= {minimum}, got {value!r}")
    return int(value)
