"""What a package index and a new contributor meet: metadata, the one address, the README's absolute links."""

import re
import subprocess
from pathlib import Path

import pytest

import handgrad

ROOT = Path(__file__).parent.parent
PLACEHOLDER = "OWNER/handgrad"


@pytest.fixture(scope="module")
def metadata():
    """The package's metadata as hatchling makes it from this folder."""
    builders = pytest.importorskip("hatchling.metadata.core", reason="hatchling is not here")
    plugins = pytest.importorskip("hatchling.plugin.manager")
    return builders.ProjectMetadata(str(ROOT), plugins.PluginManager())


def test_version_and_author(metadata):
    assert metadata.version == handgrad.__version__
    assert metadata.core.authors_data["name"] or metadata.core.authors_data["email"]
    assert f"version: {handgrad.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_links_of_the_readme_are_absolute(metadata):
    address = metadata.core.urls["Repository"]
    links = re.findall(r'(?:\]\(|src="|srcset=")([^)"]+)[)"]', metadata.core.readme)
    assert len(links) > 20
    assert all(link.startswith(("https://", "#")) for link in links)
    assert f"{address}/blob/main/docs/design.md" in links


def test_the_address_stands_once():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not files:
        pytest.skip("not a checkout")
    texts = {
        name: (ROOT / name).read_bytes() for name in files if (ROOT / name).is_file() and "test_package" not in name
    }
    assert [name for name, text in texts.items() if PLACEHOLDER.encode() in text] == ["pyproject.toml"]
