"""Networks as scikit-learn estimators: in place of MLPClassifier and MLPRegressor, and beyond them."""

from ..naming import require_extra

with require_extra("sklearn", "handgrad.sklearn", "scikit-learn"):
    import sklearn  # noqa: F401 (scikit-learn itself: only to say which extra is missing)

from .estimators import NetClassifier as NetClassifier
from .estimators import NetFeatures as NetFeatures
from .estimators import NetRegressor as NetRegressor
