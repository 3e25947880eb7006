"""The maths: pairs x_forward(arrays, ...) -> (y, cache) and x_backward(dy, cache) -> gradients, in pure functions."""

# ruff: noqa: F401 - importing the names is what this file is for

from .activations import (
    ACTIVATIONS,
    arctan_backward,
    arctan_forward,
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    identity_backward,
    identity_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    log_softmax_backward,
    log_softmax_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softmax_backward,
    softmax_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from .convolution import (
    conv2d_backward,
    conv2d_forward,
)
from .dropout import (
    dropout_backward,
    dropout_forward,
)
from .linear import (
    flatten_backward,
    flatten_forward,
    linear_backward,
    linear_forward,
)
from .losses import (
    binary_cross_entropy_backward,
    binary_cross_entropy_forward,
    cross_entropy_backward,
    cross_entropy_forward,
    hinge_backward,
    hinge_forward,
    huber_backward,
    huber_forward,
    mean_absolute_error_backward,
    mean_absolute_error_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
    probability_cross_entropy_backward,
    probability_cross_entropy_forward,
)
from .normalization import (
    batch_norm_backward,
    batch_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from .penalties import (
    l1_penalty_backward,
    l1_penalty_forward,
    l2_penalty_backward,
    l2_penalty_forward,
)
from .pooling import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from .recurrent import (
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)
