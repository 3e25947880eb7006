"""What comes with an extra, and the line that names it where it is missing."""

import contextlib


@contextlib.contextmanager
def needed(extra):
    """Within the block a missing package raises an ImportError that says which extra to install."""
    try:
        yield
    except ModuleNotFoundError as problem:
        if (problem.name or "").startswith("handgrad"):
            raise
        raise ImportError(f"{problem.name} is missing; it comes with pip install 'handgrad[{extra}]'") from None
