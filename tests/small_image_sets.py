"""Small image data sets in the real layouts, and a server on this machine that misbehaves as asked."""

import gzip
import hashlib
import http.server
import io
import pickle
import struct
import tarfile
import threading
from pathlib import Path

import numpy as np

from handgrad.datasets.catalog import Contents, Download, ImageSet


def idx_set(rows=30, side=4, seed=0):
    """(an ImageSet in IDX files, {file name: contents}, (x, y) of the training part)."""
    rng = np.random.default_rng(seed)
    contents, train = {}, None
    for part, count in (("train", rows), ("t10k", rows // 3)):
        x, y = rng.integers(0, 256, (count, side, side, 1), np.uint8), (np.arange(count) % 3).astype(np.uint8)
        contents[f"{part}-images-idx3-ubyte"] = struct.pack(">IIII", 0x803, count, side, side) + x.tobytes()
        contents[f"{part}-labels-idx1-ubyte"] = struct.pack(">II", 0x801, count) + y.tobytes()
        train = train or (x, y)
    return make_set("idx", contents, 2, (side, side, 1), [f"{name}.gz" for name in contents]), contents, train


def cifar_set(rows=12, side=4, seed=0):
    """The same in CIFAR's binary batches, two of training rows and one of test rows."""
    rng = np.random.default_rng(seed)
    contents, images, labels = {}, [], []
    for name in ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"):
        x, y = rng.integers(0, 256, (rows, side, side, 3), np.uint8), (np.arange(rows) % 3).astype(np.uint8)
        planes = x.transpose(0, 3, 1, 2).reshape(rows, -1)
        contents[name] = np.concatenate([y[:, None], planes], axis=1).tobytes()
        images.append(x)
        labels.append(y)
    train = np.concatenate(images[:2]), np.concatenate(labels[:2])
    return make_set("cifar", contents, 2, (side, side, 3), ["cifar-10.tar.gz"]), contents, train


def make_set(layout, contents, num_train, shape, downloads):
    files = [Contents(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
    return ImageSet(
        name="small",
        title="small",
        shape=shape,
        class_names=("a", "b", "c"),
        train=tuple(files[:num_train]),
        test=tuple(files[num_train:]),
        layout=layout,
        downloads=tuple(Download(d, ()) for d in downloads),
        size=1,
        source="a test",
        licence="none",
    )


def python_batch(binary, protocol=2):
    """A binary batch as the Python version of CIFAR-10 keeps it."""
    rows = np.frombuffer(binary, np.uint8).reshape(12, -1)
    return pickle.dumps(
        {
            "batch_label": "batch",
            "labels": rows[:, 0].tolist(),
            "data": rows[:, 1:].copy(),
            "filenames": ["a.png"] * 12,
        },
        protocol=protocol,
    )


def archive(contents, folder="cifar-10-batches-bin"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in {"readme.html": b"<p>", **contents}.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def write_files(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def gzipped(contents):
    return {f"{name}.gz": gzip.compress(data) for name, data in contents.items()}


class Server:
    """A server of {'/folder/name': bytes}; `misbehave[folder]` is a list of faults, one for each coming request.

    Faults: 'cut' sends half of what is asked and hangs up, 'corrupt' changes a byte, 'ignore range' sends everything
    with 200, 'wrong range' sends everything as if it were the rest, 'redirect' points to the same file under
    '/elsewhere', a number is a status without content. `requests` lists (path, Range header, status).
    """

    def __init__(self):
        self.files, self.misbehave, self.requests = {}, {}, []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def handler(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *arguments):
                """Tests stay silent."""

        return Handler

    def answer(self, request):
        folder, name = request.path.strip("/").split("/")
        faults = self.misbehave.get(folder, [])
        fault = faults.pop(0) if faults else None
        asked = request.headers.get("Range")
        data = self.files.get(name)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and fault != "ignore range" else 0
        if data is None or isinstance(fault, int):
            status, body = fault or 404, b""
        elif fault == "redirect":
            status, body = 302, b""
        elif start >= len(data):
            status, body = 416, b""
        else:
            status, body = (206 if start else 200), data if fault == "wrong range" else data[start:]
        self.requests.append((request.path, asked, status))
        if fault == "corrupt":
            body = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        if status == 302:
            request.send_header("Location", f"/elsewhere/{name}")
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if fault == "cut" else body)


def folder_names(directory):
    """Every file below a folder, by its path there."""
    return sorted(str(path.relative_to(directory)) for path in Path(directory).rglob("*") if path.is_file())
