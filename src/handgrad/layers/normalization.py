"""Normalisation as layers: by the batch, by the example, or by constants of the data set."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from ..arrays import Array, ArrayLike, Cache, Generator, Shape, numbers_of
from ..kernels.blocks import BatchNormKernel, Normalization
from ..kernels.plain import BatchStatistics
from ..naming import check_count, check_number
from .base import Gradients, Layer
from .steps import FastStep


class BatchNorm(Layer):
    """y = gamma (x - mean) / √(var + epsilon) + beta, with mean and variance over the batch, per feature or channel.

    x is (N, features), (N, T, features) or (N, H, W, C): features or channels lie along the last axis. At inference
    running averages of training serve instead: running = (1 - momentum) running + momentum batch.
    (Ioffe & Szegedy 2015)

    Parameters
    ----------
    momentum : float
        How much of a batch goes into the running averages, from 0 to 1 (PyTorch's convention).
    epsilon : float
        Keeps the division finite, 0 or more.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'batchnorm1'.

    Attributes
    ----------
    parameters : dict
        'gamma', ones at first, and 'beta', zeros at first: one number per feature or channel.
    state : dict
        'running_mean' and 'running_var' (unbiased, divided by count - 1), saved but not trained.

    Raises
    ------
    ValueError
        For a momentum or epsilon outside its range; and in training, for a batch with one number per feature.

    See Also
    --------
    handgrad.functional.batch_norm_forward : the pair this layer calls, with batch_norm_backward.

    Examples
    --------
    >>> layer = hg.BatchNorm(epsilon=0).build(1)
    >>> layer.forward([[1.0], [3.0]], training=True)
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> layer.state["running_mean"]
    array([0.2], dtype=float32)
    """

    def __init__(self, momentum: float = 0.1, epsilon: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        self.momentum: float = check_number("BatchNorm", "momentum", momentum, minimum=0, maximum=1)
        self.epsilon: float = check_number("BatchNorm", "epsilon", epsilon, minimum=0)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        return {"gamma": np.ones(input_shape[-1]), "beta": np.zeros(input_shape[-1])}

    def create_state(self, input_shape: Shape) -> dict[str, Array]:
        return {"running_mean": np.zeros(input_shape[-1]), "running_var": np.ones(input_shape[-1])}

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        if training and x.size < 2 * x.shape[-1]:
            what = f"{self.label} cannot train on one example, x {x.shape}: it has no variance"
            way_out = "use batches of two or more (choose a batch_size that leaves no last batch of one)"
            raise ValueError(f"{what}; {way_out}")
        gamma, beta = self.parameters.values()
        return F.batch_norm_forward(
            x, gamma, beta, **self.state, training=training, momentum=self.momentum, epsilon=self.epsilon
        )

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        dx, dgamma, dbeta = F.batch_norm_backward(dy, cache)
        return dx, {"gamma": dgamma, "beta": dbeta}

    def update(self, statistics: BatchStatistics) -> None:
        """Move the running averages towards a batch's statistics."""
        statistics.update(self.state["running_mean"], self.state["running_var"], self.momentum)

    def share(self) -> SharedBatchNorm | None:
        return SharedBatchNorm(self) if type(self) is BatchNorm else None


class LayerNorm(Layer):
    """y = gamma (x - mean) / √(var + epsilon) + beta, with mean and variance over the features of each example.

    x is (N, ..., features); training and inference are the same, and so is a batch of one. (Ba, Kiros & Hinton 2016)

    Parameters
    ----------
    epsilon : float
        Keeps the division finite, 0 or more.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'layernorm1'.

    Attributes
    ----------
    parameters : dict
        'gamma', ones at first, and 'beta', zeros at first: one number per feature.

    Raises
    ------
    ValueError
        For an epsilon below 0.

    See Also
    --------
    handgrad.functional.layer_norm_forward : the pair this layer calls, with layer_norm_backward.

    Examples
    --------
    >>> hg.LayerNorm(epsilon=0).build(2).forward([[1.0, 3.0]])
    array([[-1.,  1.]], dtype=float32)
    """

    sees_one_example: bool = True

    def __init__(self, epsilon: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        self.epsilon: float = check_number("LayerNorm", "epsilon", epsilon, minimum=0)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        return {"gamma": np.ones(input_shape[-1]), "beta": np.zeros(input_shape[-1])}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.layer_norm_forward(x, self.parameters["gamma"], self.parameters["beta"], self.epsilon)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        dx, dgamma, dbeta = F.layer_norm_backward(dy, cache)
        return dx, {"gamma": dgamma, "beta": dbeta}


class GroupNorm(Layer):
    """y = gamma (x - mean) / √(var + epsilon) + beta, with mean and variance over a group of channels of each example.

    x is (N, ..., C); the pixels of images and the steps of sequences count with the channels of their group. A batch of
    one is no problem, and training and inference are the same. (Wu & He 2018)

    Parameters
    ----------
    num_groups : int
        How many groups of equal size the channels make: 1 takes all together, as many as channels each by itself.
    epsilon : float
        Keeps the division finite, 0 or more.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'groupnorm1'.

    Attributes
    ----------
    parameters : dict
        'gamma', ones at first, and 'beta', zeros at first: one number per channel.

    Raises
    ------
    ValueError
        For num_groups below 1, an epsilon below 0; and when built, for channels that num_groups does not divide.

    See Also
    --------
    handgrad.functional.group_norm_forward : the pair this layer calls, with group_norm_backward.

    Examples
    --------
    >>> hg.GroupNorm(2, epsilon=0).build(4).forward([[1.0, 3.0, 10.0, 30.0]])
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(self, num_groups: int, epsilon: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        self.num_groups: int = check_count("GroupNorm", "num_groups", num_groups)
        self.epsilon: float = check_number("GroupNorm", "epsilon", epsilon, minimum=0)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        if input_shape[-1] % self.num_groups:
            what = f"{self.label}: {self.num_groups} groups cannot share {input_shape[-1]} channels equally"
            raise ValueError(f"{what}: num_groups must divide the number of channels")
        return {"gamma": np.ones(input_shape[-1]), "beta": np.zeros(input_shape[-1])}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.group_norm_forward(x, self.parameters["gamma"], self.parameters["beta"], self.num_groups, self.epsilon)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        dx, dgamma, dbeta = F.group_norm_backward(dy, cache)
        return dx, {"gamma": dgamma, "beta": dbeta}


class RMSNorm(Layer):
    """y = gamma x / √(mean(x²) + epsilon), over the features of each example: layer norm without its mean and beta.

    x is (N, ..., features); training and inference are the same. (Zhang & Sennrich 2019)

    Parameters
    ----------
    epsilon : float, optional
        Keeps the division finite, 0 or more; None is the distance from 1 to the next number of the dtype.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'rmsnorm1'.

    Attributes
    ----------
    parameters : dict
        'gamma', ones at first: one number per feature.

    Raises
    ------
    ValueError
        For an epsilon below 0.

    See Also
    --------
    handgrad.functional.rms_norm_forward : the pair this layer calls, with rms_norm_backward.

    Examples
    --------
    >>> hg.RMSNorm(epsilon=0).build(2).forward([[1.0, 7.0]])
    array([[0.2, 1.4]], dtype=float32)
    """

    sees_one_example: bool = True

    def __init__(self, epsilon: float | None = 1e-6, name: str | None = None) -> None:
        super().__init__(name)
        known = None if epsilon is None else check_number("RMSNorm", "epsilon", epsilon, minimum=0)
        self.epsilon: float | None = known

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        return {"gamma": np.ones(input_shape[-1])}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        epsilon = float(np.finfo(self.dtype).eps) if self.epsilon is None else self.epsilon
        return F.rms_norm_forward(x, self.parameters["gamma"], epsilon)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        dx, dgamma = F.rms_norm_backward(dy, cache)
        return dx, {"gamma": dgamma}


class Normalize(Layer):
    """y = (x - mean) / std with given constants. Nothing is trained.

    As a model's first layer it keeps the scaling of the data with the model.

    Parameters
    ----------
    mean, std : float or array_like
        Numbers, or one per feature or channel; std above 0.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'normalize1'.

    Raises
    ------
    ValueError
        For a std that is not above 0; and when built, for constants that are not one per feature.

    Examples
    --------
    >>> hg.Normalize(mean=[1.0, 2.0], std=0.5).build(2).forward([[2.0, 2.0]])
    array([[2., 0.]], dtype=float32)
    """

    def __init__(self, mean: ArrayLike, std: ArrayLike, name: str | None = None) -> None:
        super().__init__(name)
        for argument, value in (("mean", mean), ("std", std)):
            if not np.isfinite(numbers_of(f"Normalize: {argument}", value)).all():
                raise ValueError(f"Normalize: {argument} must be finite, got {value!r}")
        if not np.all(np.asarray(std) > 0):
            raise ValueError(f"Normalize divides by std, which must be above 0; got {std!r}")
        self.mean: ArrayLike = mean
        self.std: ArrayLike = std

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        if not {np.shape(self.mean), np.shape(self.std)} <= {(), input_shape[-1:]}:
            what = f"{self.label}: mean and std must be numbers or have {input_shape[-1]} entries, one per feature"
            raise ValueError(f"{what}; got {np.shape(self.mean)} and {np.shape(self.std)}")
        return input_shape

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        scale = np.asarray(1 / np.asarray(self.std), self.dtype)
        return (x - np.asarray(self.mean, self.dtype)) * scale, scale

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        return dy * cache, {}


class SharedBatchNorm(FastStep):
    """BatchNorm, the batch shared out among threads."""

    def __init__(self, norm: BatchNorm) -> None:
        super().__init__([norm])
        self.norm: BatchNorm = norm
        self.kernel: BatchNormKernel = BatchNormKernel(norm.dtype)

    def serves(self, x: Array, training: bool) -> bool:
        return super().serves(x, training) and (not training or x.size > x.shape[-1])

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        norm, x = self.norm, np.ascontiguousarray(x)
        if not training:
            return self.kernel.infer(x, *inference_affine(norm)), None
        gamma, beta = norm.parameters["gamma"], norm.parameters["beta"]
        y, normalization = self.kernel.train(x, gamma, beta, norm.epsilon)
        norm.update(normalization.statistics)
        return y, (x, normalization)

    def differentiate(self, dy: Array, cache: tuple[Array, Normalization], input_gradient: bool) -> Array | None:
        return self.kernel.backward(dy, *cache, self.norm.gradients["gamma"], self.norm.gradients["beta"])


def inference_affine(norm: BatchNorm) -> tuple[Array, Array]:
    """Batch norm at inference is y = scale x + shift."""
    scale = norm.parameters["gamma"] / np.sqrt(norm.state["running_var"] + norm.epsilon)
    return scale, norm.parameters["beta"] - norm.state["running_mean"] * scale
