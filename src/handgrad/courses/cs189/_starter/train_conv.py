"""Train a small convolutional network on MNIST (handgrad data get mnist). An epoch takes a minute or two."""

from experiment import run
from neural_networks.utils.data_structures import AttrDict

conv = AttrDict(name="conv2d", activation="relu", weight_init="he_uniform", kernel_shape=(5, 5), stride=1)
pool = AttrDict(name="pool2d", mode="max", kernel_shape=(2, 2), stride=2, pad="valid")
dense = AttrDict(name="fully_connected", activation="relu", weight_init="he_uniform")
layer_args = [
    AttrDict(conv, n_out=6, pad="same"),
    pool,
    AttrDict(conv, n_out=16, pad="valid"),
    pool,
    AttrDict(name="flatten", keep_dim="first"),
    AttrDict(dense, n_out=120),
    AttrDict(dense, n_out=84),
    AttrDict(dense, activation="softmax", weight_init="xavier_uniform", n_out=None),
]
optimizer_args = AttrDict(name="SGD", lr=0.01, lr_scheduler="constant", momentum=0.9, clip_norm=1.0)
model_args = AttrDict(name="conv", loss="cross_entropy", layer_args=layer_args, optimizer_args=optimizer_args, seed=0)
data_args = AttrDict(name="mnist", batch_size=16)

run(model_args, data_args, epochs=5, description=__doc__)
