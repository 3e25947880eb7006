"""README.md as the package index shows it: its links made absolute from the address in pyproject.toml."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeWithAbsoluteLinks(MetadataHookInterface):
    """Hatchling calls `update` when it makes the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, metadata["urls"]["Repository"]),
        }


def absolute(text: str, address: str) -> str:
    """The text with each relative link `](docs/x.md)` or picture, also in HTML, pointing into the main branch."""
    text = re.sub(r'(<(?:img|source)\b[^>]*?\bsrc(?:set)?=")(?!https?:)([^"]+")', rf"\1{address}/raw/main/\2", text)
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)([^)]+\))", rf"\1{address}/raw/main/\2", text)
    return re.sub(r"(?<!!)(\[[^\]]*\]\()(?!https?:|#)([^)]+\))", rf"\1{address}/blob/main/\2", text)
