"""Collect the implementations that a write-up must show: python generate_submission.py -f latex -o code.tex."""

import argparse
import inspect
from typing import Any

from neural_networks.activations import Linear, ReLU, Sigmoid, SoftMax
from neural_networks.layers import Conv2D, FullyConnected, Pool2D
from neural_networks.losses import L2, CrossEntropy
from neural_networks.models import NeuralNetwork

# What was to be written, module by module: add what else a write-up should show.
student_implementations: dict[str, list[Any]] = {
    "activations": [Linear, Sigmoid, ReLU, SoftMax],
    "layers": [FullyConnected, Pool2D, Conv2D.__init__, Conv2D._init_parameters, Conv2D.forward, Conv2D.backward],
    "losses": [CrossEntropy, L2],
    "models": [NeuralNetwork.forward, NeuralNetwork.backward, NeuralNetwork.predict],
}
# LaTeX's verbatim knows ASCII only; what is not in this table becomes a question mark.
SIGNS = "Σ=sum ᵀ=^T ²=^2 √=sqrt ·=* ≤=<= ≥=>= δ=delta σ=sigma ½=1/2 ‖=| ⊗=x ∂=d –=- ε=epsilon ∞=inf"
ASCII = str.maketrans({sign[0]: sign[2:] for sign in SIGNS.split()})
LATEX_HEADINGS = ("section", "subsection", "subsubsection", "paragraph")


def heading(text: str, level: int, is_latex: bool) -> str:
    if is_latex:
        return f"\\{LATEX_HEADINGS[level - 1]}{{{text.replace('_', chr(92) + '_')}}}"
    return f"{'#' * level} {text}"


def listing(thing: Any, is_latex: bool) -> str:
    code = inspect.cleandoc("\n" + inspect.getsource(thing)) + "\n"
    if is_latex:
        code = code.translate(ASCII).encode("ascii", "replace").decode()
        return "\\begin{verbatim}\n" + code + "\\end{verbatim}"
    return "```python\n" + code + "```"


def submission(is_latex: bool, level: int) -> str:
    """All implementations, a heading of this level per module and one below it per class or function."""
    blocks = []
    for module, things in student_implementations.items():
        blocks.append(heading(f"{module}.py", level, is_latex))
        for thing in things:
            blocks += [heading(thing.__qualname__, level + 1, is_latex), listing(thing, is_latex)]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-f", "--format", choices=["markdown", "latex"], default="markdown")
    parser.add_argument("-o", "--output", help="the file to write; without it the text is printed")
    parser.add_argument("--heading_level", type=int, choices=[1, 2, 3], default=1)
    arguments = parser.parse_args()
    text = submission(arguments.format == "latex", arguments.heading_level)
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")
