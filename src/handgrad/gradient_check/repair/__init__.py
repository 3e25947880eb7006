"""Which single change in the source of a backward pass makes its gradients right? It names the mistake and the line."""

from .search import mend as mend
