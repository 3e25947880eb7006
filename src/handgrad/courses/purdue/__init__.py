"""Purdue CS373's networks: one hidden layer by hand, the same in PyTorch, and a convolutional one."""
