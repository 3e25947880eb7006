"""A linear autoencoder with tied weights finds the principal subspace of digits: python examples/linear_autoencoder.py.

The derivation of its gradient: docs/derivations/linear_autoencoder.md.
"""

import argparse

import numpy as np

import handgrad as hg


def tied_autoencoder_forward(x, weight):
    """Mean over the rows of L = ½ |WᵀW x - x|²: x (N, d) through weight W (k, d) to k numbers and back."""
    code = x @ weight.T
    difference = code @ weight - x
    return 0.5 * np.sum(difference * difference) / len(x), (x, weight, code, difference)


def tied_autoencoder_backward(dloss, cache):
    """dW = W a xᵀ + W x aᵀ, summed over rows and divided by N, dx = (WᵀW - I) a / N, with a = WᵀW x - x."""
    x, weight, code, difference = cache
    scaled = (dloss / len(x)) * difference
    coded = scaled @ weight.T
    return coded @ weight - scaled, coded.T @ x + code.T @ scaled


def learn(x, size, num_steps, learning_rate=0.05, seed=0):
    """The weight (size, d) after num_steps of Adam on all rows at once, at a falling rate; and the losses."""
    weight = hg.initializers.Orthogonal()((size, x.shape[1]), seed)
    optimizer, schedule = hg.Adam(learning_rate), hg.schedules.Cosine(learning_rate, num_steps)
    losses = []
    for t in range(num_steps):
        loss, cache = tied_autoencoder_forward(x, weight)
        _, dweight = tied_autoencoder_backward(1.0, cache)
        optimizer.learning_rate = max(schedule(t), 1e-12)
        optimizer.update([weight], [dweight])
        losses.append(float(loss))
    return weight, losses


def principal_directions(x, size):
    """The first `size` principal directions (size, d) of centred x, by singular values."""
    return np.linalg.svd(x, full_matrices=False)[2][:size]


def largest_angle(a, b):
    """The largest angle, in degrees, between the spaces that the rows of a and of b span."""
    a, b = (np.linalg.qr(rows.T)[0] for rows in (a, b))
    return float(np.degrees(np.arcsin(min(1.0, np.linalg.norm(a - b @ (b.T @ a), 2)))))


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Find the principal subspace of digits.")
    parser.add_argument("--size", type=int, default=8, help="numbers that a digit is squeezed into")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--picture", help="draw the learnt rows above the principal directions (.png, .svg, .pdf)")
    options = parser.parse_args(arguments)

    x = hg.load_dataset("digits", validation=0, test=0, dtype=np.float64).train.x
    x = x - x.mean(axis=0)
    weight, losses = learn(x, options.size, options.steps)
    principal = principal_directions(x, options.size)
    best, _ = tied_autoencoder_forward(x, principal)
    gram = weight @ weight.T
    print(f"loss {losses[0]:.4f} -> {losses[-1]:.6f} (principal components, the best there is: {best:.6f})")
    print(f"largest angle between learnt and principal subspace: {largest_angle(weight, principal):.3f} degrees")
    print(f"rows of W orthonormal to {abs(gram - np.eye(len(gram))).max():.1e}, though nothing asked for it")
    if options.picture:
        from handgrad.reports import save_filters

        path = save_filters(
            np.concatenate([weight, principal]).T, options.picture, (8, 8, 1), "rows of W, then principal directions"
        )
        print(f"picture: {path}")


if __name__ == "__main__":
    main()
