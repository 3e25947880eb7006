"""The computational graph of a forward as a picture."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import handgrad as hg

SVG = "{http://www.w3.org/2000/svg}"


def normalize(x, gamma):
    mean = x.mean(axis=0)
    centred = x - mean
    spread = np.sqrt((centred**2).mean(axis=0) + 1e-5)
    return gamma * (centred / spread)


def drawn(forward, *arrays, **options):
    """(words by box, the whole picture) of a graph."""
    svg = hg.draw_graph(forward, *arrays, **options).svg
    boxes = [node for node in ElementTree.fromstring(svg).iter(f"{SVG}g") if "node" in node.get("class")]
    return [" ".join(t.text for t in box.iter(f"{SVG}tspan")) for box in boxes], svg


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def arrays(rng):
    return rng.normal(size=(4, 3)), rng.normal(size=3)


def test_a_box_for_each_value_with_its_number_and_its_gradient():
    words, _ = drawn(lambda x, w: x * w + x, np.array(2.0), np.array(-3.0))
    assert words == ["x 2 -2", "w -3 2", "x * w -6 1", "x * w + x -4 1"]


def test_edges_say_what_comes_back_where_a_value_is_used_twice():
    _, svg = drawn(lambda x, w: x * w + x, np.array(2.0), np.array(-3.0))
    parts = re.findall(r'class="gradient on-edge"[^>]*>([^<]*)<', svg)
    assert sorted(parts) == ["-3", "1"]


def test_arrays_are_told_by_shape_and_size(arrays):
    words, _ = drawn(normalize, *arrays)
    assert [line.split(" ")[0] for line in words[:4]] == ["x", "gamma", "mean", "centred"]
    assert words[2].endswith("3") and words[3].endswith("4×3")


def boxes_overlap(svg):
    spots = [
        tuple(float(box.get(side)) for side in ("x", "y", "width", "height"))
        for box in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    ]
    return any(
        a < b and a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
        for a in spots
        for b in spots
    )


def test_no_box_lies_on_another(arrays):
    assert not boxes_overlap(drawn(normalize, *arrays)[1])


def test_a_helpers_value_has_the_name_that_its_caller_gives_it(rng):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def gate(x, h):
        opened = sigmoid(x)
        return opened * h

    words, _ = drawn(gate, rng.normal(size=3), rng.normal(size=3))
    assert any(line.startswith("opened 1 / (1 + np.exp(-z))") for line in words)


def test_a_long_forward_is_drawn_by_its_variables(rng):
    def long(x):
        for _ in range(30):
            x = np.tanh(x + 1)
        return x

    words, svg = drawn(long, rng.normal(size=2))
    assert len(words) == 31 and not boxes_overlap(svg)


def test_it_is_written_as_svg_that_stands_alone(tmp_path, arrays):
    graph = hg.draw_graph(normalize, *arrays)
    graph.save(tmp_path / "graph.svg")
    text = (tmp_path / "graph.svg").read_text("utf-8")
    assert text == graph.svg == graph._repr_svg_()
    assert "prefers-color-scheme: dark" in text and "var(--" in text and "<script" not in text


def test_hostile_names_stay_text():
    namespace = {}
    source = "def f(x):\n    y = x * 2 + len('</title><script>alert(1)</script>')\n    return y\n"
    exec(compile(source, "<made>", "exec"), namespace)
    with pytest.raises(ValueError, match="source cannot be read"):
        hg.draw_graph(namespace["f"], np.ones(2))
    _, svg = drawn(lambda x: x * len("</title><script>"), np.ones(2))
    assert "<script" not in svg and ElementTree.fromstring(svg) is not None


def test_other_files_are_refused(tmp_path, arrays):
    with pytest.raises(ValueError, match=r"path that ends in \.svg"):
        hg.draw_graph(normalize, *arrays).save(tmp_path / "graph.png")


def test_more_than_can_be_drawn_is_refused():
    def endless(x):
        for _ in range(8):
            a = x + 1
            b = a * 2
            c = b - a
            d = c + b
            x = d * 0.5
        for _ in range(39):
            a = x + 1
            b = a * 2
            c = b - a
            d = c + b
            x = d * 0.1
        return x

    with pytest.raises(ValueError, match="of which at most 150 can be drawn"):
        hg.draw_graph(endless, np.ones(1))


def scaled(x, gain):
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    return gain * centred / var, (centred, var, gain)


def scaled_backward(dy, cache, power=1):
    centred, var, gain = cache
    dcentred = dy * gain / var
    dvar = -(dy * gain * centred).sum(axis=0) / var**power
    dcentred = dcentred + 2 / len(dy) * centred * dvar
    return dcentred - dcentred.mean(axis=0), (dy * centred / var).sum(axis=0)


def right_backward(dy, cache):
    return scaled_backward(dy, cache, power=2)


def test_what_a_backward_gets_wrong_is_red_with_yours_beside_it(arrays):
    words, svg = drawn((scaled, scaled_backward), *arrays)
    assert [line.split(" ")[0] for line in words if "yours" in line] == ["x", "centred", "var"]
    assert "wrong in the backward" in svg and svg.count('class="edge wrong"') == 6  # from x to var, and above it


def test_nothing_is_red_where_the_backward_is_right(arrays):
    words, svg = drawn((scaled, right_backward), *arrays)
    assert not any("yours" in line for line in words) and 'class="edge wrong"' not in svg


def test_intermediates_have_yours_beside_the_true_gradient(arrays):
    found = hg.intermediates((scaled, scaled_backward), *arrays)
    assert found["var"].is_wrong and not found["mean"].is_wrong and not found["gain"].is_wrong
    right = hg.intermediates((scaled, right_backward), *arrays)
    assert np.allclose(right["var"].yours, right["var"].gradient)
    assert not any(row.is_wrong for row in right)
    assert hg.intermediates(scaled, *arrays)["var"].yours is None


def test_a_notebook_shows_yours_beside_the_true_ones_as_heat_maps(arrays):
    found = hg.intermediates((scaled, scaled_backward), *arrays)
    page = found.to_html()
    assert found._repr_html_() in page and page.count('aria-label="yours"') >= 5 and "✗" in page


def test_layers_show_their_parameters(arrays):
    layer = hg.Linear(2)
    found = hg.intermediates(layer, arrays[0])
    assert found["weight"].yours is not None and not found["weight"].is_wrong
