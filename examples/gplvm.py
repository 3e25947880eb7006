"""A Gaussian process latent variable model draws a map of wines: python examples/gplvm.py.

Each wine gets a place x in the plane, such that the 13 measurements, as functions of the place, are likely draws of a
Gaussian process. The derivation of the gradient by the places: docs/derivations/gplvm.md.
"""

import argparse

import numpy as np

import handgrad as hg


def log_likelihood_forward(x, y, alpha=1.0, beta=1.0):
    """L = -D/2 log|K| - ½ tr(K⁻¹ Y Yᵀ) with K = α X Xᵀ + β⁻¹ I, its constant left out.

    x (N, q) are the places, y (N, D) the measurements. (Lawrence 2005, equation 6)
    """
    covariance = alpha * (x @ x.T) + np.eye(len(x)) / beta
    inverse = np.linalg.inv(covariance)
    sign, log_determinant = np.linalg.slogdet(covariance)
    fitted = inverse @ y
    # log(sign) is 0 for real x; it carries the imaginary part when x is complex, for the derivative by complex step
    likelihood = -0.5 * y.shape[1] * (log_determinant + np.log(sign)) - 0.5 * np.sum(y * fitted)
    return likelihood, (x, inverse, fitted, alpha, y.shape[1])


def log_likelihood_backward(dlikelihood, cache):
    """dX = -α D K⁻¹ X + α K⁻¹ Y Yᵀ K⁻¹ X."""
    x, inverse, fitted, alpha, columns = cache
    return (dlikelihood * alpha * (fitted @ (fitted.T @ x) - columns * (inverse @ x)),)


def learn(y, alpha, beta, num_steps, learning_rate=0.05, seed=0):
    """Places (N, 2) that Adam climbed to from small random ones, and the likelihood at each step."""
    x = 0.1 * np.random.default_rng(seed).standard_normal((len(y), 2))
    optimizer, schedule = hg.Adam(learning_rate), hg.schedules.Cosine(learning_rate, num_steps)
    likelihoods = []
    for t in range(num_steps):
        likelihood, cache = log_likelihood_forward(x, y, alpha, beta)
        (dx,) = log_likelihood_backward(-1.0, cache)  # an optimizer goes down, so it gets the gradient of -L
        optimizer.learning_rate = max(schedule(t), 1e-12)
        optimizer.update([x], [dx])
        likelihoods.append(float(likelihood))
    return x, likelihoods


def exact_places(y, alpha, beta):
    """The most likely places: leading eigenvectors of Y Yᵀ / D, each scaled by √((eigenvalue - 1/β) / α)."""
    values, vectors = np.linalg.eigh(y @ y.T / y.shape[1])
    return vectors[:, :-3:-1] * np.sqrt((values[:-3:-1] - 1 / beta) / alpha)


def neighbours_agree(x, labels):
    """The share of points whose nearest other point has the same label."""
    distances = np.sum((x[:, None] - x[None]) ** 2, axis=2)
    np.fill_diagonal(distances, np.inf)
    return float(np.mean(labels[distances.argmin(axis=1)] == labels))


def draw(x, data, labels, path):
    from handgrad.reports.pictures import SERIES, new_figure, quiet_axes, save

    figure, (axes,) = new_figure(6, 5)
    for label, (name, colour) in enumerate(zip(data.class_names, SERIES, strict=False)):
        axes.scatter(*x[labels == label].T, s=18, color=colour, label=name)
    axes.legend(title=data.target_name)
    axes.set_aspect("equal")
    quiet_axes(axes, "Wines on the plane: near means alike")
    return save(figure, path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Draw a map of wines by a Gaussian process.")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--alpha", type=float, default=1.0, help="the variance of the functions")
    parser.add_argument("--beta", type=float, default=2.0, help="1 / the variance of the noise")
    parser.add_argument("--picture", help="draw the map (.png, .svg, .pdf)")
    options = parser.parse_args(arguments)

    data = hg.load_dataset("wine", validation=0, test=0, dtype=np.float64)
    y, labels = data.train
    x, likelihoods = learn(y, options.alpha, options.beta, options.steps)
    best, _ = log_likelihood_forward(exact_places(y, options.alpha, options.beta), y, options.alpha, options.beta)
    print(f"log-likelihood {likelihoods[0]:.1f} -> {likelihoods[-1]:.4f} (the exact maximum: {best:.4f})")
    print(
        f"the nearest wine on the map is of the same cultivar for {neighbours_agree(x, labels):.1%} "
        f"(of all 13 measurements: {neighbours_agree(y, labels):.1%})"
    )
    if options.picture:
        print(f"picture: {draw(x, data, labels, options.picture)}")


if __name__ == "__main__":
    main()
