"""Which layer of a model is wrong: each is checked by itself, on what reaches it in the model's forward."""

from functools import partial, wraps

import numpy as np

from .conduct import draw_upstreams
from .handed_on import is_chain
from .layer_targets import WithLoss, inner
from .slots import label, parts
from .verdict import Verdict

CHAINED = (
    "kinks meet in this model, so that no difference along its entries is reliable: right because each layer is right "
    "by itself and gets just what the one above returned (chain rule)"
)
CONSEQUENCE = "the layers below a wrong one get a wrong gradient: mend it first, then check again"


def locate(subject, report, check):
    """Replace a model's verdicts by those of its wrong layers; check(layer, *arrays) makes the reports.

    Done for a wrong model, and for one with kinks: at a kink only the layers by themselves tell right from wrong.
    """
    model = inner(getattr(subject, "original", None))
    if not parts(model) or (report.ok and not any(kink.at_point for kink in report.kinks)):
        return
    seen = inputs_of_parts(subject)
    found = []
    for i, part in enumerate(parts(model)):
        if i in seen and seen[i][0].dtype.kind == "f":
            inner_report = check(part, *seen[i])
            report.num_forwards += inner_report.num_forwards
            found += [prefixed(v, label(part, i)) for v in inner_report.verdicts]
    loss = subject.original.loss if isinstance(subject.original, WithLoss) else None
    if loss is not None and "loss" in seen:
        found += [prefixed(v, "loss") for v in check(loss, *seen["loss"]).verdicts]
    if found:
        report.notes.append(CONSEQUENCE)
    elif report.ok or not all(v.array for v in report.verdicts):
        return  # verdicts without an array are on the model's own code: conduct, exceptions
    elif report.kinks and all(i in seen for i in range(len(parts(model)))) and is_chain(subject, upstream(subject)):
        report.notes.append(CHAINED)
        for check in report.arrays.values():
            check.ok = True
    elif len(seen) < len(parts(model)):
        return  # not every layer could be watched: what was found in the model stands
    else:
        found = [
            Verdict(
                "",
                "not-passed-down",
                "each layer is right by itself, the model is not: its backward calls them in the wrong order, leaves "
                "one out, or hands on another gradient than the layer above returned; or two layers use the same "
                "cache or parameter",
                f"wrong in the model: {', '.join(v.array for v in report.verdicts if v.array)}",
            )
        ]
    report.verdicts[:] = found


def upstream(subject):
    """A random dy for the model."""
    return draw_upstreams(subject, subject.at(np.float64).forward(), np.random.default_rng(0))[0]


def prefixed(verdict, part):
    array = f"{part}.{verdict.array}" if verdict.array else part
    return Verdict(array, verdict.mistake, verdict.message, verdict.evidence)


def inputs_of_parts(subject):
    """{position: arrays} that each layer gets in one forward; 'loss' for the loss."""
    seen = {}

    def recording(position, forward):
        @wraps(forward)
        def record(*arrays, **keywords):
            came = [np.array(a) for a in (*arrays, *keywords.values()) if isinstance(a, np.ndarray)]
            if came:
                seen.setdefault(position, came)
            return forward(*arrays, **keywords)

        return record

    point = subject.at(np.float64)
    for i, part in enumerate(parts(inner(point.layer))):
        if hasattr(part, "forward"):
            part.forward = recording(i, part.forward)
        else:  # called itself: the object of a class whose calls are noted
            cls = type(part)
            call = recording(i, partial(cls.__call__, part))
            part.__class__ = type(cls.__name__, (cls,), {"__call__": lambda self, *a, call=call, **k: call(*a, **k)})
    if isinstance(point.layer, WithLoss):
        loss = point.layer.loss
        if isinstance(loss, tuple):
            point.layer.loss = (recording("loss", loss[0]), loss[1])
        else:
            loss.forward = recording("loss", loss.forward)
    point.forward()
    return seen
