"""UC Berkeley CS189/289A's package `neural_networks`, all its generations (2020 to 2025)."""
