"""The homework packages of known courses, solved, in the courses' own layout: what `handgrad courses copy` writes.

A course is a manifest beside this file, NAME.toml, and the packages and modules that it names; see copies.py.
"""

from pathlib import Path

COURSES: dict[str, Path] = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
