"""Train a recurrent network (Elman) to continue sine waves: 50 values in, the next one out."""

from experiment import run
from neural_networks.utils.data_structures import AttrDict

rnn = AttrDict(name="elman", activation="tanh", weight_init="xavier_uniform", n_out=20)
fc_out = AttrDict(name="fully_connected", activation="linear", weight_init="xavier_uniform", n_out=None)
optimizer_args = AttrDict(name="SGD", lr=0.01, lr_scheduler="constant", momentum=0.9, clip_norm=1.0)
model_args = AttrDict(name="recurrent", loss="l2", layer_args=[rnn, fc_out], optimizer_args=optimizer_args, seed=0)
data_args = AttrDict(name="sinewave", batch_size=50)

run(model_args, data_args, epochs=100, description=__doc__)
