"""Pages in a real Chromium, where there is one: nothing logged or fetched, charts drawn and zoomed, phones served."""

import importlib.util
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import gallery
import handgrad as hg
from browser import PROGRAM, Browser
from handgrad import functional as F
from handgrad.reports import save_comparison, save_report
from handgrad.reports.charts import LEFT, PLOT_WIDTH, WIDTH
from handgrad.reports.watch import WatchServer
from run_views import ATTACK, hostile_view, view

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

VIEW_BOX = "document.querySelector('#chart-loss svg.plot').getAttribute('viewBox')"
ENDS = "[...document.querySelectorAll('#chart-loss .end')].map(t => t.textContent + t.getAttribute('y'))"
READ_OUT = "document.querySelector('#chart-loss output').textContent"


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    save_report(view(), folder / "report.html")
    save_report(hostile_view(), folder / "hostile.html")
    views = [view(seed=seed, learning_rate=rate) for rate in (0.1, 0.01) for seed in (0, 1)]
    save_comparison(views, folder / "comparison.html")
    save_comparison([hostile_view(), view()], folder / "hostile_comparison.html")
    wrong = hg.check_gradients((F.relu_forward, lambda dy, cache: (2 * dy * cache,)), np.ones((30, 40)))
    (folder / "check.html").write_text(wrong.to_html(), encoding="utf-8")
    return {path.stem: path.as_uri() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def every_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    gallery.make_runs(folder / "runs")
    return gallery.make_pages(folder / "runs", folder / "pages")


@pytest.fixture(scope="module")
def axe():
    """The source of axe-core, which the extra `dev` brings; '' without it."""
    found = importlib.util.find_spec("axe_core_python")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8") if found else ""


# what is wider than its place and does not say so: tables, code and links scroll, and show or tell that they do
CUT_OFF = """[...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1
    && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
    && !(e.matches('.wide') && (e.nextElementSibling?.className === 'scrolls' || !document.scripts.length))
    && !e.matches('pre, nav ul, .map')).map(e => e.outerHTML.slice(0, 100))"""
# targets smaller than a finger
SMALL = """[...document.querySelectorAll('button:not(.sort), summary, nav a, input.filter')].map(
    e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)]).filter(([r]) => r.width && r.height < 44).map(
    e => e[1])"""


@pytest.mark.parametrize("name", gallery.PAGES)
def test_every_page_is_quiet_fits_and_serves_everybody(browser, every_page, axe, name):
    if name not in every_page:
        pytest.skip("PyTorch is not installed")
    address = every_page[name].as_uri()
    for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
        browser.open(address, width, dark=dark)
        assert browser.problems == [] and browser.requests == [address]
        assert browser.run("document.documentElement.scrollWidth") <= width and browser.run(CUT_OFF) == []
        assert width > 600 or browser.run(SMALL) == []
        assert not axe or browser.complaints(axe) == []
        assert (browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)") != dark
    browser.open(address, 320)
    assert browser.run("document.documentElement.scrollWidth") <= 320 and browser.run(CUT_OFF) == []
    browser.open(address, 720, paper=True)
    assert browser.problems == [] and browser.run("document.documentElement.scrollWidth") <= 720
    assert "Drag" not in browser.run("document.body.innerText")
    assert not axe or browser.complaints(axe) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_charts_are_drawn_inside_their_frames_and_can_be_read(browser, pages, width):
    browser.open(pages["report"], width)
    frames = browser.run(
        """[...document.querySelectorAll('figure[data-chart]')].map(f => {
        const frame = f.querySelector('svg').getBoundingClientRect();
        const line = f.querySelector('path.line').getBoundingClientRect();
        const letters = parseFloat(getComputedStyle(f.querySelector('.x-ticks text')).fontSize);
        const inside = line.left >= frame.left && line.right <= frame.right && line.top >= frame.top - 1
            && line.bottom <= frame.bottom;
        return [frame.width, line.width, inside, letters * frame.width / frameWidth]})""".replace(
            "frameWidth", str(WIDTH)
        )
    )
    assert len(frames) == 5
    for frame_width, line_width, inside, letters in frames:
        assert frame_width > 340 and line_width > 200 and inside and letters >= 10


def test_labels_at_the_end_of_lines_stay_on_the_page(browser, pages):
    for name, width in (("report", 1280), ("report", 390), ("hostile", 390), ("comparison", 390)):
        browser.open(pages[name], width)
        rights = browser.run("[...document.querySelectorAll('.end')].map(t => t.getBoundingClientRect().right)")
        assert max(rights) <= width


def test_the_first_column_stays_where_a_table_is_scrolled(browser, pages):
    browser.open(pages["comparison"], 390)
    place = "document.querySelector('.wide.more tbody th').getBoundingClientRect().left"
    before = browser.run(place)
    browser.run("document.querySelector('.wide.more').scrollLeft = 200")
    assert browser.run("document.querySelector('.wide.more').scrollLeft") > 20 and browser.run(place) == before


def test_labels_beside_lines_are_whole(browser, every_page):
    """The longest name with the longest figure: of a run that diverged."""
    browser.open(every_page["diverged"].as_uri(), 1280)
    edges = browser.run("""[...document.querySelectorAll('.end')].map(t => [t.getBoundingClientRect().right,
        t.closest('.frame').getBoundingClientRect().right])""")
    assert edges and all(right <= frame for right, frame in edges)


def test_a_line_that_ends_at_zero_says_so_on_a_log_axis(browser, every_page):
    browser.open(every_page["collapsed"].as_uri(), 1280)
    ends = browser.run("[...document.querySelectorAll('#chart-gradient .end')].map(t => t.textContent)")
    assert {"linear1 0", "linear2 0"} <= set(ends)


def test_hostile_names_run_nothing(browser, pages):
    browser.open(pages["hostile"])
    assert browser.run("document.title").startswith("</script></title><script>")
    assert ATTACK in browser.run("document.querySelector('h1').textContent")


def test_arrows_read_values_and_plus_zooms(browser, pages):
    browser.open(pages["report"])
    whole = browser.run(VIEW_BOX)
    browser.run("document.querySelector('#chart-loss').focus()")
    for _ in range(3):
        browser.press("ArrowRight")
    assert browser.run(READ_OUT).startswith("epoch 3 validation 1.685 train 1.658")
    assert browser.run(READ_OUT.replace("loss", "accuracy")).startswith(
        "epoch 3 validation "
    )  # all charts read one epoch
    assert browser.run("document.querySelectorAll('#chart-loss .dots circle').length") == 2
    browser.press("+")
    assert browser.run(VIEW_BOX) != whole
    browser.press("End")
    browser.press("ArrowRight")  # the view follows
    assert browser.run(VIEW_BOX) != whole and browser.problems == []
    browser.press("0")
    assert browser.run(VIEW_BOX) == whole


def test_dragging_zooms_and_escape_shows_all(browser, pages):
    browser.open(pages["report"])
    whole = browser.run(VIEW_BOX)
    x, y, width = browser.run("""(() => { const r = document.querySelector('#chart-loss svg').getBoundingClientRect();
        return [r.x, r.y, r.width] })()""")
    ends = browser.run(ENDS)
    plot, one = x + width * LEFT / WIDTH, width / WIDTH
    browser.drag(plot + PLOT_WIDTH * one / 2, y + 90, plot + 0.9 * PLOT_WIDTH * one, y + 100)
    left, _, shown, _ = map(float, browser.run(VIEW_BOX).split())
    assert left == pytest.approx(PLOT_WIDTH / 2, abs=3) and shown == pytest.approx(0.4 * PLOT_WIDTH, abs=3)
    assert browser.run(ENDS) != ends  # labels at the ends of lines tell of what is shown
    assert float(browser.run(VIEW_BOX.replace("loss", "accuracy")).split()[0]) == pytest.approx(left)  # zoomed together
    ticks = browser.run("[...document.querySelectorAll('#chart-loss .x-ticks text')].map(t => +t.textContent)")
    assert min(ticks) >= 15 and max(ticks) <= 28
    browser.run("document.querySelector('#chart-loss').focus()")
    browser.press("Escape")
    assert browser.run(VIEW_BOX) == whole


def test_print_opens_what_is_folded(browser, pages, tmp_path):
    browser.open(pages["report"])
    browser.run("document.querySelector('main').insertAdjacentHTML('beforeend', '<details id=short>folded</details>')")
    browser.run("addEventListener('afterprint', () => {}); window.seen = []")
    browser.run("addEventListener('beforeprint', () => seen.push(document.querySelector('#short').open))")
    browser.paper(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes()[:4] == b"%PDF"
    assert browser.run("seen") == [True] and not browser.run("document.querySelector('#short').open")
    assert not browser.run("document.querySelector('#epochs').open")  # a table of every epoch is no page of paper


class Growing:
    """A run that goes on when asked to."""

    def __init__(self):
        self.epochs = 10

    def runs(self):
        return ["iris/1"]

    def stamp(self, key):
        return str(self.epochs)

    def view(self, key):
        return view("iris", num_epochs=self.epochs)


def test_the_live_page_follows_the_run_and_keeps_its_zoom(browser):
    with WatchServer(Growing()) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser.open(server.url + "run/iris/1")
        browser.run("document.querySelector('#epochs').open = true")
        browser.run("document.querySelector('#chart-loss').focus()")
        browser.press("+")
        server.source.epochs = 20
        wait_for(browser, "JSON.parse(document.querySelector('#chart-loss').dataset.chart).x[1] === 20")
        assert browser.run("document.querySelector('#chart-loss').classList.contains('zoomed')")
        assert browser.run("document.querySelector('#epochs').open && document.activeElement.id === 'chart-loss'")
        assert browser.problems == [] and all(address.startswith(server.url) for address in browser.requests)
        server.shutdown()
    wait_for(browser, "document.querySelector('.lost').textContent.includes('does not answer')")


def wait_for(browser, condition):
    for _ in range(1000):
        if browser.run(condition):
            return
        time.sleep(0.1)
    raise AssertionError(f"never came true: {condition}")
