"""The summary of a trained estimator, in words and a table."""


def summarize(net):
    """The network layer by layer, how it was trained, why training ended, and what it reached."""
    return "\n".join([heading(net), str(net.model_.summary()), *training(net), *results(net)])


def heading(net):
    features = " x ".join(map(str, net.model_.input_shape))
    if hasattr(net, "classes_"):
        target = f"{len(net.classes_)} {'labels' if net._classes.kind == 'multilabel' else 'classes'}"
    else:
        target = f"{net.n_outputs_} number{'s' if net.n_outputs_ > 1 else ''}"
    return f"{type(net).__name__}: {features} features -> {target}, read by {net.out_activation_}"


def training(net):
    """One line of what was minimised and how, one of how long and why no longer."""
    penalty = f" + alpha={net.alpha:g} times ½ Σ w² / rows" if net.alpha else ""
    how = f"{net.optimizer_!r}" if net.optimizer_ is not None else "L-BFGS on all rows at once"
    yield f"minimised: {net.loss if isinstance(net.loss, str) else repr(net.loss)}{penalty}, by {how}"
    reason = net.stop_reason_ or f"max_iter={net.max_iter} was reached"
    yield f"trained: {net.n_iter_} iterations; ended because {reason}"


def results(net):
    """The loss, and what validation measured."""
    yield f"training loss: {net.loss_curve_[0]:.4g} at first, {net.loss_curve_[-1]:.4g} at last"
    if net.validation_scores_:
        score = "accuracy" if hasattr(net, "classes_") else "R²"
        best = net.validation_scores_.index(net.best_validation_score_)
        yield (f"validation {score}: {net.best_validation_score_:.4g} at best, in iteration {best + 1}, "
               f"{net.validation_scores_[-1]:.4g} at last")
