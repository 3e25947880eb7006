"""The examples run, and end where they say they end."""

import re

import gplvm
import linear_autoencoder
import numpy as np
import pytest
import sine_wave

import handgrad as hg
from derivatives import complex_step_gradient, relative_error


def numbers_in(text):
    return [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)]


@pytest.mark.parametrize(
    ("forward", "backward", "shapes", "num_gradients"),
    [
        (
            linear_autoencoder.tied_autoencoder_forward,
            linear_autoencoder.tied_autoencoder_backward,
            [(6, 5), (2, 5)],
            2,
        ),
        (gplvm.log_likelihood_forward, gplvm.log_likelihood_backward, [(6, 2), (6, 4)], 1),
    ],
)
def test_the_pairs_of_the_examples_are_exact(forward, backward, shapes, num_gradients):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    _, cache = forward(*arrays)
    gradients = backward(1.7, cache)
    assert len(gradients) == num_gradients
    for i, gradient in enumerate(gradients):
        exact = complex_step_gradient(lambda a, i=i: 1.7 * forward(*arrays[:i], a, *arrays[i + 1 :])[0], arrays[i])
        assert relative_error(gradient, exact) <= 1e-12
    names = [["x", "weight"], ["x"]][num_gradients == 1]
    assert hg.check_gradients((forward, backward), *arrays, wrt=names).ok


def test_a_gradient_by_one_of_the_two_ways_is_found_out():
    def one_way(dloss, cache):
        dx, dweight = linear_autoencoder.tied_autoencoder_backward(dloss, cache)
        x, _, code, difference = cache
        return dx, dweight - code.T @ difference * (dloss / len(x))

    x, weight = np.random.default_rng(0).normal(size=(6, 4)), np.random.default_rng(1).normal(size=(2, 4))
    assert not hg.check_gradients(
        (linear_autoencoder.tied_autoencoder_forward, one_way), x, weight, wrt=["x", "weight"]
    ).ok


def test_the_linear_autoencoder_ends_on_the_principal_subspace(capsys, tmp_path):
    linear_autoencoder.main(["--steps", "1000", "--picture", str(tmp_path / "rows.png")])
    first, last, best, angle, orthonormal = numbers_in(capsys.readouterr().out.split("picture")[0])
    assert first > 1.9 and last == pytest.approx(best, abs=1e-5) and best == pytest.approx(0.765224)
    assert angle < 0.5 and orthonormal < 1e-3
    assert (tmp_path / "rows.png").exists()


def test_the_map_of_wines_is_as_likely_as_can_be_and_keeps_cultivars_together(capsys, tmp_path):
    gplvm.main(["--steps", "300", "--picture", str(tmp_path / "map.svg")])
    _, last, best, share, _ = numbers_in(capsys.readouterr().out.split("picture")[0])
    assert last == pytest.approx(best, abs=0.5) and last <= best
    assert share > 90
    assert (tmp_path / "map.svg").exists()


@pytest.mark.parametrize("layer", ["RNN", "LSTM"])
def test_the_sine_wave_is_continued(layer, capsys, tmp_path):
    sine_wave.main(["--epochs", "3", "--layer", layer, "--picture", str(tmp_path / "waves.png")])
    one, repeated, alone, _ = numbers_in(capsys.readouterr().out.split("picture")[0])
    assert one < repeated / 5 and np.isfinite(alone)
    assert (tmp_path / "waves.png").exists()
