"""Train a recurrent network (Elman) to continue sine waves: 50 values in, the next one out."""

import numpy as np
from neural_networks.datasets import initialize_dataset
from neural_networks.logs import Logger
from neural_networks.models import initialize_model
from neural_networks.utils.data_structures import AttrDict

rnn = AttrDict({"name": "elman", "activation": "tanh", "weight_init": "xavier_uniform", "n_out": 20})
fc_out = AttrDict({"name": "fully_connected", "activation": "linear", "weight_init": "xavier_uniform", "n_out": None})
layer_args = [rnn, fc_out]

optimizer_args = AttrDict(
    {
        "name": "SGD",
        "lr": 0.01,
        "lr_scheduler": "exponential",
        "lr_decay": 0.99,
        "stage_length": 1000,
        "staircase": True,
        "clip_norm": 1.0,
        "momentum": 0.9,
    }
)
model_args = AttrDict(
    {
        "name": "recurrent",
        "loss": "l2",
        "layer_args": layer_args,
        "optimizer_args": optimizer_args,
        "seed": 0,
    }
)
data_args = AttrDict({"name": "sinewave", "batch_size": 50})
log_args = AttrDict({"save": True, "plot": True, "save_dir": "experiments/"})
epochs = 100

np.random.seed(model_args.seed)

model_name = (
    f"{model_args.name}_{len(layer_args)}layers_{rnn.n_out}-lr{optimizer_args.lr}"
    f"_mom{optimizer_args.momentum}_seed{model_args.seed}"
)
logger = Logger(
    model_name=model_name,
    model_args=model_args,
    data_args=data_args,
    save=log_args.save,
    plot=log_args.plot,
    save_dir=log_args.save_dir,
)
model = initialize_model(
    name=model_args.name,
    loss=model_args.loss,
    layer_args=model_args.layer_args,
    optimizer_args=model_args.optimizer_args,
    logger=logger,
)
dataset = initialize_dataset(name=data_args.name, batch_size=data_args.batch_size)

print(
    f"Training {model_args.name} neural network on {data_args.name} with {optimizer_args.name} for {epochs} epochs..."
)
print("Optimizer:")
print(optimizer_args)
model.train(dataset, epochs=epochs)
model.test(dataset)
