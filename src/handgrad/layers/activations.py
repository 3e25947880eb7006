"""Activations as layers: one class a pair, no parameters."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functional as F
from ..arrays import Array, Cache, Shape
from ..naming import check_number, look_up
from .base import Gradients, Layer, Pair, Paired


class Activation(Paired, abstract=True):
    """A layer whose whole content is one pair of `handgrad.functional`; y has the shape of x.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number.

    Attributes
    ----------
    pair : tuple
        (forward, backward). A subclass sets it, and that is all it has to do.

    Examples
    --------
    >>> class Cube(hg.Activation):
    ...     pair = lambda x: (x**3, x), lambda dy, x: (3 * x**2 * dy,)
    >>> hg.check_gradients(Cube().build(3, dtype=float), np.ones((2, 3))).ok
    True
    """

    pair: ClassVar[Pair]
    sees_one_example: bool = True

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class ReLU(Activation):
    """y = max(0, x): what is negative becomes 0.

    The derivative is 1 above 0 and 0 elsewhere, at 0 too. (Nair & Hinton 2010)

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'relu1'.

    See Also
    --------
    handgrad.functional.relu_forward : the pair this layer calls, with relu_backward.

    Examples
    --------
    >>> hg.ReLU().build(3).forward([[-1.0, 0.0, 2.0]])
    array([[0., 0., 2.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.relu_forward, F.relu_backward


class ReLU6(Activation):
    """y = min(max(0, x), 6): a ReLU that is cut off at 6.

    The derivative is 1 between 0 and 6, and 0 elsewhere, at both ends too. (Krizhevsky 2010)

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'relu61'.

    See Also
    --------
    handgrad.functional.relu6_forward : the pair this layer calls, with relu6_backward.

    Examples
    --------
    >>> hg.ReLU6().build(3).forward([[-1.0, 5.0, 7.0]])
    array([[0., 5., 6.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.relu6_forward, F.relu6_backward


class LeakyReLU(Activation):
    """y = x where x > 0, else alpha x.

    (Maas, Hannun & Ng 2013)

    Parameters
    ----------
    alpha : float
        The slope below 0; a unit whose x is always negative still learns.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'leakyrelu1'.

    Raises
    ------
    ValueError
        For an alpha that is no finite number.

    See Also
    --------
    handgrad.functional.leaky_relu_forward : the pair this layer calls, with leaky_relu_backward.

    Examples
    --------
    >>> hg.LeakyReLU(0.1).build(2).forward([[-2.0, 2.0]])
    array([[-0.2,  2. ]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.leaky_relu_forward, F.leaky_relu_backward

    def __init__(self, alpha: float = 0.01, name: str | None = None) -> None:
        super().__init__(name)
        self.alpha: float = check_number("LeakyReLU", "alpha", alpha)

    @property
    def options(self) -> tuple[Any, ...]:
        return (self.alpha,)


class ELU(Activation):
    """y = x where x > 0, else alpha (eˣ - 1).

    (Clevert, Unterthiner & Hochreiter 2015)

    Parameters
    ----------
    alpha : float
        What y comes to, negated, far below 0.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'elu1'.

    Raises
    ------
    ValueError
        For an alpha that is no finite number.

    See Also
    --------
    handgrad.functional.elu_forward : the pair this layer calls, with elu_backward.

    Examples
    --------
    >>> hg.ELU().build(2).forward([[-100.0, 2.0]])
    array([[-1.,  2.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.elu_forward, F.elu_backward

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.alpha: float = check_number("ELU", "alpha", alpha)

    @property
    def options(self) -> tuple[Any, ...]:
        return (self.alpha,)


class SELU(Activation):
    """y = λ x where x > 0, else λ α (eˣ - 1): an ELU that keeps mean 0 and variance 1.

    λ = 1.0507 and α = 1.6733; it wants weights of `lecun_normal`. (Klambauer et al. 2017)

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'selu1'.

    See Also
    --------
    handgrad.functional.selu_forward : the pair this layer calls, with selu_backward.

    Examples
    --------
    >>> hg.SELU().build(2).forward([[-100.0, 1.0]])
    array([[-1.7580993,  1.050701 ]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.selu_forward, F.selu_backward


class Sigmoid(Activation):
    """y = σ(x) = 1 / (1 + e⁻ˣ), between 0 and 1.

    The derivative is y (1 - y), at most 1/4. As the last layer of a classifier of two classes it gives a probability;
    `BinaryCrossEntropy` wants the number before it.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'sigmoid1'.

    See Also
    --------
    handgrad.functional.sigmoid_forward : the pair this layer calls, with sigmoid_backward.

    Examples
    --------
    >>> hg.Sigmoid().build(1).forward([[0.0], [np.log(3)]])
    array([[0.5 ],
           [0.75]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.sigmoid_forward, F.sigmoid_backward


class Tanh(Activation):
    """y = tanh x, between -1 and 1.

    The derivative is 1 - y².

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'tanh1'.

    See Also
    --------
    handgrad.functional.tanh_forward : the pair this layer calls, with tanh_backward.

    Examples
    --------
    >>> hg.Tanh().build(2).forward([[0.0, 100.0]])
    array([[0., 1.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.tanh_forward, F.tanh_backward


class Softmax(Activation):
    """y_i = exp(x_i) / Σ_j exp(x_j): numbers become probabilities, along the last axis.

    `CrossEntropy` wants the numbers before it (logits), since it has the softmax in it; `ProbabilityCrossEntropy` wants
    its result.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'softmax1'.

    See Also
    --------
    handgrad.functional.softmax_forward : the pair this layer calls, with softmax_backward.

    Examples
    --------
    >>> hg.Softmax().build(2).forward([[0.0, np.log(3)]])
    array([[0.25, 0.75]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.softmax_forward, F.softmax_backward


class LogSoftmax(Activation):
    """y_i = x_i - log Σ_j exp(x_j), along the last axis: the logarithm of the softmax.

    It is computed without the softmax, so that small probabilities keep their digits.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'logsoftmax1'.

    See Also
    --------
    handgrad.functional.log_softmax_forward : the pair this layer calls, with log_softmax_backward.

    Examples
    --------
    >>> hg.LogSoftmax().build(2).forward([[1000.0, 0.0]])
    array([[    0., -1000.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.log_softmax_forward, F.log_softmax_backward


class Identity(Activation):
    """y = x.

    For places that want an activation where there is to be none.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'identity1'.

    See Also
    --------
    handgrad.functional.identity_forward : the pair this layer calls, with identity_backward.

    Examples
    --------
    >>> hg.Identity().build(2).forward([[1.0, -2.0]])
    array([[ 1., -2.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.identity_forward, F.identity_backward


class Arctan(Activation):
    """y = arctan x, between -π/2 and π/2.

    The derivative is 1 / (1 + x²), which falls more slowly than that of tanh.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'arctan1'.

    See Also
    --------
    handgrad.functional.arctan_forward : the pair this layer calls, with arctan_backward.

    Examples
    --------
    >>> hg.Arctan().build(2).forward([[0.0, 1.0]])
    array([[0.       , 0.7853982]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.arctan_forward, F.arctan_backward


class Softplus(Activation):
    """y = log(1 + eˣ), a smooth ReLU.

    The derivative is σ(x). (Dugas et al. 2001)

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'softplus1'.

    See Also
    --------
    handgrad.functional.softplus_forward : the pair this layer calls, with softplus_backward.

    Examples
    --------
    >>> hg.Softplus().build(2).forward([[0.0, 100.0]])
    array([[  0.6931472, 100.       ]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.softplus_forward, F.softplus_backward


class GELU(Activation):
    """y = x Φ(x), where Φ is the standard normal distribution: by default its tanh form, which is within 5e-4.

    Near 0 it is half of x; far from 0 it is a ReLU. (Hendrycks & Gimpel 2016, section 2)

    Parameters
    ----------
    approximate : str
        'tanh' for the form by tanh, 'none' for Φ itself, which is PyTorch's default.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'gelu1'.

    Raises
    ------
    ValueError
        For another word.

    See Also
    --------
    handgrad.functional.gelu_forward : the pair of the tanh form, with gelu_backward.
    handgrad.functional.exact_gelu_forward : the pair of the exact form, with exact_gelu_backward.

    Examples
    --------
    >>> hg.GELU().build(3).forward([[-10.0, 0.0, 10.0]])
    array([[-0.,  0., 10.]], dtype=float32)
    >>> hg.GELU("none").build(1).forward([[1.0]]).round(4)
    array([[0.8413]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.gelu_forward, F.gelu_backward

    def __init__(self, approximate: str = "tanh", name: str | None = None) -> None:
        super().__init__(name)
        self.approximate: str = approximate
        self._pair: Pair = look_up("form of GELU", approximate, GELU_FORMS)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return self._pair[0](x)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        (dx,) = self._pair[1](dy, cache)
        return dx, {}


EXACT_GELU: Pair = F.exact_gelu_forward, F.exact_gelu_backward
GELU_FORMS: dict[str, Pair] = {"tanh": (F.gelu_forward, F.gelu_backward), "none": EXACT_GELU}


class SiLU(Activation):
    """y = x σ(x), also called swish.

    The derivative is σ(x) (1 + x (1 - σ(x))). (Elfwing, Uchibe & Doya 2017)

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'silu1'.

    See Also
    --------
    handgrad.functional.silu_forward : the pair this layer calls, with silu_backward.

    Examples
    --------
    >>> hg.SiLU().build(2).forward([[0.0, 100.0]])
    array([[  0., 100.]], dtype=float32)
    """

    pair: ClassVar[Pair] = F.silu_forward, F.silu_backward


# each name of functional's table -> its class
OF_PAIRS = {
    cls.pair[0]: cls for cls in Layer.registry.values() if issubclass(cls, Activation) and cls is not Activation
}
ACTIVATIONS = {name: OF_PAIRS[facts.forward] for name, facts in F.ACTIVATIONS.items() if facts.forward in OF_PAIRS}
