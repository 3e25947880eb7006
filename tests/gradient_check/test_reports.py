"""What a report says in a terminal and on a page."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from handgrad import functional as F
from handgrad.gradient_check import check_gradients
from handgrad.gradient_check.report import render

X, W, B = (np.random.default_rng(1).normal(size=shape) for shape in ((5, 4), (4, 3), (3,)))


def wrong(dy, cache):
    dx, dweight, dbias = F.linear_backward(dy, cache)
    return dx, dweight / 5, dbias


class Tags(HTMLParser):
    """Checks that tags are closed in the order they were opened, and keeps what refers to elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [v for k, v in attributes if k in ("src", "href")]
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag


@pytest.fixture
def report():
    return check_gradients((F.linear_forward, wrong), X, W, B)


def test_the_text_is_short_and_says_what_to_do(report):
    text = str(report)
    assert text.startswith("✗ linear_forward: 1 wrong gradient")
    assert "batch size 5" in text
    assert "evidence: found / expected = 0.2" in text
    assert len(text.splitlines()) <= 10
    assert max(map(len, text.splitlines())) <= 112


def test_a_right_report_is_a_line_per_array():
    text = str(check_gradients((F.linear_forward, F.linear_backward), X, W, B))
    assert len(text.splitlines()) == 5
    assert "every gradient is right" in text


def test_the_page_is_one_whole_document_without_references(report):
    page = report.to_html()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.links == []
    assert "<script" not in page
    assert "batch-size-factor" in page


def test_the_page_shows_each_entry_of_a_wrong_array(report):
    page = report.to_html()
    for place in ("weight[0, 0]", "weight[3, 2]"):
        assert f"{place} = " in page
    assert page.count("<details open>") == 1, "only the wrong array's map is unfolded"
    assert len(set(re.findall(r'fill="(#[0-9a-f]{6})"', page))) > 10


def test_names_are_escaped():
    check = check_gradients((F.relu_forward, F.relu_backward), X)
    check.target = "<script>alert(1)</script>"
    assert "<script>" not in check.to_html()


def test_large_arrays_are_drawn_in_blocks():
    x = np.random.default_rng(0).normal(size=(300, 200))
    page = check_gradients((F.relu_forward, F.relu_backward), x, max_entries=30).to_html()
    assert page.count("<rect") < 4 * 50 * 50
    assert "60,000 entries" in page


def test_several_reports_share_a_page_under_a_list_of_them(report):
    page = render(report, check_gradients((F.relu_forward, F.relu_backward), X))
    assert page.count("<h1>") == 1 and "<h1>2 checks: 1 with something wrong</h1>" in page and page.count("<h2>") == 2
    assert page.index('href="#check-1"') < page.index('id="check-0"') < page.index('id="check-1"')
    Tags().feed(page)


def by_rows(dy, cache):
    x, weight = cache
    dx = dy @ weight.T
    dweight = x.T @ dy / len(x)
    return dx, dweight, dy.sum(axis=0)


def test_the_wrong_line_is_marked_in_the_code_beside_the_verdict():
    report = check_gradients((F.linear_forward, by_rows), X, W, B)
    page = report.to_html()
    marked = re.findall(r"<span class=wrong><i>(\d+)</i>\s+(.*?)\n</span>", page)
    assert marked == [(str(report.verdicts[0].line), "dweight = x.T @ dy / len(x)")]
    assert "def by_rows(dy, cache):" in page and page.index("batch size factor") < page.index("def by_rows")
    assert 'class="node argument wrong"' in page  # the weight in the graph
    assert page.count("<circle") == W.size  # yours against numeric
    assert "tr class=marked" in page


def test_a_graph_that_would_tell_the_right_gradient_is_kept_back():
    page = check_gradients((F.linear_forward, by_rows), X, W, B, hints="where").to_html()
    assert "def by_rows" in page and 'class="graph"' not in page and "<circle" not in page
    assert "def by_rows" not in check_gradients((F.linear_forward, by_rows), X, W, B, hints="none").to_html()


def test_shapes_that_differ_are_drawn_side_by_side():
    report = check_gradients((F.linear_forward, lambda dy, c: (*F.linear_backward(dy, c)[:2], dy)), X, W, B)
    assert "yours (a)" in report.to_html()
    assert report["bias"].deviation is None


def test_plain_data_says_what_the_report_says(report):
    data = report.to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["ok"], data["target"], [a["name"] for a in data["arrays"]]) == (False, report.target, [*report.arrays])
    wrong = next(a for a in data["arrays"] if not a["ok"])
    assert (wrong["name"], wrong["shape"], wrong["error"]) == ("weight", [4, 3], report["weight"].error)
    (verdict,) = data["verdicts"]
    assert verdict["mistake"] == report.verdicts[0].mistake
    assert verdict["advice"] == report.verdicts[0].term.advice


def test_plain_data_tells_no_more_than_the_hints_allow():
    data = check_gradients((F.linear_forward, wrong), X, W, B, hints="where").to_dict()
    assert "batch" not in json.dumps(data)
    assert [a["error"] for a in data["arrays"] if not a["ok"]] == [None]


def test_numbers_that_are_none_are_null_and_kinks_are_data():
    faulty = check_gradients((lambda x: 1 / 0, lambda dy, cache: dy), X)
    kinked = check_gradients((F.relu_forward, F.relu_backward), np.zeros((2, 2)))
    for report in (faulty, kinked):
        json.dumps(report.to_dict(), allow_nan=False)
    assert kinked.to_dict()["arrays"][0]["kinks"][0]["index"] == [0, 0]


def test_a_notebook_shows_the_report_within_its_own_page(report):
    report.target = "<script>alert(1)</script><h1>"
    shown = report._repr_html_()
    Tags().feed(shown)
    assert "batch-size-factor" in shown
    assert not re.search("<(script|style|html|head|body|h1)", shown)
    assert repr(report) == f"<Report on {report.target}: 1 wrong gradient, 1 verdict>"
