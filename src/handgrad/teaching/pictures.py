"""Pictures of a write-up: as text within it, or as files beside it."""

import base64
import tempfile
from pathlib import Path


def data_uri(picture):
    """The picture as the text of a PNG."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        picture.draw(path)
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def file_name(output, picture):
    """The picture's name beside the file that shows it, of letters, digits and '-' only, as LaTeX wants them."""
    stem = "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{Path(output).stem}-{picture.name}")
    return f"{stem}.pdf"
