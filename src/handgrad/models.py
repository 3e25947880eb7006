"""Named networks: the courses' image networks and a small one for each table; `create` makes a fresh one.

Each function below returns the list of layers, so that a network can be read, changed and extended:

    >>> create("lenet").build((28, 28, 1), rng=0).num_parameters
    61706
"""

from collections.abc import Callable, Sequence
from typing import Any

from . import layers as hg
from .initializers import Normal
from .layers import Layer, Sequential
from .naming import by_name, look_up

SMALL = Normal(std=0.02)  # GPT-2's


def create(name: str, **sizes: Any) -> Sequential:
    """A fresh, unbuilt Sequential of this name.

    Parameters
    ----------
    name : str
        A key of `models.MODELS`.
    **sizes
        Arguments of the function of that name below: num_outputs, and batch_norm and dropout where it has them.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> create("lenet", num_outputs=26).build((28, 28, 1), rng=0).output_shape
    (26,)
    """
    return Sequential(look_up("model", name, MODELS)(**sizes))


def mlp(num_outputs: int = 10, hidden: Sequence[int] = (64,)) -> list[Layer]:
    """Flatten, and hidden layers of so many units with ReLU: any table."""
    return [hg.Flatten(), *(layer for units in hidden for layer in dense(units)), hg.Linear(num_outputs)]


def fashion_mlp(num_outputs: int = 10) -> list[Layer]:
    """Flatten, 784-256-128-10 with ReLU: Fashion-MNIST (CS189)."""
    return [hg.Flatten(), *dense(256), *dense(128), hg.Linear(num_outputs)]


def lenet(num_outputs: int = 10) -> list[Layer]:
    """Two convolutions 5x5 with pooling, then 120-84-10: MNIST (after LeCun et al. 1998, with ReLU and max pooling)."""
    return [
        *(hg.Conv2D(6, 5, padding="same", initializer="he_normal"), hg.ReLU(), hg.MaxPool2D(2)),
        *(hg.Conv2D(16, 5, initializer="he_normal"), hg.ReLU(), hg.MaxPool2D(2)),
        *(hg.Flatten(), *dense(120), *dense(84), hg.Linear(num_outputs)),
    ]


def cifar_cnn(num_outputs: int = 10, batch_norm: bool = True, dropout: float = 0.5) -> list[Layer]:
    """Three blocks of convolution, batch norm, ReLU and pooling, then 256-128-10: CIFAR-10 (CS189).

    batch_norm=False and dropout=0 leave these out, to measure what they contribute.
    """
    layers: list[Layer] = [hg.Normalize(0.5, 0.5)]
    for filters in (32, 64, 128):
        layers += [convolution(filters), *normalized(batch_norm), hg.ReLU(), hg.MaxPool2D(2)]
    return [*layers, hg.Flatten(), *dense(256), *dropped(dropout), *dense(128), hg.Linear(num_outputs)]


def fashion_cnn(num_outputs: int = 10, batch_norm: bool = True, dropout: float = 0.3) -> list[Layer]:
    """Four blocks of convolution, ReLU, pooling, batch norm and dropout, then 128-10: Fashion-MNIST (Purdue).

    batch_norm=False and dropout=0 leave these out, to measure what they contribute.
    """
    layers: list[Layer] = []
    for filters in (32, 64, 128, 256):
        layers += [convolution(filters), hg.ReLU(), hg.MaxPool2D(2), *normalized(batch_norm), *dropped(dropout)]
    return [*layers, hg.Flatten(), *dense(128), hg.Linear(num_outputs)]


def resnet_cifar(num_outputs: int = 10, width: int = 32) -> list[Layer]:
    """Eight convolutions, of which two times two are residual blocks, and a mean over the image: CIFAR-10.

    Four stages of width, 2 width, 4 width and 8 width channels, each but the first after a pooling; the second and the
    last have a block. (After He et al. 2016, in the shape of Page, How to train your ResNet, 2018.)
    """
    layers: list[Layer] = [hg.Normalize(0.5, 0.5), *rectified(width)]
    for filters, residual in ((2 * width, True), (4 * width, False), (8 * width, True)):
        layers += [*rectified(filters), hg.MaxPool2D(2)]
        layers += [hg.Residual([*rectified(filters), *rectified(filters)])] if residual else []
    return [*layers, hg.GlobalAvgPool2D(), hg.Linear(num_outputs)]


def rectified(filters: int) -> list[Layer]:
    """A convolution 3x3, its batch norm, which takes any bias away again, and ReLU."""
    return [hg.Conv2D(filters, 3, padding=1, initializer="he_normal", bias=False), hg.BatchNorm(), hg.ReLU()]


def transformer_text(
    num_outputs: int = 256, width: int = 128, num_blocks: int = 4, num_heads: int = 4, dropout: float = 0.1
) -> list[Layer]:
    """Causal blocks of attention and a dense network, each a residual with its norm in front: the next token of a text.

    (After Radford et al. 2019, GPT-2.) Token and output weights are two: what is tied has one gradient of two uses.
    """
    places = hg.PositionalEmbedding(initializer=SMALL)
    layers: list[Layer] = [hg.Embedding(num_outputs, width, initializer=SMALL), places]
    for _ in range(num_blocks):
        layers += [
            hg.Residual([hg.LayerNorm(), hg.MultiHeadAttention(num_heads, causal=True), *dropped(dropout)]),
            hg.Residual([hg.LayerNorm(), hg.Linear(4 * width), hg.GELU(), hg.Linear(width), *dropped(dropout)]),
        ]
    return [*layers, hg.LayerNorm(), hg.Linear(num_outputs)]


def tabular(
    num_outputs: int = 2,
    sizes: Sequence[int] = (),
    units: int = 8,
    width: int = 64,
    num_blocks: int = 2,
    dropout: float = 0.1,
) -> list[Layer]:
    """Rows of numbers for the texts of a table, and residual blocks of width units: any table.

    sizes are those of `TableEmbedding`, which a configuration takes from the data. (After Gorishniy et al. 2021.)
    """
    layers: list[Layer] = [hg.TableEmbedding(sizes, units), hg.Linear(width)]
    for _ in range(num_blocks):
        layers += [hg.Residual([hg.LayerNorm(), *dense(2 * width), *dropped(dropout), hg.Linear(width)])]
    return [*layers, hg.LayerNorm(), hg.ReLU(), hg.Linear(num_outputs)]


def dense(units: int) -> list[Layer]:
    """Linear and ReLU, the weights drawn as He et al. have it for ReLU."""
    return [hg.Linear(units, initializer="he_normal"), hg.ReLU()]


def convolution(filters: int) -> Layer:
    """3x3, of images that keep their size."""
    return hg.Conv2D(filters, 3, padding=1, initializer="he_normal")


def normalized(batch_norm: bool) -> list[Layer]:
    """A batch normalization where it is wanted."""
    return [hg.BatchNorm()] if batch_norm else []


def dropped(rate: float) -> list[Layer]:
    """A dropout where its rate is above 0."""
    return [hg.Dropout(rate)] if rate else []


def iris_mlp(num_outputs: int = 3) -> list[Layer]:
    """4-25-3: Iris (CS189)."""
    return [hg.Linear(25), hg.ReLU(), hg.Linear(num_outputs)]


def wine_mlp(num_outputs: int = 3) -> list[Layer]:
    """13-32-3: the wines."""
    return [hg.Linear(32), hg.ReLU(), hg.Linear(num_outputs)]


def breast_cancer_mlp(num_outputs: int = 2) -> list[Layer]:
    """30-32-2 with dropout: the tumours."""
    return [hg.Linear(32), hg.ReLU(), hg.Dropout(0.2), hg.Linear(num_outputs)]


def digits_mlp(num_outputs: int = 10) -> list[Layer]:
    """64-128-64-10 with dropout: the handwritten digits as rows."""
    return [*dense(128), hg.Dropout(0.2), *dense(64), hg.Linear(num_outputs)]


def diabetes_mlp(num_outputs: int = 1) -> list[Layer]:
    """10-16-1 with tanh: the regression."""
    return [hg.Linear(16), hg.Tanh(), hg.Linear(num_outputs)]


GENERAL = mlp, fashion_mlp, lenet, cifar_cnn, fashion_cnn, resnet_cifar, transformer_text, tabular
OF_ONE_TABLE = iris_mlp, wine_mlp, breast_cancer_mlp, digits_mlp, diabetes_mlp
MODELS: dict[str, Callable[..., list[Layer]]] = by_name("-", *GENERAL, *OF_ONE_TABLE)
