"""Runs as plain data, for tests of pages: an ordinary one, and one made by somebody who means harm."""

import numpy as np

import handgrad as hg
from handgrad.reports import RunView, WrongExample
from handgrad.reports.pictures import weight_images

ATTACK = '</script></title><script>document.title="owned"</script><img src=x onerror="document.title=1">\'"`${1}'


def history(num_epochs=30, seed=0):
    epochs, noise = np.arange(num_epochs), np.random.default_rng(seed).normal(size=num_epochs) / 50
    return {
        "loss": (2 * np.exp(-epochs / 8) + 0.1).tolist(),
        "accuracy": (0.8 - 0.6 * np.exp(-epochs / 7)).tolist(),
        "validation_loss": (1.8 * np.exp(-epochs / 7) + 0.3 + 0.01 * epochs + noise).tolist(),
        "validation_accuracy": (0.74 - 0.5 * np.exp(-epochs / 6) + noise).tolist(),
        "learning_rate": (0.05 * (1 + np.cos(np.pi * epochs / num_epochs))).tolist(),
    }


def view(name="fashion", seed=0, num_epochs=30, learning_rate=0.1, class_names=("coat", "shirt", "bag"), size=8):
    rng = np.random.default_rng(seed)
    model = hg.Sequential([hg.Conv2D(4, kernel_size=3), hg.ReLU(), hg.Flatten(), hg.Linear(3)])
    model.build((size, size, 1), rng=seed)
    model.parameters["conv2d1.bias"][0] = -100.0
    summary = model.summary()
    sizes = {"gradient": [0.5] * num_epochs, "update": [None, *[1e-3] * (num_epochs - 1)]}
    return RunView(
        name=name,
        id=f"2026-01-0{seed + 1}",
        results={"test accuracy": 0.9 + seed / 100, "test loss": 0.25},
        configuration={"seed": seed, "data": {"name": name}, "optimizer": {"learning_rate": learning_rate}},
        history=history(num_epochs, seed),
        norms={"conv2d1": sizes, "linear1": sizes},
        facts={"epochs": str(num_epochs), "trained for": "3 s"},
        origin={"versions": {"numpy": "2.0"}},
        commands=[f"handgrad train {name}"],
        summary=(summary.columns, summary.rows),
        diagnosis=hg.diagnose(model, rng.random((20, size, size, 1))),
        confusion=np.array([[5, 1, 0], [0, 6, 0], [2, 0, 4]]),
        class_names=list(class_names),
        filters=weight_images(model.parameters["conv2d1.weight"]),
        wrong=[WrongExample(i, class_names[0], class_names[1], 0.9, rng.random((size, size, 1))) for i in range(3)],
    )


def hostile_view():
    """Every text that comes from a run folder tries to break out of the page."""
    hostile = view(ATTACK, class_names=(ATTACK, "</style>", "{{ 7 * 7 }}"))
    hostile.id = hostile.status = ATTACK
    hostile.notes, hostile.commands = [ATTACK], [ATTACK]
    for table in (hostile.configuration, hostile.facts, hostile.origin):
        table[ATTACK] = ATTACK
    hostile.results[ATTACK] = 0.5
    hostile.history[ATTACK] = hostile.history[f"validation_{ATTACK}"] = [1.0] * 30
    hostile.norms[ATTACK] = hostile.norms["linear1"]
    hostile.summary = ((ATTACK,), [(ATTACK,)])
    hostile.diagnosis.advice = [ATTACK]
    hostile.diagnosis.layers[1].name = ATTACK
    return hostile
