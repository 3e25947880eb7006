"""handgrad report, compare and watch, as a user types them."""

import http.client
import re
import signal
import subprocess
import sys

import pytest

from example_runs import BASE, DENSE, IRIS
from handgrad import cli
from handgrad.experiments import check_configuration, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("experiments")
    for seed in (0, 1):
        table = {"name": "iris", "data": IRIS, "model": DENSE, **BASE, "epochs": 2, "seed": seed}
        train(check_configuration(table), out, progress=False)
    return out


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as ending:
        cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return ending.value.code, captured.out, captured.err


def test_report_writes_into_the_run(runs, capsys):
    run = sorted(runs.glob("iris/*"))[0]
    code, out, _ = call(capsys, "report", run)
    assert code == 0 and out == f"report: {run / 'report.html'}\n"
    assert "<h1>iris" in (run / "report.html").read_text()


def test_report_goes_where_it_is_told(runs, capsys, tmp_path):
    run = sorted(runs.glob("iris/*"))[0]
    assert call(capsys, "report", run, "-o", tmp_path / "a.html")[0] == 0 and (tmp_path / "a.html").exists()
    code, _, err = call(capsys, "report", run, "-o", tmp_path / "no" / "a.html")
    assert code == 2 and err.count("\n") == 1 and "cannot write" in err


def test_report_of_no_run_is_one_line(capsys, tmp_path):
    code, _, err = call(capsys, "report", tmp_path)
    assert code == 2 and "is no run" in err and err.count("\n") == 1


def test_compare_takes_runs_or_their_folder(runs, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(capsys, "compare", runs)
    assert code == 0 and out == "2 runs compared: comparison.html\n"
    assert "2 runs compared" in (tmp_path / "comparison.html").read_text()
    assert call(capsys, "compare", *runs.glob("iris/*"), "-o", "b.html")[0] == 0 and (tmp_path / "b.html").exists()


def test_compare_of_nothing_is_one_line(capsys, tmp_path):
    assert call(capsys, "compare", tmp_path)[0] == 2
    code, _, err = call(capsys, "compare", tmp_path / "missing")
    assert code == 2 and "there is no folder" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a signal")
def test_watch_serves_until_ctrl_c(runs):
    command = [sys.executable, "-m", "handgrad", "watch", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", line)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200 and "iris/" in answer.read().decode()
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0 and process.stderr.read() == ""


def test_watch_of_no_folder_is_one_line(capsys, tmp_path):
    code, _, err = call(capsys, "watch", tmp_path / "nothing")
    assert code == 2 and "there is no folder" in err and err.count("\n") == 1
