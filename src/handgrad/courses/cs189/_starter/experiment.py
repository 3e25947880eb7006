"""One experiment: a network is made, trained and tested by its arguments; its figures are kept in experiments/."""

import numpy as np
from arguments import script_arguments
from neural_networks.datasets import initialize_dataset
from neural_networks.logs import Logger
from neural_networks.models import initialize_model
from neural_networks.utils.data_structures import AttrDict


def run(model_args: AttrDict, data_args: AttrDict, epochs: int, description: str | None) -> None:
    """Train for so many epochs, then test; --epochs, --seed and --rows (of each part) on the command line win."""
    given = script_arguments(description, epochs=epochs, rows=10**6, seed=model_args.seed)
    model_args.seed = given.seed
    layers, optimizer = model_args.layer_args, model_args.optimizer_args
    np.random.seed(given.seed)  # weights and shuffles are drawn from the global generator: this makes a run repeatable
    model_name = f"{model_args.name}_{len(layers)}layers_{layers[0].n_out}-lr{optimizer.lr}_mom{optimizer.momentum}"
    where = dict(model_name=f"{model_name}_seed{given.seed}", save_dir="experiments/")
    logger = Logger(**where, model_args=model_args, data_args=data_args, save=True, plot=True)
    model = initialize_model(
        name=model_args.name, loss=model_args.loss, layer_args=layers, optimizer_args=optimizer, logger=logger
    )
    dataset = initialize_dataset(name=data_args.name, batch_size=data_args.batch_size, rows=given.rows)
    print(f"Training {model_args.name} on {data_args.name} with {optimizer} for {given.epochs} epochs...")
    model.train(dataset, epochs=given.epochs)
    if hasattr(dataset, "test"):
        model.test(dataset)
