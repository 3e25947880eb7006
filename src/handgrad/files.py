"""Files that are whole or not there: atomic writes, JSON, named arrays by suffix, and nested data with arrays in it."""

import contextlib
import json
import math
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from .arrays import Array, ArrayLike
from .naming import require_extra
from .text import clipped, one_line

FilePath: TypeAlias = str | os.PathLike[str]
Arrays: TypeAlias = dict[str, Array]
Metadata: TypeAlias = dict[str, str]
Format: TypeAlias = tuple[Callable[[Path, Arrays, Metadata], None], Callable[[Path], tuple[Arrays, Metadata]]]


@contextlib.contextmanager
def atomic_path(path: FilePath) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes path's place when the block ends well, and is removed if not.

    Devices and pipes are refused: a file in the place of /dev/null would break the machine.
    """
    path = Path(path)
    if is_device(path):
        raise ValueError(f"cannot write {path}: it is a device or a pipe; name a file")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as problem:
        way_out = "choose a folder that exists and is writable"
        raise OSError(f"cannot write {path}: {problem.strerror} ({way_out})") from None
    os.close(handle)
    try:
        yield Path(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)
        os.replace(temporary, path)
    except OSError as problem:
        raise OSError(f"cannot write {path}: {problem.strerror or problem} (nothing was changed)") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def is_device(path: FilePath) -> bool:
    """Whether it is there and neither a file nor a folder: a device, a pipe or a socket."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def check_output(path: FilePath, inputs: Iterable[FilePath] = ()) -> Path:
    """path, before any work is done for it: a ValueError where no file can be written there, or it is an input.

    An input is the same file by whatever name: a link, a relative path, `..`. Devices, pipes and links, in whose
    place a file would be put, are refused, too.
    """
    output = Path(path)
    if output.is_dir() or not output.name:
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it")
    if not output.parent.is_dir():
        raise ValueError(f"cannot write {path}: there is no folder {output.parent}; make it, or name another file")
    for source in inputs:
        is_file = output.exists() and Path(source).exists()
        if output.resolve() == Path(source).resolve() or (is_file and output.samefile(source)):
            raise ValueError(f"the output {path} would replace the input {source}: name another file")
    if is_device(output):
        raise ValueError(f"cannot write {path}: it is a device or a pipe; name a file")
    if output.is_symlink():
        raise ValueError(f"cannot write {path}: it is a link, which would be replaced; name {output.resolve()} itself")
    return output


UMASK = os.umask(0)
os.umask(UMASK)


def write_text(path: FilePath, text: str) -> None:
    """Write a text file atomically, as UTF-8, with '?' for what a name of a file may hold that is none."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def write_json(path: FilePath, data: object) -> None:
    """Write plain data as indented JSON, atomically; NaN and infinities as null."""
    write_text(path, to_json(data, indent=1) + "\n")


def add_files(folder: FilePath, files: Mapping[Path, bytes]) -> tuple[list[Path], list[Path]]:
    """Write files into a folder, adding what is missing; returns those written, and those left alone.

    Left alone is what is there with another content. Raises ValueError, before anything is written, where the folder
    is a file.
    """
    folder, written, left = check_folder(folder), [], []
    for name, content in files.items():
        path = folder / name
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            written.append(path)
        elif not path.is_file() or path.read_bytes() != content:
            left.append(path)
    return written, left


def check_folder(path: FilePath) -> Path:
    """path, or a ValueError where no folder can be made there."""
    if os.path.exists(path) and not os.path.isdir(path):
        raise ValueError(f"{path} is a file: name a folder, which is made if it is not there")
    return Path(path)


MOST_SAID = 600  # letters of what is wrong with a file


@contextlib.contextmanager
def reading(path: FilePath) -> Iterator[None]:
    """Within the block, what is refused of what a file says is a ValueError that names the file."""
    try:
        yield
    except (ValueError, TypeError) as problem:
        said = clipped(one_line(problem), MOST_SAID)  # it may quote what the file holds, whole arrays too
        raise ValueError(said if str(path) in said else f"{path} is damaged: {said}") from None
    except MemoryError:
        raise ValueError(f"{path} announces more than memory holds") from None


# JSON (RFC 8259), which has neither NaN nor infinities ----------------------------------------------------------------

MAX_DIGITS, MAX_NESTING = 100, 100  # of what we read: more is made to harm


def to_json(data: object, indent: int | None = None) -> str:
    """Plain data as JSON; NaN and infinities as null, names of files that are no UTF-8 with their bytes escaped."""
    text = json.dumps(finite(data), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace").decode()


def finite(value: Any) -> Any:
    """The same plain data with None for NaN and infinities."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(text: str, where: object, not_finite: Callable[[str], Any] = lambda name: None) -> Any:
    """The plain data in JSON text, whose numbers are all finite: None for NaN, Infinity and 1e999.

    A ValueError names `where`, and what is no JSON: words, a key twice, a number or a nesting made to harm.
    not_finite: what to make of NaN and infinities, which earlier versions wrote, in place of None.
    """
    try:
        data = json.loads(
            text,
            parse_float=lambda digits: finite(float(digits)),
            parse_int=whole_number,
            parse_constant=not_finite,
            object_pairs_hook=without_repeats,
        )
        check_nesting(data)
    except RecursionError:
        raise ValueError(f"{where} is damaged: nested deeper than {MAX_NESTING} levels") from None
    except ValueError as problem:
        raise ValueError(f"{where} is damaged: {problem}") from None
    return data


def whole_number(digits: str) -> int:
    """The number, if it has no more digits than any that we write (a generator's state has 39)."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The table of these pairs; a ValueError where a key stands twice, since readers disagree on which counts."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1):.50}' stands twice in one table")
    return table


def check_nesting(data: Any, depth: int = 0) -> None:
    """Raise a RecursionError, before Python does, for what is nested too deep to be copied and shown."""
    if depth > MAX_NESTING:
        raise RecursionError
    if isinstance(data, (dict, list)):
        for inner in data.values() if isinstance(data, dict) else data:
            check_nesting(inner, depth + 1)


# What a reader may rely on: the form of plain data, checked once ------------------------------------------------------

Form: TypeAlias = Any  # as `check_form` has it
COUNT = range(2**53)  # the whole numbers that every reader of JSON reads alike
FIGURE = (float, type(None))  # null stands for what is no number
WORDS = {
    **{dict: "a table", list: "a list", np.ndarray: "an array", str: "text"},
    **{int: "a whole number", float: "a number", bool: "true or false"},
}


def check_form(data: object, form: Form, where: object) -> None:
    """Raise a ValueError that names the file, and the first place in it where plain data do not have the form.

    A form is a type, or a tuple of types that may stand there; a range of whole numbers, or a set of words; [form], a
    list of such; a table of forms by key: 'key?' may be missing or null, and `str` stands for all keys not named.
    """
    for fault in faults(data, form, ""):
        raise ValueError(f"{where} is damaged: {fault}")


def faults(data: Any, form: Form, path: str) -> Iterator[str]:
    """Yield what is wrong with the data at a path, a sentence each."""
    if isinstance(form, dict) and isinstance(data, dict):
        needed = [key for key in form if key is not str and not key.endswith("?")]
        yield from (f"'{path}{key}' is missing" for key in needed if key not in data)
        for key, value in data.items():
            inner = form.get(key, form.get(f"{key}?", form.get(str)))
            if inner is not None and not (value is None and f"{key}?" in form):
                yield from faults(value, inner, f"{path}{key}.")
    elif isinstance(form, list) and isinstance(data, (list, tuple)):
        for number, value in enumerate(data):
            yield from faults(value, form[0], f"{path}{number}.")
    elif not fits(data, form):
        yield f"{path[:-1] or 'it'} is {' '.join(repr(data).split()):.50}, expected {in_words(form)}"


def fits(value: object, form: Form) -> bool:
    """Whether a value has a form without parts; whole numbers are numbers, true and false are not."""
    if isinstance(form, (range, set)):  # anything but an int would be looked for in a range one by one
        return type(value) is (int if isinstance(form, range) else str) and value in form
    types = form if isinstance(form, tuple) else (type(form) if isinstance(form, (dict, list)) else form,)
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, (*types, int) if float in types else types)


def in_words(form: Form) -> str:
    """What was expected, for a message."""
    if isinstance(form, set):
        return " or ".join(sorted(form))
    if isinstance(form, range):
        return f"a whole number from {form.start} to {form.stop - 1}"
    kind = form[0] if isinstance(form, tuple) else type(form) if isinstance(form, (dict, list)) else form
    return WORDS.get(kind, str(kind))


def write_arrays(path: FilePath, arrays: Mapping[str, ArrayLike], metadata: Mapping[str, str] | None = None) -> None:
    """Write {name: array} and {key: text} atomically, in the format that path's suffix names."""
    write, _ = format_of(path)
    with atomic_path(path) as temporary:
        write(temporary, {k: np.ascontiguousarray(v) for k, v in arrays.items()}, dict(metadata or {}))


def read_arrays(path: FilePath) -> tuple[Arrays, Metadata]:
    """({name: array}, {key: text}) from a file of named arrays. Runs no code from it; damage is a ValueError."""
    path = Path(path)
    _, read = format_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return read(path)


def write_tree(path: FilePath, tree: Mapping[str, Any], kind: str) -> None:
    """Write nested dicts and lists of plain data and arrays to path (.npz or .safetensors), atomically."""
    arrays: Arrays = {}
    skeleton = strip_arrays(tree, "", arrays)
    write_arrays(path, arrays, {"handgrad": kind, "state": json.dumps(skeleton)})


def read_tree(path: FilePath, kind: str, advice: str) -> Any:
    """What `write_tree` wrote. Nothing in the file is run; damage and files of another kind raise a ValueError."""
    arrays, metadata = read_arrays(path)
    if metadata.get("handgrad") != kind or "state" not in metadata:
        raise ValueError(f"{path} holds no {kind} ({advice})")
    with reading(path):
        return restore_arrays(from_json(metadata["state"], path, not_finite=float), arrays)


def strip_arrays(tree: Any, path: str, arrays: Arrays) -> dict[str, Any]:
    """The tree with each array moved to arrays[its path] and {"array": its path} in its place."""
    if isinstance(tree, np.ndarray):
        arrays[path] = tree
        return {"array": path}
    if isinstance(tree, Mapping):
        return {"dict": {k: strip_arrays(v, f"{path}/{k}", arrays) for k, v in tree.items()}}
    if isinstance(tree, (list, tuple)):
        return {"list": [strip_arrays(v, f"{path}/{i}", arrays) for i, v in enumerate(tree)]}
    value = tree.item() if isinstance(tree, np.generic) else tree
    return {"value": value} if finite(value) == value else {"number": str(value)}


def restore_arrays(skeleton: Any, arrays: Mapping[str, Array]) -> Any:
    """The tree that `strip_arrays` took apart; a ValueError where it is none of that."""
    kind, content = next(iter(skeleton.items())) if isinstance(skeleton, dict) and len(skeleton) == 1 else ("", None)
    if kind == "dict" and isinstance(content, dict):
        return {k: restore_arrays(v, arrays) for k, v in content.items()}
    if kind == "list" and isinstance(content, list):
        return [restore_arrays(v, arrays) for v in content]
    if kind == "array" and isinstance(content, str) and content in arrays:
        return arrays[content]
    if kind == "number" and content in ("nan", "inf", "-inf"):
        return float(content)
    if kind == "value" and not isinstance(content, (dict, list)):
        return content
    raise ValueError(f"{skeleton!r:.50} stands where a value or the name of an array should")


def format_of(path: FilePath) -> Format:
    """The writer and the reader of the format that path's suffix names."""
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise ValueError(f"{path}: arrays are stored as {' or '.join(FORMATS)}, got suffix '{suffix}'")
    return FORMATS[suffix]


METADATA = "__metadata__"


def write_npz(path: Path, arrays: Arrays, metadata: Metadata) -> None:
    """Write NumPy's own format, the metadata as one more array."""
    named: dict[str, Any] = {**arrays, METADATA: np.frombuffer(json.dumps(metadata).encode(), np.uint8)}
    with open(path, "wb") as file:
        np.savez(file, **named)


def read_npz(path: Path) -> tuple[Arrays, Metadata]:
    """What `write_npz` wrote."""
    try:
        # np.load would take a bare .npy too, and would leave a damaged file open
        with open(path, "rb") as raw, np.lib.npyio.NpzFile(raw, allow_pickle=False) as file:
            check_announced(raw)
            arrays = {name: file[name] for name in file.files}
            text = arrays.pop(METADATA, np.frombuffer(b"{}", np.uint8)).tobytes().decode()
    except UNZIPPING as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged or no .npz file of plain arrays ({reason})") from None
    return arrays, read_metadata(text, path)


def read_metadata(text: str, path: Path) -> Metadata:
    """The {key: text} that a file of arrays holds beside them."""
    metadata: Metadata = from_json(text, path)
    check_form(metadata, {str: str}, path)
    return metadata


# what zipfile and NumPy raise for bytes that are no archive of arrays
NO_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
UNZIPPING = (*NO_ZIP, ValueError, KeyError, TypeError, MemoryError)
MOST_DEFLATED = 1032  # times its size in the archive is the most that zlib makes of anything


def check_announced(raw: IO[bytes]) -> None:
    """Refuse arrays that say they are larger than what the archive holds of them, before memory is asked for."""
    archive, read_header = zipfile.ZipFile(raw), np.lib.format.read_array_header_2_0
    for member in archive.infolist():
        with archive.open(member) as file:
            is_first = np.lib.format.read_magic(file) == (1, 0)
            shape, _, dtype = (np.lib.format.read_array_header_1_0 if is_first else read_header)(file)
        announced, held = math.prod(shape) * dtype.itemsize, min(member.file_size, MOST_DEFLATED * member.compress_size)
        if announced > held:
            raise ValueError(f"'{member.filename}' announces {announced:,} bytes and holds at most {held:,}")


def write_safetensors(path: Path, arrays: Arrays, metadata: Metadata) -> None:
    """Write the format of https://github.com/huggingface/safetensors, the metadata as JSON."""
    # One entry, because the library writes several in no definite order: the same state makes the same bytes.
    packed = {"handgrad": json.dumps(metadata, sort_keys=True)}
    with open(path, "wb") as file:
        file.write(safetensors_library().numpy.save(arrays, packed))


def read_safetensors(path: Path) -> tuple[Arrays, Metadata]:
    """What `write_safetensors` wrote."""
    safetensors = safetensors_library()
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (no dict)
            arrays = {name: file.get_tensor(name) for name, dtype in dtypes.items() if IN_NUMPY.fullmatch(dtype)}
            text = (file.metadata() or {}).get("handgrad", "{}")
        raw = {} if len(arrays) == len(dtypes) else dict(safetensors.deserialize(path.read_bytes()))
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError) as problem:
        raise ValueError(f"{path} is damaged or no .safetensors file ({problem})") from None
    arrays.update({name: widened(tensor, f"{path}: '{name}'") for name, tensor in raw.items() if name not in arrays})
    return arrays, read_metadata(text, path)


IN_NUMPY = re.compile("[FIU](16|32|64)|[IU]8|BOOL|C64")  # what .safetensors calls dtypes that NumPy has


def widened(tensor: Mapping[str, Any], what: str) -> Array:
    """A bfloat16 array as float32: its bits are the upper half of those."""
    if tensor["dtype"] != "BF16":
        raise ValueError(f"{what} is of dtype {tensor['dtype']}, which NumPy has not: save it as float32")
    bits = np.frombuffer(tensor["data"], "<u2").astype("<u4") << 16
    return bits.view("<f4").reshape(tensor["shape"])


def safetensors_library() -> Any:
    """The library, or an ImportError that names the extra."""
    with require_extra("app", "a .safetensors file", "safetensors", "or use a path that ends in .npz"):
        import safetensors.numpy
    return safetensors


# suffix -> (write, read)
FORMATS: dict[str, Format] = {".npz": (write_npz, read_npz), ".safetensors": (write_safetensors, read_safetensors)}
