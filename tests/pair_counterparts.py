"""The PyTorch counterparts of pairs that are more than one call; torch and tf are None without PyTorch."""

try:
    import torch
    import torch.nn.functional as tf
except ImportError:
    torch = tf = None


def torch_mean(losses, sample_weight=None):
    """The mean over all elements, or over the rows weighted by sample_weight."""
    if sample_weight is None:
        return losses.mean()
    return (sample_weight * losses.reshape(len(losses), -1).mean(dim=1)).sum() / sample_weight.sum()


def torch_cross_entropy(logits, targets, class_weight=None, label_smoothing=0.0, sample_weight=None):
    options = {"weight": class_weight, "label_smoothing": label_smoothing}
    if sample_weight is None:
        return tf.cross_entropy(logits, targets, **options)
    counts = sample_weight
    if class_weight is not None and targets.ndim == 1:
        counts = sample_weight * class_weight[targets]
    return (sample_weight * tf.cross_entropy(logits, targets, reduction="none", **options)).sum() / counts.sum()


def torch_probability_cross_entropy(probabilities, targets, sample_weight=None):
    if targets.ndim == 1:
        targets = tf.one_hot(targets, probabilities.shape[1])
    return torch_mean(-torch.xlogy(targets, probabilities).sum(dim=1), sample_weight)


def torch_hinge(scores, targets, sample_weight=None):
    return torch_mean(tf.multi_margin_loss(scores, targets, reduction="none") * scores.shape[1], sample_weight)


def torch_elementwise(loss):
    """A PyTorch loss by elements, with targets (N,) put beside outputs (N, 1) and the mean taken as ours."""

    def mean_loss(outputs, targets, sample_weight=None, **options):
        losses = getattr(tf, loss)(outputs, targets.reshape(outputs.shape).double(), reduction="none", **options)
        return torch_mean(losses, sample_weight)

    return mean_loss


def torch_images(function):
    """A PyTorch function of images (N, C, H, W), given ours (N, H, W, C)."""
    return lambda x, *arrays, **options: function(x.permute(0, 3, 1, 2), *arrays, **options).permute(0, 2, 3, 1)


@torch_images
def torch_conv2d(x, weight, bias, **options):
    return tf.conv2d(x, weight.permute(3, 2, 0, 1).contiguous(), bias, **options)


def torch_batch_norm(x, gamma, beta, running_mean=None, running_var=None, training=True, epsilon=1e-5):
    y = tf.batch_norm(x.movedim(-1, 1), running_mean, running_var, gamma, beta, training, 0.0, epsilon)
    return y.movedim(1, -1)


def torch_layer_norm(x, gamma, beta, epsilon=1e-5):
    return tf.layer_norm(x, gamma.shape, gamma, beta, epsilon)


def torch_rnn(x, hidden, weight, recurrent_weight, bias, activation="tanh"):
    weights = weight.T, recurrent_weight.T, bias, torch.zeros_like(bias)
    return getattr(torch, f"rnn_{activation}")(x, hidden[None], weights, True, 1, 0.0, False, False, True)[0]


def torch_lstm(x, hidden, cell, weight, recurrent_weight, bias):
    """PyTorch's gates stand in the order i, f, g, o."""
    i, f, o, g = torch.arange(weight.shape[1]).chunk(4)
    order = torch.cat([i, f, g, o])
    weights = weight.T[order], recurrent_weight.T[order], bias[order], torch.zeros_like(bias)
    return torch.lstm(x, (hidden[None], cell[None]), weights, True, 1, 0.0, False, False, True)[0]
