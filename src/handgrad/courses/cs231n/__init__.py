"""What UCLA's nndl is supported by, under the name `cs231n` or `utils`, and Stanford CS231n's optimizers and RNNs."""
