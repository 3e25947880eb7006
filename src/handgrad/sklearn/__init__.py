"""Networks as scikit-learn estimators: in place of MLPClassifier and MLPRegressor, and beyond them."""

try:
    import sklearn  # noqa: F401 (scikit-learn itself: only to say which extra is missing)
except ImportError:
    raise ImportError("handgrad.sklearn needs scikit-learn: pip install 'handgrad[sklearn]'") from None

from .estimators import NetClassifier, NetRegressor
from .features import NetFeatures

__all__ = ["NetClassifier", "NetFeatures", "NetRegressor"]
