"""Wrong versions of convolution and pooling."""

import numpy as np

from ... import functional as F
from .specimens import wrong

FLIP = "Convolution here is cross-correlation: no flip forward, a flipped kernel only in dx."


def shift(a, rows):
    """The image moved down, zeros moving in."""
    moved = np.zeros_like(a)
    moved[:, rows:] = a[:, :-rows]
    return moved


def padded(a, amount=1):
    return np.pad(a, ((0, 0), (amount, amount), (amount, amount), (0, 0)))


def windows_of(c):
    """(row, column, window of x) for every output pixel, in order."""
    k, s = c.kernel_size, c.stride or c.kernel_size
    for i in range(c.y.shape[1]):
        for j in range(c.y.shape[2]):
            yield i, j, (slice(None), slice(i * s, i * s + k), slice(j * s, j * s + k))


@wrong("conv2d", "flipped-kernel", FLIP)
def dkernel_flipped(dy, c):
    dx, dweight, dbias = c.right
    return dx, dweight[::-1, ::-1], dbias


@wrong("conv2d", "flipped-kernel", FLIP)
def dx_kernel_not_flipped(dy, c):
    _, cache = F.conv2d_forward(c.x, c.weight[::-1, ::-1], c.bias, padding=c.padding)
    return F.conv2d_backward(dy, cache)[0], *c.right[1:]


@wrong("conv2d", "index-repeated", "Printed as X[d1 + j, d2 + j]; the row offset is i: X[d1 + i, d2 + j].")
def dweight_row_index_repeated(dy, c):
    dx, dweight, dbias = c.right
    slip = dweight.copy()
    for i in range(dweight.shape[0]):
        for j in range(dweight.shape[1]):
            slip[i, j] = dweight[j, j]
    return dx, slip, dbias


@wrong("conv2d", "transposed", "Rows and columns of the kernel are exchanged.")
def dweight_rows_and_columns(dy, c):
    dx, dweight, dbias = c.right
    return dx, dweight.transpose(1, 0, 2, 3), dbias


@wrong("conv2d", "not-summed", "The bias is added at every pixel: sum over the batch and both image axes.")
def conv_dbias_summed_over_batch_only(dy, c):
    return *c.right[:2], dy.sum(axis=0)


@wrong("conv2d", "wrong-axis", "The bias has one number per filter, the last axis.")
def conv_dbias_over_channels(dy, c):
    return *c.right[:2], dy.sum(axis=(0, 1, 3))


@wrong("conv2d", "element-count-factor", "The bias gradient is a sum over examples and pixels, not a mean.")
def conv_dbias_averaged(dy, c):
    return *c.right[:2], dy.mean(axis=(0, 1, 2))


@wrong("conv2d", "batch-size-factor", "The loss has divided by the batch already.")
def conv_dweight_averaged(dy, c):
    dx, dweight, dbias = c.right
    return dx, dweight / len(c.x), dbias


@wrong("conv2d", "padding-kept", "x was padded for the forward; its gradient has the shape of the unpadded x.")
def conv_dx_with_padding(dy, c):
    _, cache = F.conv2d_forward(padded(c.x), c.weight, c.bias)
    return F.conv2d_backward(dy, cache)[0], *c.right[1:]


@wrong("conv2d", "shifted", "The padding is cut off at one end only.")
def conv_dx_cropped_at_one_end(dy, c):
    _, cache = F.conv2d_forward(padded(c.x), c.weight, c.bias)
    return F.conv2d_backward(dy, cache)[0][:, :-2, :-2], *c.right[1:]


@wrong("conv2d", "overlap-overwritten", "A pixel is in up to kh kw windows; their gradients add up.")
def conv_dx_assigned(dy, c):
    dx = np.zeros_like(padded(c.x))
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            dx[:, i : i + 3, j : j + 3] = np.einsum("no,abco->nabc", dy[:, i, j], c.weight)
    return dx[:, 1:-1, 1:-1], *c.right[1:]


@wrong(
    "strided conv2d",
    "transposed",
    "dx sums over the outputs: with as many channels in as out, the wrong axis fits too.",
)
def conv_channels_exchanged(dy, c):
    _, cache = F.conv2d_forward(c.x, c.weight.transpose(0, 1, 3, 2), c.bias, stride=c.stride)
    return F.conv2d_backward(dy, cache)[0], *c.right[1:]


@wrong("strided conv2d", "upstream-ignored", "Every window's contribution is weighted by its dy.")
def conv_dweight_ignores_upstream(dy, c):
    _, cache = F.conv2d_forward(c.x, c.weight, c.bias, stride=c.stride)
    return c.right[0], F.conv2d_backward(np.ones_like(dy), cache)[1], c.right[2]


@wrong("strided conv2d", "examples-missing", "A loop over the batch assigns dweight instead of adding to it.")
def conv_dweight_of_last_example(dy, c):
    _, cache = F.conv2d_forward(c.x[-1:], c.weight, c.bias, stride=c.stride)
    return c.right[0], F.conv2d_backward(dy[-1:], cache)[1], c.right[2]


@wrong(
    "max pool of few greys",
    "ties-all-paid",
    "x == max(x) is true for every tie; the gradient is one, so one of them gets it.",
)
def max_pool_pays_ties(dy, c):
    dx = np.zeros_like(c.x)
    for i, j, window in windows_of(c):
        seen = c.x[window]
        dx[window] += (seen == seen.max(axis=(1, 2), keepdims=True)) * dy[:, i : i + 1, j : j + 1]
    return (dx,)


@wrong("overlapping max pool", "overlap-overwritten", "A pixel may win several windows, and is paid by each.")
def max_pool_assigned(dy, c):
    dx = np.zeros_like(c.x)
    for i, j, window in windows_of(c):
        won = c.x[window] == c.x[window].max(axis=(1, 2), keepdims=True)
        dx[window] = np.where(won, dy[:, i : i + 1, j : j + 1], dx[window])
    return (dx,)


@wrong("max pool", "winner-ignored", "Only the winner of a window moves y; the others get nothing.")
def max_pool_pays_everybody(dy, c):
    dx = np.zeros_like(c.x)
    for i, j, window in windows_of(c):
        dx[window] += dy[:, i : i + 1, j : j + 1]
    return (dx,)


@wrong("max pool", "winner-ignored", "Sharing equally is average pooling's gradient.")
def max_pool_shares(dy, c):
    dx = np.zeros_like(c.x)
    for i, j, window in windows_of(c):
        dx[window] += dy[:, i : i + 1, j : j + 1] / c.kernel_size**2
    return (dx,)


@wrong("max pool", "upstream-ignored", "The winner gets its window's dy, not 1.")
def max_pool_mask_alone(dy, c):
    return ((c.right[0] != 0).astype(float),)


@wrong("max pool", "output-factor", "The winner's gradient is dy; its value has no place in it.")
def max_pool_times_value(dy, c):
    return (c.right[0] * c.x,)


@wrong("max pool", "winner-misplaced", "argmax counts along rows: row = k // width, column = k % width.")
def max_pool_winner_transposed(dy, c):
    dx = np.zeros_like(c.x)
    for _, _, window in windows_of(c):
        dx[window] = c.right[0][window].transpose(0, 2, 1, 3)
    return (dx,)


@wrong(
    "avg pool", "kernel-area-factor", "The mean of kh kw numbers gives each of them 1 / (kh kw) (a printed erratum)."
)
def avg_pool_not_divided(dy, c):
    return (c.right[0] * c.kernel_size**2,)


@wrong("avg pool", "padding-kept", "The gradient of the padded image was returned (a printed erratum).")
def avg_pool_with_padding(dy, c):
    _, cache = F.avg_pool2d_forward(padded(c.x), c.kernel_size)
    return F.avg_pool2d_backward(dy, cache)


@wrong("avg pool", "keyword-factor", "The window has kh kw numbers, not kh.")
def avg_pool_divided_by_side(dy, c):
    return (c.right[0] * c.kernel_size,)


@wrong("overlapping avg pool", "overlap-overwritten", "A pixel in several windows gets a share from each.")
def avg_pool_assigned(dy, c):
    dx = np.zeros_like(c.x)
    for i, j, window in windows_of(c):
        dx[window] = dy[:, i : i + 1, j : j + 1] / c.kernel_size**2
    return (dx,)


@wrong("overlapping avg pool", "upstream-averaged", "Each window has its own dy; their mean over the image is not it.")
def avg_pool_mean_of_upstream(dy, c):
    _, cache = F.avg_pool2d_forward(c.x, c.kernel_size, stride=c.stride)
    spread = np.broadcast_to(dy.mean(axis=(1, 2), keepdims=True), dy.shape)
    return F.avg_pool2d_backward(spread, cache)


@wrong("overlapping avg pool", "shifted", "The first window starts at 0.")
def avg_pool_shifted(dy, c):
    return (shift(c.right[0], 1),)
