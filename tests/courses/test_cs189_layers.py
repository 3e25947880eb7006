"""CS189's layers, activations and losses against plain loops, their documented values, and numeric gradients."""

import numpy as np
import pytest

from handgrad.courses.cs189 import activations, layers, losses
from handgrad.courses.cs189.utils import check_gradients, convolution_efficient, image_processing
from handgrad.courses.cs189.utils.convolution import col2im, compute_pad, im2col, im2col_indices, pad2d

rng = np.random.default_rng(0)


def windows(X, kernel, stride, pad):
    """{(row, column): the window there} of X padded with zeros, and the output's size."""
    X = np.pad(X, ((0, 0), (pad[0],) * 2, (pad[1],) * 2, (0, 0)))
    rows = range(0, X.shape[1] - kernel[0] + 1, stride)
    columns = range(0, X.shape[2] - kernel[1] + 1, stride)
    seen = {
        (r, c): X[:, i : i + kernel[0], j : j + kernel[1]] for r, i in enumerate(rows) for c, j in enumerate(columns)
    }
    return seen, (len(rows), len(columns))


@pytest.mark.parametrize(("pad", "expected_pad"), [("same", (1, 0)), ("valid", (0, 0)), (2, (2, 2))])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv2d_is_the_sum_over_windows(pad, expected_pad, stride):
    """A kernel of even width under 'same' makes the output one column smaller, as in the course."""
    layer = layers.Conv2D(n_out=3, kernel_shape=(3, 2), activation="tanh", stride=stride, pad=pad)
    X = rng.normal(size=(2, 6, 5, 2))
    Y = layer.forward(X)
    assert layer.pad == expected_pad and layer.parameters["W"].shape == (3, 2, 2, 3)
    layer.parameters["b"] = rng.normal(size=(1, 3))
    Y = layer.forward(X)
    seen, size = windows(X, (3, 2), stride, expected_pad)
    assert Y.shape == (2, *size, 3)
    for (r, c), window in seen.items():
        Z = np.einsum("nijc,ijco->no", window, layer.parameters["W"]) + layer.parameters["b"]
        np.testing.assert_allclose(Y[:, r, c], np.tanh(Z), atol=1e-12)
    assert {"Z", "X"} == set(layer.cache)


@pytest.mark.parametrize(("mode", "reduce"), [("max", np.max), ("average", np.mean)])
def test_pool2d_pads_with_zeros_that_count(mode, reduce):
    X = rng.normal(size=(2, 5, 6, 3)) - 3
    layer = layers.Pool2D(kernel_shape=3, mode=mode, stride=2, pad=1)
    Y = layer.forward(X)
    seen, size = windows(X, (3, 3), 2, (1, 1))
    assert Y.shape[1:3] == size == (layer.cache["out_rows"], layer.cache["out_cols"])
    for (r, c), window in seen.items():
        np.testing.assert_allclose(Y[:, r, c], reduce(window, axis=(1, 2)), atol=1e-14)
    assert mode == "average" or (Y[:, 0] == 0).all()  # the padding wins over negative numbers
    assert layer.backward(np.ones_like(Y)).shape == X.shape


def test_pool2d_max_pays_the_first_of_equal_numbers():
    layer = layers.Pool2D(kernel_shape=(2, 2), mode="max", stride=2)
    layer.forward(np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 5.0))[0, :, :, 0], [[5, 0], [0, 0]])


def test_elman_follows_its_recurrence_and_returns_gradients_in_time_order():
    layer = layers.Elman(n_out=3, activation="sigmoid")
    X, dLdY = rng.normal(size=(2, 4, 5)), rng.normal(size=(2, 3))
    Y = layer.forward(X)
    W, U, b = layer.parameters.values()
    state = np.zeros((2, 3))
    for t in range(5):
        state = 1 / (1 + np.exp(-(X[:, :, t] @ W + state @ U + b)))
    np.testing.assert_allclose(Y, state, rtol=1e-13)
    assert len(layer.cache["s"]) == 6 and len(layer.cache["Z"]) == 5
    dX = layer.backward(dLdY)
    assert isinstance(dX, list) and [d.shape for d in dX] == [(2, 4)] * 5
    assert check_gradients(layer.forward, np.stack(dX, axis=2), X, dLdY) < 1e-7
    gradients = dict(layer.gradients)
    for name, parameter in layer.parameters.items():
        assert check_gradients(layer.forward_with_param(name, X), gradients[name], parameter, dLdY) < 1e-7
    layer._init_cache((2, 4, 1))
    assert layer.forward_step(X[:, :, 0]).shape == (2, 3)


def test_batchnorm1d_keeps_its_running_averages():
    layer = layers.BatchNorm1D(n_in=None, eps=1e-8, momentum=0.9)
    X = rng.normal(2, 3, size=(50, 4))
    Y = layer.forward(X, mode="train")
    np.testing.assert_allclose([Y.mean(axis=0), Y.std(axis=0)], [np.zeros(4), np.ones(4)], atol=1e-7)
    np.testing.assert_allclose(layer.cache["running_mu"], 0.1 * X.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(layer.cache["running_var"], 0.1 * X.var(axis=0, keepdims=True))
    layer.clear_gradients()
    expected = (X - 0.1 * X.mean(axis=0)) / np.sqrt(0.1 * X.var(axis=0) + 1e-8)
    np.testing.assert_allclose(layer.forward(X, mode="test"), expected)
    assert layer.parameters["gamma"].shape == (1, 4)


def test_batchnorm1d_is_made_as_the_course_makes_it():
    layer = layers.BatchNorm1D("xavier_uniform", 1e-5, 0.5)
    assert (layer.eps, layer.momentum, layer.n_in) == (1e-5, 0.5, None)
    layer.parameters["gamma"] = layer.parameters["beta"] = np.zeros((1, 2))  # the first batch replaces them
    X = np.array([[0.0, 2.0], [4.0, 4.0]])
    np.testing.assert_allclose(layer.forward(X), [[-1, -1], [1, 1]], atol=1e-5)
    np.testing.assert_allclose(layer.cache["running_mu"], [[1.0, 1.5]])


def test_batchnorm1d_trains_within_a_network_and_tests_by_its_averages():
    from handgrad.courses.cs189.models import initialize_model

    names = ("fully_connected", "batchnorm1d", "fully_connected")
    arguments = [{"name": name, "n_out": 4, "activation": "linear"} for name in names]
    model = initialize_model("bn", "l2", arguments, {"name": "SGD", "lr": 0.1})
    model._add_output_layer(1)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    for _ in range(60):
        loss = model.backward(Y, model.forward(X))
        model.update()
    assert model.predict(X, Y)[1] == pytest.approx(loss, rel=0.05)
    assert model.predict(X[:1], Y[:1])[0] == pytest.approx(model.predict(X, Y)[0][:1])


@pytest.mark.parametrize(("keep_dim", "shape"), [("first", (2, 12)), ("last", (6, 4)), (-1, (1, 24))])
def test_flatten(keep_dim, shape):
    layer = layers.Flatten(keep_dim)
    X = rng.normal(size=(2, 3, 4))
    assert layer.forward(X).shape == shape
    np.testing.assert_array_equal(layer.backward(layer.forward(X)), X)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_activations_take_large_and_whole_numbers(name):
    activation = activations.initialize_activation(name)
    Z = np.array([[-1000, 0, 2, 1000]])
    Y = activation(Z)
    assert np.isfinite(Y).all() and np.isfinite(activation.backward(Z, dY=np.ones((1, 4)))).all()
    assert Y.dtype == np.float64


def test_relu_is_flat_at_zero():
    assert activations.ReLU().backward(np.zeros((1, 1)), dY=np.ones((1, 1))) == 0


def test_cross_entropy_values():
    Y, Y_hat = np.eye(3)[[0, 2]], np.array([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
    loss = losses.initialize_loss("cross_entropy")
    eps = np.finfo(float).eps
    assert loss(Y, Y_hat) == pytest.approx(-(np.log(0.5 + eps) + np.log(eps)) / 2, rel=1e-15)
    assert isinstance(loss(Y, Y_hat), np.float64) and loss.name == "cross_entropy"
    with pytest.warns(UserWarning, match="1 of 2 rows give their right class the probability 0, and learn nothing"):
        gradient = loss.backward(Y, Y_hat)
    assert gradient[0, 0] == -1.0 and not gradient[0, 1:].any()


def test_a_saturated_softmax_warns_and_gives_no_nan():
    softmax, Y, Z = activations.SoftMax(), np.eye(2)[[0]], np.array([[-1000.0, 1000.0]])
    with pytest.warns(UserWarning, match="saturated; lower the learning rate"):
        dY = losses.CrossEntropy().backward(Y, softmax(Z))
    np.testing.assert_array_equal(softmax.backward(Z, dY), [[0.0, 0.0]])


def test_softmax_behind_cross_entropy_is_the_cross_entropys_gradient():
    """Erratum: with (Y_hat - Y) / m in the loss, the Jacobian would be applied twice: the Brier score's gradient."""
    Z, Y = rng.normal(size=(4, 3)), np.eye(3)[[0, 1, 2, 0]]
    softmax = activations.SoftMax()
    Y_hat = softmax(Z)
    gradient = softmax.backward(Z, losses.CrossEntropy().backward(Y, Y_hat))
    np.testing.assert_allclose(gradient, (Y_hat - Y) / 4, atol=1e-15)


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_l2_of_both_generations(factor):
    Y, Y_hat = rng.normal(size=(5, 1)), rng.normal(size=(5, 1))
    loss = losses.L2(name="l2", factor=factor)
    assert loss.forward(Y, Y_hat) == pytest.approx(factor * np.mean((Y - Y_hat) ** 2))
    assert losses.initialize_loss(loss) is loss and losses.initialize_loss("l2").factor == 0.5
    np.testing.assert_allclose(loss.backward(Y, Y_hat), 2 * factor * (Y_hat - Y) / 5)
    assert check_gradients(lambda p: loss.forward(Y, p), loss.backward(Y, Y_hat), Y_hat, 1.0) < 1e-8


def test_the_registries():
    made = {
        "fully_connected": layers.FullyConnected,
        "conv2d": layers.Conv2D,
        "pool2d": layers.Pool2D,
        "flatten": layers.Flatten,
        "elman": layers.Elman,
        "batchnorm1d": layers.BatchNorm1D,
    }
    for name, cls in made.items():
        layer = layers.initialize_layer(name, activation="relu", weight_init="ones", n_out=2, kernel_shape=(2, 2))
        assert type(layer) is cls
    assert layers.initialize_layer("batchnorm1d").momentum == 0.95
    for make, name in (
        (layers.initialize_layer, "attention"),
        (activations.initialize_activation, "swish"),
        (losses.initialize_loss, "hinge"),
    ):
        with pytest.raises(NotImplementedError, match=name):
            make(name)


@pytest.mark.parametrize("pad", ["full", None, 1.5, (1, 1)])
def test_padding_is_same_valid_or_a_whole_number(pad):
    with pytest.raises(ValueError, match=r"Invalid Pad mode found in self\.pad\."):
        layers.Pool2D(kernel_shape=2, pad=pad)
    layer = layers.Conv2D(n_out=1, kernel_shape=(2, 2), activation="linear", pad=pad)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"Invalid Pad mode found in self\.pad\."):
            layer.forward(np.ones((1, 3, 3, 1)))


def test_what_a_layers_arguments_leave_out_is_its_default():
    conv = layers.initialize_layer("conv2d", activation="relu", n_out=1, kernel_shape=(3, 3))
    pool = layers.initialize_layer("pool2d", kernel_shape=(2, 2))
    assert (conv.stride, conv.pad, pool.stride, pool.pad, pool.mode) == (1, "same", 1, (0, 0), "max")
    assert type(layers.initialize_layer("elman", n_out=2).activation) is activations.TanH


def test_layers_keep_their_keys_when_cleared():
    layer = layers.FullyConnected(n_out=2, activation="tanh")
    layer.forward(rng.normal(size=(3, 4)))
    layer.backward(np.ones((3, 2)))
    assert layer.gradients["b"].shape == (1, 2) and layer.gradients["W"].any()
    assert [len(values) for values in (layer._get_parameters(), layer._get_gradients(), layer._get_cache())] == [2] * 3
    layer.clear_gradients()
    assert layer.cache == {"Z": [], "X": []} and not any(g.any() for g in layer.gradients.values())


def test_columns_of_windows_and_back():
    X = rng.normal(size=(2, 5, 4, 3))
    X_col, p = im2col(X, (2, 3), 2, (1, 0))
    assert p == (1, 1, 0, 0) and X_col.shape == (3 * 2 * 3, 3 * 1 * 2)
    i, j, k = im2col_indices(X.transpose(0, 3, 1, 2), (2, 3), 2, p)
    X_pad = pad2d(X, (1, 0), (2, 3))[0].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(X_col, X_pad[:, k, i, j].transpose(1, 2, 0).reshape(18, -1))
    counts = col2im(np.ones_like(X_col), X, (2, 3, 3, 7), 2, p)
    assert counts.shape == (2, 3, 5, 4)  # images come back channels first
    np.testing.assert_array_equal(counts[0, 0], [[1, 1, 1, 0]] * 5)
    assert compute_pad(X, (3, 3), 1) == (1, 1, 1, 1)
    assert pad2d(X, "same", (3, 5), 1)[0].shape == pad2d(X, "same", (3, 5))[0].shape == (2, 7, 8, 3)


def test_the_names_of_spring_2020():
    X, W = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(3, 3, 3, 2))
    Z, X_col, split_shape, padded, p = convolution_efficient.conv2d(X, W, 1, "same")
    layer = layers.Conv2D(n_out=2, kernel_shape=(3, 3), activation="linear")
    layer._init_parameters(X.shape)
    layer.parameters["W"] = W
    np.testing.assert_allclose(Z, layer.forward_faster(X))
    np.testing.assert_allclose(X_col @ W.reshape(-1, 2), Z.reshape(-1, 2))
    assert split_shape == (2, 5, 4, 3, 3, 3) and padded == (2, 7, 6, 3) and p == (1, 1, 1, 1)
    counts = convolution_efficient.col2im(np.ones_like(X_col), padded, split_shape, (3, 3), p)
    assert counts.shape == X.shape and counts.max() == 9 and counts.min() == 4
    pooled = convolution_efficient.pool2d(X, (2, 2), 2, 0, mode="average")
    np.testing.assert_allclose(pooled, layers.Pool2D((2, 2), "average", 2).forward(X))
    assert convolution_efficient.calc_pad_dims_2D((1, 5, 5, 1), (3, 3), (2, 2), 2) == (0, 1, 0, 1)
    with pytest.raises(ValueError, match="no padding on both sides"):
        convolution_efficient.calc_pad_dims_2D((1, 5, 5, 1), (1, 1), (2, 2), 2)
    np.testing.assert_allclose(image_processing.standardize(X.copy()).std(), 1)


def test_check_gradients_wants_floats_and_puts_x_back():
    x = np.array([1.0, 2.0])
    assert check_gradients(lambda x: x**2, 2 * x, x, np.ones(2)) < 1e-9
    assert check_gradients(lambda x: x**2, 3 * x, x, np.ones(2)) == pytest.approx(0.2)
    assert check_gradients(lambda x: float(np.sum(x**2)), 2 * x, x, 1.0) < 1e-9
    np.testing.assert_array_equal(x, [1.0, 2.0])
    with pytest.raises(TypeError, match="float vector but was int64"):
        check_gradients(lambda x: x, x, np.array([1, 2]), 1.0)
