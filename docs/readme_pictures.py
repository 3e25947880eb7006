"""Draw README's pictures from what really happens: python docs/readme_pictures.py

check.svg: a wrong backward, its verdict and its graph, then the same file mended; check-phone.svg for narrow screens.
report.png and report-dark.png: the page of a run, which need Chromium.
"""

import base64
import importlib.util
import os
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

import numpy as np

import handgrad as hg

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
WRONG = "return dy * (gate + x * gate)"
RIGHT = "return dy * (gate + x * gate * (1 - gate))"
SOURCE = f"""\
import numpy as np


def silu_forward(x):
    gate = 1 / (1 + np.exp(-x))
    return x * gate, (x, gate)


def silu_backward(dy, cache):
    x, gate = cache
    {WRONG}
"""
LINE, LEFT, GRAPH = 18, 24, 350  # the height of a line; where text begins; how wide the graph is
STYLE = """
svg { color-scheme: light dark; --paper: #ffffff; --ink: #1c1e21; --quiet: #5c6068; --line: #d5d8dd; --tint: #f5f6f8;
  --mark: #fde8e6; --fine: #e3f4e6; --good: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { svg { --paper: #15171a; --ink: #e8eaed; --quiet: #a0a6b0; --line: #33373d;
  --tint: #1e2126; --mark: #47211f; --fine: #173a20; --good: #57c471; --bad: #ff8a80; } }
.paper { fill: var(--paper); stroke: var(--line); }
text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; fill: var(--ink); white-space: pre; }
.quiet { fill: var(--quiet); } .good { fill: var(--good); } .bad { fill: var(--bad); font-weight: 700; }
.mark { fill: var(--mark); } .fine { fill: var(--fine); }
.wrong { animation: wrong 9s infinite; } .right { animation: right 9s infinite; }
@keyframes wrong { 0%, 60% { opacity: 1 } 63%, 97% { opacity: 0 } 100% { opacity: 1 } }
@keyframes right { 0%, 60% { opacity: 0 } 63%, 97% { opacity: 1 } 100% { opacity: 0 } }
@media (prefers-reduced-motion: reduce) { .wrong { animation: none } .right { animation: none; opacity: 0 } }
"""


def checked(file, columns):
    """What `handgrad check` prints about a file, in lines that fit the picture."""
    command = [sys.executable, "-m", "handgrad", "check", file.name]
    shown = {**os.environ, "HANDGRAD_COLUMNS": str(columns), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=file.parent, env=shown, capture_output=True, text=True).stdout.splitlines()


def graph(file, x, y):
    """The computational graph of the file's pair at a number, as SVG to be put into another."""
    specification = importlib.util.spec_from_file_location(f"silu_{len(file.read_text())}", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    drawn = hg.draw_graph((module.silu_forward, module.silu_backward), np.array([0.5])).svg
    size = drawn[drawn.index(' width="') : drawn.index(" role=")]
    return drawn.replace(size, f' x="{x}" y="{y}" width="{GRAPH}" height="440"', 1)


def text(line, row, kind=""):
    return f'<text class="{kind}" x="{LEFT}" y="{40 + row * LINE}">{escape(line)}</text>'


def kind_of(line):
    return {"✗": "bad", "→": "bad", "✓": "good"}.get(line.strip()[:1], "")


def frame(name, file, columns, *place_of_graph):
    """One state of the file: its code, what the check says, its graph."""
    code, report = file.read_text().splitlines(), checked(file, columns)
    last = len(code) - 1
    place = f'x="12" y="{40 + last * LINE - 13}" width="{columns * 8 + 12}" height="18"'
    marked = f'<rect class="{"mark" if name == "wrong" else "fine"}" {place}/>'
    lines = [text(line, row) for row, line in enumerate(code)]
    said = [text(line, last + 3 + row, kind_of(line)) for row, line in enumerate(report)]
    command = text(f"$ handgrad check {file.name} --watch", last + 2, "quiet")
    return f'<g class="{name}">{marked}{"".join(lines)}{command}{"".join(said)}{graph(file, *place_of_graph)}</g>'


def check_picture(width, height, *layout):
    """A file that is mended; layout: the columns of its text, and where the graph stands."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "silu.py")
        file.write_text(SOURCE)
        wrong = frame("wrong", file, *layout)
        file.write_text(SOURCE.replace(WRONG, RIGHT))
        right = frame("right", file, *layout)
    label = "A wrong backward of SiLU, what handgrad check says of it with the line that would be right, and its graph"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<style>{STYLE}</style><rect class="paper" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>'
        f"{wrong}{right}</svg>\n"
    )


def report_pictures():
    """The first screen of a run's report, light and dark."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from browser import Browser
    from handgrad import experiments
    from handgrad.experiments.gather import gather
    from handgrad.reports import save_report

    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        run = experiments.train(experiments.configure("digits"), folder)
        page = save_report(gather(run), Path(folder) / "report.html")
        for name, dark in (("report.png", False), ("report-dark.png", True)):
            browser.open(Path(page).resolve().as_uri(), 1100, dark=dark)
            screen = {"x": 0, "y": 0, "width": 1100, "height": 740, "scale": 1}
            shown = browser.call("Page.captureScreenshot", clip=screen)["data"]
            (PICTURES / name).write_bytes(base64.b64decode(shown))


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "check.svg").write_text(check_picture(960, 500, 66, 590, 40), encoding="utf-8")
    (PICTURES / "check-phone.svg").write_text(check_picture(480, 980, 54, 65, 520), encoding="utf-8")
    report_pictures()
