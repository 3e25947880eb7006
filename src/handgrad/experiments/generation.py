"""Texts continued by a model that was trained to tell the next token."""

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..arrays import Array, Generator
from ..datasets.text_files import encode
from ..layers.containers import Sequential
from ..naming import check_count, check_number
from .run_folder import Run


def generate(
    path: str | Path, prompt: str, tokens: int = 200, temperature: float = 1.0, seed: int = 0
) -> Iterator[str]:
    """What a run's model writes behind a prompt, piece by piece.

    Parameters
    ----------
    path : str or path
        The folder of a run that was trained on a text.
    prompt : str
        What goes before, one token or more; the model sees as much of its end as its sequences are long.
    tokens : int
        How many characters, or bytes, are to be written.
    temperature : float
        What the outputs are divided by before the softmax: below 1 for what is likelier, 0 for the likeliest alone.
    seed : int
        What is drawn from: the same one writes the same text.

    Returns
    -------
    iterator of str
        The next character each time.

    Raises
    ------
    ValueError
        For a run that was not trained on a text, a prompt that is empty or holds what the text had not, a model that
        looks at what comes later, and numbers out of range.
    """
    run = Run(path)
    kind, names = run.record["data"].get("tokens"), run.record["data"]["class_names"]
    if not kind:
        raise ValueError(f"{path} was not trained on a text: handgrad train transformer-text makes a run that was")
    ids = encode(prompt, names, kind).tolist()
    rng = np.random.default_rng(check_count("generate", "seed", seed, minimum=0))
    chosen = continued(run.model(), ids, check_count("generate", "tokens", tokens), temperature, rng)
    if kind == "characters":
        return (names[i] for i in chosen)
    text = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return (text.decode(bytes([i])) for i in chosen)


def continued(model: Sequential, ids: Sequence[int], count: int, temperature: float, rng: Generator) -> Iterator[int]:
    """Yield so many numbers that follow these, each drawn by the model's softmax(outputs / temperature)."""
    check_number("generate", "temperature", temperature, minimum=0)
    if not ids:
        raise ValueError("the prompt is empty: give the model one token at least to go on from")
    if len(model.input_shape) != 1 or len(model.output_shape) != 2:
        raise ValueError(f"the model makes {model.output_shape} of {model.input_shape}: no next token for each step")
    check_causal(model, ids)
    return draws(model, list(ids), count, temperature, rng)


def draws(model: Sequential, ids: list[int], count: int, temperature: float, rng: Generator) -> Iterator[int]:
    """Yield the numbers that `continued` does, its arguments checked."""
    for _ in range(count):
        logits = next_outputs(model, ids)[0].astype(np.float64)
        if temperature == 0:
            ids.append(int(logits.argmax()))
        else:
            scores = (logits - logits.max()) / temperature
            ids.append(int((scores + rng.gumbel(size=scores.size)).argmax()))
        yield ids[-1]


def next_outputs(model: Sequential, ids: Sequence[int], paddings: Sequence[int] = (0,)) -> Array:
    """The outputs at the last of these numbers, with each of the paddings behind it where they do not fill x."""
    (length,) = model.input_shape
    seen = ids[-length:]
    x = np.array([[*seen, *[padding] * (length - len(seen))] for padding in paddings])
    return model.forward(x)[:, len(seen) - 1]


def check_causal(model: Sequential, ids: Sequence[int]) -> None:
    """Refuse a model whose outputs depend on what comes later."""
    one, other = next_outputs(model, ids[: max(1, model.input_shape[0] // 2)], (0, 1))
    if not np.allclose(one, other, rtol=1e-3, atol=1e-3):
        raise ValueError("the model looks at what comes later, and cannot write: let its attention be causal=True")
