"""25 tests of the package against values that PyTorch computed: python -m unittest -v."""
