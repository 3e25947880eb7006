"""Image data sets brought to this machine: downloaded from one of several mirrors, or taken from a folder."""

import contextlib
import hashlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from ..files import FilePath
from ..naming import require_extra
from .catalog import DATASETS, Contents, ImageSet, find
from .images import data_directory, files_below, is_present, lacking, make_folder, store
from .layouts import is_archive, key

ATTEMPTS = 3
CHUNK = 2**16
TIMEOUT = 30  # seconds without a byte
Progress: TypeAlias = Callable[[str, int, "int | None"], None]  # (file, bytes done, bytes in all)


class Row(NamedTuple):
    """A data set that can be had; size in bytes is that of its file or its download."""

    name: str
    kind: str  # "table", "text" or "images"
    title: str
    size: int
    source: str
    licence: str
    present: bool


def available() -> list[Row]:
    """A Row for every data set known by name."""
    told = ((name, it.kind, it.title, it.size, it.source, it.licence) for name, it in DATASETS.items())
    return [Row(*about, is_present(about[0])) for about in told]


def get(name: str, source: FilePath | None = None, progress: Progress | None = None) -> Path:
    """Bring a data set to this machine: from a folder, or from the network.

    What is there already is checked and left alone.

    Parameters
    ----------
    name : str
        Of a data set in `available()`.
    source : str or path, optional
        A folder, looked through three levels deep, or an archive, to take the files from instead of the network.
    progress : callable, optional
        Called as progress(file, bytes done, bytes in all or None) while a download grows; `print_progress` is one.

    Returns
    -------
    Path
        The folder that the data set is in.

    Raises
    ------
    ValueError
        For an unknown name, and for a source that lacks files.
    ImportError
        Where a download is needed and requests is not installed.
    OSError
        For network and disk. No file is kept that failed its check.
    """
    about = find(name)
    if not isinstance(about, ImageSet):
        return about.path.parent
    missing = lacking(about)
    if missing and source is not None:
        place(about, Path(source).expanduser(), missing)
    elif missing:
        download(about, missing, progress)
    return data_directory() / about.name


def place(about: ImageSet, source: Path, missing: list[Contents]) -> None:
    """Store the missing files of a data set out of a folder, or an archive, that the user has."""
    if not source.exists():
        raise ValueError(f"there is no folder {source}; expected one with {wanted_names(about)}")
    names = {key(wanted.name) for wanted in missing}
    paths = files_below(source, 3) if source.is_dir() else [source]
    problems = store(about.name, [p for p in paths if key(p.name) in names or is_archive(p)], missing)
    if missing:
        what = ", ".join(wanted.name for wanted in missing) + f" of {about.name}"
        why = f" ({problems[0]})" if problems else ""
        raise ValueError(f"{source} has no usable {what}{why}; expected {wanted_names(about)}")


def wanted_names(about: ImageSet) -> str:
    """The files of a data set in words, as a user may have them."""
    files = ", ".join(wanted.name for wanted in about.files)
    addresses = [url for item in about.downloads for url in item.addresses if is_archive(url)]
    archives = ", ".join(dict.fromkeys(Path(urlsplit(url).path).name for url in addresses))
    return f"{files} (plain or .gz)" + (f", or one of {archives}" if archives else "")


def download(about: ImageSet, missing: list[Contents], progress: Progress | None) -> None:
    """Fetch what the missing files need, each from the first mirror that delivers it whole."""
    network_error = find_requests().RequestException
    for item in about.downloads:
        needed = [wanted for wanted in missing if is_archive(item.name) or key(wanted.name) == key(item.name)]
        problems: list[str] = []
        for address in item.addresses if needed else ():
            try:
                fetch(about.name, Arrival(item.name, address, progress), needed)
                break
            except (network_error, ValueError) as error:
                problems.append(f"{urlsplit(address).netloc}: {reason(error)}")
        if needed:
            folder = f"put {wanted_names(about)} into a folder and run 'handgrad data get {about.name} --from FOLDER'"
            what = f"could not download {item.name} of {about.name} ({'; '.join(problems)})"
            raise OSError(f"{what}; try again later, or {folder}")


def fetch(name: str, arrival: "Arrival", needed: list[Contents]) -> None:
    """Let one address deliver the needed files, going on where a cut connection stopped, and take them off the list."""
    network_error = find_requests().RequestException
    for attempt in range(1, ATTEMPTS + 1):
        resumed = arrival.size()
        try:
            arrival.receive()
        except network_error as error:
            outdated = getattr(error.response, "status_code", None) == 416  # there is no such rest to send
            if outdated:
                arrival.discard()
            if attempt == ATTEMPTS or not (outdated or arrival.size() > resumed):
                raise
            continue
        problems = store(name, [arrival.path], needed) if arrival.size() else ["it sent nothing"]
        arrival.discard()
        if not needed:
            return
        # what was put together from two answers may be wrong where one answer is right
        if not resumed or attempt == ATTEMPTS:
            raise ValueError(problems[0] if problems else f"it sent no {needed[0].name}")


class Arrival:
    """The file that a download grows in: it begins where an earlier try stopped."""

    def __init__(self, name: str, address: str, progress: Progress | None) -> None:
        # each address has its own: one mirror's archive need not go on in the bytes of another's
        self.path: Path = data_directory() / ".partial" / hashlib.sha256(address.encode()).hexdigest()[:12] / name
        self.name = name
        self.address = address
        self.progress = progress

    def size(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def discard(self) -> None:
        """Take away what has arrived, and its folders."""
        with contextlib.suppress(OSError):  # the folders go when nothing else is in them
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()
            self.path.parent.parent.rmdir()

    def receive(self) -> None:
        """Append what the address still has to send; a full disk leaves nothing behind."""
        start = self.size()
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        try:
            make_folder(self.path.parent)
            ask = partial(find_requests().get, self.address, headers=headers, stream=True, timeout=TIMEOUT)
            with open(self.path, "ab") as file, ask() as response:
                response.raise_for_status()
                if response.status_code == 200:  # the server sends the file from its beginning after all
                    start = file.truncate(0)
                length = response.headers.get("Content-Length")
                total = start + int(length) if length else None
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    if self.progress:
                        self.progress(self.name, file.tell(), total)
        except OSError as error:
            if error.errno is None:  # of the network, not of the disk
                raise
            self.discard()
            way_out = "free some space, or name another folder in the variable HANDGRAD_DATA"
            raise OSError(f"cannot write {self.path}: {error.strerror}; {way_out}") from None
        finally:
            if not self.size():
                self.discard()


def find_requests() -> ModuleType:
    """The library that speaks HTTP, or an ImportError that says how to get it."""
    by_hand = "or bring the files yourself: handgrad data get NAME --from FOLDER"
    with require_extra("app", "downloading", instead=by_hand):
        import requests
    return requests


def reason(error: Exception) -> str:
    """A network error in a few words."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    return str(error) if isinstance(error, ValueError) else "no connection, or it was cut"


def print_progress(name: str, done: int, total: int | None) -> None:
    """The growth of a download on the standard error stream: one line that is rewritten, or one at the end."""
    of_all = f" of {total / 1e6:.1f}" if total else ""
    finished = done == total
    if sys.stderr.isatty():
        print(f"\r{name}  {done / 1e6:.1f}{of_all} MB", end="\n" if finished else "", file=sys.stderr, flush=True)
    elif finished:
        print(f"{name}  {done / 1e6:.1f} MB", file=sys.stderr)
