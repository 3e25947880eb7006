"""Exports as pages: they compute what the model predicts, and in a real Chromium they can be played with."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from browser import PROGRAM, Browser
from fuzzing import examples
from handgrad.exchange import Program, page_file, record

chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")
ATTACK = "</script></title><b>*/ `${x = 1}` \"'\u2028"
SIZES = [(1280, False), (1280, True), (390, False), (390, True)]


def board(facts=()):
    """A program that says which half of an image is lighter."""
    model = hg.Sequential([hg.Flatten(), hg.Linear(2)]).build((4, 4, 1), rng=0)
    upper = np.repeat([1.0, -1.0], 8)
    model.parameters["linear1.weight"][:] = np.stack([upper, -upper], axis=1)
    program = record(model)
    return Program(program.x, program.outputs, program.operations, facts=dict(facts))


def form(name="people"):
    """A program of a number, a text and a number of no range, with probabilities."""
    program = record(hg.Sequential([hg.Linear(2)]).build(3, rng=0))
    columns = [
        {"name": name, "low": -1.0, "high": 3.0, "mean": 1.5},
        {"name": "text", "texts": ["red", name]},
        {"name": "last", "low": 2.0, "high": 2.0, "mean": 2.0},
    ]
    facts = {"name": name, "class_names": [name, "b"], "columns": columns}
    return Program(
        program.x, {**program.outputs, "probabilities": program.outputs["y"]}, program.operations, facts=facts
    )


PAGES = {
    "board": board({"name": "halves"}),
    "colours": record(hg.Sequential([hg.Conv2D(3, 3), hg.GlobalAvgPool2D(), hg.Softmax()]).build((8, 6, 3), rng=0)),
    "form": form(),
    "hostile": form(ATTACK),
    "regression": record(hg.Sequential([hg.Linear(1)]).build(2, rng=0)),
    "outputs": record(hg.Sequential([hg.Linear(30)]).build((2, 3), rng=0)),
    "indices": record(hg.Sequential([hg.Embedding(7, 2), hg.Flatten(), hg.Linear(3)]).build(4, rng=0)),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, program in PAGES.items():
        (folder / f"{name}.html").write_text(page_file.write(program, name)[".html"], encoding="utf-8")
    return {path.stem: path.as_uri() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@chromium
@pytest.mark.parametrize("width, dark", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_at_every_size_is_quiet_and_fits(browser, pages, name, width, dark):
    browser.open(pages[name], width, dark=dark)
    assert browser.problems == [] and browser.requests == [pages[name]]
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert (browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)") != dark
    unnamed = "[...document.querySelectorAll('input, select')].filter((e) => !e.labels.length && !e.ariaLabel).length"
    assert browser.run(unnamed) == 0


def answer(browser, waiting=200):
    browser.settle(waiting)
    return browser.run("document.getElementById('answer').textContent")


def corner(browser):
    return browser.run(
        "(() => { const b = document.getElementById('board').getBoundingClientRect(); return [b.x, b.y]; })()"
    )


@chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_a_drawing_is_answered_and_cleared(browser, pages, width):
    browser.open(pages["board"], width)
    browser.run("document.getElementById('centre').click()")
    x, y = corner(browser)
    browser.drag(x + 20, y + 40, x + 200, y + 40)
    assert re.fullmatch(r"output 0, \d+\.\d %", answer(browser))
    assert browser.run("document.getElementById('said').textContent") == answer(browser)
    browser.run("document.getElementById('clear').click()")
    assert answer(browser) == "output 0, 50.0 %"
    browser.run("document.getElementById('invert').click()")
    browser.settle()
    assert browser.run("document.getElementById('seen').getContext('2d').getImageData(0, 0, 1, 1).data[0]") == 255


@chromium
def test_the_keyboard_draws(browser, pages):
    browser.open(pages["board"])
    browser.run("document.getElementById('centre').click(); document.getElementById('board').focus()")
    for key in [" ", "ArrowDown", "ArrowDown", "ArrowLeft", " "]:
        browser.press(key)
    assert answer(browser).startswith("output 1, ")
    browser.press("Delete")
    assert answer(browser) == "output 0, 50.0 %"


@chromium
def test_what_is_drawn_is_centred_and_scaled_on_request(browser, pages):
    browser.open(pages["board"])
    browser.run("document.getElementById('width').value = 25")
    x, y = corner(browser)
    browser.drag(x + 10, y + 10, x + 12, y + 10)
    light = (
        "document.getElementById('seen').getContext('2d').getImageData(0, 0, 4, 4).data.filter((_, i) => i % 4 === 0)"
    )
    browser.settle()
    seen = np.reshape(browser.run(f"[...{light}]"), (4, 4))
    rows, columns = np.indices((4, 4))
    assert abs((rows * seen).sum() / seen.sum() - 1.5) < 0.2 and abs((columns * seen).sum() / seen.sum() - 1.5) < 0.2


@chromium
def test_the_saliency_is_that_of_the_class_that_is_pressed(browser, pages):
    browser.open(pages["board"])
    browser.run("document.querySelectorAll('#answers button')[1].click()")
    answer(browser)
    assert browser.run("document.getElementById('looked').textContent") == "output 1"
    pressed = "[...document.querySelectorAll('#answers button')].map((b) => b.ariaPressed)"
    assert browser.run(pressed) == ["false", "true"]
    colours = browser.run("[...document.getElementById('saliency').getContext('2d').getImageData(1, 1, 1, 1).data]")
    assert colours == [255, 155, 84, 255]  # every pixel counts the same here: full colour


@chromium
def test_a_picture_is_taken_as_it_is_and_one_on_white_paper_inverted(browser, pages):
    browser.open(pages["board"])
    browser.run("document.getElementById('centre').click()")
    browser.run("""(async () => {
        const made = Object.assign(document.createElement('canvas'), { width: 40, height: 40 });
        const context = made.getContext('2d');
        context.fillStyle = 'white'; context.fillRect(0, 0, 40, 40);
        context.fillStyle = 'black'; context.fillRect(4, 24, 32, 12);
        const file = new File([await new Promise((done) => made.toBlob(done))], 'two.png', { type: 'image/png' });
        const data = new DataTransfer(); data.items.add(file);
        document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
    })()""")
    browser.wait_for("document.getElementById('answer').textContent.startsWith('output 1')")
    assert answer(browser).startswith("output 1, 100") and browser.problems == []


@chromium
def test_a_file_that_is_no_picture_is_named(browser, pages):
    browser.open(pages["board"])
    browser.run("""(() => { const data = new DataTransfer(); data.items.add(new File(['x'], 'notes.txt'));
        document.dispatchEvent(new DragEvent('drop', { dataTransfer: data })); })()""")
    browser.wait_for("document.getElementById('note').textContent.includes('notes.txt')")
    assert "notes.txt is no picture" in browser.run("document.getElementById('note').textContent")


@chromium
def test_a_form_spans_the_training_and_answers_what_is_set(browser, pages):
    browser.open(pages["form"])
    slider = browser.run("(() => { const s = document.getElementById('column0'); return [s.min, s.max, s.value]; })()")
    assert list(map(float, slider)) == [-1, 3, 1.5]
    browser.run("""(() => { const typed = document.querySelector('[type=number]'); typed.value = 40;
        document.getElementById('column1').value = 1;
        typed.dispatchEvent(new Event('input', { bubbles: true })); })()""")
    y = PAGES["form"].run([[40, 1, 2]])["y"][0]
    assert answer(browser) == f"{['people', 'b'][y.argmax()]}, {100 * y.max():.{0 if y.max() >= 0.9995 else 1}f} %"


@chromium
def test_what_is_missing_has_no_answer(browser, pages):
    browser.open(pages["form"])
    browser.run("""(() => { const typed = document.querySelector('[type=number]'); typed.value = '';
        typed.dispatchEvent(new Event('input', { bubbles: true })); })()""")
    assert answer(browser) == "no number" and browser.problems == []
    assert "NaN" not in browser.run("document.getElementById('answers').textContent")


@chromium
def test_whole_numbers_stay_whole(browser, pages):
    browser.open(pages["indices"])
    for _ in range(3):
        browser.run("document.getElementById('random').click()")
        values = browser.run("[...document.querySelectorAll('[type=number]')].map((e) => e.value)")
        assert all(re.fullmatch("[0-6]", value) for value in values) and "no number" not in answer(browser, 20)


@chromium
def test_hostile_names_are_shown_and_do_nothing(browser, pages):
    browser.open(pages["hostile"])
    assert browser.run("document.querySelector('h1').textContent").startswith("</script></title><b>")
    assert browser.run("document.querySelector('#answers button').textContent") == ATTACK
    assert browser.run("[...document.querySelectorAll('b')].map((b) => b.id)") == ["looked"]
    assert browser.run("typeof x") == "undefined" and browser.problems == []


ANY_NAME = st.text(min_size=1, max_size=20)


@given(ANY_NAME)
@examples(100)
def test_no_name_ends_a_script(name):
    page = page_file.write(form(name), name)[".html"]
    assert page.count("<script") == page.count("</script") == 3 and "<!--" not in page


def test_the_page_of_lenet_is_small(tmp_path):
    model = hg.Sequential(hg.models.lenet()).build((28, 28, 1), rng=0)
    assert hg.export(model, tmp_path / "lenet.html").ok
    assert (tmp_path / "lenet.html").stat().st_size < 1_500_000


@pytest.mark.parametrize("shape", [(20, 20), (9, 9, 4)])
def test_examples_that_no_page_shows_are_refused(tmp_path, shape):
    model = hg.Sequential([hg.Flatten(), hg.Linear(2)]).build(shape, rng=0)
    with pytest.raises(ValueError, match=r"form of at most 256 numbers.*ends in \.js"):
        hg.export(model, tmp_path / "net.html")
    assert list(tmp_path.iterdir()) == []
