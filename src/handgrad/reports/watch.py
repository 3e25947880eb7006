"""A small local server that shows runs while they train: this machine only, read only."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from ..text import figure_text
from .page import css_word, render, render_report

ADDRESS = "127.0.0.1"
LIVE = {"scripts": ("charts.js", "live.js"), "connect": "'self'"}


class WatchServer(ThreadingHTTPServer):
    """Serves pages of a source, an object with three methods:

    runs() -> the keys there are; stamp(key) -> a text that changes when the run does; view(key) -> its RunView.
    A request names a run by its key: no part of an address ever becomes a path. port 0 takes any free one.
    """

    daemon_threads = True

    def __init__(self, source, port=0):
        super().__init__((ADDRESS, port), Handler)
        self.source = source

    @property
    def url(self):
        return f"http://{ADDRESS}:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """GET / lists the runs, GET /run/KEY shows one, GET /stamp/... says whether a page is old."""

    server_version, sys_version = "handgrad", ""
    timeout = 20

    def do_GET(self):
        if not self.is_local():
            return self.answer(403, "this server answers only to its own address\n", "text/plain")
        try:
            page = self.page(self.path.partition("?")[0])
        except (ValueError, OSError) as problem:
            return self.answer(500, f"{problem}\n", "text/plain")
        if page is None:
            return self.answer(404, "there is no such run\n", "text/plain")
        return self.answer(200, *page)

    do_HEAD = do_GET

    def is_local(self):
        """Whether the request names this server. A page elsewhere whose name leads here (DNS rebinding) does not."""
        known = {f"{host}:{self.server.server_port}" for host in (ADDRESS, "localhost")}
        return self.headers.get("Host", "") in known

    def page(self, path):
        """(text, type) of an address, or None."""
        if path.startswith("/stamp/"):
            stamp = self.stamp(path.removeprefix("/stamp"))
            return None if stamp is None else (stamp, "text/plain")
        stamp = self.stamp(path)
        if stamp is None:
            return None
        if path == "/":
            return render_runs(self.server.source, stamp), "text/html"
        return render_report(self.server.source.view(self.key(path)), stamp=stamp, **LIVE), "text/html"

    def stamp(self, path):
        """The stamp of the page at an address, or None where there is no page."""
        source = self.server.source
        if path == "/":
            return " ".join(source.stamp(key) for key in source.runs())
        key = self.key(path)
        return None if key is None else source.stamp(key)

    def key(self, path):
        """The key that an address names, if it is one of the keys there are."""
        wanted = unquote(path.removeprefix("/run/")) if path.startswith("/run/") else None
        return wanted if wanted in self.server.source.runs() else None

    def answer(self, status, text, kind):
        body = text.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Quiet: the terminal belongs to the command."""


def render_runs(source, stamp):
    """The list of runs, as a page; damaged ones are told."""
    rows, notes = [], []
    for key in source.runs():
        try:
            rows.append(run_row(key, source.view(key)))
        except ValueError as problem:
            notes.append(str(problem))
    return render("runs.html", f"{len(rows)} found", rows=rows, notes=notes, stamp=stamp, **LIVE)


def run_row(key, view):
    latest = {name.replace("_", " "): values[-1] for name, values in view.history.items() if values}
    figures = view.results or {name: value for name, value in latest.items() if name.startswith("validation")} or latest
    said = [f"{name} {figure_text(value)}" for name, value in list(figures.items())[:2]]
    return {
        "key": key,
        "status": view.status,
        "status_class": css_word(view.status),
        "epochs": figure_text(view.facts.get("epochs")),
        "figures": ", ".join(said),
    }
