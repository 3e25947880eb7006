"""A chain of numbers, and the way back.

The forward goes x, w → a = w x → c = a + b → y = c². The backward goes the same way in the other direction: it begins
with dy, the gradient of the loss by y, and turns it into that by c, then a, then the inputs. What it needs to know of
the forward it finds in the cache. Each operation is taken entry by entry, so that arrays are many chains at once.
"""


def chain_forward(x, w, b):
    """y = (w x + b)², entry by entry; returns (y, cache)."""
    c = w * x + b
    return c**2, (x, w, c)


def chain_backward(dy, cache):
    """(dx, dw, db): first dc, by y = c², and then one step further for each of the inputs."""
    x, w, c = cache
    dc = dy * 2 * c
    return dc * w, dc * x, dc
