"""Named networks: the courses' image networks and a small one for each table; `create` makes a fresh one.

Each function below returns the list of layers, so that a network can be read, changed and extended:

    >>> create("lenet").build((28, 28, 1), rng=0).num_parameters
    61706
"""

from .layers import (
    BatchNorm,
    Conv2D,
    Dropout,
    Flatten,
    Linear,
    MaxPool2D,
    Normalize,
    ReLU,
    Sequential,
    Tanh,
)
from .naming import look_up


def create(name, **sizes):
    """A fresh, unbuilt Sequential: create("cifar-cnn"), create("lenet", num_outputs=26)."""
    return Sequential(look_up("model", name, MODELS)(**sizes))


def fashion_mlp(num_outputs=10):
    """Flatten, 784-256-128-10 with ReLU: Fashion-MNIST (CS189)."""
    return [
        Flatten(),
        Linear(256, initializer="he_normal"),
        ReLU(),
        Linear(128, initializer="he_normal"),
        ReLU(),
        Linear(num_outputs),
    ]


def lenet(num_outputs=10):
    """Two convolutions 5x5 with pooling, then 120-84-10: MNIST (after LeCun et al. 1998, with ReLU and max pooling)."""
    return [
        Conv2D(6, 5, padding="same", initializer="he_normal"),
        ReLU(),
        MaxPool2D(2),
        Conv2D(16, 5, initializer="he_normal"),
        ReLU(),
        MaxPool2D(2),
        Flatten(),
        Linear(120, initializer="he_normal"),
        ReLU(),
        Linear(84, initializer="he_normal"),
        ReLU(),
        Linear(num_outputs),
    ]


def cifar_cnn(num_outputs=10, batch_norm=True, dropout=0.5):
    """Three blocks of convolution, batch norm, ReLU and pooling, then 256-128-10: CIFAR-10 (CS189).

    batch_norm=False and dropout=0 leave these out, to measure what they contribute.
    """
    return [
        Normalize(0.5, 0.5),
        *(
            layer
            for filters in (32, 64, 128)
            for layer in (
                Conv2D(filters, 3, padding=1, initializer="he_normal"),
                *normalized(batch_norm),
                ReLU(),
                MaxPool2D(2),
            )
        ),
        Flatten(),
        Linear(256, initializer="he_normal"),
        ReLU(),
        *dropped(dropout),
        Linear(128, initializer="he_normal"),
        ReLU(),
        Linear(num_outputs),
    ]


def fashion_cnn(num_outputs=10, batch_norm=True, dropout=0.3):
    """Four blocks of convolution, ReLU, pooling, batch norm and dropout, then 128-10: Fashion-MNIST (Purdue).

    batch_norm=False and dropout=0 leave these out, to measure what they contribute.
    """
    return [
        *(
            layer
            for filters in (32, 64, 128, 256)
            for layer in (
                Conv2D(filters, 3, padding=1, initializer="he_normal"),
                ReLU(),
                MaxPool2D(2),
                *normalized(batch_norm),
                *dropped(dropout),
            )
        ),
        Flatten(),
        Linear(128, initializer="he_normal"),
        ReLU(),
        Linear(num_outputs),
    ]


def normalized(batch_norm):
    return [BatchNorm()] if batch_norm else []


def dropped(rate):
    return [Dropout(rate)] if rate else []


def iris_mlp(num_outputs=3):
    """4-25-3: Iris (CS189)."""
    return [Linear(25), ReLU(), Linear(num_outputs)]


def wine_mlp(num_outputs=3):
    """13-32-3: the wines."""
    return [Linear(32), ReLU(), Linear(num_outputs)]


def breast_cancer_mlp(num_outputs=2):
    """30-32-2 with dropout: the tumours."""
    return [Linear(32), ReLU(), Dropout(0.2), Linear(num_outputs)]


def digits_mlp(num_outputs=10):
    """64-128-64-10 with dropout: the handwritten digits as rows."""
    return [
        Linear(128, initializer="he_normal"),
        ReLU(),
        Dropout(0.2),
        Linear(64, initializer="he_normal"),
        ReLU(),
        Linear(num_outputs),
    ]


def diabetes_mlp(num_outputs=1):
    """10-16-1 with tanh: the regression."""
    return [Linear(16), Tanh(), Linear(num_outputs)]


MODELS = {
    "fashion-mlp": fashion_mlp,
    "lenet": lenet,
    "cifar-cnn": cifar_cnn,
    "fashion-cnn": fashion_cnn,
    "iris-mlp": iris_mlp,
    "wine-mlp": wine_mlp,
    "breast-cancer-mlp": breast_cancer_mlp,
    "digits-mlp": digits_mlp,
    "diabetes-mlp": diabetes_mlp,
}
