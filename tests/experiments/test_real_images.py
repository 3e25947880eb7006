"""The ready recipes on some of the real images, where these are on the machine: handgrad data get mnist, cifar10."""

import dataclasses

import numpy as np
import pytest

from handgrad.datasets import Split
from handgrad.datasets.images import is_present
from handgrad.experiments import load_configuration
from handgrad.experiments.assembly import build_trainer, load_data


def trained(name, num_rows, epochs):
    """(trainer, data) after a ready recipe on the first training rows."""
    configuration = load_configuration(name, [f"epochs={epochs}"])
    if not is_present(configuration.data.name):
        pytest.skip(f"needs handgrad data get {configuration.data.name}")
    whole = load_data(configuration)
    data = dataclasses.replace(whole, train=Split(*(part[:num_rows] for part in whole.train)))
    trainer = build_trainer(configuration, data)
    trainer.fit(*data.train, epochs=epochs, batch_size=configuration.batch_size)
    return trainer, data


def test_lenet_reads_most_digits_after_a_tenth_of_mnist():
    trainer, data = trained("lenet", 6000, 1)
    assert trainer.evaluate(*(part[:2000] for part in data.test))["accuracy"] > 0.85


def test_cifar_cnn_learns_within_a_few_steps():
    trainer, _ = trained("cifar-cnn", 640, 4)
    losses = trainer.history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert trainer.history["accuracy"][-1] > 0.2  # twice what guessing gives
