"""Train a small convolutional network on MNIST (handgrad data get mnist). An epoch takes a minute or two."""

import numpy as np
from neural_networks.datasets import initialize_dataset
from neural_networks.logs import Logger
from neural_networks.models import initialize_model
from neural_networks.utils.data_structures import AttrDict

conv = {"name": "conv2d", "activation": "relu", "weight_init": "he_uniform", "kernel_shape": (5, 5), "stride": 1}
pool = {"name": "pool2d", "mode": "max", "kernel_shape": (2, 2), "stride": 2, "pad": "valid"}
dense = {"name": "fully_connected", "activation": "relu", "weight_init": "he_uniform"}
layer_args = [
    AttrDict({**conv, "n_out": 6, "pad": "same"}),
    AttrDict(pool),
    AttrDict({**conv, "n_out": 16, "pad": "valid"}),
    AttrDict(pool),
    AttrDict({"name": "flatten", "keep_dim": "first"}),
    AttrDict({**dense, "n_out": 120}),
    AttrDict({**dense, "n_out": 84}),
    AttrDict({**dense, "activation": "softmax", "weight_init": "xavier_uniform", "n_out": None}),
]
optimizer_args = AttrDict(
    {
        "name": "SGD",
        "lr": 0.01,
        "lr_scheduler": "constant",
        "lr_decay": 0.99,
        "stage_length": 1000,
        "staircase": True,
        "clip_norm": 1.0,
        "momentum": 0.9,
    }
)
model_args = AttrDict(
    {
        "name": "conv",
        "loss": "cross_entropy",
        "layer_args": layer_args,
        "optimizer_args": optimizer_args,
        "seed": 0,
    }
)
data_args = AttrDict({"name": "mnist", "batch_size": 16})
log_args = AttrDict({"save": True, "plot": True, "save_dir": "experiments/"})
epochs = 5

np.random.seed(model_args.seed)

model_name = (
    f"{model_args.name}_{len(layer_args)}layers-lr{optimizer_args.lr}"
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
