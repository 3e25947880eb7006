"""A small local server that shows runs while they train: this machine only, read only."""

import sys
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote

from ..text import alike
from .charts import sparkline
from .comparison import render_comparison
from .page import measured, render, render_report
from .view import RunView, words

ADDRESS = "127.0.0.1"
FIGURES = (
    *(f"{split} {name}" for name in ("accuracy", "r2", "loss") for split in ("validation", "test")),
    *("train accuracy", "train loss"),
)  # in the list of runs, as many as fit
MOST_FIGURES = 4
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Source(Protocol):
    """Where the runs to show come from: the keys there are, a text that changes when a run does, and what to show."""

    def runs(self) -> Sequence[str]: ...

    def stamp(self, key: str) -> str: ...

    def view(self, key: str) -> RunView: ...


class WatchServer(ThreadingHTTPServer):
    """Serves the pages of a source's runs. port 0 takes any free one.

    A request names a run by its key: no part of an address ever becomes a path.
    """

    daemon_threads = True

    def __init__(self, source: Source, port: int = 0) -> None:
        super().__init__((ADDRESS, port), Handler)
        self.source = source

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away before it has its answer is no error to tell of."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """GET / lists the runs, /run/KEY shows one, /compare/FOLDER those in one; /stamp/... says whether a page is old."""

    server_version: str = "handgrad"
    sys_version: str = ""
    timeout: ClassVar[float | None] = 20

    @property
    def source(self) -> Source:
        assert isinstance(self.server, WatchServer)
        return self.server.source

    def do_GET(self) -> None:
        if not self.is_local():
            return self.answer(403, "this server answers only to its own address\n")
        try:
            page = self.page(self.path.partition("?")[0])
        except (ValueError, OSError) as problem:
            return self.answer(500, f"{problem}\n")
        if page is None:
            return self.answer(404, "there is no such run\n")
        return self.answer(200, *page)

    do_HEAD = do_GET

    def is_local(self) -> bool:
        """Whether the request names this server. A page elsewhere whose name leads here (DNS rebinding) does not."""
        port = self.connection.getsockname()[1]
        local = {f"{host}:{port}" for host in (ADDRESS, "localhost")}
        return self.headers.get("Host", "") in local

    def page(self, path: str) -> tuple[str, str] | None:
        """(text, type) of an address, or None."""
        if (stamp := self.stamp(path.removeprefix("/stamp"))) is None:
            return None
        if path.startswith("/stamp/"):
            return stamp, "text/plain"
        if path == "/":
            return render_runs(self.source, stamp), "text/html"
        if members := self.members(path):
            views, _ = views_of(self.source, members)
            return (render_comparison(list(views.values()), stamp=stamp), "text/html") if views else None
        return render_report(self.source.view(self.key(path) or ""), stamp), "text/html"

    def stamp(self, path: str) -> str | None:
        """The stamp of the page at an address, or None where there is no page."""
        if path == "/":
            return " ".join(self.source.stamp(key) for key in self.source.runs())
        if members := self.members(path):
            return " ".join(map(self.source.stamp, members))
        key = self.key(path)
        return None if key is None else self.source.stamp(key)

    def key(self, path: str) -> str | None:
        """The key that an address names, if it is one of the keys there are."""
        wanted = unquote(path.removeprefix("/run/")) if path.startswith("/run/") else None
        return wanted if wanted in self.source.runs() else None

    def members(self, path: str) -> list[str]:
        """The keys of the runs in the folder whose comparison an address names."""
        wanted = unquote(path.removeprefix("/compare/")) if path.startswith("/compare/") else None
        return [key for key in self.source.runs() if wanted is not None and folder_of(key) == wanted]

    def answer(self, status: int, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        size = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))}
        for name, value in {**size, **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the terminal belongs to the command."""


def render_runs(source: Source, stamp: str) -> str:
    """The list of runs by folder, the newest first, as a page; damaged ones are told."""
    views, notes = views_of(source, source.runs())
    folders = dict[str, list[str]]()
    for key in sorted(views, key=lambda key: str(views[key].origin.get("started")), reverse=True):
        folders.setdefault(folder_of(key), []).append(key)
    groups = [run_group(folder, {key: views[key] for key in keys}) for folder, keys in folders.items()]
    found = [view.status.replace("running", "training") for view in views.values()]
    told = [f"{found.count(status)} {status}" for status in ("training", "failed", "interrupted", "killed")]
    title = ", ".join([f"{len(views)} run{'s' * (len(views) != 1)}", *(text for text in told if text[:2] != "0 ")])
    return render("runs.html", f"{title} – handgrad", stamp, groups=groups, notes=notes, heading=title)


def views_of(source: Source, keys: Sequence[str]) -> tuple[dict[str, RunView], list[str]]:
    """(the runs by key, a line about each that is damaged)."""
    views, notes = {}, []
    for key in keys:
        try:
            views[key] = source.view(key)
        except ValueError as problem:
            notes.append(str(problem))
    return views, notes


def folder_of(key: str) -> str:
    return key.rpartition("/")[0]


def run_group(folder: str, views: Mapping[str, RunView]) -> dict[str, Any]:
    """A folder's runs as a table: how far each is, and the figures that any of them has."""
    figures = {key: latest(view) for key, view in views.items()}
    names = [name for name in FIGURES if any(name in found for found in figures.values())][:MOST_FIGURES]
    columns = [alike([found.get(name) for found in figures.values()]) for name in names]
    rows = [
        {
            "key": key,
            "view": view,
            "share": view.num_epochs / view.epochs if view.epochs else 0.0,
            "figures": [column[i] for column in columns],
            "curve": sparkline(view.history.get("validation_loss") or view.history.get("loss") or []),
        }
        for i, (key, view) in enumerate(views.items())
    ]
    is_running = any(view.status == "running" for view in views.values())
    return {"folder": folder, "names": names, "rows": rows, "is_running": is_running}


def latest(view: RunView) -> Mapping[str, float | None]:
    """A run's figures by the words for them: its results, or those of the epoch that it has reached."""
    reached = {words(name): values[-1] for name, values in measured(view.history)}
    split = {name if name.startswith("validation") else f"train {name}": value for name, value in reached.items()}
    return {**split, **view.results}
