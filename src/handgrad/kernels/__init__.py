"""The engine room: worker threads, blocked products and fused sweeps, behind the names of `handgrad.functional`."""

from .threads import num_threads, set_threads

__all__ = ["num_threads", "set_threads"]
