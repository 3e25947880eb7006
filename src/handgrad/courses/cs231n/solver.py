"""solver: trains any model with `params` and `loss(X, y)` by a rule of nndl.optim."""

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...arrays import Array
from ...files import atomic_path
from ..nndl import optim

KEPT = (  # in a checkpoint
    "model lr_decay optim_config batch_size num_train_samples num_val_samples epoch "
    "loss_history train_acc_history val_acc_history"
)


class Solver:
    """Minibatches drawn with replacement from NumPy's global generator, accuracies once an epoch, the best params kept.

    model: `params` {name: array}; `loss(X)` gives scores (N, C), `loss(X, y)` (loss, gradients by name). data: X_train,
    y_train, X_val, y_val. The options stand below with their defaults; with a checkpoint_name each epoch is pickled.
    ValueError for an unknown option or update_rule, and for rows without their labels.
    """

    update_rule: Any = "sgd"  # the name of a function in nndl.optim, then that function
    optim_config: dict[str, Any] = {}
    lr_decay: float = 1.0
    batch_size: int = 100
    num_epochs: int = 10
    num_train_samples: int | None = 1000
    num_val_samples: int | None = None
    checkpoint_name: str | None = None
    print_every: int = 10
    verbose: bool = True

    def __init__(self, model: Any, data: Mapping[str, Array], **kwargs: Any) -> None:
        unknown = [name for name in kwargs if name not in Solver.__annotations__]
        if unknown:
            raise ValueError("Unrecognized arguments " + ", ".join(f'"{name}"' for name in unknown))
        vars(self).update(kwargs)
        if self.update_rule not in optim.__all__:
            raise ValueError(f'Invalid update_rule "{self.update_rule}"')
        self.update_rule, self.optim_config = getattr(optim, self.update_rule), dict(self.optim_config)
        self.model: Any = model
        self.X_train: Array = data["X_train"]
        self.y_train: Array = data["y_train"]
        self.X_val: Array = data["X_val"]
        self.y_val: Array = data["y_val"]
        for part in ("train", "val"):
            rows, labels = len(data[f"X_{part}"]), len(data[f"y_{part}"])
            if rows != labels:
                raise ValueError(f"X_{part} has {rows} rows, but y_{part} {labels} labels")
        self._reset()

    def _reset(self) -> None:
        self.epoch: int = 0
        self.best_val_acc: float = 0.0
        self.best_params: dict[str, Array] = {}
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []
        self.optim_configs: dict[str, dict[str, Any]] = {name: dict(self.optim_config) for name in self.model.params}

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
        batches = (X[start : start + batch_size] for start in range(0, len(X), batch_size))
        predicted = [np.argmax(self.model.loss(batch), axis=1) for batch in batches]
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
