"""solver: trains any model with `params` and `loss(X, y)` by a rule of nndl.optim."""

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...arrays import Array
from ...files import atomic_path
from ..nndl import optim

__all__ = ["Solver"]

OPTIONS: dict[str, Any] = dict(update_rule="sgd", optim_config={}, lr_decay=1.0, batch_size=100, num_epochs=10)
OPTIONS.update(num_train_samples=1000, num_val_samples=None, checkpoint_name=None, print_every=10, verbose=True)
KEPT = (  # in a checkpoint
    "model lr_decay optim_config batch_size num_train_samples num_val_samples epoch "
    "loss_history train_acc_history val_acc_history"
)


class Solver:
    """Minibatches drawn with replacement from NumPy's global generator, accuracies once an epoch, the best params kept.

    model: `params` {name: array}; `loss(X)` gives scores (N, C), `loss(X, y)` (loss, gradients by name). data: X_train,
    y_train, X_val, y_val. Options, with their defaults, are OPTIONS; with a checkpoint_name each epoch is pickled.
    ValueError for an unknown option or update_rule, and for rows without their labels.
    """

    optim_config: dict[str, Any]
    lr_decay: float
    batch_size: int
    num_epochs: int
    num_train_samples: int | None
    num_val_samples: int | None
    checkpoint_name: str | None
    print_every: int
    verbose: bool
    model: Any
    X_train: Array
    y_train: Array
    X_val: Array
    y_val: Array
    update_rule: Callable[..., Any]
    epoch: int
    best_val_acc: float
    optim_configs: dict[str, dict[str, Any]]

    def __init__(self, model: Any, data: Mapping[str, Array], **kwargs: Any) -> None:
        unknown = [name for name in kwargs if name not in OPTIONS]
        if unknown:
            raise ValueError("Unrecognized arguments " + ", ".join(f'"{name}"' for name in unknown))
        options = {**OPTIONS, **kwargs}
        if options["update_rule"] not in optim.__all__:
            raise ValueError(f'Invalid update_rule "{options["update_rule"]}"')
        self.model = model
        options["optim_config"] = dict(options["optim_config"])
        self.X_train, self.y_train = data["X_train"], data["y_train"]
        self.X_val, self.y_val = data["X_val"], data["y_val"]
        for part in ("train", "val"):
            rows, labels = len(data[f"X_{part}"]), len(data[f"y_{part}"])
            if rows != labels:
                raise ValueError(f"X_{part} has {rows} rows, but y_{part} {labels} labels")
        for name, value in options.items():
            setattr(self, name, value)
        self.update_rule = getattr(optim, options["update_rule"])
        self._reset()

    def _reset(self) -> None:
        self.epoch, self.best_val_acc = 0, 0.0
        self.best_params: dict[str, Array] = {}
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []
        self.optim_configs = {name: dict(self.optim_config) for name in self.model.params}

    def _step(self) -> None:
        """One update of every parameter, in the order of params."""
        chosen = np.random.choice(self.X_train.shape[0], self.batch_size)
        loss, grads = self.model.loss(self.X_train[chosen], self.y_train[chosen])
        self.loss_history.append(loss)
        for name, value in self.model.params.items():
            next_value, config = self.update_rule(value, grads[name], self.optim_configs[name])
            self.model.params[name], self.optim_configs[name] = next_value, config

    def check_accuracy(self, X: Array, y: Array, num_samples: int | None = None, batch_size: int = 100) -> float:
        """The share of rows judged rightly; of num_samples rows drawn with replacement, where there are more."""
        if num_samples is not None and len(X) > num_samples:
            chosen = np.random.choice(len(X), num_samples)
            X, y = X[chosen], y[chosen]
        predicted = [
            np.argmax(self.model.loss(X[start : start + batch_size]), axis=1) for start in range(0, len(X), batch_size)
        ]
        return float(np.mean(np.concatenate(predicted) == y))

    def train(self) -> None:
        """num_epochs of max(N // batch_size, 1) steps; the model ends with the params of the best validation accuracy.

        (Where no accuracy exceeded 0 the course's model ends without params; ours keeps its last.)
        """
        iterations_per_epoch = max(self.X_train.shape[0] // self.batch_size, 1)
        num_iterations = self.num_epochs * iterations_per_epoch
        for t in range(num_iterations):
            self._step()
            if self.verbose and t % self.print_every == 0:
                print(f"(Iteration {t + 1} / {num_iterations}) loss: {self.loss_history[-1]:f}")
            epoch_end = (t + 1) % iterations_per_epoch == 0
            if epoch_end:
                self.epoch += 1
                for config in self.optim_configs.values():
                    config["learning_rate"] *= self.lr_decay
            if epoch_end or t == 0:
                self._measure()
        self.model.params = self.best_params or self.model.params

    def _measure(self) -> None:
        train_acc = self.check_accuracy(self.X_train, self.y_train, num_samples=self.num_train_samples)
        val_acc = self.check_accuracy(self.X_val, self.y_val, num_samples=self.num_val_samples)
        self.train_acc_history.append(train_acc)
        self.val_acc_history.append(val_acc)
        self._save_checkpoint()
        if self.verbose:
            print(f"(Epoch {self.epoch} / {self.num_epochs}) train acc: {train_acc:f}; val_acc: {val_acc:f}")
        if val_acc > self.best_val_acc:
            self.best_val_acc = val_acc
            self.best_params = {name: value.copy() for name, value in self.model.params.items()}

    def _save_checkpoint(self) -> None:
        """Pickle the model and the histories as NAME_epoch_E.pkl, which data_utils.load_models reads."""
        if self.checkpoint_name is None:
            return
        checkpoint = {name: getattr(self, name) for name in KEPT.split()} | {"update_rule": self.update_rule.__name__}
        filename = f"{self.checkpoint_name}_epoch_{self.epoch}.pkl"
        if self.verbose:
            print(f'Saving checkpoint to "{filename}"')
        with atomic_path(filename) as temporary, open(temporary, "wb") as file:
            pickle.dump(checkpoint, file)
