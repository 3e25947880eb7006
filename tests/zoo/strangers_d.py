"""Sixty wrong backward passes: each line at fault ends in `# wrong`."""
import math
from collections import namedtuple

import numpy as np

CASES = []
EXPECTED = {}


def case(name, variable, kind, what, expected):
    def add(make):
        CASES.append((name, variable, kind, what, make))
        EXPECTED[name] = set(expected.split())
        return make
    return add


# ------------------------------------------------------------------ affine

def affine_forward(x, w, b):
    """
    Inputs:
    - x: A numpy array containing input data, of shape (N, d_1, ..., d_k)
    - w: A numpy array of weights, of shape (D, M)
    - b: A numpy array of biases, of shape (M,)
    """
    out = x.reshape(x.shape[0], -1).dot(w) + b
    cache = (x, w, b)
    return out, cache

def affine_backward(dout, cache):
    x, w, b = cache
    dx, dw, db = None, None, None
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=1)  # wrong
    return dx, dw, db

@case("affine bias summed over outputs", "db", "sum over the wrong axis",
      "The bias is shared by the examples, so db sums over axis 0; with as many outputs as examples axis 1 has the same shape.",
      "wrong-axis")
def _(rng):
    return (affine_forward, affine_backward), (rng.normal(size=(4, 2, 3)), rng.normal(size=(6, 4)), rng.normal(size=4)), {}


class LinearFn:
    @staticmethod
    def forward(ctx, input, weight, bias):
        ctx.save_for_backward(input, weight)
        return input @ weight.T + bias

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        grad_input = grad_output @ weight
        grad_weight = input.T @ grad_output  # wrong
        grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias

@case("linear function square weight", "grad_weight", "transposed gradient",
      "The weight is stored as (out, in), so its gradient is grad_output.T @ input; the other order is its transpose.",
      "transposed swapped")
def _(rng):
    return LinearFn, (rng.normal(size=(5, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)), {}


class FullyConnected:
    def __init__(self, n_in, n_out, weight_decay, rng):
        self.params = {"W": rng.normal(size=(n_in, n_out)), "b": rng.normal(size=n_out)}
        self.grads = {}
        self.weight_decay = weight_decay

    def forward(self, X):
        self.X = X
        return X @ self.params["W"] + self.params["b"]

    def backward(self, dA):
        dW = self.X.T @ dA
        dW += self.weight_decay * self.params["W"]  # wrong
        self.grads["W"] = dW
        self.grads["b"] = dA.sum(axis=0)
        return dA @ self.params["W"].T

@case("fully connected weight decay in layer", "dW", "penalty that the forward has not",
      "The forward holds no penalty, so the weight decay is no part of this layer's gradient.",
      "penalty-missing term-too-many statement-too-many not-linear")
def _(rng):
    return FullyConnected(3, 2, 0.4, rng), (rng.normal(size=(4, 3)),), {}


def forward_lin_relu(a_prev, W, b):
    # activations are stored column-wise (n, m)
    Z = np.dot(W, a_prev) + b
    A = np.maximum(0, Z)
    return A, {"A_prev": a_prev, "W": W, "b": b, "Z": Z}

def backward_lin_relu(dA, c):
    m = c["A_prev"].shape[1]
    dZ = np.array(dA, copy=True)
    dZ[c["Z"] <= 0] = 0
    dW = np.dot(dZ, c["A_prev"].T)
    db = (1. / m) * np.sum(dZ, axis=1, keepdims=True)  # wrong
    dA_prev = np.dot(c["W"].T, dZ)
    return dA_prev, dW, db

@case("column layout bias over m", "db", "extra factor",
      "The forward adds b to every example and averages nothing, so db is the sum over the m columns without 1/m.",
      "batch-size-factor constant-factor")
def _(rng):
    return (forward_lin_relu, backward_lin_relu), (rng.normal(size=(3, 5)), rng.normal(size=(4, 3)), rng.normal(size=(4, 1))), {}


# ------------------------------------------------------------------ activations

class Sigmoid:
    def forward(self, z):
        self.z = z
        return 1 / (1 + np.exp(-z))

    def backward(self, grad):
        return grad * self.z * (1 - self.z)  # wrong

@case("sigmoid class kept z", "return", "formula in the output used with the input",
      "s(1 - s) needs the sigmoid's output, and the layer keeps its input.",
      "derivative-at-input function-missing")
def _(rng):
    return Sigmoid(), (rng.normal(size=(3, 4)),), {}


tanh_f = lambda x: (np.tanh(x), np.tanh(x))
tanh_b = lambda dy, y: dy * (1 - y)  # wrong

@case("tanh lambda", "return", "slip in a derivative", "The derivative of tanh is 1 - y squared; the square is missing.",
      "formula-slip wrong-exponent wrong-derivative")
def _(rng):
    return (tanh_f, tanh_b), (rng.normal(size=(2, 5)),), {}


def leaky_relu_forward(x, alpha=0.01):
    out = np.where(x > 0, x, alpha * x)
    return out, (x, alpha)

def leaky_relu_backward(dout, cache):
    x, alpha = cache
    dx = np.ones_like(x)
    dx[x < 0] = alpha
    return dx  # wrong

@case("leaky relu local slope only", "return", "upstream gradient left out",
      "Only the local slope is returned, dout is never multiplied in.",
      "upstream-ignored")
def _(rng):
    return (leaky_relu_forward, leaky_relu_backward), (rng.normal(size=(4, 3)),), {"alpha": 0.1}


class ELU(object):
    """Exponential linear unit"""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def forward(self, x):
        self.neg = x < 0
        out = x.copy()
        out[self.neg] = self.alpha * (np.exp(x[self.neg]) - 1)
        self.out = out
        return out

    def backward(self, gradient):
        g = gradient.copy()
        g[self.neg] *= self.out[self.neg]  # wrong
        return g

@case("elu negative side", "g", "value in place of the derivative",
      "On the negative side the derivative is alpha exp(x) = y + alpha; alpha is missing, so the value itself stands for the slope.",
      "value-for-derivative term-missing formula-slip wrong-derivative")
def _(rng):
    return ELU(1.5), (rng.normal(size=(4, 4)),), {}


def gelu(x):
    k = np.sqrt(2.0 / np.pi)
    u = k * (x + 0.044715 * x ** 3)
    t = np.tanh(u)
    return 0.5 * x * (1.0 + t), (x, t, k)

def gelu_grad(dy, cache):
    x, t, k = cache
    sech2 = 1.0 - t * t
    du_dx = k * (1.0 + 0.044715 * x ** 2)  # wrong
    return dy * (0.5 * (1.0 + t) + 0.5 * x * sech2 * du_dx)

@case("gelu inner cubic", "du_dx", "slip in a derivative",
      "The derivative of x cubed is 3 x squared; the 3 is missing in the inner derivative.",
      "formula-slip wrong-derivative factor-missing constant-factor")
def _(rng):
    return (gelu, gelu_grad), (2 * rng.normal(size=(3, 5)),), {}


def prelu_fwd(x, a):
    pos = np.maximum(x, 0)
    neg = np.minimum(x, 0)
    y = pos + a * neg
    return y, (x, a)

def prelu_bwd(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, a * dy)
    da = (dy * x).sum(axis=0)  # wrong
    return dx, da

@case("prelu slope gradient", "da", "mask left out",
      "The slope a multiplies the negative part of x only; da sums over the positive entries too.",
      "wrong-mask function-missing one-branch")
def _(rng):
    return (prelu_fwd, prelu_bwd), (rng.normal(size=(5, 3)), rng.uniform(0.1, 0.5, size=3)), {}


def swish_forward(x, beta=1.0):
    sig = 1.0 / (1.0 + np.exp(-beta * x))
    out = x * sig
    cache = {"x": x, "sig": sig, "beta": beta}
    return out, cache

def swish_backward(dout, cache):
    x, sig, beta = cache["x"], cache["sig"], cache["beta"]
    dsig = x * dout
    dz = dsig * sig * (1 - sig)
    dx = beta * dz  # wrong
    return dx

@case("swish product rule", "dx", "missing term",
      "x enters the product directly and through the sigmoid; the direct term sig dout is missing.",
      "term-missing")
def _(rng):
    return (swish_forward, swish_backward), (rng.normal(size=(4, 3)),), {"beta": 1.5}


# ------------------------------------------------------------------ losses

def softmax_loss(x, y=None):
    """
    - x: Input data, of shape (N, C)
    - y: Vector of labels, of shape (N,)
    """
    shifted_logits = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted_logits), axis=1, keepdims=True)
    log_probs = shifted_logits - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    return loss, (probs, y)

def softmax_loss_backward(dloss, cache):
    probs, y = cache
    N = probs.shape[0]
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= probs.shape[1]  # wrong
    return dx * dloss

@case("softmax loss average", "dx", "wrong divisor",
      "The loss is a mean over the N examples; the gradient is divided by the number of classes instead.",
      "class-count-factor batch-size-factor element-count-factor")
def _(rng):
    return (softmax_loss, softmax_loss_backward), (rng.normal(size=(5, 3)),), {"y": rng.integers(0, 3, size=5)}


class MSELoss:
    def __init__(self, target):
        self.target = target

    def forward(self, pred):
        self.diff = pred - self.target
        return np.mean(self.diff ** 2)

    def backward(self, dout=1.0):
        n = len(self.diff)  # wrong
        return dout * 2 * self.diff / n

@case("mse over all elements", "n", "wrong divisor",
      "np.mean divides by all the entries, the backward only by the number of rows.",
      "element-count-factor class-count-factor batch-size-factor constant-factor")
def _(rng):
    return MSELoss(rng.normal(size=(4, 3))), (rng.normal(size=(4, 3)),), {}


def svm_loss(scores, y):
    num = scores.shape[0]
    correct = scores[np.arange(num), y].reshape(-1, 1)
    margins = np.maximum(0, scores - correct + 1.0)
    margins[np.arange(num), y] = 0
    loss = margins.sum() / num
    return loss, (margins, y)

def svm_grad(dloss, cache):
    margins, y = cache
    num = margins.shape[0]
    dscores = (margins > 0).astype(float)
    dscores[np.arange(num), y] = -1  # wrong
    return dloss * dscores / num

@case("svm correct class", "dscores", "missing sum",
      "The correct class's score stands in the margin of every violating class, so its gradient is minus their number, not -1.",
      "not-summed term-missing cross-terms-missing")
def _(rng):
    return (svm_loss, svm_grad), (rng.normal(size=(5, 5)),), {"y": rng.integers(0, 5, size=5)}


class BCEWithLogits:
    @staticmethod
    def forward(ctx, logits, labels):
        p = 1 / (1 + np.exp(-logits))
        ctx.p, ctx.t, ctx.z = p, labels, logits
        return -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))

    @staticmethod
    def backward(ctx, g):
        p, t = ctx.p, ctx.t
        dlogits = g * (p - t) * p * (1 - p) / t.size  # wrong
        dlabels = -g * ctx.z / t.size
        return dlogits, dlabels

@case("bce with logits", "dlogits", "derivative applied twice",
      "p - t is the gradient by the logits already; the sigmoid's derivative is multiplied in once more.",
      "derivative-twice wrong-derivative")
def _(rng):
    return BCEWithLogits, (rng.normal(size=(3, 4)), rng.uniform(0.1, 0.9, size=(3, 4))), {}


def huber(pred, target, delta=1.0):
    r = pred - target
    small = np.abs(r) <= delta
    loss = np.where(small, 0.5 * r ** 2, delta * (np.abs(r) - 0.5 * delta))
    return loss.sum(), (r, delta)

def huber_back(dl, cache):
    r, delta = cache
    dr = dl * r  # wrong
    return dr, -dr

@case("huber without the linear part", "dr", "one branch of two",
      "Beyond delta the loss is linear with slope +-delta; the backward uses the quadratic branch everywhere.",
      "one-branch function-missing wrong-derivative")
def _(rng):
    return (huber, huber_back), (2 * rng.normal(size=(4, 3)), rng.normal(size=(4, 3))), {"delta": 0.8}


def log_softmax(x):
    m = x.max(axis=-1, keepdims=True)
    return x - m - np.log(np.exp(x - m).sum(axis=-1, keepdims=True))

def nll_forward(x, w):
    """class-weighted negative log likelihood, soft targets w"""
    lp = log_softmax(x)
    return -(w * lp).sum(), (lp, w)

def nll_backward(dout, cache):
    lp, w = cache
    dlp = -dout * w
    dx = dlp - np.exp(lp) * dlp  # wrong
    return dx, -dout * lp

@case("log softmax soft targets", "dx", "sum left out",
      "Each logit moves every log-probability of its row through the normaliser: softmax times the row's sum of dlp, not entry by entry.",
      "cross-terms-missing not-summed")
def _(rng):
    return (nll_forward, nll_backward), (rng.normal(size=(3, 4)), rng.uniform(0.2, 2, size=(3, 4))), {}


# ------------------------------------------------------------------ normalisation

def batchnorm_forward(x, gamma, beta, eps=1e-5):
    N, D = x.shape
    # step1: calculate mean
    mu = 1. / N * np.sum(x, axis=0)
    # step2: subtract mean vector of every training example
    xmu = x - mu
    # step3: following the lower branch - calculation denominator
    sq = xmu ** 2
    # step4: calculate variance
    var = 1. / N * np.sum(sq, axis=0)
    # step5: add eps for numerical stability, then sqrt
    sqrtvar = np.sqrt(var + eps)
    # step6: invert sqrtwar
    ivar = 1. / sqrtvar
    # step7: execute normalization
    xhat = xmu * ivar
    # step8: the two transformation steps
    gammax = gamma * xhat
    out = gammax + beta
    cache = (xhat, gamma, xmu, ivar, sqrtvar, var, eps)
    return out, cache

def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    # step8
    dbeta = np.sum(dout, axis=0)
    dgammax = dout
    dgamma = np.sum(dgammax * xhat, axis=0)
    dxhat = dgammax * gamma
    # step7
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    # step6
    dsqrtvar = -1. / sqrtvar * divar  # wrong
    # step5
    dvar = 0.5 * 1. / np.sqrt(var + eps) * dsqrtvar
    # step4
    dsq = 1. / N * np.ones((N, D)) * dvar
    # step3
    dxmu2 = 2 * xmu * dsq
    # step2
    dx1 = dxmu1 + dxmu2
    dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
    # step1
    dx2 = 1. / N * np.ones((N, D)) * dmu
    # step0
    dx = dx1 + dx2
    return dx, dgamma, dbeta

@case("batchnorm graph step six", "dsqrtvar", "wrong exponent",
      "The derivative of 1/s is -1/s squared; the square is missing.",
      "wrong-exponent formula-slip wrong-derivative value-for-derivative")
def _(rng):
    return (batchnorm_forward, batchnorm_backward), (3 * rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3)), {}


class BatchNormalization:
    def __init__(self, dim, rng, eps=1e-5):
        self.gamma = rng.uniform(0.5, 1.5, size=dim)
        self.beta = rng.normal(size=dim)
        self.eps = eps
        self.dgamma = None
        self.dbeta = None

    def forward(self, x):
        mu = x.mean(axis=0)
        self.xc = x - mu
        var = np.mean(self.xc ** 2, axis=0)
        self.std = np.sqrt(var + self.eps)
        self.xn = self.xc / self.std
        self.batch_size = x.shape[0]
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / self.batch_size) * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        dx = dxc - dmu  # wrong
        return dx

@case("batch normalization mean", "dx", "missing division",
      "The mean over the batch gives each example 1/N of its gradient; dmu is subtracted undivided.",
      "not-averaged batch-size-factor factor-missing element-count-factor")
def _(rng):
    return BatchNormalization(3, rng), (rng.normal(size=(4, 3)),), {}


def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    x_T = x.T
    mean = x_T.mean(axis=0)
    std = np.sqrt(x_T.var(axis=0) + eps)
    x_norm = ((x_T - mean) / std).T
    out = gamma * x_norm + beta
    return out, (x, x_norm, gamma, std)

def layernorm_backward(dout, cache):
    x, x_norm, gamma, std = cache
    D = x.shape[1]
    dgamma = np.sum(dout * x, axis=0)  # wrong
    dbeta = np.sum(dout, axis=0)
    dxn = (dout * gamma).T
    xn = x_norm.T
    dx = (D * dxn - dxn.sum(axis=0) - xn * (dxn * xn).sum(axis=0)) / (D * std)
    return dx.T, dgamma, dbeta

@case("layernorm gamma", "dgamma", "input in place of the normalised input",
      "gamma multiplies the normalised input, and dgamma is summed with the raw one.",
      "unnormalized-input wrong-variable")
def _(rng):
    return (layernorm_forward, layernorm_backward), (2 + rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=4)), {"ln_param": {"eps": 1e-5}}


def spatial_groupnorm_forward(x, gamma, beta, G=2, eps=1e-5):
    N, C, H, W = x.shape
    xg = x.reshape(N, G, C // G, H, W)
    mu = xg.mean(axis=(2, 3, 4), keepdims=True)
    var = xg.var(axis=(2, 3, 4), keepdims=True)
    istd = 1 / np.sqrt(var + eps)
    xhat = ((xg - mu) * istd).reshape(N, C, H, W)
    return gamma * xhat + beta, (xhat, gamma, istd, G)

def spatial_groupnorm_backward(dout, cache):
    xhat, gamma, istd, G = cache
    N, C, H, W = dout.shape
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * xhat).sum(axis=(0, 2, 3), keepdims=True)
    ax = (2, 3, 4)
    g = (dout * gamma).reshape(N, G, C // G, H, W)
    h = xhat.reshape(g.shape)
    m1 = g.mean(axis=(3, 4), keepdims=True)  # wrong
    m2 = (g * h).mean(axis=ax, keepdims=True)
    dx = istd * (g - m1 - h * m2)
    return dx.reshape(N, C, H, W), dgamma, dbeta

@case("group norm mean term", "m1", "mean over the wrong axes",
      "The statistics run over the group's channels and positions; the mean of the gradient leaves the channels out.",
      "wrong-axis")
def _(rng):
    return (spatial_groupnorm_forward, spatial_groupnorm_backward), (rng.normal(size=(2, 4, 2, 2)), rng.normal(size=(1, 4, 1, 1)), rng.normal(size=(1, 4, 1, 1))), {"G": 2}


class RMSNorm:
    def __init__(self, weight):
        self.weight = weight
        self.grad_weight = np.zeros_like(weight)

    def forward(self, x):
        self.x = x
        self.r = 1.0 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
        return x * self.r * self.weight

    def backward(self, gy):
        xhat = self.x * self.r
        self.grad_weight = (gy * xhat).sum(0)
        gx = gy * self.weight * self.r  # wrong
        return gx

@case("rms norm constant scale", "gx", "statistic held constant",
      "The root mean square depends on every entry of the row; its term of the gradient is missing.",
      "statistics-constant term-missing cross-terms-missing")
def _(rng):
    return RMSNorm(rng.uniform(0.5, 1.5, size=5)), (rng.normal(size=(3, 5)),), {}


# ------------------------------------------------------------------ dropout

def dropout_forward(x, dropout_param):
    p, seed = dropout_param["p"], dropout_param["seed"]
    rng = np.random.RandomState(seed)
    mask = rng.rand(*x.shape) < p
    out = x * mask / p
    cache = (dropout_param, mask)
    return out, cache

def dropout_backward(dout, cache):
    dropout_param, mask = cache
    dx = dout * mask  # wrong
    return dx

@case("inverted dropout scale", "dx", "scale left out",
      "The forward divides what it keeps by p, the backward does not.",
      "keyword-factor factor-missing constant-factor parameter-ignored")
def _(rng):
    return (dropout_forward, dropout_backward), (rng.normal(size=(4, 5)),), {"dropout_param": {"p": 0.6, "seed": 3}}


class DropoutLayer:
    def __init__(self, rate, seed):
        self.rate = rate
        self.seed = seed

    def _mask(self, shape, gen):
        return gen.random(shape) > self.rate

    def forward(self, x):
        self.gen = np.random.default_rng(self.seed)
        self.mask = self._mask(x.shape, self.gen)
        return x * self.mask

    def backward(self, dy):
        mask = self._mask(dy.shape, self.gen)  # wrong
        return dy * mask

@case("dropout layer second draw", "mask", "mask drawn again",
      "The backward draws another mask in place of the one that the forward used.",
      "mask-redrawn nondeterministic-backward")
def _(rng):
    return DropoutLayer(0.4, 7), (rng.normal(size=(4, 4)),), {}


# ------------------------------------------------------------------ convolution

def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    Hout = 1 + (H + 2 * pad - HH) // stride
    Wout = 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, Hout, Wout))
    for n in range(N):
        for f in range(F):
            for i in range(Hout):
                for j in range(Wout):
                    window = x_pad[n, :, i*stride:i*stride+HH, j*stride:j*stride+WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    _, _, Hout, Wout = dout.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    dx_pad = np.zeros_like(x_pad)
    dw = np.zeros_like(w)
    db = dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(Hout):
                for j in range(Wout):
                    hs, ws = i * stride, j * stride
                    dw[f] += x_pad[n, :, hs:hs+HH, ws:ws+WW] * dout[n, f, i, j]
                    dx_pad[n, :, hs:hs+HH, ws:ws+WW] += w[f] * dout[n, f, i, j]
    dx = dx_pad[:, :, :H, :W]  # wrong
    return dx, dw, db

@case("naive convolution crop", "dx", "crop at the wrong place",
      "The padding lies on both sides, so x's gradient starts at row and column pad, not at 0.",
      "shifted padding-kept off-by-one")
def _(rng):
    return (conv_forward_naive, conv_backward_naive), (rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2)), {"conv_param": {"stride": 1, "pad": 1}}


class Conv1D:
    def __init__(self, cin, cout, k, stride, rng):
        self.W = rng.normal(size=(cout, cin, k))
        self.b = rng.normal(size=cout)
        self.k, self.stride = k, stride

    def forward(self, A):
        self.A = A
        n, _, L = A.shape
        out_len = (L - self.k) // self.stride + 1
        Z = np.empty((n, self.W.shape[0], out_len))
        for i in range(out_len):
            seg = A[:, :, i*self.stride:i*self.stride + self.k]
            Z[:, :, i] = np.tensordot(seg, self.W, axes=([1, 2], [1, 2])) + self.b
        return Z

    def backward(self, dLdZ):
        self.dW = np.zeros_like(self.W)
        self.db = dLdZ.sum(axis=(0, 2))
        dLdA = np.zeros_like(self.A)
        for i in range(dLdZ.shape[2]):
            s = i * self.stride
            seg = self.A[:, :, s:s + self.k]
            self.dW += np.tensordot(dLdZ[:, :, i], seg, axes=([0], [0]))
            dLdA[:, :, s:s + self.k] = np.tensordot(dLdZ[:, :, i], self.W, axes=([1], [0]))  # wrong
        return dLdA

@case("conv1d class windows", "dLdA", "overlaps overwritten",
      "Neighbouring windows share entries of A; each assignment wipes out what an earlier window paid.",
      "overlap-overwritten")
def _(rng):
    return Conv1D(2, 3, 3, 2, rng), (rng.normal(size=(2, 2, 7)),), {}


def im2col(x, k):
    N, C, H, W = x.shape
    oh, ow = H - k + 1, W - k + 1
    cols = np.empty((N, oh, ow, C, k, k))
    for i in range(oh):
        for j in range(ow):
            cols[:, i, j] = x[:, :, i:i+k, j:j+k]
    return cols.reshape(N * oh * ow, C * k * k)

def col2im(cols, shape, k):
    N, C, H, W = shape
    oh, ow = H - k + 1, W - k + 1
    cols = cols.reshape(N, oh, ow, C, k, k)
    x = np.zeros(shape)
    for i in range(oh):
        for j in range(ow):
            x[:, :, i:i+k, j:j+k] += cols[:, i, j]
    return x

def conv_fwd(x, w):
    F, C, k, _ = w.shape
    N, _, H, W = x.shape
    cols = im2col(x, k)
    out = (cols @ w.reshape(F, -1).T).reshape(N, H - k + 1, W - k + 1, F).transpose(0, 3, 1, 2)
    return out, (x.shape, cols, w)

def conv_bwd(dout, cache):
    shape, cols, w = cache
    F, C, k, _ = w.shape
    d = dout.reshape(-1, F)  # wrong
    dw = (d.T @ cols).reshape(w.shape)
    dx = col2im(d @ w.reshape(F, -1), shape, k)
    return dx, dw

@case("im2col convolution dout layout", "d", "reshape in place of a transpose",
      "dout has the channels on axis 1; they have to be moved last before the rows are flattened, and a reshape alone mixes positions and channels.",
      "reshaped transposed")
def _(rng):
    return (conv_fwd, conv_bwd), (rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(3, 2, 2, 2))), {}


def correlate2d(a, k):
    kh, kw = k.shape
    v = np.lib.stride_tricks.sliding_window_view(a, (kh, kw))
    return np.einsum("ijkl,kl->ij", v, k)

def filter_forward(img, kernel):
    return correlate2d(img, kernel), (img, kernel)

def filter_backward(delta, cache):
    img, kernel = cache
    kh, kw = kernel.shape
    d_kernel = correlate2d(img, delta)
    full = np.pad(delta, ((kh - 1, kh - 1), (kw - 1, kw - 1)))
    d_img = correlate2d(full, kernel)  # wrong
    return d_img, d_kernel

@case("valid filter input gradient", "d_img", "kernel not flipped",
      "The input's gradient is a full convolution, that is a correlation with the kernel turned by 180 degrees; here the kernel is not turned.",
      "flipped-kernel")
def _(rng):
    return (filter_forward, filter_backward), (rng.normal(size=(5, 6)), rng.normal(size=(3, 2))), {}


# ------------------------------------------------------------------ pooling

def max_pool_forward(x, pool_height=2, pool_width=2, stride=2):
    N, C, H, W = x.shape
    Ho, Wo = 1 + (H - pool_height) // stride, 1 + (W - pool_width) // stride
    out = np.zeros((N, C, Ho, Wo))
    for r in range(Ho):
        for c in range(Wo):
            out[:, :, r, c] = x[:, :, r*stride:r*stride+pool_height, c*stride:c*stride+pool_width].max(axis=(2, 3))
    return out, (x, pool_height, pool_width, stride)

def max_pool_backward(dout, cache):
    x, ph, pw, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    win = x[n, c, i*stride:i*stride+ph, j*stride:j*stride+pw]
                    a, b = np.unravel_index(np.argmax(win), win.shape)
                    dx[n, c, i + a, j + b] += dout[n, c, i, j]  # wrong
    return dx

@case("max pool winner address", "dx", "stride left out of the index",
      "The winner of window (i, j) lies at i*stride + a, j*stride + b; the stride is missing in the address.",
      "winner-misplaced keyword-ignored wrong-index shifted")
def _(rng):
    return (max_pool_forward, max_pool_backward), (rng.normal(size=(2, 2, 4, 4)),), {}


class AvgPool2x2:
    def forward(self, x):
        self.shape = x.shape
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))

    def backward(self, dy):
        up = np.repeat(np.repeat(dy, 2, axis=1), 2, axis=2)
        return up / 2  # wrong

@case("average pool share", "return", "wrong divisor",
      "A window of 2 by 2 has four entries, so each gets a quarter, not a half.",
      "kernel-area-factor constant-factor element-count-factor")
def _(rng):
    return AvgPool2x2(), (rng.normal(size=(2, 4, 4, 2)),), {}


# ------------------------------------------------------------------ recurrent

def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    h = np.zeros((N, T, H))
    prev_h = h0
    for t in range(T):
        prev_h = np.tanh(x[:, t] @ Wx + prev_h @ Wh + b)
        h[:, t] = prev_h
    return h, (x, h0, Wx, Wh, h)

def rnn_backward(dh, cache):
    x, h0, Wx, Wh, h = cache
    N, T, H = dh.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(H)
    dprev = np.zeros((N, H))
    for t in reversed(range(T)):
        dht = dh[:, t] + dprev
        da = dht * (1 - h[:, t] ** 2)
        prev = h[:, t - 1] if t > 0 else h0
        dx[:, t] = da @ Wx.T
        dprev = da @ Wh.T
        dWx += x[:, t].T @ da
        dWh += h[:, t].T @ da  # wrong
        db += da.sum(axis=0)
    return dx, dprev, dWx, dWh, db

@case("rnn recurrent weight", "dWh", "state of the wrong step",
      "Wh multiplied the state of the step before; dWh is formed with the state after the step.",
      "off-by-one wrong-variable wrong-index")
def _(rng):
    return (rnn_forward, rnn_backward), (rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)), {}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H:2*H]), sigmoid(a[:, 2*H:3*H])
    g = np.tanh(a[:, 3*H:])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return np.concatenate([next_h, next_c], axis=1), (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)

def lstm_step_backward(dnext, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    H = prev_h.shape[1]
    dnext_h, dnext_c = dnext[:, :H], dnext[:, H:]
    tc = np.tanh(next_c)
    dc = dnext_c  # wrong
    do = dnext_h * tc
    df = dc * prev_c
    dprev_c = dc * f
    di, dg = dc * g, dc * i
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)])
    return da.dot(Wx.T), da.dot(Wh.T), dprev_c, x.T.dot(da), prev_h.T.dot(da), da.sum(axis=0)

@case("lstm cell state", "dc", "missing term",
      "The cell state reaches the output by next_h as well; that way's term is missing.",
      "term-missing")
def _(rng):
    H, D, N = 2, 3, 3
    return (lstm_step_forward, lstm_step_backward), (rng.normal(size=(N, D)), rng.normal(size=(N, H)), rng.normal(size=(N, H)), rng.normal(size=(D, 4*H)), rng.normal(size=(H, 4*H)), rng.normal(size=4*H)), {}


class GRUCell:
    def __init__(self, d, h, rng):
        self.params = {k: rng.normal(size=s) for k, s in
                       dict(Wz=(d, h), Wr=(d, h), Wn=(d, h), Uz=(h, h), Ur=(h, h), Un=(h, h)).items()}
        self.grads = {}
        self.h0 = rng.normal(size=(1, h))

    def forward(self, x):
        p, h = self.params, self.h0
        self.x = x
        self.z = sigmoid(x @ p["Wz"] + h @ p["Uz"])
        self.r = sigmoid(x @ p["Wr"] + h @ p["Ur"])
        self.hu = h @ p["Un"]
        self.n = np.tanh(x @ p["Wn"] + self.r * self.hu)
        return (1 - self.z) * self.n + self.z * h

    def backward(self, dh):
        p, h, x = self.params, self.h0, self.x
        dn = dh * (1 - self.z) * (1 - self.n ** 2)
        dz = dh * (self.n - h) * self.z * (1 - self.z)  # wrong
        dr = dn * self.hu * self.r * (1 - self.r)
        dhu = dn * self.r
        hs = np.repeat(h, len(x), axis=0)
        self.grads = dict(Wz=x.T @ dz, Wr=x.T @ dr, Wn=x.T @ dn, Uz=hs.T @ dz, Ur=hs.T @ dr, Un=hs.T @ dhu)
        return dz @ p["Wz"].T + dr @ p["Wr"].T + dn @ p["Wn"].T

@case("gru update gate", "dz", "wrong sign",
      "h = (1 - z) n + z h0 rises with z by h0 - n; the difference stands the wrong way round.",
      "wrong-sign swapped")
def _(rng):
    return GRUCell(3, 2, rng), (rng.normal(size=(4, 3)),), {}


def char_rnn_forward(xs, Wxh, Whh, Why):
    """min-char style, column vectors; xs has one input per row"""
    hs, ys = {-1: np.zeros((Whh.shape[0], 1))}, {}
    for t in range(len(xs)):
        hs[t] = np.tanh(Wxh @ xs[t][:, None] + Whh @ hs[t - 1])
        ys[t] = Why @ hs[t]
    return np.hstack([ys[t] for t in range(len(xs))]).T, (xs, hs, Wxh, Whh, Why)

def char_rnn_backward(dys, cache):
    xs, hs, Wxh, Whh, Why = cache
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dhnext = np.zeros_like(hs[0])
    dxs = []
    for t in reversed(range(len(xs))):
        dy = dys[t][:, None]
        dWhy += dy @ hs[t].T
        dh = Why.T @ dy + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dWxh += dhraw @ xs[t][None]
        dWhh += dhraw @ hs[t - 1].T
        dhnext = Whh.T @ dhraw
        dxs.append((Wxh.T @ dhraw).ravel())
    return np.array(dxs), dWxh, dWhh, dWhy  # wrong

@case("char rnn inputs", "return", "order of the steps",
      "The list of dx was filled from the last step to the first and is returned in that order.",
      "reversed")
def _(rng):
    return (char_rnn_forward, char_rnn_backward), (rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), rng.normal(size=(2, 2)), rng.normal(size=(3, 2))), {}


# ------------------------------------------------------------------ attention, embedding

def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

def attention_forward(Q, K, V):
    d = Q.shape[-1]
    scores = Q @ K.T / np.sqrt(d)
    P = softmax(scores)
    return P @ V, dict(Q=Q, K=K, V=V, P=P, d=d)

def attention_backward(dO, cache):
    Q, K, V, P, d = (cache[k] for k in "QKVPd")
    dV = P.T @ dO
    dP = dO @ V.T
    dS = P * (dP - (dP * P).sum(axis=0, keepdims=True))  # wrong
    dS = dS / np.sqrt(d)
    return dS @ K, dS.T @ Q, dV

@case("attention softmax rows", "dS", "sum over the wrong axis",
      "The softmax runs along the keys, the last axis; its backward sums over the queries.",
      "wrong-axis")
def _(rng):
    return (attention_forward, attention_backward), (rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))), {}


class SelfAttention:
    def __init__(self, dim, heads, rng):
        self.h = heads
        self.Wq, self.Wk, self.Wv = (rng.normal(size=(dim, dim)) for _ in range(3))

    def split(self, t):
        return t.reshape(len(t), self.h, -1).swapaxes(0, 1)

    def merge(self, t):
        return t.swapaxes(0, 1).reshape(t.shape[1], -1)

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = (self.split(x @ W) for W in (self.Wq, self.Wk, self.Wv))
        self.scale = self.q.shape[-1] ** -0.5
        self.a = softmax(np.einsum("hid,hjd->hij", self.q, self.k) * self.scale)
        return self.merge(np.einsum("hij,hjd->hid", self.a, self.v))

    def backward(self, dout):
        do = self.split(dout)
        dv = np.einsum("hij,hid->hjd", self.a, do)
        da = np.einsum("hid,hjd->hij", do, self.v)
        ds = self.a * (da - np.sum(da * self.a, axis=-1, keepdims=True))
        dq = np.einsum("hij,hjd->hid", ds, self.k) * self.scale
        dk = np.einsum("hij,hid->hjd", ds, self.q)  # wrong
        dq, dk, dv = map(self.merge, (dq, dk, dv))
        self.dWq, self.dWk, self.dWv = self.x.T @ dq, self.x.T @ dk, self.x.T @ dv
        return dq @ self.Wq.T + dk @ self.Wk.T + dv @ self.Wv.T

@case("self attention keys", "dk", "factor left out",
      "The scores are scaled, so both queries' and keys' gradients carry the scale; dk lacks it.",
      "factor-missing keyword-factor constant-factor parameter-ignored")
def _(rng):
    return SelfAttention(4, 2, rng), (rng.normal(size=(3, 4)),), {}


def word_embedding_forward(W, x=None):
    out = W[x]
    return out, (x, W.shape)

def word_embedding_backward(dout, cache):
    x, shape = cache
    dW = np.zeros(shape)
    dW[x] += dout  # wrong
    return dW

@case("word embedding repeated words", "dW", "repeated indices",
      "A word that occurs several times must collect every occurrence; fancy-indexed += keeps the last one only.",
      "overlap-overwritten examples-missing")
def _(rng):
    return (word_embedding_forward, word_embedding_backward), (rng.normal(size=(5, 3)),), {"x": np.array([[0, 2, 2], [4, 0, 1]])}


# ------------------------------------------------------------------ whole nets

class TwoLayerNet(object):
    """input - fully connected - ReLU - fully connected"""

    def __init__(self, input_size, hidden_size, output_size, rng):
        self.params = {}
        self.params["W1"] = rng.normal(size=(input_size, hidden_size))
        self.params["b1"] = rng.normal(size=hidden_size)
        self.params["W2"] = rng.normal(size=(hidden_size, output_size))
        self.params["b2"] = rng.normal(size=output_size)
        self.grads = {}

    def forward(self, X):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        h1 = np.maximum(0, X.dot(W1) + b1)
        scores = h1.dot(W2) + b2
        self.cache = X, h1
        return scores

    def backward(self, dscores):
        X, h1 = self.cache
        self.grads["W2"] = h1.T.dot(dscores)
        self.grads["b2"] = dscores.sum(axis=0)
        dh1 = dscores.dot(self.params["W2"].T)
        dh1[dh1 <= 0] = 0  # wrong
        self.grads["W1"] = X.T.dot(dh1)
        self.grads["b1"] = dh1.sum(axis=0)
        return dh1.dot(self.params["W1"].T)

@case("two layer net relu", "dh1", "mask from the gradient",
      "What the ReLU lets through is decided by the hidden units, not by the sign of the gradient.",
      "mask-from-upstream not-linear wrong-mask")
def _(rng):
    return TwoLayerNet(4, 5, 3, rng), (rng.normal(size=(4, 4)),), {}


def L_model_forward(X, W1, W2, W3):
    A, caches = X, []
    for W in (W1, W2, W3):
        A_prev = A
        A = np.tanh(A_prev @ W)
        caches.append((A_prev, W, A))
    return A, caches

def L_model_backward(dAL, caches):
    grads = []
    dA = dAL
    for l in range(len(caches) - 1, -1, -1):
        A_prev, W, A = caches[l]
        dZ = dA * (1 - A_prev ** 2)  # wrong
        grads.insert(0, A_prev.T @ dZ)
        dA = dZ @ W.T
    return (dA, *grads)

@case("deep tanh net activations", "dZ", "activation of another layer",
      "1 - A**2 is the derivative in terms of this layer's output; the layer's input stands in its place.",
      "wrong-variable derivative-at-input off-by-one wrong-index")
def _(rng):
    return (L_model_forward, L_model_backward), (rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))), {}


class ResidualBlock:
    def __init__(self, d, rng):
        self.W1 = rng.normal(size=(d, d))
        self.W2 = rng.normal(size=(d, d))

    def forward(self, x):
        self.x = x
        self.pre = x @ self.W1
        self.mid = np.maximum(self.pre, 0)
        return x + self.mid @ self.W2

    def backward(self, dy):
        self.dW2 = self.mid.T @ dy
        dmid = dy @ self.W2.T
        dpre = dmid  # wrong
        self.dW1 = self.x.T @ dpre
        dx = dpre @ self.W1.T  # wrong
        return dx

@case("residual block two slips", "dpre", "derivative and shortcut left out",
      "The ReLU's mask is not applied on the way back, and the shortcut's own gradient dy is missing.",
      "derivative-missing skip-missing wrong-mask term-missing")
def _(rng):
    return ResidualBlock(3, rng), (rng.normal(size=(4, 3)),), {}


# ------------------------------------------------------------------ research, ports, hobby

# NeRF-style compositing along a ray
def composite(sigma, rgb, delta=0.3):
    """sigma (R, S), rgb (R, S, 3)"""
    alpha = 1. - np.exp(-sigma * delta)
    T = np.cumprod(np.concatenate([np.ones((len(sigma), 1)), 1. - alpha], axis=1), axis=1)
    weights = alpha * T[:, :-1]
    return (weights[..., None] * rgb).sum(1), (rgb, T, weights, delta)

def composite_vjp(g, res):
    rgb, T, weights, delta = res
    g_rgb = weights[..., None] * g[:, None, :]
    g_w = (rgb * g[:, None, :]).sum(-1)
    wg = weights * g_w
    # contribution of everything behind sample i
    behind = np.cumsum(wg[:, ::-1], axis=1)[:, ::-1]  # wrong
    g_sigma = delta * (T[:, 1:] * g_w - behind)
    return g_sigma, g_rgb

@case("ray compositing tail", "behind", "sum starts one too early",
      "A sample's density attenuates only the samples behind it; the suffix sum includes the sample itself.",
      "off-by-one term-too-many shifted")
def _(rng):
    return (composite, composite_vjp), (rng.uniform(0.2, 3, size=(2, 5)), rng.normal(size=(2, 5, 3))), {}


# VAE
class GaussianKL:
    """KL(q || N(0, I)) summed over the latent dimensions, averaged over the batch"""
    @staticmethod
    def forward(ctx, mu, logvar):
        ctx.save_for_backward(mu, logvar)
        return -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / mu.shape[0]

    @staticmethod
    def backward(ctx, grad):
        mu, logvar = ctx.saved_tensors
        n = mu.shape[0]
        return grad * mu / n, grad * 0.5 * (1 - np.exp(logvar)) / n  # wrong

@case("vae kl log variance", "return", "wrong sign",
      "The minus in front of the sum turns 1 - exp(logvar) into exp(logvar) - 1.",
      "wrong-sign")
def _(rng):
    return GaussianKL, (rng.normal(size=(3, 4)), rng.normal(size=(3, 4))), {}


def reparameterize(mu, logvar, eps=None):
    std = np.exp(0.5 * logvar)
    z = mu + std * eps
    return z, (std, eps)

def reparameterize_bw(dz, cache):
    std, eps = cache
    return dz, dz * eps * std  # wrong

@case("reparameterisation trick", "return", "factor left out",
      "The standard deviation is exp(logvar / 2); the half is missing in the derivative.",
      "factor-missing constant-factor derivative-missing factor-two")
def _(rng):
    return (reparameterize, reparameterize_bw), (rng.normal(size=(3, 2)), rng.normal(size=(3, 2))), {"eps": rng.normal(size=(3, 2))}


# RBF network, ported from Matlab
def rbf_phi(X, C, s):
    D2 = (X ** 2).sum(1)[:, None] - 2 * X @ C.T + (C ** 2).sum(1)[None, :]
    Phi = np.exp(-D2 / (2 * s ** 2))
    return Phi, (X, C, s, D2, Phi)

def rbf_phi_grad(G, mem):
    X, C, s, D2, Phi = mem
    A = G * Phi / s ** 2
    dX = A @ C - A.sum(1)[:, None] * X
    dC = A.T @ X - A.sum(0)[:, None] * C
    ds = np.sum(G * Phi * D2, axis=0) / s ** 2  # wrong
    return dX, dC, ds

@case("rbf width", "ds", "wrong exponent",
      "The derivative of -D2 / (2 s^2) by s is D2 / s^3; the exponent stayed at 2.",
      "wrong-exponent formula-slip wrong-derivative")
def _(rng):
    return (rbf_phi, rbf_phi_grad), (rng.normal(size=(4, 2)), rng.normal(size=(3, 2)), rng.uniform(0.7, 1.6, size=3)), {}


# rigid motion in the plane
Pose = namedtuple("Pose", "R dR pts")

def transform_points(theta, t, pts):
    c, s = np.cos(theta[0]), np.sin(theta[0])
    R = np.array([[c, -s], [s, c]])
    dR = np.array([[-s, -c], [c, -s]])
    return pts @ R.T + t, Pose(R, dR, pts)

def transform_points_adj(adj, pose):
    d_theta = np.array([np.sum(adj * (pose.pts @ pose.dR.T))])
    d_t = adj.sum(axis=0)
    d_pts = adj @ pose.R.T  # wrong
    return d_theta, d_t, d_pts

@case("planar rigid motion points", "d_pts", "transposed operand",
      "The points went forward through R.T and come back through R; here they are rotated once more the same way.",
      "transposed")
def _(rng):
    return (transform_points, transform_points_adj), (rng.normal(size=1), rng.normal(size=2), rng.normal(size=(4, 2))), {}


# graph convolution
class GCNLayer:
    def __init__(self, A, fin, fout, rng):
        A = A + np.eye(len(A))
        self.A_hat = A / A.sum(1, keepdims=True)
        self.weight = rng.normal(size=(fin, fout))

    def forward(self, H):
        self.H = H
        self.AH = self.A_hat @ H
        return self.AH @ self.weight

    def backward(self, grad):
        self.grad_weight = self.AH.T @ grad
        return self.A_hat @ grad @ self.weight.T  # wrong

@case("graph convolution adjacency", "return", "transposed operand",
      "The row-normalised adjacency is not symmetric; the gradient comes back through its transpose.",
      "transposed")
def _(rng):
    A = np.array([[0, 1, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]], float)
    return GCNLayer(A, 3, 2, rng), (rng.normal(size=(4, 3)),), {}


# factorization machine
def fm_forward(X, w, V):
    XV = X @ V
    X2V2 = (X ** 2) @ (V ** 2)
    y = X @ w + 0.5 * (XV ** 2 - X2V2).sum(1)
    return y, (X, w, V, XV)

def fm_backward(dy, saved):
    X, w, V, XV = saved
    dyc = dy[:, None]
    dX = dyc * (w + XV @ V.T - X * (V ** 2).sum(1))
    dw = X.T @ dy
    dV = X.T @ (dyc * XV)  # wrong
    return dX, dw, dV

@case("factorization machine factors", "dV", "missing term",
      "The squares that are taken away from the interactions depend on V too; their term is missing.",
      "term-missing diagonal-missing")
def _(rng):
    return (fm_forward, fm_backward), (rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(3, 2))), {}


# mass-spring energy (C port)
def spring_energy(p, rest, edges=((0, 1), (1, 2), (2, 3), (3, 0), (0, 2)), ks=2.0):
    E = 0.0
    tape = []
    for k, (i, j) in enumerate(edges):
        d = p[i] - p[j]
        L = math.sqrt(float(d @ d))
        E += 0.5 * ks * (L - rest[k]) ** 2
        tape.append((k, i, j, d, L))
    return E, (p.shape, rest, ks, tape)

def spring_forces(dE, cache):
    shape, rest, ks, tape = cache
    gp, grest = np.zeros(shape), np.zeros_like(rest)
    for k, i, j, d, L in tape:
        s = dE * ks * (L - rest[k])
        grest[k] -= s
        f = s * d  # wrong
        gp[i] += f
        gp[j] -= f
    return gp, grest

@case("spring energy direction", "f", "normalisation left out",
      "The length's gradient is the unit vector d / L; the division by L is missing.",
      "factor-missing derivative-missing formula-slip wrong-derivative")
def _(rng):
    return (spring_energy, spring_forces), (2 * rng.normal(size=(4, 2)), rng.uniform(0.5, 1.5, size=5)), {}


# linear state-space scan
def ssm_scan(u, a, b, c):
    T, D = u.shape
    h = np.zeros(D)
    hist = [h]
    for t in range(T):
        h = a * h + b * u[t]
        hist.append(h)
    hist = np.stack(hist)
    return c * hist[1:], (u, a, b, c, hist)

def ssm_scan_bwd(gy, res):
    u, a, b, c, hist = res
    T, D = u.shape
    gh = np.zeros(D)
    gu, ga, gb = np.zeros_like(u), np.zeros(D), np.zeros(D)
    for t in range(T - 1, -1, -1):
        gh = gh + c * gy[t]
        ga += gh * hist[t]
        gb += gh * u[t]
        gu[t] = gh * b
        gh = gh  # wrong
    gc = (gy * hist[1:]).sum(0)
    return gu, ga, gb, gc

@case("state space scan decay", "gh", "factor left out",
      "From one step to the next the state is multiplied by a, so its gradient is multiplied by a on the way back.",
      "factor-missing parameter-ignored")
def _(rng):
    return (ssm_scan, ssm_scan_bwd), (rng.normal(size=(5, 2)), rng.uniform(0.3, 0.9, size=2), rng.normal(size=2), rng.normal(size=2)), {}


# bilinear texture lookup
def grid_sample(img, uv):
    x0, y0 = np.floor(uv[:, 0]).astype(int), np.floor(uv[:, 1]).astype(int)
    fx, fy = uv[:, 0] - x0, uv[:, 1] - y0
    a, b = img[y0, x0], img[y0, x0 + 1]
    c, d = img[y0 + 1, x0], img[y0 + 1, x0 + 1]
    out = a * (1 - fx) * (1 - fy) + b * fx * (1 - fy) + c * (1 - fx) * fy + d * fx * fy
    return out, (img.shape, x0, y0, fx, fy, a, b, c, d)

def grid_sample_bw(g, ctx):
    shape, x0, y0, fx, fy, a, b, c, d = ctx
    gi = np.zeros(shape)
    np.add.at(gi, (y0, x0), g * (1 - fx) * (1 - fy))
    np.add.at(gi, (y0, x0 + 1), g * (1 - fx) * fy)  # wrong
    np.add.at(gi, (y0 + 1, x0), g * fx * (1 - fy))  # wrong
    np.add.at(gi, (y0 + 1, x0 + 1), g * fx * fy)
    gx = g * ((b - a) * (1 - fy) + (d - c) * fy)
    gy = g * ((c - a) * (1 - fx) + (d - b) * fx)
    return gi, np.stack([gx, gy], axis=1)

@case("bilinear lookup corner weights", "gi", "two weights exchanged",
      "The weights of the upper right and of the lower left corner stand in each other's place.",
      "swapped wrong-variable transposed")
def _(rng):
    return (grid_sample, grid_sample_bw), (rng.normal(size=(4, 5)), np.floor(rng.uniform(0, 3, size=(5, 2))) + rng.uniform(0.15, 0.85, size=(5, 2))), {}


# multivariate Gaussian log density via Cholesky
def mvn_logpdf(x, mu, L):
    r = (x - mu).T
    z = np.linalg.solve(np.tril(L), r)
    y = -0.5 * (z ** 2).sum(0) - np.log(np.diag(L)).sum() - 0.5 * len(r) * np.log(2 * np.pi)
    return y, (np.tril(L), z)

def mvn_logpdf_pullback(ybar, cache):
    L, z = cache
    w = np.linalg.solve(L.T, z * ybar)
    xbar = -w.T
    mubar = w.sum(1)
    Lbar = np.tril(w @ z.T)
    Lbar -= np.diag(1 / np.diag(L))  # wrong
    return xbar, mubar, Lbar

@case("gaussian log density factor", "Lbar", "upstream gradient left out",
      "The log determinant stands in every example's density, so its term is multiplied by the sum of ybar.",
      "upstream-ignored not-linear not-summed examples-missing")
def _(rng):
    return (mvn_logpdf, mvn_logpdf_pullback), (rng.normal(size=(4, 3)), rng.normal(size=3), np.tril(0.4 * rng.normal(size=(3, 3)), -1) + np.diag(rng.uniform(0.8, 1.6, size=3))), {}


# differentiable matrix inverse, with the solve written by hand
class InverseFunction:
    @staticmethod
    def forward(ctx, A):
        ctx.Y = np.linalg.inv(A)
        return ctx.Y

    @staticmethod
    def backward(ctx, gY):
        Yt = ctx.Y.T
        return -gY @ Yt @ Yt  # wrong

@case("matrix inverse order", "return", "order of the factors",
      "The gradient of an inverse has the inverse's transpose on either side of gY; here both stand on the right.",
      "swapped wrong-derivative")
def _(rng):
    return InverseFunction, (2 * np.eye(3) + 0.5 * rng.normal(size=(3, 3)),), {}


# contrastive loss on l2 normalised embeddings
def l2norm(v):
    n = np.sqrt((v * v).sum(1, keepdims=True))
    return v / n, n

def info_nce(za, zb, tau=0.5):
    a, na = l2norm(za)
    b, nb = l2norm(zb)
    P = softmax(a @ b.T / tau)
    loss = -np.log(np.diag(P)).mean()
    return loss, (a, na, b, nb, P, tau)

def info_nce_backward(dl, cache):
    a, na, b, nb, P, tau = cache
    n = len(P)
    dS = dl * (P - np.eye(n)) / n * tau  # wrong
    da, db = dS @ b, dS.T @ a
    dza = (da - a * (da * a).sum(1, keepdims=True)) / na
    dzb = db / nb  # wrong
    return dza, dzb

@case("contrastive loss two slips", "dS", "inverted factor and norm held constant",
      "The temperature divides the similarities and so divides the gradient; and the norm of zb is treated as a constant.",
      "keyword-factor statistics-constant term-missing cross-terms-missing")
def _(rng):
    return (info_nce, info_nce_backward), (rng.normal(size=(4, 3)), rng.normal(size=(4, 3))), {"tau": 0.4}


# total variation denoising objective
def tv_objective(u, f, lam=0.3, eps=0.01):
    ux = u[:, 1:] - u[:, :-1]
    uy = u[1:, :] - u[:-1, :]
    tx, ty = np.sqrt(ux ** 2 + eps), np.sqrt(uy ** 2 + eps)
    return 0.5 * ((u - f) ** 2).sum() + lam * (tx.sum() + ty.sum()), (u, f, lam, ux / tx, uy / ty)

def tv_gradient(s, c):
    u, f, lam, px, py = c
    du = u - f
    du[:, 1:] += lam * px
    du[:, :-1] -= lam * px
    du[1:, :] += lam * py  # wrong
    return s * du, s * (f - u)

@case("total variation vertical differences", "du", "missing share",
      "A vertical difference has two ends; the upper one gets no share of the gradient.",
      "term-missing partly-missing examples-missing")
def _(rng):
    return (tv_objective, tv_gradient), (rng.normal(size=(4, 4)), rng.normal(size=(4, 4))), {}


# micrograd-like closure style
def make_maxout(k):
    saved = {}
    def forward(x, W, b):
        z = np.einsum("nd,dmk->nmk", x, W) + b
        idx = z.argmax(-1)
        saved["x"], saved["W"], saved["idx"] = x, W, idx
        return np.take_along_axis(z, idx[..., None], -1)[..., 0], saved
    def backward(dy, cache):
        x, W, idx = cache["x"], cache["W"], cache["idx"]
        dz = np.repeat(dy[..., None], k, axis=-1)  # wrong
        dW = np.einsum("nd,nmk->dmk", x, dz)
        return np.einsum("nmk,dmk->nd", dz, W), dW, dz.sum(0)
    return forward, backward

@case("maxout closure pieces", "dz", "winner left out of account",
      "Only the largest piece moves the output; the gradient is paid to all the pieces.",
      "winner-ignored wrong-mask")
def _(rng):
    return make_maxout(3), (rng.normal(size=(4, 3)), rng.normal(size=(3, 2, 3)), rng.normal(size=(2, 3))), {}


# SIREN layer with omega_0, after the pytorch one
class SineLayer:
    def __init__(self, in_f, out_f, omega_0, rng):
        self.omega_0 = omega_0
        self.weight = rng.uniform(-1, 1, size=(out_f, in_f))
        self.bias = rng.uniform(-1, 1, size=out_f)

    def forward(self, input):
        self.input = input
        self.arg = self.omega_0 * (input @ self.weight.T + self.bias)
        return np.sin(self.arg)

    def backward(self, grad_output):
        g = grad_output * self.omega_0 * np.cos(self.arg / self.omega_0)  # wrong
        self.weight_grad = g.T @ self.input
        self.bias_grad = g.sum(0)
        return g @ self.weight

@case("siren layer phase", "g", "derivative at the wrong place",
      "The cosine is to be taken at the very argument of the sine, omega times the linear part; omega is divided out.",
      "wrong-derivative formula-slip keyword-factor wrong-variable")
def _(rng):
    return SineLayer(3, 4, 3.0, rng), (rng.normal(size=(4, 3)),), {}


# straight from a FORTRAN adjoint: one step of 1-d upwind advection and diffusion on a ring
def advect_step(q, vel, nu, dt=0.1, dx=0.5):
    n = len(q)
    out = np.zeros(n)
    for i in range(n):
        qm, qp = q[i - 1], q[(i + 1) % n]
        out[i] = q[i] - dt / dx * vel[i] * (q[i] - qm) + nu[0] * dt / dx ** 2 * (qp - 2 * q[i] + qm)
    return out, (q, vel, nu, dt, dx)

def advect_step_ad(out_ad, stack):
    q, vel, nu, dt, dx = stack
    n = len(q)
    q_ad, vel_ad, nu_ad = np.zeros(n), np.zeros(n), np.zeros(1)
    for i in range(n - 1, -1, -1):
        im, ip = i - 1, (i + 1) % n
        c, k = dt / dx * vel[i], nu[0] * dt / dx ** 2
        q_ad[i] += (1 - c - 2 * k) * out_ad[i]
        q_ad[im] += (c + k) * out_ad[i]
        q_ad[ip] += k * out_ad[i]
        vel_ad[i] += -dt / dx * (q[i] - q[ip]) * out_ad[i]  # wrong
        nu_ad[0] += dt / dx ** 2 * (q[ip] - 2 * q[i] + q[im]) * out_ad[i]
    return q_ad, vel_ad, nu_ad

@case("upwind advection adjoint", "vel_ad", "wrong neighbour",
      "The difference that the velocity multiplies is taken with the left neighbour, here with the right one.",
      "wrong-index off-by-one wrong-variable shifted")
def _(rng):
    return (advect_step, advect_step_ad), (rng.normal(size=6), rng.normal(size=6), rng.uniform(0.2, 0.6, size=1)), {}


# word2vec with negative sampling, hobby version
def sgns(center, context, negatives):
    pos = 1 / (1 + np.exp(-(center * context).sum(1)))
    neg = 1 / (1 + np.exp(np.einsum("bd,bkd->bk", center, negatives)))
    loss = -np.log(pos).sum() - np.log(neg).sum()
    return loss, (center, context, negatives, pos, neg)

def sgns_grads(dloss, cache):
    center, context, negatives, pos, neg = cache
    gp = (pos - 1)[:, None]
    gn = (1 - neg)[:, :, None]
    d_center = gp * context + (gn * negatives).mean(axis=1)  # wrong
    d_context = gp * center
    d_negatives = gn * center[:, None, :]
    return dloss * d_center, dloss * d_context, dloss * d_negatives

@case("skip gram negatives", "d_center", "mean in place of a sum",
      "The loss adds the negatives up, so the centre collects the sum of their gradients, not the mean.",
      "element-count-factor not-summed constant-factor batch-size-factor")
def _(rng):
    return (sgns, sgns_grads), (rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), rng.normal(size=(3, 4, 2))), {}


# pixel shuffle and its inverse
def pixel_shuffle(x, r=2):
    b, crr, h, w = x.shape
    c = crr // (r * r)
    y = x.reshape(b, c, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(b, c, h * r, w * r)
    return y, (x.shape, r)

def pixel_unshuffle(gy, meta):
    (b, crr, h, w), r = meta
    c = crr // (r * r)
    g = gy.reshape(b, c, h, r, w, r)
    g = g.transpose(0, 1, 5, 3, 2, 4)  # wrong
    return g.reshape(b, crr, h, w)

@case("pixel shuffle inverse", "g", "axes in the wrong order",
      "The two axes within a block come back exchanged, so the sub-pixel channels are permuted.",
      "transposed swapped")
def _(rng):
    return (pixel_shuffle, pixel_unshuffle), (rng.normal(size=(2, 4, 2, 3)),), {}


# mixture of experts gate, research code
def moe_forward(x, Wg, We):
    gate = softmax(x @ Wg)                       # (n, e)
    hidden = np.einsum("ni,eio->neo", x, We)     # (n, e, o)
    y = np.einsum("ne,neo->no", gate, hidden)
    return y, (x, Wg, We, gate, hidden)

def moe_backward(gy, ctx):
    x, Wg, We, gate, hidden = ctx
    ghid = np.einsum("ne,no->neo", gate, gy)
    gWe = np.einsum("ni,neo->eio", x, ghid)
    ggate = np.einsum("no,neo->ne", gy, hidden)
    glogit = gate * (ggate - np.einsum("ne,ne->n", gate, ggate)[:, None])
    gWg = x.T @ glogit
    gx = np.einsum("neo,eio->ni", ghid, We)  # wrong
    return gx, gWg, gWe

@case("mixture of experts input", "gx", "missing term",
      "The input reaches the output through the gate as well as through the experts; the gate's term is missing.",
      "term-missing")
def _(rng):
    return (moe_forward, moe_backward), (rng.normal(size=(3, 3)), rng.normal(size=(3, 2)), rng.normal(size=(2, 3, 2))), {}
