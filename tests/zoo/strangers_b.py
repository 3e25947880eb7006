"""Sixty wrong backward passes as strangers write them: each line at fault ends in `# wrong`."""
import numpy as np

CASES = []


def case(name, variable, kind, what):
    def add(make):
        CASES.append((name, variable, kind, what, make))
        return make
    return add


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


# ------------------------------------------------------------------ linear layers

def fc_forward(X, W, b):
    out = X.dot(W) + b
    cache = (X, W, b)
    return out, cache


def fc_backward(dout, cache):
    X, W, b = cache
    dX = dout.dot(W)  # wrong
    dW = X.T.dot(dout)
    db = np.sum(dout, axis=0)
    return dX, dW, db


@case("fc weights not transposed", "dX", "transposed operand",
      "y = XW, so dX = dout W^T; with a square W the missing transpose goes unnoticed by the shapes.")
def _(rng):
    return (fc_forward, fc_backward), (rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)), {}


def seq_dense_fwd(x, w, b):
    """x: (batch, time, in)"""
    y = np.einsum('bti,io->bto', x, w) + b
    return y, (x, w)


def seq_dense_bwd(gy, saved):
    x, w = saved
    gx = np.einsum('bto,io->bti', gy, w)
    gw = np.einsum('bti,bto->io', x, gy)
    gb = gy.mean(axis=(0, 1))  # wrong
    return gx, gw, gb


@case("time distributed dense bias mean", "gb", "mean for sum",
      "The bias is used once per example and time step, so its gradient is the sum over both, not the mean; only the loss divides.")
def _(rng):
    return (seq_dense_fwd, seq_dense_bwd), (rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)), {}


class DenseLayer:
    def __init__(self, n_in, n_out, rng):
        self.W = rng.normal(size=(n_out, n_in)) * 0.5
        self.b = rng.normal(size=(1, n_out))
        self.dW = None
        self.db = None

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, grad_output):
        self.dW = grad_output.T @ self.x
        self.db = np.sum(grad_output, keepdims=True)  # wrong
        return grad_output @ self.W


@case("dense class bias axis forgotten", "self.db", "forgotten axis",
      "Sum over the examples only (axis=0): without an axis all output units share one number.")
def _(rng):
    return DenseLayer(3, 4, rng), (rng.normal(size=(5, 3)),), {}


def sigmoid_prime(z):
    """Derivative of the sigmoid function."""
    return sigmoid(z)*(1-sigmoid(z))


def network_feedforward(x, w1, b1, w2, b2, w3, b3):
    weights = [w1, w2, w3]
    biases = [b1, b2, b3]
    activation = x
    activations = [x]  # list to store all the activations, layer by layer
    zs = []  # list to store all the z vectors, layer by layer
    for b, w in zip(biases, weights):
        z = np.dot(w, activation)+b
        zs.append(z)
        activation = sigmoid(z)
        activations.append(activation)
    return activation, (weights, biases, activations, zs)


def network_backprop(cost_derivative, cache):
    weights, biases, activations, zs = cache
    nabla_b = [np.zeros(b.shape) for b in biases]
    nabla_w = [np.zeros(w.shape) for w in weights]
    # backward pass
    delta = cost_derivative * sigmoid_prime(zs[-1])
    nabla_b[-1] = delta
    nabla_w[-1] = np.dot(delta, activations[-2].transpose())
    for l in range(2, len(weights) + 1):
        sp = sigmoid_prime(activations[-l])  # wrong
        delta = np.dot(weights[-l+1].transpose(), delta) * sp
        nabla_b[-l] = delta
        nabla_w[-l] = np.dot(delta, activations[-l-1].transpose())
    nabla_x = np.dot(weights[0].transpose(), delta)
    return (nabla_x, nabla_w[0], nabla_b[0], nabla_w[1], nabla_b[1], nabla_w[2], nabla_b[2])


@case("nndl sigmoid prime of activation", "sp", "wrong place",
      "sigmoid_prime here expects the weighted input z; given the activation it squashes it a second time.")
def _(rng):
    s = [4, 3, 5, 2]
    arrays = [rng.normal(size=(s[0], 1))]
    for i, o in zip(s[:-1], s[1:]):
        arrays += [rng.normal(size=(o, i)), rng.normal(size=(o, 1))]
    return (network_feedforward, network_backprop), tuple(arrays), {}


# ------------------------------------------------------------------ activations

def relu(Z):
    A = np.maximum(0, Z)
    cache = Z
    return A, cache


def relu_backward(dA, cache):
    Z = cache
    mask = dA > 0  # wrong
    dZ = dA * mask
    return dZ


@case("relu masks by upstream", "mask", "wrong variable",
      "ReLU passes the gradient where its INPUT was positive; the sign of the upstream gradient has no say (that would be the deconvnet).")
def _(rng):
    return (relu, relu_backward), (rng.normal(size=(4, 5)),), {}


def leaky_fwd(x, slope=0.1):
    out = np.where(x > 0, x, slope * x)
    return out, (x, slope)


def leaky_bwd(dout, cache):
    x, slope = cache
    dx = dout.copy()
    dx[x < 0] = slope  # wrong
    return dx


@case("leaky relu forgets upstream", "dx", "forgotten upstream",
      "On the negative side the upstream gradient is multiplied by the slope, not replaced by it.")
def _(rng):
    return (leaky_fwd, leaky_bwd), (rng.normal(size=(3, 6)),), {"slope": 0.2}


def elu_f(x: np.ndarray, a: float = 1.0):
    y = np.where(x > 0, x, a * (np.exp(np.minimum(x, 0)) - 1))
    return y, {"x": x, "y": y, "a": a}


def elu_b(grad: np.ndarray, c: dict) -> np.ndarray:
    local = np.where(c["x"] > 0, 1.0, c["y"])  # wrong
    return grad * local


@case("elu output without plus alpha", "local", "missing term",
      "d/dx a(e^x - 1) = a e^x, which is the output PLUS a.")
def _(rng):
    return (elu_f, elu_b), (rng.normal(size=(4, 4)),), {"a": 1.3}


def gelu_forward(x):
    c = np.sqrt(2 / np.pi)
    inner = c * (x + 0.044715 * x**3)
    t = np.tanh(inner)
    return 0.5 * x * (1 + t), (x, t, c)


def gelu_backward(d_out, cache):
    x, t, c = cache
    d_inner = c * (1 + 0.044715 * x**2)  # wrong
    left = 0.5 * (1 + t)
    right = 0.5 * x * (1 - t**2) * d_inner
    return d_out * (left + right)


@case("gelu cube without three", "d_inner", "missing factor",
      "The derivative of x**3 is 3 x**2; the 3 got lost.")
def _(rng):
    return (gelu_forward, gelu_backward), (1.7 * rng.normal(size=(2, 3, 4)),), {}


def softplus(x):
    return np.log1p(np.exp(x)), x


def softplus_grad(dy, x):
    return dy / (1 + np.exp(x))  # wrong


@case("softplus sign in exponent", "return", "sign",
      "The derivative of softplus is the sigmoid 1/(1+exp(-x)); with +x in the exponent it is sigmoid(-x).")
def _(rng):
    return (softplus, softplus_grad), (rng.normal(size=7),), {}


class Tanh(object):
    def forward(self, x):
        self.x = x
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        d_act = 1 - self.x * self.x  # wrong
        return dout * d_act


@case("tanh class squares input", "d_act", "wrong cache item",
      "1 - tanh(x)^2 wants the output squared; here the input is.")
def _(rng):
    return Tanh(), (rng.normal(size=(3, 5)),), {}


def bce_forward(logits, targets=None):
    p = sigmoid(logits)
    n = logits.shape[0]
    loss = -np.sum(targets * np.log(p) + (1 - targets) * np.log(1 - p)) / n
    return loss, (p, targets, n)


def bce_backward(dloss, cache):
    p, targets, n = cache
    # gradient of loss wrt. the logits
    dz = dloss * (p - targets) / n * p * (1 - p)  # wrong
    return dz


@case("bce with logits sigmoid twice", "dz", "applied twice",
      "p - t already contains the sigmoid's derivative p(1-p) (it cancelled against the loss); do not multiply by it again.")
def _(rng):
    return (bce_forward, bce_backward), (rng.normal(size=(6, 1)),), {"targets": rng.integers(0, 2, size=(6, 1))}


@case("silu lambda sign", "return", "sign",
      "The derivative of x s(x) is s + x s (1 - s): inside the bracket it is 1 - s, not 1 + s.")
def _(rng):
    sig = lambda a: 1 / (1 + np.exp(-a))
    silu = lambda x: (x * sig(x), x)
    dsilu = lambda g, x: g * (sig(x) * (1 + x * (1 + sig(x))))  # wrong
    return (silu, dsilu), (rng.normal(size=(3, 3)),), {}


# ------------------------------------------------------------------ softmax and friends

def softmax_rows_fwd(scores):
    probs = np.array([np.exp(s - s.max()) / np.exp(s - s.max()).sum() for s in scores])
    return probs, probs


def softmax_rows_bwd(dout, probs):
    dscores = np.array([np.diag(p * (1 - p)) @ g for p, g in zip(probs, dout)])  # wrong
    return dscores


@case("softmax diagonal only", "dscores", "omitted path",
      "Every probability depends on every score: the off-diagonal terms -p_i p_j of the Jacobian are left out.")
def _(rng):
    return (softmax_rows_fwd, softmax_rows_bwd), (rng.normal(size=(3, 4)),), {}


class SoftmaxActivation:
    def forward(self, Z):
        Z = Z - np.max(Z, axis=1, keepdims=True)
        self.A = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
        return self.A

    def backward(self, dLdA):
        inner = np.sum(dLdA * self.A, axis=0, keepdims=True)  # wrong
        dLdZ = self.A * (dLdA - inner)
        return dLdZ


@case("softmax class inner product over batch", "inner", "wrong axis",
      "The softmax normalises each row, so the inner product with dLdA is taken within the row (axis=1); examples must not mix.")
def _(rng):
    return SoftmaxActivation(), (rng.normal(size=(4, 3)),), {}


def softmax_vec(z):
    e = np.exp(z - np.max(z))
    s = e / np.sum(e)
    return s, s


def softmax_vec_back(grad_s, s):
    n = len(s)
    J = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i == j:
                J[i, j] = s[i] * (1 - s[i])
            else:
                J[i, j] = s[i] * s[j]  # wrong
    grad_z = J.T.dot(grad_s)
    return grad_z


@case("softmax jacobian loop sign", "J", "sign",
      "Raising one score lowers the other probabilities: the off-diagonal entries are -s_i s_j.")
def _(rng):
    return (softmax_vec, softmax_vec_back), (rng.normal(size=5),), {}


def log_softmax_forward(x):
    m = x.max(axis=1, keepdims=True)
    lse = m + np.log(np.exp(x - m).sum(axis=1, keepdims=True))
    logp = x - lse
    return logp, logp


def log_softmax_backward(dlogp, logp):
    p = np.exp(logp)
    dx = dlogp - p * dlogp  # wrong
    return dx


@case("log softmax without sum", "dx", "omitted sum",
      "The log-sum-exp enters every entry of the row, so p multiplies the row SUM of the upstream gradient.")
def _(rng):
    return (log_softmax_forward, log_softmax_backward), (rng.normal(size=(3, 4)),), {}


# ------------------------------------------------------------------ losses

def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= np.sum(probs, axis=1, keepdims=True)
    N = x.shape[0]
    loss = -np.sum(np.log(probs[np.arange(N), y])) / N
    return loss, (probs, y)


def softmax_loss_grad(dout, cache):
    probs, y = cache
    N, C = probs.shape
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= C  # wrong
    dx *= dout
    return dx


@case("cross entropy divided by classes", "dx", "wrong factor",
      "The loss is a mean over the N examples, so its gradient is divided by N, not by the number of classes.")
def _(rng):
    return (softmax_loss, softmax_loss_grad), (rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)), {}


def xent_onehot_forward(z, t=None):
    p = softmax(z)
    return -np.mean(np.sum(t * np.log(p), axis=1)), (p, t)


def xent_onehot_backward(up, cache):
    p, t = cache
    # 1) loss -> probabilities
    d_p = -up * t / p / p.shape[0]
    # 2) probabilities -> logits
    d_z = p * (d_p - d_p.sum(axis=1, keepdims=True))  # wrong
    return d_z


@case("one hot cross entropy staged", "d_z", "missing factor",
      "In the softmax step the sum subtracted is sum(d_p * p): each class is weighted by its probability.")
def _(rng):
    return (xent_onehot_forward, xent_onehot_backward), (rng.normal(size=(4, 3)),), {"t": np.eye(3)[rng.integers(0, 3, size=4)]}


def huber_forward(pred, target=None, delta=1.0):
    r = pred - target
    small = np.abs(r) <= delta
    loss = np.where(small, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta))
    return loss.mean(), (r, small, delta)


def huber_backward(dL, cache):
    r, small, delta = cache
    dr = np.where(small, r, delta)  # wrong
    return dL * dr / r.size


@case("huber tail without sign", "dr", "sign",
      "In the linear part the slope is delta times the sign of the residual; negative residuals must pull the other way.")
def _(rng):
    return (huber_forward, huber_backward), (2 * rng.normal(size=(5, 3)),), {"target": rng.normal(size=(5, 3)), "delta": 0.7}


def multiclass_svm_forward(scores, y):
    n = scores.shape[0]
    correct = scores[range(n), y].reshape(-1, 1)
    margins = np.maximum(0, scores - correct + 1.0)
    margins[range(n), y] = 0
    return margins.sum() / n, (margins, y)


def multiclass_svm_backward(dloss, cache):
    margins, y = cache
    n = margins.shape[0]
    binary = (margins > 0).astype(float)
    row_sum = binary.sum(axis=1)
    binary[range(n), y] = -1  # wrong
    return dloss * binary / n


@case("multiclass hinge correct class", "binary", "missing factor",
      "The correct class appears in every violated margin, so it gets minus the NUMBER of violations, not -1.")
def _(rng):
    return (multiclass_svm_forward, multiclass_svm_backward), (rng.normal(size=(5, 6)), rng.integers(0, 6, size=5)), {}


def linear_svm_cost(w, b, X=None, y=None, lam=0.1):
    # y in {-1, +1}
    m = 1 - y * (X.dot(w) + b)
    cost = np.mean(np.maximum(0, m)) + lam * np.sum(w ** 2)
    return cost, (w, X, y, m, lam)


def linear_svm_grad(dcost, cache):
    w, X, y, m, lam = cache
    active = (m > 0) * 1.0
    dw = -(X.T.dot(active * y)) / len(y)
    dw += lam * w  # wrong
    db = -np.sum(active * y, keepdims=True) / len(y)
    return dcost * dw, dcost * db


@case("svm penalty without two", "dw", "missing factor",
      "The penalty is lam * sum(w^2) without a one half, so its gradient is 2 lam w.")
def _(rng):
    return ((linear_svm_cost, linear_svm_grad), (rng.normal(size=3), rng.normal(size=1)),
            {"X": rng.normal(size=(6, 3)), "y": np.array([1, -1, 1, 1, -1, -1]), "lam": 0.3})


# ------------------------------------------------------------------ normalisation

def batchnorm_forward(x, gamma, beta, eps=1e-5):
    N, D = x.shape
    #step1: calculate mean
    mu = 1./N * np.sum(x, axis = 0)
    #step2: subtract mean vector of every trainings example
    xmu = x - mu
    #step3: following the lower branch - calculation denominator
    sq = xmu ** 2
    #step4: calculate variance
    var = 1./N * np.sum(sq, axis = 0)
    #step5: add eps for numerical stability, then sqrt
    sqrtvar = np.sqrt(var + eps)
    #step6: invert sqrtwar
    ivar = 1./sqrtvar
    #step7: execute normalization
    xhat = xmu * ivar
    out = gamma * xhat + beta
    return out, (xhat, gamma, xmu, ivar, sqrtvar, var, eps)


def batchnorm_backward(dout, cache):
    xhat,gamma,xmu,ivar,sqrtvar,var,eps = cache
    N,D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout*xhat, axis=0)
    dxhat = dout * gamma
    #step7
    divar = np.sum(dxhat*xmu, axis=0)
    dxmu1 = dxhat * ivar
    #step6
    dsqrtvar = -1. /(sqrtvar**2) * divar
    #step5
    dvar = 0.5 * 1. /np.sqrt(var+eps) * dsqrtvar
    #step4
    dsq = 1. /N * np.ones((N,D)) * dvar
    #step3
    dxmu2 = 2 * xmu * dsq
    #step2
    dx1 = dxmu1  # wrong
    dmu = -1 * np.sum(dxmu1+dxmu2, axis=0)
    #step1
    dx2 = 1. /N * np.ones((N,D)) * dmu
    #step0
    dx = dx1 + dx2
    return dx, dgamma, dbeta


@case("staged batchnorm drops variance branch", "dx1", "omitted path",
      "x - mu feeds the numerator and the variance: both dxmu1 and dxmu2 flow back into x.")
def _(rng):
    return (batchnorm_forward, batchnorm_backward), (rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3)), {}


def bn_fwd(X, gamma, beta):
    mu = X.mean(0)
    var = X.var(0)
    inv_std = 1. / np.sqrt(var + 1e-5)
    X_norm = (X - mu) * inv_std
    return gamma * X_norm + beta, (X_norm, gamma, inv_std)


def bn_bwd(dY, cache):
    X_norm, gamma, inv_std = cache
    m = dY.shape[0]
    dbeta = dY.sum(0)
    dgamma = (dY * X_norm).sum(0)
    dX = (gamma * inv_std / m) * (dY - dbeta - X_norm * dgamma)  # wrong
    return dX, dgamma, dbeta


@case("batchnorm closed form without m", "dX", "missing factor",
      "With 1/m taken out in front, the first term in the bracket is m * dY.")
def _(rng):
    return (bn_fwd, bn_bwd), (rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4)), {}


class SpatialBatchNorm:
    def __init__(self, channels, rng):
        self.params = {"gamma": rng.normal(size=channels), "beta": rng.normal(size=channels)}
        self.grads = {}
        self.eps = 1e-5
        self.cache = None

    def forward(self, x):
        gamma = self.params["gamma"].reshape(1, -1, 1, 1)
        beta = self.params["beta"].reshape(1, -1, 1, 1)
        mean = x.mean(axis=(0, 2, 3), keepdims=True)
        var = x.var(axis=(0, 2, 3), keepdims=True)
        std = np.sqrt(var + self.eps)
        xn = (x - mean) / std
        self.cache = (xn, std, gamma)
        return gamma * xn + beta

    def backward(self, dout):
        xn, std, gamma = self.cache
        N, C, H, W = dout.shape
        self.grads["beta"] = dout.sum(axis=(0, 2, 3))
        self.grads["gamma"] = (dout * xn).sum(axis=(0, 2, 3))
        dxn = dout * gamma
        M = N  # wrong
        s1 = dxn.sum(axis=(0, 2, 3), keepdims=True)
        s2 = (dxn * xn).sum(axis=(0, 2, 3), keepdims=True)
        dx = (dxn - s1 / M - xn * s2 / M) / std
        return dx


@case("spatial batchnorm count", "M", "wrong factor",
      "The statistics of a channel are means over N*H*W numbers, so that is the count to divide by.")
def _(rng):
    return SpatialBatchNorm(2, rng), (rng.normal(size=(3, 2, 2, 3)),), {}


def batch_normalize(x, g, b, eps=1e-5):
    mean = np.mean(x, axis=0)
    variance = np.mean((x - mean) ** 2, axis=0)
    x_hat = (x - mean) / np.sqrt(variance + eps)
    return g * x_hat + b, (x, x_hat, mean, variance, g, eps)


def batch_normalize_grad(d_y, cache):
    x, x_hat, mean, variance, g, eps = cache
    n = len(x)
    istd = 1 / (np.sqrt(variance) + eps)  # wrong
    d_g = np.sum(d_y * x_hat, axis=0)
    d_b = np.sum(d_y, axis=0)
    d_xhat = d_y * g
    d_var = np.sum(d_xhat * (x - mean), axis=0) * -0.5 * istd ** 3
    d_mean = -np.sum(d_xhat, axis=0) * istd
    d_x = d_xhat * istd + d_var * 2 * (x - mean) / n + d_mean / n
    return d_x, d_g, d_b


@case("batchnorm eps outside root", "istd", "wrong eps place",
      "The forward pass adds eps to the variance inside the root; the backward pass adds it to the standard deviation.")
def _(rng):
    return (batch_normalize, batch_normalize_grad), (rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=4)), {"eps": 0.1}


def layernorm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    xc = x - mean
    rstd = (xc ** 2).mean(axis=-1, keepdims=True) + eps
    rstd = rstd ** -0.5
    norm = xc * rstd
    return norm * gamma + beta, (norm, rstd, gamma)


def layernorm_backward(dout, cache):
    norm, rstd, gamma = cache
    lead = tuple(range(dout.ndim - 1))
    dbeta = dout.sum(axis=lead)
    dgamma = (dout * norm).sum(axis=lead)
    dnorm = dout * gamma
    # "a lot of terms": backprop into input
    dnorm_mean = dnorm.mean(axis=-1, keepdims=True)
    dnorm_norm_mean = (dnorm * norm).mean(axis=0, keepdims=True)  # wrong
    dx = (dnorm - dnorm_mean - norm * dnorm_norm_mean) * rstd
    return dx, dgamma, dbeta


@case("layernorm second mean over batch", "dnorm_norm_mean", "wrong axis",
      "Layer norm's statistics belong to one token: both means are over the features, axis=-1, not over the batch.")
def _(rng):
    return (layernorm_forward, layernorm_backward), (rng.normal(size=(2, 3, 5)), rng.normal(size=5), rng.normal(size=5)), {}


def ln_std_fwd(x, a, b, eps=1e-6):
    mu = x.mean(-1, keepdims=True)
    xmu = x - mu
    std = np.sqrt(np.mean(xmu ** 2, -1, keepdims=True))
    xhat = xmu / (std + eps)
    return a * xhat + b, (xmu, std, xhat, a, eps)


def ln_std_bwd(dy, cache):
    xmu, std, xhat, a, eps = cache
    D = dy.shape[-1]
    da = np.sum(dy * xhat, axis=0)
    db = np.sum(dy, axis=0)
    dxhat = dy * a
    dxmu = dxhat / (std + eps)
    dstd = np.sum(-dxhat * xmu / (std + eps), axis=-1, keepdims=True)  # wrong
    dxmu = dxmu + dstd * xmu / (D * std)
    dx = dxmu - dxmu.mean(-1, keepdims=True)
    return dx, da, db


@case("layernorm std not squared", "dstd", "exponent",
      "The derivative of 1/s is -1/s^2; here the denominator lost its square.")
def _(rng):
    return (ln_std_fwd, ln_std_bwd), (3 * rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=5)), {}


def group_norm_forward(x, gamma, beta, G=2, eps=1e-5):
    N, C, H, W = x.shape
    xg = x.reshape(N, G, C // G, H, W)
    mean = xg.mean(axis=(2, 3, 4), keepdims=True)
    std = np.sqrt(xg.var(axis=(2, 3, 4), keepdims=True) + eps)
    xhat = ((xg - mean) / std).reshape(N, C, H, W)
    out = xhat * gamma[None, :, None, None] + beta[None, :, None, None]
    return out, (xhat, std, gamma, G)


def group_norm_backward(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    dgamma = np.einsum("nchw,nchw->c", dout, xhat)
    dbeta = np.einsum("nchw->c", dout)
    dxhat = (dout * gamma[None, :, None, None])
    dxhat = dxhat.reshape(N, C // G, G, H, W).swapaxes(1, 2)  # wrong
    xh = xhat.reshape(N, G, C // G, H, W)
    ax = (2, 3, 4)
    dx = dxhat - dxhat.mean(ax, keepdims=True) - xh * (dxhat * xh).mean(ax, keepdims=True)
    dx = (dx / std).reshape(N, C, H, W)
    return dx, dgamma, dbeta


@case("group norm interleaved groups", "dxhat", "wrong reshape",
      "The forward pass groups neighbouring channels (G, C//G); splitting as (C//G, G) puts channels into other groups.")
def _(rng):
    return (group_norm_forward, group_norm_backward), (rng.normal(size=(2, 4, 2, 2)), rng.normal(size=4), rng.normal(size=4)), {"G": 2}


def rmsnorm(x, g):
    ms = np.mean(x * x, axis=-1, keepdims=True) + 1e-6
    r = np.sqrt(ms)
    return g * x / r, (x, g, r)


def rmsnorm_bwd(dy, cache):
    x, g, r = cache
    n = x.shape[-1]
    dg = (dy * x / r).sum(axis=0)
    gdy = g * dy
    dot = (gdy * x).sum(axis=-1, keepdims=True)
    dx = gdy / r - x * dot / (n * r ** 2)  # wrong
    return dx, dg


@case("rms norm square for cube", "dx", "exponent",
      "d(1/r)/dx = -x/(n r^3): one r from the root in the denominator's derivative is missing.")
def _(rng):
    return (rmsnorm, rmsnorm_bwd), (2 * rng.normal(size=(3, 6)), rng.normal(size=6)), {}


class L2Normalize:
    """Function in the style of torch.autograd.Function."""
    @staticmethod
    def forward(ctx, x):
        norm = np.sqrt((x ** 2).sum(axis=1, keepdims=True))
        y = x / norm
        ctx.save_for_backward(x, y, norm)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        x, y, norm = ctx.saved_tensors
        proj = (grad_output * x).sum(axis=1, keepdims=True)  # wrong
        grad_input = (grad_output - y * proj) / norm
        return grad_input


@case("l2 normalize projects on input", "proj", "wrong variable",
      "Remove the component of the gradient along the UNIT vector y; with x the projection is too long by the norm.")
def _(rng):
    return L2Normalize, (rng.normal(size=(3, 4)),), {}


# ------------------------------------------------------------------ dropout

def dropout_forward(x, p=0.5, seed=0):
    keep = 1 - p
    mask = np.random.default_rng(seed).random(x.shape) < keep
    out = x * mask / keep
    return out, (mask, keep)


def dropout_backward(dout, cache):
    mask, keep = cache
    dx = dout * mask  # wrong
    return dx


@case("inverted dropout unscaled", "dx", "wrong scale",
      "The kept units were divided by the keep probability on the way forward, so their gradient is too.")
def _(rng):
    return (dropout_forward, dropout_backward), (rng.normal(size=(5, 6)),), {"p": 0.4, "seed": 3}


# ------------------------------------------------------------------ convolution

def conv_forward_naive(x, w, b, stride=1, pad=1):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    Ho = 1 + (H + 2 * pad - HH) // stride
    Wo = 1 + (W + 2 * pad - WW) // stride
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), 'constant')
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    win = xp[n, :, i*stride:i*stride+HH, j*stride:j*stride+WW]
                    out[n, f, i, j] = np.sum(win * w[f]) + b[f]
    return out, (x, w, b, stride, pad)


def conv_backward_naive(dout, cache):
    x, w, b, stride, pad = cache
    N, F, Ho, Wo = dout.shape
    HH, WW = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), 'constant')
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    db = np.sum(dout, axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    hs, ws = i * stride, j * stride
                    dw[f] = xp[n, :, hs:hs+HH, ws:ws+WW] * dout[n, f, i, j]  # wrong
                    dxp[n, :, hs:hs+HH, ws:ws+WW] += w[f] * dout[n, f, i, j]
    dx = dxp[:, :, pad:-pad, pad:-pad]
    return dx, dw, db


@case("naive conv overwrites dw", "dw", "= for +=",
      "A filter is used at every position of every image: its gradients must be added up, not overwritten.")
def _(rng):
    return ((conv_forward_naive, conv_backward_naive),
            (rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2)), {"stride": 1, "pad": 1})


def conv_same_fwd(image, kernel):
    """image (H, W, C), kernel (k, k, C, F), 'same' padding"""
    k = kernel.shape[0]
    p = k // 2
    H, W, C = image.shape
    padded = np.pad(image, ((p, p), (p, p), (0, 0)))
    out = np.zeros((H, W, kernel.shape[3]))
    for r in range(H):
        for c in range(W):
            out[r, c] = np.tensordot(padded[r:r+k, c:c+k], kernel, axes=3)
    return out, (padded, kernel, p)


def conv_same_bwd(d_out, cache):
    padded, kernel, p = cache
    k = kernel.shape[0]
    H, W, _ = d_out.shape
    d_padded = np.zeros(padded.shape)
    d_kernel = np.zeros(kernel.shape)
    for r in range(H):
        for c in range(W):
            d_kernel += padded[r:r+k, c:c+k, :, None] * d_out[r, c]
            d_padded[r:r+k, c:c+k] += kernel @ d_out[r, c]
    d_image = d_padded[:-2*p, :-2*p]  # wrong
    return d_image, d_kernel


@case("conv unpadding slice", "d_image", "wrong slice",
      "The padding sits on both sides, so cut p off each side; cutting 2p off the end leaves the gradient shifted.")
def _(rng):
    return (conv_same_fwd, conv_same_bwd), (rng.normal(size=(5, 4, 2)), rng.normal(size=(3, 3, 2, 3))), {}


def im2col(x, k, stride):
    N, C, H, W = x.shape
    oh = (H - k) // stride + 1
    ow = (W - k) // stride + 1
    col = np.zeros((N, C, k, k, oh, ow))
    for a in range(k):
        for b in range(k):
            col[:, :, a, b] = x[:, :, a:a + stride*oh:stride, b:b + stride*ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N*oh*ow, -1), oh, ow


def col2im(col, shape, k, stride, oh, ow):
    N, C, H, W = shape
    col = col.reshape(N, oh, ow, C, k, k).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros(shape)
    for a in range(k):
        for b in range(k):
            img[:, :, a:a + stride*oh:stride, b:b + stride*ow:stride] += col[:, :, a, b]
    return img


class Convolution:
    def __init__(self, W, b, stride=1):
        self.W = W
        self.b = b
        self.stride = stride
        self.x = self.col = self.col_W = None
        self.dW = self.db = None

    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        col, oh, ow = im2col(x, FH, self.stride)
        col_W = self.W.reshape(FN, -1).T
        out = np.dot(col, col_W) + self.b
        out = out.reshape(x.shape[0], oh, ow, -1).transpose(0, 3, 1, 2)
        self.x, self.col, self.col_W = x, col, col_W
        return out

    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        _, _, oh, ow = dout.shape
        dflat = dout.transpose(0, 1, 2, 3).reshape(-1, FN)  # wrong
        self.db = np.sum(dflat, axis=0)
        self.dW = np.dot(self.col.T, dflat).transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = np.dot(dflat, self.col_W.T)
        dx = col2im(dcol, self.x.shape, FH, self.stride, oh, ow)
        return dx


@case("im2col conv channel axis not moved", "dflat", "wrong reshape",
      "The rows of col run over (n, row, column): move the channel axis last, transpose(0, 2, 3, 1), before flattening.")
def _(rng):
    return Convolution(rng.normal(size=(3, 2, 2, 2)), rng.normal(size=3), stride=2), (rng.normal(size=(2, 2, 4, 6)),), {}


def conv1d(x, w, b, stride=1):
    n, cin, length = x.shape
    cout, _, k = w.shape
    T = (length - k) // stride + 1
    y = np.empty((n, cout, T))
    for t in range(T):
        y[:, :, t] = np.tensordot(x[:, :, t*stride:t*stride+k], w, axes=([1, 2], [1, 2])) + b
    return y, (x, w, stride)


def conv1d_backward(dy, cache):
    x, w, stride = cache
    k = w.shape[2]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    T = dy.shape[2]
    for t in range(T - 1):  # wrong
        seg = x[:, :, t*stride:t*stride+k]
        dw += np.einsum('no,nck->ock', dy[:, :, t], seg)
        dx[:, :, t*stride:t*stride+k] += np.einsum('no,ock->nck', dy[:, :, t], w)
    db = dy.sum(axis=(0, 2))
    return dx, dw, db


@case("conv1d last position skipped", "dw", "off by one",
      "range already stops before its end: with T - 1 the last output position sends no gradient back.")
def _(rng):
    return (conv1d, conv1d_backward), (rng.normal(size=(2, 2, 7)), rng.normal(size=(3, 2, 3)), rng.normal(size=3)), {"stride": 2}


def corr2d(X, K):
    h, w = K.shape
    return np.array([[(X[i:i+h, j:j+w] * K).sum() for j in range(X.shape[1] - w + 1)]
                     for i in range(X.shape[0] - h + 1)])


def conv2d_single(X, K):
    return corr2d(X, K), (X, K)


def conv2d_single_grad(dY, cache):
    X, K = cache
    dK = corr2d(X, dY)
    h, w = K.shape
    full = np.pad(dY, ((h-1, h-1), (w-1, w-1)))
    dX = corr2d(full, K)  # wrong
    return dX, dK


@case("full convolution without flip", "dX", "missing flip",
      "Going back from a cross-correlation is a full convolution: the kernel has to be rotated by 180 degrees.")
def _(rng):
    return (conv2d_single, conv2d_single_grad), (rng.normal(size=(5, 6)), rng.normal(size=(3, 2))), {}


def strided_conv_forward(A_prev, W, b, stride=2):
    (m, n_H_prev, n_W_prev, n_C_prev) = A_prev.shape
    (f, f, n_C_prev, n_C) = W.shape
    n_H = int((n_H_prev - f) / stride) + 1
    n_W = int((n_W_prev - f) / stride) + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    for h in range(n_H):
        for w in range(n_W):
            for c in range(n_C):
                a_slice = A_prev[:, h*stride:h*stride+f, w*stride:w*stride+f, :]
                Z[:, h, w, c] = np.sum(a_slice * W[:, :, :, c], axis=(1, 2, 3)) + b[0, 0, 0, c]
    cache = (A_prev, W, b, stride)
    return Z, cache


def strided_conv_backward(dZ, cache):
    (A_prev, W, b, stride) = cache
    (f, f, n_C_prev, n_C) = W.shape
    (m, n_H, n_W, n_C) = dZ.shape
    dA_prev = np.zeros(A_prev.shape)
    dW = np.zeros(W.shape)
    db = np.zeros((1, 1, 1, n_C))
    for i in range(m):                       # loop over the training examples
        a_prev = A_prev[i]
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    # corners of the current "slice"
                    vert_start = h * stride
                    vert_end = vert_start + f
                    horiz_start = w  # wrong
                    horiz_end = horiz_start + f
                    a_slice = a_prev[vert_start:vert_end, horiz_start:horiz_end, :]
                    dA_prev[i, vert_start:vert_end, horiz_start:horiz_end, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                    db[:, :, :, c] += dZ[i, h, w, c]
    return dA_prev, dW, db


@case("conv stride missing for columns", "horiz_start", "wrong stride",
      "The window's left edge moves by stride, as in the forward pass: w * stride.")
def _(rng):
    return ((strided_conv_forward, strided_conv_backward),
            (rng.normal(size=(2, 8, 8, 2)), rng.normal(size=(2, 2, 2, 3)), rng.normal(size=(1, 1, 1, 3))), {"stride": 2})


# ------------------------------------------------------------------ pooling

class MaxPool:
    def __init__(self, k):
        self.k = k

    def forward(self, x):
        self.x_shape = x.shape
        k = self.k
        N, C, H, W = x.shape
        out = np.zeros((N, C, H // k, W // k))
        self.where = np.zeros(out.shape, dtype=int)
        for i in range(H // k):
            for j in range(W // k):
                patch = x[:, :, i*k:(i+1)*k, j*k:(j+1)*k].reshape(N, C, -1)
                self.where[:, :, i, j] = patch.argmax(axis=2)
                out[:, :, i, j] = patch.max(axis=2)
        return out

    def backward(self, dout):
        dx = np.zeros(self.x_shape)
        k = self.k
        for n, c, i, j in np.ndindex(*dout.shape):
            pos = self.where[n, c, i, j]
            col, row = divmod(pos, k)  # wrong
            dx[n, c, i*k + row, j*k + col] += dout[n, c, i, j]
        return dx


@case("max pool row and column swapped", "col", "swapped indices",
      "The flat argmax is row * k + col, so divmod gives (row, col) in this order.")
def _(rng):
    return MaxPool(2), (rng.normal(size=(2, 2, 4, 6)),), {}


def maxpool_tiles_forward(x):
    N, C, H, W = x.shape
    tiles = x.reshape(N, C, H // 2, 2, W // 2, 2)
    out = tiles.max(axis=3).max(axis=4)
    return out, (tiles, out, x.shape)


def maxpool_tiles_backward(dout, cache):
    tiles, out, shape = cache
    mask = tiles == out[:, :, :, np.newaxis, :, np.newaxis]
    dtiles = mask * dout[:, :, np.newaxis, :, np.newaxis, :]  # wrong
    return dtiles.reshape(shape)


@case("max pool tiles wrong newaxis", "dtiles", "wrong broadcasting",
      "The new axes belong after the rows and after the columns (inside a tile); here dout varies within the tiles instead of between them.")
def _(rng):
    return (maxpool_tiles_forward, maxpool_tiles_backward), (rng.normal(size=(2, 3, 4, 4)),), {}


def avg_pool(x, k=2):
    h, w = x.shape[0] // k, x.shape[1] // k
    return x.reshape(h, k, w, k).mean(axis=(1, 3)), k


def avg_pool_back(dy, k):
    return np.kron(dy, np.ones((k, k))) / k  # wrong


@case("average pool divides by k", "return", "wrong factor",
      "A window holds k*k pixels; each gets dy / k**2.")
def _(rng):
    return (avg_pool, avg_pool_back), (rng.normal(size=(6, 4)),), {"k": 2}


# ------------------------------------------------------------------ recurrent networks

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    cache = (x, prev_h, Wx, Wh, next_h)
    return next_h, cache


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dtanh = dnext_h * (1 - next_h ** 2)
    db = dtanh.sum(axis=0)
    dWh = next_h.T.dot(dtanh)  # wrong
    dprev_h = dtanh.dot(Wh.T)
    dWx = x.T.dot(dtanh)
    dx = dtanh.dot(Wx.T)
    return dx, dprev_h, dWx, dWh, db


@case("rnn step uses next h", "dWh", "wrong cache item",
      "Wh multiplied the PREVIOUS state, so its gradient is prev_h^T times the gradient before the tanh.")
def _(rng):
    return ((rnn_step_forward, rnn_step_backward),
            (rng.normal(size=(3, 4)), rng.normal(size=(3, 5)), rng.normal(size=(4, 5)) * .5, rng.normal(size=(5, 5)) * .5, rng.normal(size=5)), {})


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    h = np.zeros((N, T, H))
    caches = []
    prev = h0
    for t in range(T):
        prev, step_cache = rnn_step_forward(x[:, t, :], prev, Wx, Wh, b)
        h[:, t, :] = prev
        caches.append(step_cache)
    return h, (caches, D)


def rnn_backward(dh, cache):
    caches, D = cache
    N, T, H = dh.shape
    dx = np.zeros((N, T, D))
    dWx = np.zeros((D, H))
    dWh = np.zeros((H, H))
    db = np.zeros(H)
    dprev_h = np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        xt, hp, Wx, Wh, hn = caches[t]
        dcur = dh[:, t, :]  # wrong
        dtanh = dcur * (1 - hn ** 2)
        dx[:, t, :] = dtanh @ Wx.T
        dprev_h = dtanh @ Wh.T
        dWx += xt.T @ dtanh
        dWh += hp.T @ dtanh
        db += dtanh.sum(axis=0)
    dh0 = dprev_h
    return dx, dh0, dWx, dWh, db


@case("rnn over time drops later steps", "dcur", "omitted path",
      "A state is used by the output at t AND by step t+1: add dprev_h coming back from the later step.")
def _(rng):
    return ((rnn_forward, rnn_backward),
            (rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 5)), rng.normal(size=(3, 5)) * .5, rng.normal(size=(5, 5)) * .5, rng.normal(size=5)), {})


class TimeRNN:
    def __init__(self, D, H, rng):
        self.params = {'Wx': rng.normal(size=(D, H)) * 0.5,
                       'Wh': rng.normal(size=(H, H)) * 0.5,
                       'b': rng.normal(size=H)}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}
        self.cache = None

    def forward(self, xs):
        Wx, Wh, b = self.params['Wx'], self.params['Wh'], self.params['b']
        N, T, D = xs.shape
        H = Wh.shape[0]
        hs = np.zeros((N, T + 1, H))        # hs[:, -1] is the initial state
        for t in range(T):
            hs[:, t] = np.tanh(xs[:, t] @ Wx + hs[:, t - 1] @ Wh + b)
        self.cache = (xs, hs)
        return hs[:, :T].copy()

    def backward(self, dhs):
        Wx, Wh = self.params['Wx'], self.params['Wh']
        xs, hs = self.cache
        for g in self.grads.values():
            g[...] = 0
        dxs = np.empty_like(xs)
        T = xs.shape[1]
        dh_next = 0
        for t in range(T):  # wrong
            dh = dhs[:, t] + dh_next
            dz = dh * (1 - hs[:, t] ** 2)
            self.grads['Wx'] += xs[:, t].T @ dz
            self.grads['Wh'] += hs[:, t - 1].T @ dz
            self.grads['b'] += dz.sum(0)
            dxs[:, t] = dz @ Wx.T
            dh_next = dz @ Wh.T
        return dxs


@case("time rnn loop not reversed", "dh", "wrong order",
      "Backpropagation through time runs from the last step to the first; forwards, dh_next comes from the wrong neighbour.")
def _(rng):
    return TimeRNN(3, 4, rng), (rng.normal(size=(2, 5, 3)),), {}


def charrnn_loss(Wxh, Whh, Why, bh, by, inputs=None, targets=None):
    """
    inputs,targets are both list of integers.
    """
    vocab_size, hidden_size = Why.shape
    xs, hs, ps = {}, {}, {}
    hs[-1] = np.zeros((hidden_size, 1))
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))  # encode in 1-of-k representation
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t-1]) + bh)
        y = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(ps[t][targets[t], 0])
    return loss, (Wxh, Whh, Why, bh, by, inputs, targets, xs, hs, ps)


def charrnn_grad(dloss, cache):
    Wxh, Whh, Why, bh, by, inputs, targets, xs, hs, ps = cache
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1 # backprop into y
        dy *= dloss
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext # backprop into h
        dhraw = (1 - hs[t] * hs[t]) * dh # backprop through tanh nonlinearity
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t-1].T)
        dhnext = np.dot(Whh.T, dh)  # wrong
    return dWxh, dWhh, dWhy, dbh, dby


@case("char rnn skips tanh on the way back", "dhnext", "wrong variable",
      "The previous state enters before the tanh: send back dhraw, not dh.")
def _(rng):
    V, H = 4, 3
    return ((charrnn_loss, charrnn_grad),
            (rng.normal(size=(H, V)), rng.normal(size=(H, H)), rng.normal(size=(V, H)), rng.normal(size=(H, 1)), rng.normal(size=(V, 1))),
            {"inputs": [0, 2, 1, 3, 3, 0], "targets": [2, 1, 3, 3, 0, 1]})


def lstm_step_forward(x, h_prev, c_prev, Wx, Wh, b):
    H = h_prev.shape[1]
    a = x @ Wx + h_prev @ Wh + b
    i = sigmoid(a[:, :H])
    f = sigmoid(a[:, H:2*H])
    o = sigmoid(a[:, 2*H:3*H])
    g = np.tanh(a[:, 3*H:])
    c = f * c_prev + i * g
    h = o * np.tanh(c)
    return np.hstack((h, c)), (x, h_prev, c_prev, Wx, Wh, i, f, o, g, c)


def lstm_step_backward(dhc, cache):
    x, h_prev, c_prev, Wx, Wh, i, f, o, g, c = cache
    H = h_prev.shape[1]
    dh, dc_next = dhc[:, :H], dhc[:, H:]
    tc = np.tanh(c)
    do = dh * tc
    dc = dc_next  # wrong
    df = dc * c_prev
    di = dc * g
    dg = dc * i
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)))
    dx = da @ Wx.T
    dh_prev = da @ Wh.T
    dc_prev = dc * f
    dWx = x.T @ da
    dWh = h_prev.T @ da
    db = da.sum(0)
    return dx, dh_prev, dc_prev, dWx, dWh, db


@case("lstm step cell only from next cell", "dc", "omitted path",
      "The cell also reaches the loss through h = o tanh(c): add dh * o * (1 - tanh(c)^2) to dc.")
def _(rng):
    N, D, H = 3, 2, 4
    return ((lstm_step_forward, lstm_step_backward),
            (rng.normal(size=(N, D)), rng.normal(size=(N, H)), rng.normal(size=(N, H)),
             rng.normal(size=(D, 4*H)), rng.normal(size=(H, 4*H)), rng.normal(size=4*H)), {})


def lstm_seq_forward(xs, Wf, Wi, Wc, Wo):
    """one sequence, xs: (T, D); each W: (H, H + D), no biases"""
    H = Wf.shape[0]
    h, c = np.zeros(H), np.zeros(H)
    steps, hs = [], []
    for x in xs:
        z = np.concatenate([h, x])
        f, i, o = sigmoid(Wf @ z), sigmoid(Wi @ z), sigmoid(Wo @ z)
        c_bar = np.tanh(Wc @ z)
        c_old = c
        c = f * c_old + i * c_bar
        h = o * np.tanh(c)
        steps.append((z, f, i, c_bar, o, c_old, c))
        hs.append(h)
    return np.array(hs), (steps, Wf, Wi, Wc, Wo)


def lstm_seq_backward(dhs, cache):
    steps, Wf, Wi, Wc, Wo = cache
    H = Wf.shape[0]
    dWf, dWi, dWc, dWo = [np.zeros_like(Wf) for _ in range(4)]
    dxs = []
    dh_next = np.zeros(H)
    dc_next = np.zeros(H)
    for (z, f, i, c_bar, o, c_old, c), dh in zip(steps[::-1], dhs[::-1]):
        dh = dh + dh_next
        dc = dc_next + dh * o * (1 - np.tanh(c)**2)
        do_raw = dh * np.tanh(c) * o * (1 - o)
        df_raw = dc * c_old * f * (1 - f)
        di_raw = dc * c_bar * i * (1 - i)
        dcbar_raw = dc * i * (1 - c_bar**2)
        dWf += np.outer(df_raw, z); dWi += np.outer(di_raw, z)
        dWc += np.outer(dcbar_raw, z); dWo += np.outer(do_raw, z)
        dz = Wf.T @ df_raw + Wi.T @ di_raw + Wc.T @ dcbar_raw + Wo.T @ do_raw
        dh_next = dz[:H]
        dxs.insert(0, dz[H:])
        dc_next = dc * i  # wrong
    return np.array(dxs), dWf, dWi, dWc, dWo


@case("lstm cell gradient by input gate", "dc_next", "wrong variable",
      "The old cell was multiplied by the FORGET gate, so that is what its gradient is multiplied by.")
def _(rng):
    T, D, H = 6, 2, 3
    return (lstm_seq_forward, lstm_seq_backward), (rng.normal(size=(T, D)),) + tuple(rng.normal(size=(H, H + D)) for _ in range(4)), {}


def gru_cell_forward(x, h, Wz, Wr, Wn, Uz, Ur, Un):
    z = sigmoid(x @ Wz + h @ Uz)
    r = sigmoid(x @ Wr + h @ Ur)
    rh = r * h
    n = np.tanh(x @ Wn + rh @ Un)
    h_new = (1 - z) * n + z * h
    return h_new, (x, h, Wz, Wr, Wn, Uz, Ur, Un, z, r, rh, n)


def gru_cell_backward(dh_new, cache):
    x, h, Wz, Wr, Wn, Uz, Ur, Un, z, r, rh, n = cache
    dz = dh_new * (h - n)
    dn = dh_new * (1 - z)
    dan = dn * (1 - n ** 2)
    drh = dan @ Un.T
    dr = drh * h
    daz = dz * z * (1 - z)
    dar = dr * r * (1 - r)
    dx = daz @ Wz.T + dar @ Wr.T + dan @ Wn.T
    dh = dh_new * z + daz @ Uz.T + dar @ Ur.T  # wrong
    return (dx, dh, x.T @ daz, x.T @ dar, x.T @ dan,
            h.T @ daz, h.T @ dar, rh.T @ dan)


@case("gru path through the candidate", "dh", "omitted path",
      "The old state also enters the candidate as r * h: drh * r is missing from dh.")
def _(rng):
    N, D, H = 2, 3, 4
    W = [rng.normal(size=(D, H)) for _ in range(3)]
    U = [rng.normal(size=(H, H)) for _ in range(3)]
    return (gru_cell_forward, gru_cell_backward), (rng.normal(size=(N, D)), rng.normal(size=(N, H)), *W, *U), {}


# ------------------------------------------------------------------ attention

def attention_forward(Q, K, V):
    d_k = Q.shape[-1]
    S = Q @ K.T / np.sqrt(d_k)
    A = softmax(S)
    return A @ V, (Q, K, V, A)


def attention_backward(dO, cache):
    Q, K, V, A = cache
    d_k = Q.shape[-1]
    dV = A.T @ dO
    dA = dO @ V.T
    dS = A * (dA - np.sum(dA * A, axis=-1, keepdims=True))
    dQ = dS @ K / np.sqrt(d_k)
    dK = dS.T @ Q  # wrong
    return dQ, dK, dV


@case("attention key scale missing", "dK", "missing factor",
      "The scores were divided by sqrt(d_k), which reaches the keys as well as the queries.")
def _(rng):
    return (attention_forward, attention_backward), (rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))), {}


def heads_attention_fwd(q, k, v):
    # all (B, H, T, d)
    att = np.matmul(q, k.transpose(0, 1, 3, 2)) * q.shape[-1] ** -0.5
    att = softmax(att, axis=-1)
    return np.matmul(att, v), (q, k, v, att)


def heads_attention_bwd(dy, cache):
    q, k, v, att = cache
    dv = np.matmul(att, dy)  # wrong
    datt = np.matmul(dy, v.transpose(0, 1, 3, 2))
    dpre = att * (datt - (datt * att).sum(-1, keepdims=True))
    dpre = dpre * q.shape[-1] ** -0.5
    dq = np.matmul(dpre, k)
    dk = np.matmul(dpre.transpose(0, 1, 3, 2), q)
    return dq, dk, dv


@case("heads value gradient not transposed", "dv", "batched transpose",
      "y = att v for every head, so dv = att^T dy with the last two axes swapped; for self-attention att is square and no shape complains.")
def _(rng):
    return (heads_attention_fwd, heads_attention_bwd), tuple(rng.normal(size=(2, 2, 3, 4)) for _ in range(3)), {}


def causal_attention_forward(q, k, v):
    B, T, d = q.shape
    scores = np.einsum('btd,bsd->bts', q, k) / np.sqrt(d)
    future = np.triu(np.ones((T, T), dtype=bool), k=1)
    scores[:, future] = -1e9
    w = softmax(scores)
    out = np.einsum('bts,bsd->btd', w, v)
    return out, (q, k, v, w)


def causal_attention_backward(dout, cache):
    q, k, v, w = cache
    B, T, d = q.shape
    dw = np.einsum('btd,bsd->bts', dout, v)
    dv = np.einsum('bts,btd->bsd', w, dout)
    dscores = w * (dw - np.einsum('bts,bts->bt', w, dw)[:, :, None])
    dscores[:, np.triu(np.ones((T, T), dtype=bool))] = 0  # wrong
    dscores /= np.sqrt(d)
    dq = np.einsum('bts,bsd->btd', dscores, k)
    dk = np.einsum('bts,btd->bsd', dscores, q)
    return dq, dk, dv


@case("causal mask hides the diagonal", "dscores", "wrong mask",
      "A token may look at itself: only what lies strictly above the diagonal (k=1) is masked.")
def _(rng):
    return (causal_attention_forward, causal_attention_backward), tuple(rng.normal(size=(2, 4, 3)) for _ in range(3)), {}


class MultiHeadSelfAttention:
    def __init__(self, dim, heads, rng):
        self.h = heads
        self.Wqkv = rng.normal(size=(dim, 3 * dim)) * 0.5
        self.Wo = rng.normal(size=(dim, dim)) * 0.5
        self.dWqkv = self.dWo = None

    def split(self, t):
        B, T, C = t.shape
        return t.reshape(B, T, self.h, C // self.h).transpose(0, 2, 1, 3)

    def merge(self, t):
        B, h, T, d = t.shape
        return t.transpose(0, 2, 1, 3).reshape(B, T, h * d)

    def forward(self, x):
        q, k, v = [self.split(t) for t in np.split(x @ self.Wqkv, 3, axis=-1)]
        s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        p = softmax(s)
        y = self.merge(p @ v)
        self.cache = (x, q, k, v, p, y)
        return y @ self.Wo

    def backward(self, dout):
        x, q, k, v, p, y = self.cache
        C = x.shape[-1]
        self.dWo = y.reshape(-1, C).T @ dout.reshape(-1, C)
        dy = dout @ self.Wo.T
        dheads = dy.reshape(q.shape)  # wrong
        dv = p.swapaxes(-1, -2) @ dheads
        dp = dheads @ v.swapaxes(-1, -2)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
        dq = ds @ k
        dk = ds.swapaxes(-1, -2) @ q
        dqkv = np.concatenate([self.merge(dq), self.merge(dk), self.merge(dv)], axis=-1)
        self.dWqkv = x.reshape(-1, C).T @ dqkv.reshape(-1, 3 * C)
        return dqkv @ self.Wqkv.T


@case("multi head split without transpose", "dheads", "wrong reshape",
      "(B, T, C) becomes (B, h, T, d) by reshape AND transpose; a bare reshape mixes tokens and heads.")
def _(rng):
    return MultiHeadSelfAttention(4, 2, rng), (rng.normal(size=(2, 3, 4)),), {}


# ------------------------------------------------------------------ embedding, whole nets

def embedding_forward(idx, table):
    return table[idx], (idx, table.shape)


def embedding_backward(dout, cache):
    idx, shape = cache
    dtable = np.zeros(shape)
    dtable[idx] += dout  # wrong
    return dtable


@case("embedding repeated words lost", "dtable", "= for +=",
      "With fancy indexing += writes a repeated word's row once only; np.add.at adds up all its occurrences.")
def _(rng):
    return (embedding_forward, embedding_backward), (np.array([[1, 4, 1], [0, 1, 4]]), rng.normal(size=(6, 3))), {}


def two_layer_loss(W1, b1, W2, b2, X=None, y=None, reg=0.0):
    N = X.shape[0]
    z1 = X.dot(W1) + b1
    a1 = np.maximum(0, z1)
    scores = a1.dot(W2) + b2
    probs = softmax(scores)
    loss = -np.log(probs[np.arange(N), y]).mean()
    loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
    return loss, (X, y, reg, W1, W2, z1, a1, probs)


def two_layer_grads(dloss, cache):
    X, y, reg, W1, W2, z1, a1, probs = cache
    N = X.shape[0]
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores *= dloss / N
    # W2 and b2
    dW2 = z1.T.dot(dscores)  # wrong
    db2 = np.sum(dscores, axis=0)
    # hidden layer
    dhidden = dscores.dot(W2.T)
    dhidden[z1 <= 0] = 0
    # W1 and b1
    dW1 = X.T.dot(dhidden)
    db1 = np.sum(dhidden, axis=0)
    # regularization
    dW2 += dloss * 2 * reg * W2
    dW1 += dloss * 2 * reg * W1
    return dW1, db1, dW2, db2


@case("two layer net before activation", "dW2", "wrong place",
      "W2 was multiplied by the hidden layer AFTER the ReLU, a1, not by z1.")
def _(rng):
    return ((two_layer_loss, two_layer_grads),
            (rng.normal(size=(4, 6)), rng.normal(size=6), rng.normal(size=(6, 3)), rng.normal(size=3)),
            {"X": rng.normal(size=(5, 4)), "y": rng.integers(0, 3, size=5), "reg": 0.05})


class DeepMLP:
    def __init__(self, sizes, rng):
        self.L = len(sizes) - 1
        self.params, self.grads = {}, {}
        for l in range(1, self.L + 1):
            self.params['W' + str(l)] = rng.normal(size=(sizes[l-1], sizes[l]))
            self.params['b' + str(l)] = rng.normal(size=(1, sizes[l]))

    def forward(self, X):
        self.A = {0: X}
        self.Z = {}
        for l in range(1, self.L + 1):
            self.Z[l] = np.dot(self.A[l-1], self.params['W' + str(l)]) + self.params['b' + str(l)]
            self.A[l] = np.tanh(self.Z[l]) if l < self.L else self.Z[l]
        return self.A[self.L]

    def backward(self, dout):
        dZ = dout
        last = self.L - 1
        for l in range(self.L, 0, -1):
            self.grads['W' + str(l)] = np.dot(self.A[l-1].T, dZ)
            self.grads['b' + str(l)] = np.sum(dZ, axis=0, keepdims=True)
            dA = np.dot(dZ, self.params['W' + str(l)].T)
            if l > 1:
                dZ = dA * (1 - self.A[last] ** 2)  # wrong
        return dA


@case("deep mlp stale layer in loop", "dZ", "stale variable",
      "Every layer needs its own activation A[l-1]; 'last' is fixed before the loop and stays the last hidden layer's.")
def _(rng):
    return DeepMLP([3, 4, 4, 4, 2], rng), (rng.normal(size=(3, 3)),), {}


def residual_block(x, W1, W2):
    u = x @ W1
    r = np.maximum(u, 0)
    y = x + r @ W2
    return y, (x, u, r, W1, W2)


def residual_block_backward(dy, cache):
    x, u, r, W1, W2 = cache
    dr = dy @ W2.T
    dW2 = r.T @ dy
    du = dr * (u > 0)
    dW1 = x.T @ du
    dx = du @ W1.T  # wrong
    return dx, dW1, dW2


@case("residual block forgets the skip", "dx", "omitted path",
      "x also reaches y directly: the skip connection adds dy itself to dx.")
def _(rng):
    return (residual_block, residual_block_backward), (rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=(5, 3))), {}


# ------------------------------------------------------------------ two mistakes each

def regression_net_forward(W1, b1, W2, b2, X=None, T=None):
    H = np.maximum(X @ W1 + b1, 0)
    Y = H @ W2 + b2
    mse = np.mean((Y - T) ** 2)
    return mse, (X, T, H, Y, W2)


def regression_net_backward(dmse, cache):
    X, T, H, Y, W2 = cache
    dY = dmse * 2 * (T - Y) / Y.size  # wrong
    dW2 = H.T @ dY
    db2 = dY.sum(axis=0)
    dH = dY @ W2.T
    dZ1 = dH * (H > 0)
    dW1 = X.T @ dZ1
    db1 = dZ1.mean(axis=0)  # wrong
    return dW1, db1, dW2, db2


@case("regression net sign and bias mean", "dY", "two mistakes",
      "The gradient of (Y - T)^2 is 2 (Y - T), not 2 (T - Y); and db1 is a sum over the examples, not a mean.")
def _(rng):
    return ((regression_net_forward, regression_net_backward),
            (rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=(5, 2)), rng.normal(size=2)),
            {"X": rng.normal(size=(6, 3)), "T": rng.normal(size=(6, 2))})


def norm_layer_fwd(x, g, b):
    m = x.mean(1)[:, None]
    s = np.sqrt(x.var(1) + 1e-5)[:, None]
    n = (x - m) / s
    return g * n + b, (n, s, g)


def norm_layer_bwd(dout, cache):
    n, s, g = cache
    dg = (dout * n).sum(0)
    db = dout.sum(1)  # wrong
    dn = dout * g
    mean1 = dn.mean(axis=1)  # wrong
    mean2 = (dn * n).mean(axis=1)[:, None]
    dx = (dn - mean1 - n * mean2) / s
    return dx, dg, db


@case("layernorm square batch", "db", "two mistakes",
      "b is shared by the examples: sum over axis 0; and mean1 lost its kept axis, so it is subtracted along the wrong direction (no error because N = D here).")
def _(rng):
    return (norm_layer_fwd, norm_layer_bwd), (rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=5)), {}


def conv_windows_forward(x, W, b):
    k = W.shape[-1]
    win = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
    y = np.einsum('nchwij,fcij->nfhw', win, W) + b[:, None, None]
    return y, (x, W, win)


def conv_windows_backward(gy, cache):
    x, W, win = cache
    k = W.shape[-1]
    gb = gy.mean(axis=(0, 2, 3))  # wrong
    gW = np.einsum('nchwij,nfhw->fcij', win, gy)
    gx = np.zeros_like(x)
    H, Wd = gy.shape[2:]
    for i in range(k):
        for j in range(k):
            gx[:, :, i:i+H, j:j+Wd] += np.einsum('nfhw,fc->nchw', gy, W[:, :, j, i])  # wrong
    return gx, gW, gb


@case("conv windows bias mean and swapped kernel", "gb", "two mistakes",
      "The bias gradient is a sum over images and positions; and the kernel is read as W[j, i] where the slice stands at (i, j).")
def _(rng):
    return (conv_windows_forward, conv_windows_backward), (rng.normal(size=(2, 2, 5, 4)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)), {}


def elman_forward(xs, U, W, b):
    hs = [np.zeros(W.shape[0])]
    for x in xs:
        hs.append(np.tanh(U @ x + W @ hs[-1] + b))
    return np.stack(hs[1:]), (xs, U, W, hs)


def elman_backward(dhs, cache):
    xs, U, W, hs = cache
    dU, dW, db = np.zeros(U.shape), np.zeros(W.shape), np.zeros(W.shape[0])
    dxs = np.zeros(xs.shape)
    carry = np.zeros(W.shape[0])
    for t in range(len(xs) - 1, -1, -1):
        dh = dhs[t] + carry
        dz = dh * (1 - hs[t + 1])  # wrong
        dU += np.outer(dz, xs[t])
        dW += np.outer(dz, hs[t])
        db = dz  # wrong
        dxs[t] = U.T @ dz
        carry = W.T @ dz
    return dxs, dU, dW, db


@case("elman square and bias accumulation", "dz", "two mistakes",
      "tanh' is 1 - h^2 (the square is missing); and the bias is shared by all steps, so db is accumulated, not replaced.")
def _(rng):
    return (elman_forward, elman_backward), (rng.normal(size=(5, 3)), rng.normal(size=(4, 3)) * .5, rng.normal(size=(4, 4)) * .5, rng.normal(size=4) * .3), {}


class BatchNorm1d:
    def __init__(self, dim, rng, eps=1e-5):
        self.gamma = rng.normal(size=dim); self.beta = rng.normal(size=dim)
        self.dgamma = None; self.dbeta = None
        self.eps = eps
        self.cache = {}

    def forward(self, x):
        mu = np.mean(x, axis=0); var = np.var(x, axis=0)
        x_norm = (x-mu)/np.sqrt(var+self.eps)
        self.cache = dict(x=x, mu=mu, var=var, x_norm=x_norm)
        return self.gamma*x_norm+self.beta

    def backward(self, dout):
        x, mu, var, x_norm = (self.cache[k] for k in ('x', 'mu', 'var', 'x_norm'))
        m = x.shape[0]
        self.dgamma = np.sum(dout*x_norm, axis=0)
        self.dbeta = np.sum(dout, axis=0)
        dx_norm = dout*self.gamma
        dvar = np.sum(dx_norm*(x-mu)*0.5*(var+self.eps)**(-3/2), axis=0)  # wrong
        dmu = np.sum(dx_norm*(-1/np.sqrt(var+self.eps)), axis=0)+dvar*np.mean(-2*(x-mu), axis=0)
        dx = dx_norm/np.sqrt(var+self.eps)+dvar*2*(x-mu)/m+dmu  # wrong
        return dx


@case("batchnorm class sign and mean", "dvar", "two mistakes",
      "(var+eps)^(-1/2) differentiates to MINUS one half times the power -3/2; and the mean spreads dmu over m examples, dmu / m.")
def _(rng):
    return BatchNorm1d(3, rng), (rng.normal(size=(6, 3)),), {}
