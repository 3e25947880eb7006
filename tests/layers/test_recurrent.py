"""RNN and LSTM layers: right gradients, sensible starts, and models that learn from sequences."""

import numpy as np
import pytest

import handgrad as hg

each_layer = pytest.mark.parametrize("layer_class", [hg.RNN, hg.LSTM, hg.GRU])


def sequences(n=5, steps=4, features=3):
    return np.random.default_rng(0).standard_normal((n, steps, features))


@each_layer
@pytest.mark.parametrize("return_sequences", [False, True])
def test_gradients_are_right(layer_class, return_sequences):
    layer = layer_class(2, return_sequences).build((4, 3), rng=0, dtype=np.float64)
    report = hg.check_gradients(layer, sequences())
    assert report.ok, str(report)


@each_layer
def test_the_last_state_is_the_end_of_the_sequence(layer_class):
    x = sequences().astype(np.float32)
    every = layer_class(2, return_sequences=True).build((4, 3), rng=0)
    last = layer_class(2).build((4, 3), rng=0)
    assert every.output_shape == (4, 2) and last.output_shape == (2,)
    np.testing.assert_array_equal(every.forward(x)[:, -1], last.forward(x))
    assert last.forward(x).dtype == np.float32


def test_an_lstm_starts_remembering_with_every_gate_drawn_alike():
    layer = hg.LSTM(64).build((4, 32), rng=0, dtype=np.float64)
    np.testing.assert_array_equal(layer.parameters["bias"].reshape(4, 64), np.eye(4)[1][:, None] * np.ones(64))
    limit = np.sqrt(6 / (32 + 64))
    assert 0.99 * limit < abs(layer.parameters["weight"]).max() <= limit
    for gate in np.split(layer.parameters["recurrent_weight"], 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(64), atol=1e-12)


@each_layer
def test_counts(layer_class):
    model = hg.Sequential([layer_class(5)]).build((7, 3), rng=0)
    blocks = {hg.RNN: 1, hg.LSTM: 4, hg.GRU: 3}[layer_class]
    assert model.num_parameters == blocks * (3 * 5 + 5 * 5 + 5) + (15 if layer_class is hg.GRU else 0)
    assert model.multiply_adds == 7 * blocks * (3 * 5 + 5 * 5)


@each_layer
def test_a_model_learns_which_half_was_louder(layer_class, tmp_path):
    """The state must carry the first half to the end."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((256, 6, 1))
    loud = rng.integers(0, 2, 256)
    x[np.arange(256)[:, None], 3 * loud[:, None] + np.arange(3)] += 2
    model = hg.Sequential([layer_class(8), hg.Linear(2)])
    trainer = hg.Trainer(model, optimizer=hg.Adam(0.02), seed=0)
    trainer.fit(x, loud, epochs=12)
    assert trainer.evaluate(x, loud)["accuracy"] > 0.93
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(hg.load_model(tmp_path / "model.npz").predict(x), model.predict(x))


def test_input_without_time_is_refused():
    with pytest.raises(ValueError, match=r"rnn1 works on sequences \(N, T, features\), got examples of shape \(4,\)"):
        hg.Sequential([hg.RNN(3)]).build((4,))


def test_units_are_a_whole_number():
    with pytest.raises(ValueError, match="LSTM: units must be a whole number >= 1, got 0"):
        hg.LSTM(0)


def test_penalties_count_the_recurrent_weight():
    model = hg.Sequential([hg.RNN(2)]).build((4, 3), rng=0, dtype=np.float64)
    p = model.parameters
    expected = (np.sum(p["rnn1.weight"] ** 2) + np.sum(p["rnn1.recurrent_weight"] ** 2)) / 2
    assert hg.L2(1.0)(model.parameters) == pytest.approx(expected)
