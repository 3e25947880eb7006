"""neural_networks.models: layers in a row, their training, and what it prints and logs."""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .datasets import Dataset
from .layers import BatchNorm1D, Layer, initialize_layer
from .logs import Logger, write_bytes
from .losses import Loss, initialize_loss
from .optimizers import SGD, initialize_optimizer
from .utils.data_structures import Array


def initialize_model(name: str, *arguments: Any, **named: Any) -> "NeuralNetwork":
    """A NeuralNetwork of that name; see there for the others, seed too (in the course neither had an effect)."""
    model = NeuralNetwork(*arguments, **named)
    model.name = name
    return model


class NeuralNetwork:
    """Layers made from dictionaries of arguments; the last one waits for train, which knows the size of its output.

    seed, if it is given, sets NumPy's global generator, from which weights and shuffles are drawn. A logger that saves
    gets the learned parameters too, when training ends. Batch normalization goes by the batch in training only (the
    course's model never leaves that mode).
    """

    name: str = "neural_network"

    def __init__(
        self,
        loss: str | Loss,
        layer_args: Sequence[dict[str, Any]],
        optimizer_args: Mapping[str, Any],
        logger: Logger | None = None,
        seed: int | None = None,
    ) -> None:
        if seed is not None:
            np.random.seed(seed)
        self.n_layers: int = len(layer_args)
        self.layer_args: Sequence[dict[str, Any]] = layer_args
        self.logger: Logger | None = logger
        self.epoch_log: dict[str, dict[str, Any]] = {"loss": {}, "error": {}}
        self.loss: Loss = initialize_loss(loss)
        self.optimizer: SGD = initialize_optimizer(**optimizer_args)
        self._initialize_layers(layer_args)

    def _initialize_layers(self, layer_args: Sequence[dict[str, Any]]) -> None:
        self.layers: list[Layer] = [initialize_layer(**arguments) for arguments in layer_args[:-1]]

    def _add_output_layer(self, out_dim: int) -> None:
        """Make the last layer, once: training twice goes on with it (the course adds a second one)."""
        if len(self.layers) < self.n_layers:
            self.layer_args[-1]["n_out"] = out_dim
            self.layers.append(initialize_layer(**self.layer_args[-1]))

    def forward(self, X: Array) -> Array:
        """The output of the last layer for a batch."""
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def backward(self, target: Array, out: Array) -> np.float64:
        """The loss; fills the gradients of every layer, from the last to the first."""
        loss = self.loss.forward(target, out)
        gradient = self.loss.backward(target, out)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return loss

    def predict(self, X: Array, Y: Array) -> tuple[Array, np.float64]:
        """(Y_hat, loss) for inputs X and targets Y, with nothing trained."""
        Y_hat = self._infer(X)
        return Y_hat, self.loss.forward(np.array(Y), Y_hat)

    def _infer(self, X: Array) -> Array:
        norms = [layer for layer in self.layers if isinstance(layer, BatchNorm1D)]
        for layer in norms:
            layer.training = False
        try:
            return self.forward(X)
        finally:
            for layer in norms:
                layer.training = True

    def update(self, epoch: int = 0) -> None:
        """One step of the optimizer for every parameter, in place; then the gradients are cleared."""
        extremes = {}
        for i, layer in enumerate(self.layers):
            for name, param in layer.parameters.items():
                param -= self.optimizer.update(f"{name}{i}", param, layer.gradients[name], epoch)
                extremes[f"{name}{i}"] = {"max": np.max(param), "min": np.min(param)}
            layer.clear_gradients()
        self.epoch_log["params"] = extremes

    def error(self, target: Array, out: Array) -> Any:
        """The share of wrong classes for cross-entropy, the mean squared error for L2."""
        if self.loss.name == "cross_entropy":
            return np.mean(np.argmax(out, axis=1) != np.argmax(target, axis=1))
        if self.loss.name == "l2":
            return np.mean((target - out) ** 2)
        raise NotImplementedError(f"Error for {self.loss.name} loss is not implemented")

    def train(self, dataset: Dataset, epochs: int) -> None:
        """Train; loss and error of an epoch are plain means over its batches, each measured before its update."""
        self._add_output_layer(dataset.out_dim)
        for epoch in range(epochs):
            training = self._mean(self._train_step(dataset, epoch) for _ in range(dataset.train.samples_per_epoch))
            self._log(*training)
            batches = (dataset.validate.sample() for _ in range(dataset.validate.samples_per_epoch))
            validation = self._mean(self._measure(X, Y) for X, Y in batches)
            self._log(*validation, validation=True)
            self._report(epoch, training, validation)
        if self.logger is not None and self.logger.plot and epochs:
            self.logger.draw()
        if self.logger is not None and self.logger.save:
            self.save_parameters(epochs)
            self.logger.record(dataset)

    def __repr__(self) -> str:
        return f"{self.name}: {', '.join(str(arguments['name']) for arguments in self.layer_args)}"

    def _train_step(self, dataset: Dataset, epoch: int) -> tuple[Any, Any]:
        X, Y = dataset.train.sample()
        Y_hat = self.forward(X)
        loss, error = self.backward(np.array(Y), np.array(Y_hat)), self.error(Y, Y_hat)
        self.update(epoch)
        return loss, error

    def _measure(self, X: Array, Y: Array) -> tuple[Any, Any]:
        Y_hat, loss = self.predict(X, Y)
        self._example = Y[0], Y_hat[0]
        return loss, self.error(Y, Y_hat)

    @staticmethod
    def _mean(pairs: Iterable[tuple[Any, Any]]) -> tuple[Any, Any]:
        losses, errors = zip(*pairs, strict=True)
        return np.mean(losses), np.mean(errors)

    def _log(self, loss: Any, error: Any, validation: bool = False) -> None:
        """Figures with four decimals, pushed to the logger once an epoch's validation is measured."""
        if self.logger is None:
            return
        part = "validate" if validation else "train"
        self.epoch_log["loss"][part], self.epoch_log["error"][part] = round(loss, 4), round(error, 4)
        if validation:
            self.logger.push(self.epoch_log)
            self.epoch_log = {"loss": {}, "error": {}}

    def _report(self, epoch: int, training: tuple[Any, Any], validation: tuple[Any, Any]) -> None:
        target, prediction = self._example
        print(f"Example target: {target}")
        print(f"Example prediction: {[round(float(x), 4) for x in prediction]}")
        (loss, error), (val_loss, val_error) = training, validation
        print(
            f"Epoch {epoch} Training Loss: {round(loss, 4)} Training Accuracy: {round(1 - error, 4)} "
            f"Val Loss: {round(val_loss, 4)} Val Accuracy: {round(1 - val_error, 4)}"
        )

    def test(self, dataset: Dataset, save_predictions: bool = False) -> dict[str, list[Any]]:
        """{"loss": [...], "error": [...]} per batch of the test set, with "prediction" if those are to be saved."""
        log: dict[str, list[Any]] = {"loss": [], "error": [], **({"prediction": []} if save_predictions else {})}
        for _ in range(dataset.test.samples_per_epoch):
            X, Y = dataset.test.sample()
            Y_hat, loss = self.predict(X, Y)
            log["loss"].append(loss)
            log["error"].append(self.error(Y, Y_hat))
            if save_predictions:
                log["prediction"] += list(Y_hat)
        print(f"Test Loss: {round(np.mean(log['loss']), 4)} Test Accuracy: {round(1 - np.mean(log['error']), 4)}")
        if self.logger is not None and self.logger.save:
            self.logger.record(dataset, log)
        if save_predictions:
            self._write("test_predictions.p", log)
        return log

    def test_kaggle(self, dataset: Dataset) -> dict[str, list[int]]:
        """{"Id": [...], "Category": [...]} for the test set in its order, also as kaggle_predictions.csv."""
        categories = []
        for _ in range(dataset.test.samples_per_epoch):
            X, _ = dataset.test.sample(shuffle=False)
            categories += np.argmax(self._infer(X), axis=1).tolist()
        table = {"Id": list(range(len(categories))), "Category": categories}
        rows = (f"{number},{category}\n" for number, category in enumerate(categories))
        write_bytes(self._folder() + "kaggle_predictions.csv", ("Id,Category\n" + "".join(rows)).encode())
        return table

    def save_parameters(self, epoch: int) -> None:
        """The parameters of every layer, {0: {"W": ..., "b": ...}, ...}, as a pickle beside the log."""
        self._write(f"parameters_epoch{epoch}", {i: layer.parameters for i, layer in enumerate(self.layers)})

    def _write(self, name: str, content: object) -> None:
        write_bytes(self._folder() + name, pickle.dumps(content))

    def _folder(self) -> str:
        if self.logger is None:
            raise ValueError("Must have a logger: its folder is where files are saved")
        return self.logger.save_dir
