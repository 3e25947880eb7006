"""Train a network of dense layers on Iris. Change the numbers, run it again, compare what is in experiments/."""

from experiment import run
from neural_networks.utils.data_structures import AttrDict

# The layers, in order; the last one's n_out comes from the data set.
fc1 = AttrDict(name="fully_connected", activation="relu", weight_init="xavier_uniform", n_out=25)
fc_out = AttrDict(name="fully_connected", activation="softmax", weight_init="xavier_uniform", n_out=None)

# lr_scheduler is "constant" or "exponential": the rate times lr_decay with every stage_length epochs, in steps if
# staircase. Gradients longer than clip_norm are shortened to it.
optimizer_args = AttrDict(name="SGD", lr=0.01, momentum=0.9, clip_norm=1.0)
optimizer_args.update(lr_scheduler="constant", lr_decay=0.99, stage_length=1000, staircase=True)

model_args = AttrDict(name="feed_forward", loss="cross_entropy", layer_args=[fc1, fc_out], seed=0)
model_args.optimizer_args = optimizer_args
data_args = AttrDict(name="iris", batch_size=25)

run(model_args, data_args, epochs=100, description=__doc__)
