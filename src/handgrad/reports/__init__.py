"""Pictures and pages of runs: what training did, drawn. Needs the extra `handgrad[app]`, loaded when first used."""

from .curves import save_curves, save_learning_rate

__all__ = ["save_curves", "save_learning_rate"]
