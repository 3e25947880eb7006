"""Arguments of the courses' scripts, which are whole numbers: how many epochs, how many rows, which seed."""

import argparse
import sys
from functools import partial


def script_arguments(description: str | None, **defaults: int | tuple[int, int]) -> argparse.Namespace:
    """Whole numbers from the command line, each with its default, or with (default, the most that it can be).

    A notebook, which has no command line, gets the defaults: write other numbers into its cell. What is no whole
    number, less than 1 (for a seed than 0) or too much ends the script by a line.
    """
    parser = argparse.ArgumentParser(description=str(description).partition("\n")[0])
    for name, about in defaults.items():
        default, most = about if isinstance(about, tuple) else (about, 2**32 - 1)
        within = partial(number_within, least=int(name != "seed"), most=most)
        parser.add_argument(f"--{name}", type=within, default=default, help=f"default: {default}")
    return parser.parse_args(None if hasattr(sys.modules["__main__"], "__file__") else [])


def number_within(text: str, least: int, most: int) -> int:
    """The number that the text is; argparse tells of one that is not within these bounds."""
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got {text!r}")
    return int(text)
