"""Sixty wrong backward passes as strangers write them: each line at fault ends in `# wrong`."""
import numpy as np

CASES = []


def case(name, variable, kind, what):
    def add(make):
        CASES.append((name, variable, kind, what, make))
        return make
    return add


# ---------------------------------------------------------------- linear

def affine_forward_a(x, w, b):
    return x.dot(w) + b, (x, w)

def affine_backward_a(dout, cache):
    x, w = cache
    return dout.dot(w.T), dout.T.dot(x), dout.sum(0)  # wrong

@case("affine square dw transposed", "return", "transposed operand",
      "dw is x.T @ dout; with a square w the product dout.T @ x has the right shape and is its transpose.")
def _(rng):
    return (affine_forward_a, affine_backward_a), (rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)), {}


class Dense:
    """Fully connected layer, y = xW + b"""
    def __init__(self, n_in, n_out, rng):
        self.W = rng.normal(size=(n_in, n_out)) * 0.5
        self.b = np.zeros(n_out)
        self.dW = None
        self.db = None
        self.cache = None

    def forward(self, x):
        self.cache = x
        return np.dot(x, self.W) + self.b

    def backward(self, grad_output):
        x = self.cache
        m = x.shape[0]
        # average over the mini-batch
        self.dW = np.dot(x.T, grad_output) / m  # wrong
        self.db = np.sum(grad_output, axis=0)
        return np.dot(grad_output, self.W.T)

@case("dense layer averages dW", "self.dW", "extra factor",
      "The mean over the batch belongs to the loss, whose gradient carries the 1/m already; a layer sums.")
def _(rng):
    return Dense(4, 3, rng), (rng.normal(size=(5, 4)),), {}


def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    M = b.shape[0]
    out = x.reshape(N * T, D).dot(w).reshape(N, T, M) + b
    cache = x, w, b
    return out, cache

def temporal_affine_backward(dout, cache):
    x, w, b = cache
    N, T, D = x.shape
    M = b.shape[0]

    dout_flat = dout.reshape(N * T, M)
    x_flat = x.transpose(1, 0, 2).reshape(N * T, D)  # wrong
    dx = dout_flat.dot(w.T).reshape(N, T, D)
    dw = x_flat.T.dot(dout_flat)
    db = dout_flat.sum(axis=0)

    return dx, dw, db

@case("temporal affine flattened in two orders", "x_flat", "reshape order",
      "x is flattened time first and dout batch first, so that the rows of the product belong to different steps.")
def _(rng):
    return (temporal_affine_forward, temporal_affine_backward), (rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)), {}


@case("autograd function linear einsum", "grad_x", "transposed operand",
      "The upstream's index m is W's second: 'btm,dm->btd'; with a square W the other subscripts go through as well.")
def _(rng):
    class LinearFunction:
        @staticmethod
        def forward(ctx, x, W):
            ctx.save_for_backward(x, W)
            return np.einsum('btd,dm->btm', x, W)

        @staticmethod
        def backward(ctx, grad_output):
            x, W = ctx.saved_tensors
            grad_x = np.einsum('btm,md->btd', grad_output, W)  # wrong
            grad_W = np.einsum('btd,btm->dm', x, grad_output)
            return grad_x, grad_W

    return LinearFunction, (rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 4))), {}


# ---------------------------------------------------------------- activations

def lrelu(x, alpha=0.1):
    return np.maximum(x, alpha * x), (x, alpha)

def lrelu_grad(dout, cache):
    x, alpha = cache
    return np.where(dout > 0, dout, alpha * dout)  # wrong

@case("leaky relu looks at dout", "return", "other variable",
      "Which slope holds is decided by the sign of the input x, not by that of the upstream gradient.")
def _(rng):
    return (lrelu, lrelu_grad), (rng.normal(size=(4, 5)),), {}


def elu_forward(z, alpha=1.5):
    a = np.where(z > 0, z, alpha * (np.exp(z) - 1))
    return a, (z, a, alpha)

def elu_backward(da, cache):
    z, a, alpha = cache
    return da * np.where(z > 0, 1, a)  # wrong

@case("elu without plus alpha", "return", "left out",
      "alpha e^z is a + alpha, because a has the alpha subtracted; a alone is negative.")
def _(rng):
    return (elu_forward, elu_backward), (rng.normal(size=(3, 6)),), {}


class SigmoidLayer(object):
    def __init__(self):
        self.cache = None

    def _sigmoid(self, t):
        return 1.0 / (1.0 + np.exp(-t))

    def forward(self, x):
        self.cache = self._sigmoid(x)
        return self.cache

    def backward(self, dout):
        sig = self._sigmoid(self.cache)  # wrong
        return dout * sig * (1.0 - sig)

@case("sigmoid of a sigmoid", "sig", "applied twice",
      "The cache holds the output already: the derivative is out(1 - out), without another sigmoid.")
def _(rng):
    return SigmoidLayer(), (rng.normal(size=(4, 3)),), {}


@case("tanh square of the bracket", "return", "exponent",
      "The derivative of tanh is 1 - y^2, the square of y alone, not (1 - y)^2.")
def _(rng):
    def tanh_forward(x):
        y = np.tanh(x)
        return y, y

    def tanh_backward(dy, y):
        return dy * (1 - y) ** 2  # wrong
    return (tanh_forward, tanh_backward), (rng.normal(size=(5, 2)),), {}


@case("softplus lambda sign", "return", "sign",
      "The derivative of log(1 + e^x) is the sigmoid of x, 1/(1 + e^-x): the exponent has lost its minus.")
def _(rng):
    softplus = lambda x: (np.log1p(np.exp(x)), x)
    d_softplus = lambda g, x: g / (1 + np.exp(x))  # wrong
    return (softplus, d_softplus), (rng.normal(size=(3, 4)),), {}


def gelu_forward(x: np.ndarray):
    c = np.sqrt(2.0 / np.pi)
    inner = c * (x + 0.044715 * x ** 3)
    t = np.tanh(inner)
    out = 0.5 * x * (1.0 + t)
    return out, (x, t, c)

def gelu_backward(grad_out: np.ndarray, cache: tuple) -> np.ndarray:
    x, t, c = cache
    dinner_dx = c * (1.0 + 0.044715 * x ** 2)  # wrong
    dt_dx = (1.0 - t ** 2) * dinner_dx
    left = 0.5 * (1.0 + t)
    right = 0.5 * x * dt_dx
    grad_in = grad_out * (left + right)
    return grad_in

@case("gelu cube loses its three", "dinner_dx", "missing factor",
      "The derivative of 0.044715 x^3 is 3 * 0.044715 x^2.")
def _(rng):
    return (gelu_forward, gelu_backward), (2.5 * rng.normal(size=(4, 4)),), {}


@case("swish upstream on one term only", "return", "forgotten upstream",
      "Both terms of the product rule are multiplied by dout: the brackets around the sum are missing.")
def _(rng):
    def sigmoid(x): return 1/(1+np.exp(-x))
    def swish(x): return x*sigmoid(x), (x, x*sigmoid(x))
    def swish_prime(dout, cache):
        x, y = cache
        return dout*sigmoid(x) + y*(1-sigmoid(x))  # wrong
    return (swish, swish_prime), (rng.normal(size=(6,)),), {}


# ---------------------------------------------------------------- softmax and losses

@case("softmax sum without the probabilities", "return", "missing factor",
      "The sum that is subtracted is of dout * p: without p it is not the Jacobian's outer product.")
def _(rng):
    def softmax(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return p, p

    def softmax_backward(dout, p):
        return p * (dout - dout.sum(axis=1, keepdims=True))  # wrong
    return (softmax, softmax_backward), (rng.normal(size=(4, 5)),), {}


class SoftmaxActivation:
    def forward(self, Z):
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        self.P = E / E.sum(axis=1, keepdims=True)
        return self.P

    def backward(self, dP):
        dZ = np.zeros_like(dP)
        for row in range(len(dP)):
            s = self.P[row].reshape(-1, 1)      # as a column
            J = np.diagflat(s) - s.T @ s  # wrong
            dZ[row] = J @ dP[row]
        return dZ

@case("softmax jacobian inner for outer product", "J", "broadcasting",
      "s.T @ s of a column is one number, which broadcasts; the Jacobian needs the outer product s @ s.T.")
def _(rng):
    return SoftmaxActivation(), (rng.normal(size=(3, 4)),), {}


def log_softmax(x):
    x = x - np.max(x, axis=-1, keepdims=True)
    y = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return y, y

def log_softmax_backward(gy, y):
    return gy - np.exp(y) * gy.mean(axis=-1, keepdims=True)  # wrong

@case("log-softmax mean for sum", "return", "mean for sum",
      "log sum exp reaches every output once: its gradient is the sum of gy along the row, not the mean.")
def _(rng):
    return (log_softmax, log_softmax_backward), (rng.normal(size=(2, 3, 5)),), {}


def softmax_loss_forward(scores, y):
    shifted = scores - scores.max(axis=1)[:, None]
    exp_scores = np.exp(shifted)
    probs = exp_scores / exp_scores.sum(axis=1)[:, None]
    N = scores.shape[0]
    loss = -np.log(probs[np.arange(N), y]).sum() / N
    return loss, (probs, y)

def softmax_loss_backward(dloss, cache):
    probs, y = cache
    num_train = len(y)
    dscores = probs.copy()
    dscores[np.arange(num_train), y] -= 1
    dscores /= dscores.shape[1]  # wrong
    dscores *= dloss
    return dscores

@case("cross entropy divided by the classes", "dscores", "wrong factor",
      "The loss is a mean over the N examples, so divide by shape[0], not by the number of classes.")
def _(rng):
    return (softmax_loss_forward, softmax_loss_backward), (rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)), {}


@case("weighted cross entropy weights as columns", "return", "broadcasting",
      "Each row is scaled by the weight of its own class, w[t][:, None]; p - onehot times w scales the columns.")
def _(rng):
    w = np.array([0.5, 1.0, 2.0, 4.0])

    def ce(z, t):
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        return -(w[t] * np.log(p[range(len(t)), t])).mean(), (p, t)

    def ce_back(g, cache):
        p, t = cache
        return g * (p - np.eye(4)[t]) * w / len(t)  # wrong
    return (ce, ce_back), (rng.normal(size=(5, 4)), rng.integers(0, 4, size=5)), {}


def xent_onehot_forward(logits, onehot):
    z = logits - logits.max(axis=1, keepdims=True)
    expz = np.exp(z)
    p = expz / expz.sum(axis=1, keepdims=True)
    loss = -np.sum(onehot * np.log(p)) / logits.shape[0]
    return loss, (p, onehot)

def xent_onehot_backward(dL, cache):
    p, onehot = cache
    n = p.shape[0]
    # loss = -1/n sum(y log p)
    dlogp = -onehot * dL / n
    dp = dlogp / p
    # softmax'(z) = p * (1 - p)
    dlogits = dp * p * (1 - p)  # wrong
    return dlogits

@case("softmax derived as if it were a sigmoid", "dlogits", "omitted path",
      "p(1 - p) is the Jacobian's diagonal only; every logit also moves the other probabilities.")
def _(rng):
    y = np.eye(4, dtype=int)[rng.integers(0, 4, size=5)]
    return (xent_onehot_forward, xent_onehot_backward), (rng.normal(size=(5, 4)), y), {}


@case("bce with logits and a sigmoid prime too many", "return", "extra factor",
      "In cross entropy the p(1 - p) of the sigmoid cancels: the gradient by the logit is p - y.")
def _(rng):
    def bce_logits(z, y):
        p = 1. / (1. + np.exp(-z))
        return -np.mean(y*np.log(p) + (1-y)*np.log(1-p)), (p, y)

    def bce_logits_grad(dout, cache):
        p, y = cache
        return dout * (p - y) * p * (1 - p) / y.shape[0]  # wrong
    return (bce_logits, bce_logits_grad), (rng.normal(size=7), rng.integers(0, 2, size=7)), {}


@case("mse divided by the rows", "return", "wrong factor",
      "np.mean divides by all N*D entries, so the gradient does too: diff.size, not len(diff).")
def _(rng):
    def mse(pred, target):
        return np.mean((pred - target) ** 2), pred - target
    def mse_grad(dout, diff):
        return dout * 2 * diff / len(diff)  # wrong
    return (mse, mse_grad), (rng.normal(size=(4, 3)),), {"target": rng.normal(size=(4, 3))}


def huber_forward(y_pred, y_true=None, delta=0.5):
    e = y_pred - y_true
    l = np.where(np.abs(e) <= delta, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta))
    return l.mean(), (e, delta)

def huber_backward(dl, cache):
    e, delta = cache
    return dl * np.where(np.abs(e) <= delta, e, np.sign(e)) / e.size  # wrong

@case("huber slope without delta", "return", "missing factor",
      "Outside delta the slope is delta * sign(e); for delta = 1 nobody notices.")
def _(rng):
    return (huber_forward, huber_backward), (rng.normal(size=(5, 2)),), {"y_true": rng.normal(size=(5, 2))}


def svm_loss_naive_forward(W, X, y):
    num_classes = W.shape[1]
    num_train = X.shape[0]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - scores[y[i]] + 1
            if margin > 0:
                loss += margin
    return loss / num_train, (W, X, y)

def svm_loss_naive_backward(dloss, cache):
    W, X, y = cache
    num_train, num_classes = X.shape[0], W.shape[1]
    dW = np.zeros(W.shape)
    dX = np.zeros(X.shape)
    for i in range(num_train):
        scores = X[i].dot(W)
        for j in range(num_classes):
            if j == y[i]:
                continue
            if scores[j] - scores[y[i]] + 1 > 0:
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[j]  # wrong
                dX[i] += W[:, j] - W[:, y[i]]
    return dloss * dW / num_train, dloss * dX / num_train

@case("svm loop takes row j", "dW", "other variable",
      "Both columns get the example i; j counts classes, and X[j] is some other example.")
def _(rng):
    return (svm_loss_naive_forward, svm_loss_naive_backward), (rng.normal(size=(4, 3)), rng.normal(size=(6, 4)), rng.integers(0, 3, size=6)), {}


# ---------------------------------------------------------------- normalisation

def batchnorm_forward_k(X, g, b, eps=1e-5):
    n = X.shape[0]
    avg = X.sum(axis = 0) / n
    diff = X - avg
    diff2 = diff ** 2
    v = diff2.sum(axis = 0) / n
    root = np.sqrt(v + eps)
    iroot = 1. / root
    Xn = diff * iroot
    Y = Xn * g + b
    return Y, (g, diff, v, root, iroot, Xn, eps)

def batchnorm_backward_k(dY, cache):
    g, diff, v, root, iroot, Xn, eps = cache
    n, d = dY.shape
    ones = np.ones((n, d))

    # Y = Xn * g + b
    db = dY.sum(axis = 0)
    dg = (dY * Xn).sum(axis = 0)
    dXn = dY * g
    # Xn = diff * iroot
    ddiff = dXn * iroot
    diroot = (dXn * diff).sum(axis = 0)
    # iroot = 1 / root
    droot = -diroot / root**2
    # root = sqrt(v + eps)
    dv = 0.5 * np.sqrt(v + eps) * droot  # wrong
    # v = mean(diff2)
    ddiff2 = ones * dv / n
    # diff2 = diff ** 2   (second use of diff)
    ddiff += 2 * diff * ddiff2
    # diff = X - avg
    davg = -ddiff.sum(axis = 0)
    dX = ddiff + ones * davg / n
    return dX, dg, db

@case("batch norm staged root not inverted", "dv", "exponent",
      "The derivative of a square root is 1/(2 sqrt): the root belongs in the denominator.")
def _(rng):
    return (batchnorm_forward_k, batchnorm_backward_k), (2 * rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=4)), {}


def bn_forward_b(x, gamma, beta):
    mu = x.mean(axis=0)
    xc = x - mu
    var = np.mean(xc**2, axis=0)
    inv_std = (var + 1e-5)**-0.5
    xn = xc * inv_std
    return gamma*xn + beta, (xc, inv_std, xn, gamma)

def bn_backward_b(d_out, cache):
    xc, inv_std, xn, gamma = cache
    m = xc.shape[0]

    d_beta = d_out.sum(axis=0)
    d_gamma = (d_out * xn).sum(axis=0)

    d_xn = d_out * gamma
    # branch 1: straight through the division
    d_xc = d_xn * inv_std
    # branch 2: through the variance
    d_inv_std = (d_xn * xc).sum(axis=0)
    d_var = -0.5 * inv_std**3 * d_inv_std
    d_xc_var = 2.0 / m * xc * d_var

    # back through the subtraction of the mean
    d_mu = -(d_xc + d_xc_var).sum(axis=0)
    d_x = d_xc + d_mu / m  # wrong
    return d_x, d_gamma, d_beta

@case("batch norm variance branch computed but dropped", "d_x", "omitted path",
      "x - mu reaches the output also through the variance: d_xc_var has to be added to d_x.")
def _(rng):
    return (bn_forward_b, bn_backward_b), (rng.normal(size=(6, 3)), rng.normal(size=3), rng.normal(size=3)), {}


def bn_forward_alt(x, gamma, beta, eps=1e-5):
    mu, var = x.mean(0), x.var(0)
    istd = 1 / np.sqrt(var + eps)
    xhat = (x - mu) * istd
    return gamma * xhat + beta, (x - mu, xhat, istd, gamma)

def bn_backward_alt(dout, cache):
    xmu, xhat, istd, gamma = cache; N = dout.shape[0]
    dgamma, dbeta = (dout * xhat).sum(0), dout.sum(0)
    dx = gamma * istd / N * (N * dout - dbeta - xmu * (dout * xhat).sum(0))  # wrong
    return dx, dgamma, dbeta

@case("batch norm closed form with x minus mu", "dx", "other variable",
      "In the closed form the last term is xhat * dgamma; x - mu there lacks a factor 1/std.")
def _(rng):
    return (bn_forward_alt, bn_backward_alt), (3 * rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4)), {}


class BatchNorm1d:
    def __init__(self, dim, eps=1e-1):
        self.eps = eps
        self.params = {'gamma': np.linspace(0.5, 1.5, dim), 'beta': np.zeros(dim)}
        self.grads = {}

    def forward(self, x):
        mean, var = x.mean(0, keepdims=True), x.var(0, keepdims=True)
        x_norm = (x - mean) / np.sqrt(var + self.eps)
        self.cache = x_norm, var
        return self.params['gamma'] * x_norm + self.params['beta']

    def backward(self, dout):
        x_norm, var = self.cache
        self.grads['gamma'] = np.sum(dout * x_norm, axis=0)
        self.grads['beta'] = np.sum(dout, axis=0)
        std = np.sqrt(var) + self.eps  # wrong
        dxn = dout * self.params['gamma']
        return (dxn - dxn.mean(0) - x_norm * np.mean(dxn * x_norm, axis=0)) / std

@case("batch norm class eps outside the root", "std", "eps place",
      "The forward adds eps to the variance, inside the root; the backward has to divide by the same number.")
def _(rng):
    return BatchNorm1d(3), (0.4 * rng.normal(size=(5, 3)),), {}


def bn_paper_forward(X, gamma, beta):
    eps = 1e-8
    mu = np.mean(X, axis=0)
    var = np.var(X, axis=0)
    X_norm = (X - mu) / np.sqrt(var + eps)
    out = gamma * X_norm + beta
    return out, (X, X_norm, mu, var, gamma, eps)

def bn_paper_backward(dout, cache):
    X, X_norm, mu, var, gamma, eps = cache
    N, D = X.shape
    X_mu = X - mu
    std_inv = 1. / np.sqrt(var + eps)

    dX_norm = dout * gamma
    dvar = np.sum(dX_norm * X_mu, axis=0) * .5 * std_inv**3  # wrong
    dmu = np.sum(dX_norm * -std_inv, axis=0) + dvar * np.mean(-2. * X_mu, axis=0)

    dX = (dX_norm * std_inv) + (dvar * 2 * X_mu / N) + (dmu / N)
    dgamma = np.sum(dout * X, axis=0)  # wrong
    dbeta = np.sum(dout, axis=0)
    return dX, dgamma, dbeta

@case("batch norm paper sign and dgamma", "dvar", "two mistakes",
      "d(1/std)/dvar is -1/2 std^-3, the minus is lost; and gamma multiplies the normalised X, not X.")
def _(rng):
    return (bn_paper_forward, bn_paper_backward), (rng.normal(size=(4, 3)) + 1, rng.normal(size=3), rng.normal(size=3)), {}


def _bn2d(x, gamma, beta):
    mu, v = x.mean(axis=0), x.var(axis=0) + 1e-5
    xh = (x - mu) / np.sqrt(v)
    return gamma * xh + beta, (xh, gamma, v)

def _bn2d_back(dout, cache):
    xh, gamma, v = cache
    m = len(xh)
    dg, db = (dout * xh).sum(axis=0), dout.sum(axis=0)
    return gamma / (m * np.sqrt(v)) * (m * dout - db - xh * dg), dg, db

def spatial_batchnorm_forward(x, gamma, beta):
    N, C, H, W = x.shape
    out, cache = _bn2d(x.transpose(0, 2, 3, 1).reshape(-1, C), gamma, beta)
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache

def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    d2 = dout.reshape(-1, C)  # wrong
    dx, dgamma, dbeta = _bn2d_back(d2, cache)
    dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return dx, dgamma, dbeta

@case("spatial batch norm reshape without transpose", "d2", "reshape order",
      "reshape(-1, C) of an (N, C, H, W) array mixes channels with pixels: move C to the end first.")
def _(rng):
    return (spatial_batchnorm_forward, spatial_batchnorm_backward), (rng.normal(size=(2, 3, 4, 4)), rng.normal(size=3), rng.normal(size=3)), {}


@case("layer norm counts examples", "N", "wrong factor",
      "Mean and variance of layer norm are over the D features, so the count in the closed form is shape[1].")
def _(rng):
    def ln_forward(x, gamma, beta):
        istd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=1, keepdims=True)) * istd
        return gamma * xhat + beta, (xhat, istd, gamma)

    def ln_backward(dout, cache):
        xhat, istd, gamma = cache
        N = xhat.shape[0]  # wrong
        dxh = dout * gamma
        return istd/N * (N*dxh - dxh.sum(1, keepdims=True) - xhat*(dxh*xhat).sum(1, keepdims=True)), (dout*xhat).sum(0), dout.sum(0)
    return (ln_forward, ln_backward), (rng.normal(size=(3, 6)), rng.normal(size=6), rng.normal(size=6)), {}


def layer_norm_fwd_s(x, g, b):
    mean = np.mean(x, axis=-1, keepdims=True)
    centered = x - mean
    var = np.mean(centered ** 2, axis=-1, keepdims=True)
    std = np.sqrt(var + 1e-6)
    normed = centered / std
    y = g * normed + b
    return y, (centered, std, normed, g)

def layer_norm_bwd_s(dy, cache):
    centered, std, normed, g = cache
    D = dy.shape[-1]
    # scale & shift
    db = np.sum(dy, axis=0)
    dg = np.sum(dy * normed, axis=1)  # wrong
    dnormed = dy * g
    # normed = centered / std
    dcentered = dnormed / std
    dstd = np.sum(-dnormed * centered / std ** 2, axis=-1, keepdims=True)
    # std = sqrt(var)
    dvar = dstd / (2 * std)
    dcentered += dvar * 2 * centered / D
    # centered = x - mean
    dmean = -np.sum(dcentered, axis=-1, keepdims=True)
    dx = dcentered + dmean / D
    return dx, dg, db

@case("layer norm gain summed over features", "dg", "wrong axis",
      "The statistics are per row, but g is per feature and shared by the rows: sum dg over the rows, like db.")
def _(rng):
    return (layer_norm_fwd_s, layer_norm_bwd_s), (rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=5)), {}


def _normalize(xT, eps=1e-5):
    mu, var = xT.mean(axis=0), xT.var(axis=0)
    inv = 1.0 / np.sqrt(var + eps)
    return (xT - mu) * inv, inv

def _normalize_back(dn, n, inv):
    M = n.shape[0]
    return inv / M * (M * dn - dn.sum(axis=0) - n * (dn * n).sum(axis=0))

def layernorm_T_forward(x, gamma, beta):
    # same as batchnorm, only transposed :)
    nT, inv = _normalize(x.T)
    return gamma * nT.T + beta, (nT, inv, gamma)

def layernorm_T_backward(dout, cache):
    nT, inv, gamma = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * nT.T).sum(axis=0)
    dxT = _normalize_back(dout * gamma, nT, inv)  # wrong
    return dxT.T, dgamma, dbeta

@case("layer norm by transposing, one transpose short", "dxT", "transposed operand",
      "The helper works on columns: dout * gamma has to be transposed like x was.")
def _(rng):
    return (layernorm_T_forward, layernorm_T_backward), (rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)), {}


def groupnorm_forward(x, gamma, beta, G=2, eps=1e-5):
    N, C, H, W = x.shape
    xg = x.reshape(N, G, C // G, H, W)
    mean = xg.mean(axis=(2, 3, 4), keepdims=True)
    var = xg.var(axis=(2, 3, 4), keepdims=True)
    std = np.sqrt(var + eps)
    xhat = (xg - mean) / std
    out = xhat.reshape(N, C, H, W) * gamma + beta
    return out, (xhat, std, gamma, G)

def groupnorm_backward(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    x_norm = xhat.reshape(N, C, H, W)

    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * x_norm).sum(axis=(0, 2, 3), keepdims=True)

    dxhat = (dout * gamma).reshape(N, G, C // G, H, W)
    mean_d = dxhat.mean(axis=(3, 4), keepdims=True)  # wrong
    mean_dx = (dxhat * xhat).mean(axis=(2, 3, 4), keepdims=True)
    dx = (dxhat - mean_d - xhat * mean_dx) / std
    dx = dx.reshape(N, C, H, W)
    return dx, dgamma, dbeta

@case("group norm mean per channel", "mean_d", "wrong axis",
      "The mean was taken over all channels of the group: axes 2, 3 and 4; (3, 4) is instance norm's.")
def _(rng):
    return (groupnorm_forward, groupnorm_backward), (rng.normal(size=(2, 4, 3, 3)), rng.normal(size=(1, 4, 1, 1)), rng.normal(size=(1, 4, 1, 1))), {}


@case("rms norm with the scaled output", "return", "cache item",
      "Both xs in the correction are the normalised x before the gain; y has the gain in it.")
def _(rng):
    def rmsnorm(x, g):
        r = np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6)
        return x / r * g, (x / r * g, x / r, r, g)

    def rmsnorm_bwd(dy, cache):
        y, n, r, g = cache
        return (dy * g - y * np.mean(dy * y, -1, keepdims=True)) / r, np.sum(dy * n, axis=(0, 1))  # wrong
    return (rmsnorm, rmsnorm_bwd), (rng.normal(size=(2, 3, 5)), rng.normal(size=5)), {}


class Dropout:
    """p = probability of KEEPING a unit"""
    def __init__(self, p=0.6, seed=3):
        self.p, self.seed = p, seed

    def forward(self, x):
        self.cache = np.random.RandomState(self.seed).rand(*x.shape) < self.p
        return x * self.cache / self.p

    def backward(self, dout):
        return dout * self.cache  # wrong

@case("inverted dropout backward unscaled", "return", "dropout scale",
      "The forward divides what it keeps by p, so the backward has to divide by p as well.")
def _(rng):
    return Dropout(), (rng.normal(size=(5, 6)),), {}


# ---------------------------------------------------------------- convolution and pooling

def conv_forward_naive(x, w, b, stride=1, pad=1):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out = 1 + (H + 2 * pad - HH) // stride
    W_out = 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode='constant')
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = x_pad[n, :, i*stride:i*stride+HH, j*stride:j*stride+WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, stride, pad)

def conv_backward_naive(dout, cache):
    x, w, b, stride, pad = cache
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    _, _, H_out, W_out = dout.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode='constant')
    dx_pad = np.zeros_like(x_pad)
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            db[f] += np.sum(dout[n, f])
            for i in range(H_out):
                for j in range(W_out):
                    hs, ws = i * stride, j * stride
                    dw[f] += x_pad[n, :, hs:hs+HH, ws:ws+WW] * dout[n, f, i, j]
                    dx_pad[n, :, hs:hs+HH, ws:ws+WW] += w[f] * dout[n, f, i, j]
    # get rid of the padding
    dx = dx_pad[:, :, :H, :W]  # wrong
    return dx, dw, db

@case("conv naive crops the wrong corner", "dx", "padding slice",
      "The image starts at index pad of the padded one: crop [pad:pad+H, pad:pad+W].")
def _(rng):
    return (conv_forward_naive, conv_backward_naive), (rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)), {}


def conv_single_step(a_slice, W, b):
    return np.sum(a_slice * W) + float(b[0, 0, 0])

def conv_forward_channels_last(A_prev, W, b, stride=2):
    m, n_H_prev, n_W_prev, n_C_prev = A_prev.shape
    f, f, n_C_prev, n_C = W.shape
    n_H, n_W = (n_H_prev - f) // stride + 1, (n_W_prev - f) // stride + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vs, hs = h * stride, w * stride
                    Z[i, h, w, c] = conv_single_step(A_prev[i, vs:vs+f, hs:hs+f, :], W[..., c], b[..., c])
    return Z, (A_prev, W, b, stride)

def conv_backward_channels_last(dZ, cache):
    (A_prev, W, b, stride) = cache
    (f, f, n_C_prev, n_C) = W.shape
    (m, n_H, n_W, n_C) = dZ.shape
    dA_prev, dW, db = np.zeros(A_prev.shape), np.zeros(W.shape), np.zeros(b.shape)
    for i in range(m):
        a_prev = A_prev[i]
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vert_start, horiz_start = h * stride, w * stride
                    vert_end, horiz_end = vert_start + f, horiz_start + f
                    a_slice = a_prev[h:h+f, w:w+f, :]  # wrong
                    dA_prev[i, vert_start:vert_end, horiz_start:horiz_end, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                    db[:, :, :, c] += dZ[i, h, w, c]
    return dA_prev, dW, db

@case("conv window forgets the stride", "a_slice", "stride slice",
      "The slice for dW is the forward's: it starts at h * stride, not at h.")
def _(rng):
    return (conv_forward_channels_last, conv_backward_channels_last), (rng.normal(size=(2, 8, 8, 2)), rng.normal(size=(2, 2, 2, 3)), rng.normal(size=(1, 1, 1, 3))), {}


def im2col(x, kh, kw):
    N, C, H, W = x.shape
    oh, ow = H - kh + 1, W - kw + 1
    cols = np.empty((C * kh * kw, oh * ow * N))
    for i in range(oh):
        for j in range(ow):
            for n in range(N):
                cols[:, (i * ow + j) * N + n] = x[n, :, i:i+kh, j:j+kw].ravel()
    return cols

def col2im(dcols, x_shape, kh, kw):
    N, C, H, W = x_shape
    oh, ow = H - kh + 1, W - kw + 1
    dx = np.zeros(x_shape)
    for i in range(oh):
        for j in range(ow):
            for n in range(N):
                dx[n, :, i:i+kh, j:j+kw] += dcols[:, (i * ow + j) * N + n].reshape(C, kh, kw)
    return dx

def conv_im2col_forward(x, w, b):
    F, C, kh, kw = w.shape
    N, _, H, W = x.shape
    cols = im2col(x, kh, kw)
    res = w.reshape(F, -1) @ cols + b.reshape(-1, 1)
    out = res.reshape(F, H - kh + 1, W - kw + 1, N).transpose(3, 0, 1, 2)
    return out, (x.shape, w, cols)

def conv_im2col_backward(dout, cache):
    x_shape, w, cols = cache
    F, C, kh, kw = w.shape
    db = np.sum(dout, axis=(0, 2, 3))
    dout_flat = dout.transpose(1, 0, 2, 3).reshape(F, -1)  # wrong
    dw = (dout_flat @ cols.T).reshape(w.shape)
    dx = col2im(w.reshape(F, -1).T @ dout_flat, x_shape, kh, kw)
    return dx, dw, db

@case("im2col upstream transposed in another order", "dout_flat", "reshape order",
      "The columns of im2col run over pixels first and examples last: transpose(1, 2, 3, 0).")
def _(rng):
    return (conv_im2col_forward, conv_im2col_backward), (rng.normal(size=(3, 2, 5, 5)), rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2)), {}


@case("conv1d dx with the kernel flipped once more", "return", "wrong order",
      "np.convolve flips the kernel by itself, which is what dx needs; w[::-1] flips it back.")
def _(rng):
    def conv1d(x, w):
        return np.correlate(x, w, mode='valid'), (x, w)

    def conv1d_grad(dy, cache):
        x, w = cache
        return np.convolve(dy, w[::-1], mode='full'), np.correlate(x, dy, mode='valid')  # wrong
    return (conv1d, conv1d_grad), (rng.normal(size=7), rng.normal(size=3)), {}


def conv1d_forward_e(x, w, b):
    # x (N, C, L), w (F, C, K)
    K = w.shape[2]
    win = np.lib.stride_tricks.sliding_window_view(x, K, axis=2)
    return np.einsum('nclk,fck->nfl', win, w) + b[:, None], (x, w, win)

def conv1d_backward_e(dout, cache):
    x, w, win = cache
    dw = np.einsum('nfl,nclk->fck', dout, win)
    db = np.einsum('nfl->l', dout)  # wrong
    dwin = np.einsum('nfl,fck->nclk', dout, w)
    dx = np.zeros_like(x)
    for k in range(w.shape[2]):
        dx[:, :, k:k + dout.shape[2]] += dwin[..., k]
    return dx, dw, db

@case("conv1d einsum bias keeps the positions", "db", "bias axis",
      "There is one bias per filter f: sum over n and l; with as many filters as positions the shape does not tell.")
def _(rng):
    return (conv1d_forward_e, conv1d_backward_e), (rng.normal(size=(2, 3, 6)), rng.normal(size=(4, 3, 3)), rng.normal(size=4)), {}


class Conv2D:
    def __init__(self, rng, in_ch=2, out_ch=2, k=3, stride=2):
        self.W = 0.3 * rng.normal(size=(out_ch, in_ch, k, k))
        self.b = 0.1 * rng.normal(size=(out_ch,))
        self.k, self.stride = k, stride

    def regions(self, img):
        k, s = self.k, self.stride
        for i in range((img.shape[2] - k) // s + 1):
            for j in range((img.shape[3] - k) // s + 1):
                yield i, j, slice(i * s, i * s + k), slice(j * s, j * s + k)

    def forward(self, x):
        self.cache = x
        k, s = self.k, self.stride
        out = np.zeros((x.shape[0], len(self.b), (x.shape[2] - k) // s + 1, (x.shape[3] - k) // s + 1))
        for i, j, r, c in self.regions(x):
            out[:, :, i, j] = np.tensordot(x[:, :, r, c], self.W, axes=([1, 2, 3], [1, 2, 3])) + self.b
        return out

    def backward(self, d_out):
        x = self.cache
        self.db = d_out.mean(axis=0).sum(axis=(1, 2))  # wrong
        self.dW = np.zeros_like(self.W)
        d_x = np.zeros_like(x)
        for i, j, r, c in self.regions(x):
            self.dW += np.tensordot(d_out[:, :, i, j], x[:, :, r, c], axes=([0], [0]))
            d_x[:, :, r, c] = np.tensordot(d_out[:, :, i, j], self.W, axes=([1], [0]))  # wrong
        return d_x

@case("conv layer class db mean and overwritten d_x", "self.db", "two mistakes",
      "The bias sums over the batch as well, the layer takes no mean; and windows overlap (3 wide, stride 2), so d_x needs +=.")
def _(rng):
    return Conv2D(rng), (rng.normal(size=(3, 2, 7, 7)),), {}


def max_pool_forward_naive(x, pool=3, stride=1):
    N, C, H, W = x.shape
    Ho, Wo = (H - pool) // stride + 1, (W - pool) // stride + 1
    out = np.zeros((N, C, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            out[:, :, i, j] = x[:, :, i*stride:i*stride+pool, j*stride:j*stride+pool].max(axis=(2, 3))
    return out, (x, pool, stride)

def max_pool_backward_naive(dout, cache):
    x, pool, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    r, s = i * stride, j * stride
                    patch = x[n, c, r:r+pool, s:s+pool]
                    p, q = np.unravel_index(np.argmax(patch), patch.shape)
                    dx[n, c, r + p, s + q] = dout[n, c, i, j]  # wrong
    return dx

@case("max pool overlapping windows overwrite", "dx", "= for +=",
      "With stride 1 one pixel wins several windows; its gradients add up.")
def _(rng):
    return (max_pool_forward_naive, max_pool_backward_naive), (rng.normal(size=(1, 2, 5, 5)),), {}


@case("max pool by reshaping, axes of the upstream", "return", "broadcasting",
      "The new axes belong after each of the pooled ones: dout[:, :, :, None, :, None]; for a 4x4 picture the other order broadcasts too.")
def _(rng):
    def maxpool(x):
        n, c, h, w = x.shape
        xr = x.reshape(n, c, h // 2, 2, w // 2, 2)
        return xr.max(axis=(3, 5)), (xr == xr.max(axis=(3, 5), keepdims=True), x.shape)

    def maxpool_back(dout, cache):
        mask, shape = cache
        return (mask * dout[:, :, None, :, None, :]).reshape(shape)  # wrong
    return (maxpool, maxpool_back), (rng.normal(size=(2, 3, 4, 4)),), {}


@case("average pool divides by the side", "return", "missing factor",
      "A k x k window has k*k pixels: divide by k squared.")
def _(rng):
    avgpool = lambda x, k=2: (x.reshape(x.shape[0], x.shape[1] // k, k, x.shape[2] // k, k).mean(axis=(2, 4)), k)
    def avgpool_grad(g, k):
        return g.repeat(k, axis=1).repeat(k, axis=2) / k  # wrong
    return (avgpool, avgpool_grad), (rng.normal(size=(2, 4, 6)),), {}


# ---------------------------------------------------------------- recurrent

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    cache = (x, prev_h, Wx, Wh, next_h)
    return next_h, cache

def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dtanh = 1 - np.tanh(next_h) ** 2  # wrong
    dscore = dnext_h * dtanh
    dx = dscore.dot(Wx.T)
    dprev_h = dscore.dot(Wh.T)
    dWx = x.T.dot(dscore)
    dWh = prev_h.T.dot(dscore)
    db = dscore.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db

@case("rnn step tanh of a tanh", "dtanh", "applied twice",
      "next_h is tanh already: its derivative is 1 - next_h^2.")
def _(rng):
    return (rnn_step_forward, rnn_step_backward), (rng.normal(size=(3, 4)), rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=(5, 5)), rng.normal(size=5)), {}


def char_rnn_forward(inputs, h_start, W_xh, W_hh, b_h):
    states = {-1: h_start}
    for t, v in enumerate(inputs):
        states[t] = np.tanh(W_xh.dot(v) + W_hh.dot(states[t-1]) + b_h)
    return np.array([states[t] for t in range(len(inputs))]), (inputs, states, W_xh, W_hh, b_h)

def char_rnn_backward(grad_states, cache):
    inputs, states, W_xh, W_hh, b_h = cache
    gW_xh, gW_hh, gb_h = 0 * W_xh, 0 * W_hh, 0 * b_h
    g_inputs, g_carry = 0 * inputs, 0 * b_h
    t = len(inputs)
    while t > 0:
        t -= 1
        g_raw = (1 - states[t] * states[t]) * (grad_states[t] + g_carry)   # tanh
        gb_h += g_raw
        gW_xh += g_raw.dot(inputs[t].T)
        gW_hh += g_raw.dot(states[t-1].T)
        g_inputs[t] = W_xh.T.dot(g_raw)
        g_carry = W_hh.dot(g_raw)  # wrong
    return g_inputs, g_carry, gW_xh, gW_hh, gb_h

@case("char rnn W_hh not transposed", "g_carry", "transposed operand",
      "Backwards through W_hh h goes W_hh.T; W_hh is square, so the shapes do not complain.")
def _(rng):
    return (char_rnn_forward, char_rnn_backward), (rng.normal(size=(6, 3, 1)), rng.normal(size=(4, 1)), 0.6 * rng.normal(size=(4, 3)), 0.6 * rng.normal(size=(4, 4)), rng.normal(size=(4, 1))), {}


class VanillaRNN:
    def __init__(self, D, H, rng):
        self.Wx = rng.normal(scale=0.5, size=(D, H))
        self.Wh = rng.normal(scale=0.5, size=(H, H))
        self.b = np.zeros(H)

    def forward(self, x):
        N, T, _ = x.shape
        h = np.zeros((N, self.b.size))
        self.cache = []
        out = []
        for t in range(T):
            h_prev, h = h, np.tanh(x[:, t] @ self.Wx + h @ self.Wh + self.b)
            self.cache.append((x[:, t], h_prev, h))
            out.append(h)
        return np.stack(out, axis=1)

    def backward(self, dout):
        self.dWx, self.dWh, self.db = [np.zeros_like(p) for p in (self.Wx, self.Wh, self.b)]
        dx = np.zeros(dout.shape[:2] + (self.Wx.shape[0],))
        dh = np.zeros_like(dout[:, 0])
        for t in range(dout.shape[1]):  # wrong
            xt, h_prev, h = self.cache[t]
            da = (dout[:, t] + dh) * (1 - h * h)
            self.dWx += xt.T @ da
            self.dWh += h_prev.T @ da
            self.db += da.sum(0)
            dx[:, t] = da @ self.Wx.T
            dh = da @ self.Wh.T
        return dx

@case("rnn layer unrolled forwards in the backward", "t", "loop order",
      "Back-propagation through time starts at the last step: the gradient of h flows from t to t - 1.")
def _(rng):
    return VanillaRNN(3, 4, rng), (rng.normal(size=(2, 6, 3)),), {}


def elman_forward(x, h0, U, V, c):
    hs = [h0]
    for x_t in x:
        hs.append(np.tanh(x_t @ U + hs[-1] @ V + c))
    return np.stack(hs[1:]), (x, hs, U, V)

def elman_backward(dh, cache):
    x, hs, U, V = cache
    dU = np.zeros_like(U)
    dV = np.zeros_like(V)
    dc = np.zeros(V.shape[1])
    dx = np.zeros_like(x)
    h_prev = hs[-1]
    delta_next = 0
    for t in range(len(x) - 1, -1, -1):
        h_t = hs[t + 1]
        delta = (dh[t] + delta_next) * (1 - h_t ** 2)
        dU += x[t].T @ delta
        dV += h_prev.T @ delta  # wrong
        dc += delta.sum(axis=0)
        dx[t] = delta @ U.T
        delta_next = delta @ V.T
        h_prev = h_t
    return dx, delta_next, dU, dV, dc

@case("elman net h_prev left from the step after", "dV", "stale variable",
      "Walking backwards h_prev still holds a later state: V multiplied the state before step t, hs[t] in this list.")
def _(rng):
    return (elman_forward, elman_backward), (rng.normal(size=(5, 2, 3)), rng.normal(size=(2, 4)), 0.5 * rng.normal(size=(3, 4)), 0.5 * rng.normal(size=(4, 4)), rng.normal(size=4)), {}


def _sig(z):
    return 1 / (1 + np.exp(-z))

def lstm_forward_a(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    h, c = h0, np.zeros_like(h0)
    hs = np.zeros((N, T, H))
    steps = []
    for t in range(T):
        prev_h, prev_c = h, c
        a = x[:, t].dot(Wx) + prev_h.dot(Wh) + b
        ai, af, ao, ag = np.split(a, 4, axis=1)
        i, f, o, g = _sig(ai), _sig(af), _sig(ao), np.tanh(ag)
        c = f * prev_c + i * g
        h = o * np.tanh(c)
        hs[:, t] = h
        steps.append((x[:, t], prev_h, prev_c, i, f, o, g, c))
    return hs, (steps, Wx, Wh)

def lstm_step_backward_a(dnext_h, dnext_c, step, Wx, Wh):
    x, prev_h, prev_c, i, f, o, g, next_c = step
    tanh_c = np.tanh(next_c)
    do = dnext_h * tanh_c
    dc = dnext_c + dnext_h * o * (1 - next_c ** 2)  # wrong
    df = dc * prev_c
    dprev_c = dc * f
    di = dc * g
    dg = dc * i
    dai = di * i * (1 - i)
    daf = df * f * (1 - f)
    dao = do * o * (1 - o)
    dag = dg * (1 - g ** 2)
    da = np.hstack((dai, daf, dao, dag))
    dx = da.dot(Wx.T)
    dprev_h = da.dot(Wh.T)
    dWx = x.T.dot(da)
    dWh = prev_h.T.dot(da)
    db = da.sum(axis=0)
    return dx, dprev_h, dprev_c, dWx, dWh, db

def lstm_backward_a(dh, cache):
    steps, Wx, Wh = cache
    N, T, H = dh.shape
    dx = np.zeros((N, T, Wx.shape[0]))
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H)
    dh_t, dc_t = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(T)):
        dx[:, t], dh_t, dc_t, dWx_t, dWh_t, db_t = lstm_step_backward_a(dh[:, t] + dh_t, dc_t, steps[t], Wx, Wh)
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    return dx, dh_t, dWx, dWh, db

@case("lstm derivative of tanh at the cell", "dc", "wrong place",
      "1 - y^2 takes the output of tanh: 1 - tanh(c)^2, and next_c is its input.")
def _(rng):
    return (lstm_forward_a, lstm_backward_a), (rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 4)), 0.5 * rng.normal(size=(3, 16)), 0.5 * rng.normal(size=(4, 16)), rng.normal(size=16)), {}


class LSTM:
    """forget, input, candidate, output; one weight matrix each on [h, x]"""
    def __init__(self, n_in, n_h, rng):
        self.n_h = n_h
        self.params = {k: 0.4 * rng.normal(size=(n_h + n_in, n_h)) for k in ('Wf', 'Wi', 'Wc', 'Wo')}
        self.params.update({k: 0.1 * rng.normal(size=n_h) for k in ('bf', 'bi', 'bc', 'bo')})
        self.grads = {}

    def forward(self, x):
        P = self.params
        T, N, _ = x.shape
        h = np.zeros((N, self.n_h)); C = np.zeros((N, self.n_h))
        self.cache, ys = [], []
        for t in range(T):
            z = np.concatenate([h, x[t]], axis=1)
            f, i, o = [_sig(z @ P['W' + k] + P['b' + k]) for k in 'fio']
            C_bar = np.tanh(z @ P['Wc'] + P['bc'])
            C_prev, C = C, f * C + i * C_bar
            h = o * np.tanh(C)
            self.cache.append((z, f, i, C_bar, C, C_prev, o)); ys.append(h)
        return np.array(ys)

    def backward(self, dy):
        P, n = self.params, self.n_h
        self.grads = {k: np.zeros_like(v) for k, v in P.items()}
        dx = [None] * len(dy)
        dh_next = np.zeros((dy.shape[1], n)); dC_next = np.zeros((dy.shape[1], n))
        for t in reversed(range(len(dy))):
            z, f, i, C_bar, C, C_prev, o = self.cache[t]
            dh = dy[t] + dh_next
            dC = dC_next + dh * o * (1 - np.tanh(C) ** 2)
            d = {}
            d['o'] = dh * np.tanh(C) * o * (1 - o)
            d['c'] = dC * i * (1 - C_bar ** 2)
            d['i'] = dC * C_bar * i * (1 - i)
            d['f'] = dC * C * f * (1 - f)  # wrong
            for k in d:
                self.grads['W' + k] += z.T @ d[k]
                self.grads['b' + k] += d[k].sum(axis=0)
            dz = sum(d[k] @ P['W' + k].T for k in d)
            dh_next, dx[t] = dz[:, :n], dz[:, n:]
            dC_next = f * dC_next  # wrong
        return np.array(dx)

@case("lstm class forget gate and carried dC", "d", "two mistakes",
      "The forget gate multiplied the previous cell, C_prev; and what goes back to it is f * dC, with the path through h, not f * dC_next.")
def _(rng):
    return LSTM(3, 4, rng), (rng.normal(size=(4, 2, 3)),), {}


def gru_step_forward(x, h, Wz, Wr, Wc, Uz, Ur, Uc):
    z = _sig(x @ Wz + h @ Uz)
    r = _sig(x @ Wr + h @ Ur)
    rh = r * h
    c = np.tanh(x @ Wc + rh @ Uc)
    h_next = (1 - z) * h + z * c
    return h_next, (x, h, z, r, rh, c, Wz, Wr, Wc, Uz, Ur, Uc)

def gru_step_backward(dh_next, cache):
    x, h, z, r, rh, c, Wz, Wr, Wc, Uz, Ur, Uc = cache
    # h_next = (1 - z) * h + z * c
    dz = dh_next * (c - h)
    dc = dh_next * z
    dh = dh_next * (1 - z)
    # candidate
    dac = dc * (1 - c * c)
    dUc = rh.T @ dac
    dWc = x.T @ dac
    drh = dac @ Uc.T
    dr = drh * h
    # gates
    daz = dz * z * (1 - z)
    dar = dr * r * (1 - r)
    dUz, dWz = h.T @ daz, x.T @ daz
    dUr, dWr = h.T @ dar, x.T @ dar
    # collect
    dh = dh + daz @ Uz.T + dar @ Ur.T  # wrong
    dx = daz @ Wz.T + dar @ Wr.T + dac @ Wc.T
    return dx, dh, dWz, dWr, dWc, dUz, dUr, dUc

@case("gru candidate's path to h forgotten", "dh", "omitted path",
      "h reaches the next state four ways; the one through r * h in the candidate, drh * r, is missing.")
def _(rng):
    return (gru_step_forward, gru_step_backward), (rng.normal(size=(3, 2)), rng.normal(size=(3, 4))) + tuple(0.5 * rng.normal(size=s) for s in [(2, 4)] * 3 + [(4, 4)] * 3), {}


# ---------------------------------------------------------------- attention and embedding

def attention_forward(Q, K, V):
    d_k = Q.shape[-1]
    scores = Q @ K.T
    scaled = scores / np.sqrt(d_k)
    e = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    out = weights @ V
    return out, (Q, K, V, weights)

def attention_backward(dout, cache):
    Q, K, V, weights = cache
    d_k = Q.shape[-1]
    # out = weights @ V
    dV = weights.T @ dout
    dweights = dout @ V.T
    # softmax
    dscaled = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
    # scores = Q @ K.T
    dQ = dscaled @ K / np.sqrt(d_k)
    dK = dscaled.T @ Q  # wrong
    return dQ, dK, dV

@case("attention dK unscaled", "dK", "missing factor",
      "The scores are divided by sqrt(d_k) for both operands; dQ has the factor and dK lacks it.")
def _(rng):
    return (attention_forward, attention_backward), (rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))), {}


def mha_core(q, k, v):
    s = np.einsum('bhqd,bhkd->bhqk', q, k) * q.shape[-1] ** -0.5
    a = np.exp(s - s.max(-1, keepdims=True))
    a = a / a.sum(-1, keepdims=True)
    return np.einsum('bhqk,bhkd->bhqd', a, v), (q, k, v, a)

def mha_core_bwd(do, cache):
    q, k, v, a = cache
    dv = np.einsum('bhkq,bhqd->bhkd', a, do)  # wrong
    da = np.einsum('bhqd,bhkd->bhqk', do, v)
    ds = a * (da - np.einsum('bhqk,bhqk->bhq', da, a)[..., None]) * q.shape[-1] ** -0.5
    dq = np.einsum('bhqk,bhkd->bhqd', ds, k)
    dk = np.einsum('bhqk,bhqd->bhkd', ds, q)
    return dq, dk, dv

@case("multi-head einsum without the transpose of A", "dv", "batched transpose",
      "The attention matrix is indexed query, key; naming its axes k, q undoes the transpose dV needs, which self-attention's square A hides.")
def _(rng):
    return (mha_core, mha_core_bwd), tuple(rng.normal(size=(2, 2, 3, 4)) for _ in range(3)), {}


@case("causal attention masks the diagonal", "ds", "wrong mask",
      "A token sees itself: the lower triangle includes the diagonal, tril(..., 0), as in the forward.")
def _(rng):
    def causal_attn(q, k, v):
        T = q.shape[1]
        s = np.where(np.tril(np.ones((T, T))), q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2]), -1e9)
        p = np.exp(s - s.max(2, keepdims=True)); p /= p.sum(2, keepdims=True)
        return p @ v, (q, k, v, p)

    def causal_attn_backward(do, cache):
        q, k, v, p = cache; dp = do @ v.transpose(0, 2, 1)
        ds = np.tril(p * (dp - (p * dp).sum(2, keepdims=True)), -1) / np.sqrt(q.shape[2])  # wrong
        return ds @ k, ds.transpose(0, 2, 1) @ q, p.transpose(0, 2, 1) @ do
    return (causal_attn, causal_attn_backward), (rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3))), {}


def softmax_rows(z):
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)

def self_attention_forward(X, Wq, Wk, Wv):
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    A = softmax_rows(Q @ K.T / np.sqrt(Wq.shape[1]))
    return A @ V, (X, Wq, Wk, Wv, Q, K, V, A)

def self_attention_backward(dY, cache):
    X, Wq, Wk, Wv, Q, K, V, A = cache
    dV = A.T @ dY
    dA = dY @ V.T
    tmp = np.sum(dA * A, axis=0, keepdims=True)  # wrong
    dS = A * (dA - tmp)
    dS = dS / np.sqrt(Wq.shape[1])
    dQ = dS @ K
    dK = dS.T @ Q
    dWq = X.T @ dQ
    dWk = X.T @ dK
    dWv = X.T @ dV
    dX = dQ @ Wq.T + dK @ Wk.T  # wrong
    return dX, dWq, dWk, dWv

@case("self-attention softmax axis and the value path", "tmp", "two mistakes",
      "The softmax is over the keys, axis 1; and X feeds the values too, so dX also needs dV @ Wv.T.")
def _(rng):
    return (self_attention_forward, self_attention_backward), (rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))), {}


def split_heads(x, h):
    B, T, D = x.shape
    return x.reshape(B, T, h, D // h).transpose(0, 2, 1, 3)

def merge_heads(x):
    B, h, T, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, h * d)

def heads_forward(q, k, v, n_heads=2):
    qh, kh, vh = [split_heads(a, n_heads) for a in (q, k, v)]
    att = softmax_rows(qh @ kh.swapaxes(-1, -2) / np.sqrt(qh.shape[-1]))
    return merge_heads(att @ vh), (qh, kh, vh, att)

def heads_backward(dy, cache):
    qh, kh, vh, att = cache
    dctx = dy.reshape(qh.shape)  # wrong
    dvh = att.swapaxes(-1, -2) @ dctx
    datt = dctx @ vh.swapaxes(-1, -2)
    ds = att * (datt - np.sum(datt * att, axis=-1, keepdims=True)) / np.sqrt(qh.shape[-1])
    return merge_heads(ds @ kh), merge_heads(ds.swapaxes(-1, -2) @ qh), merge_heads(dvh)

@case("heads split by a bare reshape", "dctx", "reshape order",
      "(B, T, h*d) to (B, h, T, d) takes a reshape to (B, T, h, d) and then a transposition; reshape alone mixes steps and heads.")
def _(rng):
    return (heads_forward, heads_backward), tuple(rng.normal(size=(2, 3, 4)) for _ in range(3)), {}


@case("embedding repeated words", "dW", "= for +=",
      "Fancy indexing with += writes a repeated word once; np.add.at adds up all of its gradients.")
def _(rng):
    def word_embedding_forward(W, idx): return W[idx], (idx, W.shape)

    def word_embedding_backward(dout, cache):
        idx, shape = cache
        dW = np.zeros(shape); dW[idx] += dout  # wrong
        return dW
    return (word_embedding_forward, word_embedding_backward), (rng.normal(size=(5, 3)), np.array([[0, 2, 2, 1], [4, 0, 2, 3]])), {}


# ---------------------------------------------------------------- small nets

def softmax_classifier_loss(W, X, y, reg=0.7):
    num_train = X.shape[0]
    scores = X.dot(W)
    scores -= np.max(scores, axis=1, keepdims=True)
    probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    data_loss = np.mean(-np.log(probs[range(num_train), y]))
    reg_loss = 0.5 * reg * np.sum(W * W)
    return data_loss + reg_loss, (W, X, y, probs, reg)

def softmax_classifier_grad(dloss, cache):
    W, X, y, probs, reg = cache
    num_train = X.shape[0]
    dscores = probs.copy()
    dscores[range(num_train), y] -= 1
    dscores /= num_train
    dW = X.T.dot(dscores)
    dX = dscores.dot(W.T)
    # gradient of the regularization
    dW += 2 * reg * W  # wrong
    return dloss * dW, dloss * dX

@case("L2 penalty with half and two", "dW", "extra factor",
      "The penalty has the 1/2, which cancels the 2: its gradient is reg * W.")
def _(rng):
    return (softmax_classifier_loss, softmax_classifier_grad), (rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.integers(0, 3, size=5)), {}


def two_layer_loss(X, W1, b1, W2, b2, y=None):
    hidden = np.maximum(0, X @ W1 + b1)
    scores = hidden @ W2 + b2
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    return loss, (X, W1, W2, hidden, p, y)

def two_layer_grad(dloss, cache):
    X, W1, W2, hidden, p, y = cache
    dscores = p.copy()
    dscores[np.arange(len(y)), y] -= 1
    dscores *= dloss / len(y)
    # second layer
    dW2 = hidden.T @ dscores
    db2 = dscores.sum(axis=0)
    dhidden = dscores @ W2.T
    # backprop the ReLU non-linearity
    dhidden[dhidden <= 0] = 0  # wrong
    # first layer
    dW1 = X.T @ dhidden
    db1 = dhidden.sum(axis=0)
    dX = dhidden @ W1.T
    return dX, dW1, db1, dW2, db2

@case("two-layer net relu masks by its own gradient", "dhidden", "wrong mask",
      "ReLU blocks where the activation was 0, hidden <= 0, not where the gradient is negative.")
def _(rng):
    y = rng.integers(0, 3, size=5)
    return (two_layer_loss, two_layer_grad), (rng.normal(size=(5, 4)), rng.normal(size=(4, 6)), rng.normal(size=6), rng.normal(size=(6, 3)), rng.normal(size=3)), {"y": y}


def mlp_forward(X, W1, b1, W2, b2, Y=None, lam=0.3):
    Z1 = X @ W1 + b1
    A1 = 1 / (1 + np.exp(-Z1))
    Z2 = A1 @ W2 + b2
    m = X.shape[0]
    J = 0.5 / m * np.sum((Z2 - Y) ** 2) + 0.5 * lam / m * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
    return J, (X, Z1, A1, Z2, Y, W1, W2, lam, m)

def mlp_backward(dJ, cache):
    X, Z1, A1, Z2, Y, W1, W2, lam, m = cache
    dZ2 = dJ * (Z2 - Y) / m
    dW2 = A1.T @ dZ2 + dJ * lam * W2  # wrong
    db2 = np.sum(dZ2, axis=0)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * Z1 * (1 - Z1)  # wrong
    dW1 = X.T @ dZ1 + dJ * lam * W1 / m
    db1 = np.sum(dZ1, axis=0)
    dX = dZ1 @ W1.T
    return dX, dW1, db1, dW2, db2

@case("mlp penalty of W2 and sigmoid at Z1", "dW2", "two mistakes",
      "The penalty is divided by m for W2 as for W1; and the sigmoid's derivative takes its output, A1(1 - A1), not Z1.")
def _(rng):
    return (mlp_forward, mlp_backward), (rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=(5, 2)), rng.normal(size=2)), {"Y": rng.normal(size=(4, 2))}


class ResidualBlock:
    """y = x + relu(x W + b)"""
    def __init__(self, dim, rng):
        self.W = rng.normal(size=(dim, dim)) / np.sqrt(dim)
        self.b = 0.1 * rng.normal(size=dim)

    def forward(self, x):
        z = x @ self.W + self.b
        self.cache = (x, z)
        return x + np.maximum(z, 0)

    def backward(self, dout):
        x, z = self.cache
        dz = dout  # wrong
        dz[z <= 0] = 0
        self.dW = x.T @ dz
        self.db = dz.sum(axis=0)
        dx = dz @ self.W.T
        dx += dout   # shortcut
        return dx

@case("residual block masks the shortcut in place", "dout", "in-place update",
      "dz = dout is the same array, so the ReLU's mask also wipes the gradient of the shortcut: copy first.")
def _(rng):
    return ResidualBlock(4, rng), (rng.normal(size=(3, 4)),), {}


def act(z):
    return 1.0/(1.0+np.exp(-z))

def act_prime(z):
    return act(z)*(1-act(z))

def net_forward(x, w1, b1, w2, b2, w3, b3):
    ws, bs = [w1, w2, w3], [b1, b2, b3]
    a_list, z_list = [x], []
    for w, b in zip(ws, bs):
        z_list.append(w @ a_list[-1] + b)
        a_list.append(act(z_list[-1]))
    return a_list[-1], (ws, a_list, z_list)

def net_backward(d_last, cache):
    ws, a_list, z_list = cache
    L = len(ws)
    grads = []
    delta = d_last * act_prime(z_list[-1])
    for k in range(1, L + 1):
        # k-th layer from the end
        grads = [delta @ a_list[-k-1].T, delta] + grads
        if k < L:
            delta = ws[-k].T @ delta * act_prime(a_list[-k-1])  # wrong
    return tuple([ws[0].T @ delta] + grads)

@case("column net act_prime of the activations", "delta", "wrong place",
      "act_prime is a function of the weighted input, z_list[-k-1], not of the activation of that layer.")
def _(rng):
    n = [3, 4, 5, 2]
    ps = [p for i, o in zip(n[:-1], n[1:]) for p in (rng.normal(size=(o, i)), rng.normal(size=(o, 1)))]
    return (net_forward, net_backward), (rng.normal(size=(3, 1)), *ps), {}
