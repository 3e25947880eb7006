"""The live server: it shows what its source has, to this machine only, and nothing else whatever is asked."""

import http.client
import socket
import struct
import threading

import pytest

from handgrad.reports.watch import WatchServer
from run_views import ATTACK, view


class Source:
    """Two runs in memory, one with a hostile name; one that is damaged."""

    def __init__(self):
        self.changes, self.views = 0, {"iris/1": view("iris"), f"x/{ATTACK}": view(ATTACK), "bad": None}

    def runs(self):
        return list(self.views)

    def stamp(self, key):
        return f"{key[:3]}-{self.changes}"

    def view(self, key):
        if self.views[key] is None:
            raise ValueError("bad/run.json is damaged: <b>no JSON</b>")
        return self.views[key]


@pytest.fixture
def server():
    with WatchServer(Source()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=300)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1" and server.url == f"http://127.0.0.1:{server.server_port}/"


def test_the_list_of_runs_links_to_each(server):
    answer, text = ask(server, "/")
    assert answer.status == 200 and '<a href="/run/iris/1">1</a>' in text and ">test accuracy</th>" in text
    assert '<td class="number">0.9</td>' in text and "<title>2 runs – handgrad</title>" in text
    assert "bad/run.json is damaged: &lt;b&gt;" in text and text.count("<script>") == 2


def test_a_run_is_the_report_with_live_script(server):
    answer, text = ask(server, "/run/iris/1")
    assert answer.status == 200 and 'id="chart-loss"' in text and 'data-stamp="iri-0"' in text
    assert "connect-src 'self'" in text and answer.headers["X-Content-Type-Options"] == "nosniff"


def test_runs_stand_by_folder_the_newest_first_with_their_comparison(server):
    for number, started in ((0, "2026-01-01"), (1, "2026-01-03"), (2, "2026-01-02")):
        one = server.source.views[f"sweep/{number}"] = view(seed=number)
        one.origin = {"started": started}
    one.status, one.epochs, one.seconds_left = "running", 60, 90.0
    one.results = {}
    text = ask(server, "/")[1]
    places = [text.index(f'href="/run/sweep/{number}"') for number in (1, 2, 0)]
    assert places == sorted(places) and 'href="/compare/sweep">compare 3</a>' in text
    assert "<title>5 runs, 1 training – handgrad</title>" in text and "1 min 30 s" in text and 'value="0.500"' in text
    server.source.views["sweep/0"].status = "failed"
    assert "5 runs, 1 training, 1 failed" in ask(server, "/")[1]
    compared = ask(server, "/compare/sweep")[1]
    assert "3 runs compared" in compared and '<a href="/">All runs</a>' in compared
    assert ask(server, "/stamp/compare/sweep")[1] == " ".join(["swe-0"] * 3)
    assert ask(server, "/compare/nothing")[0].status == 404


def test_the_page_of_a_run_that_trains_has_its_whole_axis_and_the_newest_epoch_first(server):
    one = server.source.views["iris/1"]
    one.status, one.epochs, one.seconds_left = "running", 60, 12.0
    text = ask(server, "/run/iris/1")[1]
    assert "epoch 30 of 60, about 12.0 s left" in text and "&#34;x&#34;:[1.0,60]" in text
    assert text.index('<th scope="row" class="number">30</th>') < text.index('<th scope="row" class="number">1</th>')


def test_the_stamp_changes_with_the_run(server):
    assert ask(server, "/stamp/run/iris/1")[1] == "iri-0"
    server.source.changes += 1
    assert ask(server, "/stamp/run/iris/1")[1] == "iri-1" and "iri-1" in ask(server, "/stamp/")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/run/../../etc/passwd",
        "/run/%2e%2e/%2e%2e/etc/passwd",
        "/run//etc/passwd",
        "/run/iris/1/../1",
        "/run/iris%00/1",
        "/run/",
        "/stamp/run/nothing",
        "/run/iris",
        "/run/iris/1/",
        "/run/..%5c..%5cetc",
    ],
)
def test_what_is_no_run_is_not_found(server, path):
    answer, text = ask(server, path)
    assert answer.status == 404 and text == "there is no such run\n"


def test_other_names_for_this_server_are_refused(server):
    assert ask(server, "/", Host="evil.example")[0].status == 403
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(server, method):
    assert ask(server, "/", method)[0].status == 501


def test_head_has_no_body(server):
    answer, text = ask(server, "/", "HEAD")
    assert answer.status == 200 and text == ""


def test_a_damaged_run_says_so_and_the_server_goes_on(server):
    answer, text = ask(server, "/run/bad")
    assert answer.status == 500 and "is damaged" in text and answer.headers["Content-Type"].startswith("text/plain")
    assert ask(server, "/run/iris/1")[0].status == 200


def test_a_browser_that_goes_away_is_no_error(server, capfd):
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", server.server_port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
        client.sendall(b"GET / HTTP/1.1\r\n")
        client.close()
    ask(server, "/")
    assert capfd.readouterr().err == ""
