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
    penalty = f" + ½ · {net.alpha:g} Σ w² / rows of a batch" if net.alpha else ""
    if net.optimizer is not None:
        rule = repr(net.optimizer_)
    elif net.solver == "lbfgs":
        rule = "L-BFGS on all rows at once"
    else:
        rule = f"{net.solver} with learning rate {net.optimizer_.learning_rate:g}"
    yield f"minimised: {net.loss}{penalty}, by {rule}"
    reason = net.stop_reason_ or f"max_iter={net.max_iter} was reached"
    yield f"trained: {net.n_iter_} iterations; ended because {reason}"


def results(net):
    """The loss, and what validation measured."""
    yield f"training loss: {net.loss_curve_[0]:.4g} at first, {net.loss_curve_[-1]:.4g} at last"
    if net.validation_scores_:
        score = "accuracy" if hasattr(net, "classes_") else "R²"
        best = net.validation_scores_.index(net.best_validation_score_)
        yield (
            f"validation {score}: {net.best_validation_score_:.4g} at best, in iteration {best + 1}, "
            f"{net.validation_scores_[-1]:.4g} at last"
        )
