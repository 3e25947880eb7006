"""The command line as a user meets it: what it prints, what it leaves, and its exit codes."""

import contextlib
import io
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import handgrad as hg
from example_runs import table, write_images
from handgrad import cli
from handgrad.experiments import Run
from handgrad.experiments.configuration import dump_toml
from handgrad.text import folded


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """call('train', 'iris', ...) -> (exit code, standard output, standard error), in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ending:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        lines = captured.err.splitlines(keepends=True)  # the first run on a machine says that it compiles
        return ending.value.code, captured.out, "".join(li for li in lines if "for this machine, once" not in li)

    return run


def only_run(folder):
    (path,) = folder.glob("experiments/*/*/run.json")
    return Run(path.parent)


def test_train_iris_ends_with_its_test_accuracy(call, tmp_path):
    code, out, err = call("train", "iris", "--epochs", 40)
    assert (code, err) == (0, "")
    last = out.splitlines()[-1]
    assert re.fullmatch(r"test accuracy: 0\.\d{3}|test accuracy: 1\.000", last)
    run = only_run(tmp_path)
    assert last == f"test accuracy: {run.results['test']['accuracy']:.3f}"
    assert run.record["epochs"] == 40
    assert str(run.path.relative_to(tmp_path)) in out


def test_options_and_overrides_end_up_in_the_record(call, tmp_path):
    options = ["--epochs", 2, "--seed", 5, "--out", "there", "--set", "optimizer.learning_rate=0.5"]
    code, *_ = call("train", "iris", *options)
    assert code == 0
    (record,) = (tmp_path / "there").glob("iris/*/run.json")
    configuration = json.loads(record.read_text())["configuration"]
    assert (configuration["epochs"], configuration["seed"]) == (2, 5)
    assert configuration["optimizer"]["learning_rate"] == 0.5


def test_a_table_of_ones_own_is_trained_on_and_predicted(call, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{x:.3f},{y:.3f},{'far' if x * x + y * y > 1 else 'near'}" for x, y in rng.normal(size=(120, 2))]
    (tmp_path / "points.csv").write_text("\n".join(["x,y,where", *rows]))
    code, _, err = call("train", "points.csv", "--target", "where", "--epochs", 3)
    assert (code, err) == (0, "")
    run = only_run(tmp_path)
    (tmp_path / "new.csv").write_text("x,y\n0,0\n5,5\n")
    code, _, err = call("predict", run.path, "new.csv", "-o", "mine.csv")
    assert (code, err) == (0, "")
    lines = (tmp_path / "mine.csv").read_text().splitlines()
    assert lines[0] == "row,where,P(far),P(near)"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2"]
    assert {line.split(",")[1] for line in lines[1:]} <= {"far", "near"}


PEOPLE = "id,name,sex,age,port,alive\n" + "".join(
    f"{100 + i},Person {i},{'fm'[i % 2]},{'' if i % 9 == 0 else 20 + i % 7},{'SCQ'[i % 3]},{'no' if i % 4 else 'yes'}\n"
    for i in range(80)
)


def test_the_five_commands_of_the_documentation(call, tmp_path):
    """docs/datasets.md, A table of your own."""
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "new-people.csv").write_text("id,sex,age,port\n7,f,,S\n=1+1,m,30,X\n")
    page = (pathlib.Path(__file__).parents[2] / "docs/datasets.md").read_text()
    block = page[page.index("Five commands") :].split("```sh\n")[1].split("```")[0]
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    refused, suggested, trained, predicted, for_kaggle = (
        call(*(run_of(word, tmp_path) for word in command)) for command in commands
    )
    assert refused[0] == 2 and "('name'): 80 different texts" in refused[2] and "--drop name" in refused[2]
    assert suggested[0] == 0 and "'id': another value in each row" in suggested[1]
    assert (
        trained[0] == 0
        and "one-hot: sex (2 categories), port (3 categories); left out: id (the id), name" in trained[1]
    )
    assert predicted[0] == 0 and "'X' (1)" in predicted[2]
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[0] == "id,alive,P(no),P(yes)" and lines[1].startswith("7,") and lines[2].startswith("'=1+1,")
    assert for_kaggle[0] == 0 and "Category: 0 is no, 1 is yes" in for_kaggle[1]
    assert set((tmp_path / "submission.csv").read_text().splitlines()[1:]) <= {"7,0", "7,1", "'=1+1,0", "'=1+1,1"}


def run_of(word, folder):
    """The newest run's folder for the word RUN."""
    return max(folder.glob("experiments/*/*"), key=lambda run: run.stat().st_mtime) if word == "RUN" else word


def test_what_early_stopping_restored_is_said_and_drawn(call, tmp_path):
    stop = 'callbacks=[{name = "early-stopping", patience = 2}]'
    code, out, _ = call("train", "wine", "--learning-rate", 0.3, "--epochs", 60, "--set", stop)
    assert code == 0
    run = only_run(tmp_path)
    epoch = run.restored_epoch
    assert 0 < epoch < run.record["epochs"]
    assert f"early stopping restored the parameters of epoch {epoch}, the best of {run.record['epochs']}" in out
    page = (run.path / "report.html").read_text()
    assert f"restored: {epoch}" in page and f"; restored epoch {epoch}" in page


def test_options_stand_for_keys(call):
    code, out, _ = call("config", "show", "iris", "--hidden", "50,20", "--learning-rate", 0.5, "--batch-size", 7)
    assert code == 0
    assert 'name = "mlp"' in out and "50,\n    20," in out and "learning_rate = 0.5" in out and "batch_size = 7" in out
    for arguments, message in {
        ("--hidden", "5,a"): "--hidden takes numbers of units, such as 50,20; got '5,a'",
        ("--hidden", "0"): "units must be a whole number >= 1, got 0",
        ("--learning-rate", "-1"): "learning_rate must be a finite number > 0",
        ("--learning-rte", "1"): "--learning-rate",
        ("--missing", "men"): "--missing takes one of mean, median, drop; got 'men'",
        ("--optimizer", "adm"): "did you mean 'adam'",
        ("--test", "half"): "--test takes a number; got 'half' (see handgrad train --help)",
    }.items():
        code, _, err = call("train", "iris", *arguments)
        assert (code, len(err.splitlines())) == (2, 1)
        assert message in err


def test_a_data_set_without_a_ready_configuration_is_trained(call, monkeypatch):
    from handgrad.experiments import configuration

    monkeypatch.delitem(configuration.READY, "diabetes")
    code, out, _ = call("train", "Diabetes", "--epochs", 1)
    assert code == 0 and out.splitlines()[-1].startswith("test r2: ")


def test_a_regression_reports_r2(call, tmp_path):
    (tmp_path / "line.csv").write_text("\n".join(f"{i},{2 * i + 0.5}" for i in range(60)))
    code, out, _ = call("train", "line.csv", "--epochs", 3)
    assert code == 0
    assert out.splitlines()[-1].startswith("test r2: ")


def test_a_configuration_file_is_trained(call, tmp_path):
    (tmp_path / "mine.toml").write_text(dump_toml(table("images", tmp_path)))
    code, _, err = call("train", "mine.toml", "--epochs", 1)
    assert (code, err) == (0, "")


def csv(text):
    return lambda folder: (folder / "t.csv").write_text(text)


ROWS = "\n".join(f"{i},{i % 3},{'ab'[i % 2]}" for i in range(12))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "irs"], "did you mean 'iris'"),
        (["train", "mnits"], "did you mean 'mnist'"),
        (["train", "none.csv"], "no file none.csv"),
        (["train", "none.toml"], "cannot read none.toml"),
        (["train", "notes.doc"], "a table in a .csv .csv.gz .tsv .tsv.gz .npz file"),
        (["train", "iris", "--target", "x"], "has its target already"),
        (["train", "iris", "--epochs", "-1"], "epochs = -1"),
        (["train", "iris", "--epochs", "ten"], "--epochs takes a whole number; got 'ten'"),
        (["train", "iris", "--set", "batch_size=0"], "batch_size = 0"),
        (["train", "iris", "--set", "optimizer.learning_rate=0"], "learning_rate must be a finite number > 0"),
        (["train", "iris", "--set", "optimzer.learning_rate=1"], "unknown key 'optimzer'; did you mean 'optimizer'"),
        (["train", "iris", "--set", "loss=hing"], "did you mean 'hinge'"),
        (["train", "iris", "--out", "t.csv"], "cannot write in t.csv"),
        (["train", "t.csv", "--target", "nobody"], "no target column 'nobody'"),
        (["train"], "Missing argument"),
        (["trian"], "did you mean 'train'"),
        (["resume", "nowhere"], "nowhere is no run"),
        (["predict", "nowhere", "t.csv"], "nowhere is no run"),
        (["replay", "nowhere", "--step", "1"], "nowhere is no run"),
        (["evaluate", "nowhere"], "nowhere is no run"),
        (["runs", "nowhere"], "there is no folder nowhere"),
        (["sweep", "iris"], "something to vary"),
        (["data", "path", "cifar11"], "cifar11"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, tmp_path, arguments, message):
    (tmp_path / "t.csv").write_text(ROWS)
    code, _, err = call(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("handgrad: ")
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("1,2,a\n3,b\n", "row 2 has 2 cells"),
        ("1,x,a\n2,3,b\n", "'x' is not a finite"),
        ("1,,a\n2,3,b\n", "row 1, column 2"),
        ("1,2,a\n" * 9, "at least two classes"),
        ("1,nan,a\n2,3,b\n", "missing"),
    ],
)
def test_a_faulty_table_is_one_line_and_exit_code_2(call, tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    code, _, err = call("train", "t.csv")
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err
    assert not (tmp_path / "experiments").exists()


def test_a_run_that_fails_ends_with_exit_code_1(call):
    code, _, err = call("train", "iris", "--set", "optimizer.learning_rate=1e30")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "lower the learning_rate" in err


def test_a_run_that_fails_leaves_a_report_with_the_cause(call, tmp_path):
    _, out, _ = call("train", "iris", "--set", "optimizer.learning_rate=1e30")
    page = only_run(tmp_path).path / "report.html"
    assert f"report: {page.relative_to(tmp_path)}" in out
    assert re.search(r'<p class="outcome bad">Failed after \d epochs?: the loss became', page.read_text())


def test_ctrl_c_keeps_everything_and_says_how_to_go_on(tmp_path):
    arguments = [sys.executable, "-m", "handgrad", "train", "iris", "--epochs", "1000000"]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("experiments/*/*/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    run = only_run(tmp_path)
    assert process.returncode == 130
    assert f"handgrad resume {run.path.relative_to(tmp_path)}" in err
    assert "Traceback" not in err
    assert run.status == "interrupted"
    assert run.record["epochs"] == len(run.epochs()) > 0
    run.model()
    sentence = rf"Interrupted after {run.record['epochs']} epochs? of 1000000: handgrad resume \S+ goes on with it"
    assert re.search(sentence, (run.path / "report.html").read_text())


def in_terminal(folder, columns, *arguments, **environment):
    """(exit code, what a terminal of so many columns is sent)."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    usual = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "handgrad", *arguments],
        cwd=folder,
        env={**usual, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal closes with the process
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def uncoloured(shown):
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    "arguments",
    [("train", "iris", "--epochs", "30"), ("sweep", "iris", "--epochs", "2", "--jobs", "1", "--set", "seed=1,2")],
)
def test_bars_and_live_tables_work_in_a_terminal(arguments, tmp_path):
    code, shown = in_terminal(tmp_path, 100, *arguments)
    assert code == 0, shown[-2000:]
    assert "\x1b[" in shown and "Traceback" not in shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("closing", [">&-", "2>&-", "| cat"])
def test_closed_streams_and_few_letters_are_no_trouble(closing, tmp_path):
    script = f"'{sys.executable}' -m handgrad learn --list {closing} && '{sys.executable}' -m handgrad info {closing}"
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        script, shell=True, cwd=tmp_path, env={**os.environ, **plain}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_lines_are_folded_at_words_where_the_terminal_ends(tmp_path):
    for environment in ({}, {"NO_COLOR": "1"}):
        code, shown = in_terminal(tmp_path, 60, "train", "irs", **environment)
        plain = uncoloured(shown)
        assert code == 2 and max(map(len, plain.splitlines())) <= 60
        assert plain.startswith("handgrad: unknown configuration 'irs'; did you mean 'iris'?\n  (known:")
        assert ("\x1b" in shown) == (not environment)
    _, shown = in_terminal(tmp_path, 60, "summary", "lenet")
    assert max(map(len, uncoloured(shown).splitlines())) <= 60


def test_a_command_that_a_message_names_is_not_folded(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.setattr(os, "get_terminal_size", lambda number: os.terminal_size((40, 30)))
    line = folded("interrupted; go on with: handgrad resume experiments/iris/1 when you like", sys.stdout)
    assert line.split("\n  ") == ["interrupted; go on with:", "handgrad resume experiments/iris/1", "when you like"]


def test_ctrl_c_while_numpy_is_imported_ends_in_one_line(tmp_path):
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-c", "from handgrad_command import main; main()", "train", "iris"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "handgrad: stopped\n")


def test_runs_evaluate_replay_and_show_work_on_a_finished_run(call, tmp_path):
    call("train", "iris", "--epochs", 2)
    run = only_run(tmp_path)
    code, out, _ = call("runs", "--sort", "test.accuracy", "--show", "seed", "--where", "name=iris")
    assert code == 0
    assert run.id in out
    assert "seed" in out
    code, out, _ = call("evaluate", run.path)
    assert f"{run.results['test']['loss']:.4f}" in out
    code, out, _ = call("replay", run.path, "--step", 3)
    assert "linear2.weight" in out
    assert out.startswith("step 3 (epoch 1)")
    code, out, _ = call("config", "show", run.path)
    assert "epochs = 2" in out
    code, out, _ = call("resume", run.path)
    assert code == 0


def test_what_a_run_says_of_itself_cannot_steer_the_terminal(call, tmp_path):
    call("train", "iris", "--epochs", 1)
    run = only_run(tmp_path)
    wild = {**run.record, "epochs": "\x1b[2J[/red][link=http://x]", "configuration": {"name": "\x1b]0;x\x07"}}
    (run.path / "run.json").write_text(json.dumps(wild))
    code, out, _ = call("runs")
    assert code == 0
    assert "\x1b" not in out and "[link=http://x]" in out
    code, _, err = call("resume", run.path)
    assert "\x1b" not in err


def test_a_sweep_ends_with_its_best(call, tmp_path, monkeypatch):
    import joblib

    with joblib.parallel_config(backend="threading"):
        code, out, err = call("sweep", "iris", "--epochs", 2, "--set", "optimizer.learning_rate=0.01,1e30", "--jobs", 1)
    assert code == 0
    assert re.search(r"best validation.loss: \d\.\d+ by .*000$", out.splitlines()[-1])
    assert "001 failed: " in err


def test_info_shows_the_gpus_that_pytorch_finds(call):
    pytest.importorskip("torch")
    code, out, _ = call("info")
    assert code == 0 and [name for name in ("cuda", "mps") if f"\n  {name} " in out] == ["cuda", "mps"]


def test_info_says_how_a_model_is_trained(call, monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", "numpy")
    assert call("info", "iris")[1] == "step by step: HANDGRAD_KERNELS=numpy\n"


def test_info_says_how_a_saved_model_would_be_trained(call, tmp_path):
    hg.Sequential([hg.Conv2D(2, 3), hg.Flatten(), hg.Linear(2)]).build((4, 4, 1)).save(tmp_path / "model.npz")
    assert call("info", tmp_path / "model.npz")[1] == "step by step: conv2d1 (Conv2D) is not compiled\n"
    (tmp_path / "broken.npz").write_bytes(b"no model")
    code, _, err = call("info", tmp_path / "broken.npz")
    assert code == 2 and "broken.npz" in err


def test_help_and_the_list_commands_answer(call):
    for arguments, words in {
        ("--help",): "sweep",
        ("data", "list"): "breast-cancer",
        ("config", "list"): "iris",
        ("info",): "numpy",
        ("train", "--help"): "--target",
        ("--version",): "0.",
    }.items():
        code, out, _ = call(*arguments)
        assert code == 0
        assert words in out


def test_python_m_handgrad_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "handgrad", "config", "show", "iris"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ},
        check=True,
    )
    assert done.stdout.startswith("# ")


def test_help_loads_neither_numpy_nor_pages():
    code = (
        "import sys; from handgrad.cli.application import run; run(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('pydantic', 'matplotlib', 'rich', 'jinja2', 'joblib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_images_in_npz_files_are_trained_on_as_they_are(call, tmp_path):
    write_images(tmp_path / "corners.npz")
    code, _, err = call("train", "corners.npz", "--epochs", 2)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tr", "plain,train"),
        ("train iris --missing me", "plain,mean\nplain,median"),
        ("train ir", "plain,iris"),
        ("check my_l", "file,my_l"),
        ("config show fashion-m", "plain,fashion-mlp"),
    ],
)
def test_shells_complete_verbs_options_names_and_files(words, completed, monkeypatch, capsys):
    words = f"handgrad {words}"
    for name, value in {"_HANDGRAD_COMPLETE": "bash_complete", "COMP_WORDS": words}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit) as ending:
        cli.main([])
    assert (ending.value.code, capsys.readouterr().out) == (0, f"{completed}\n")


def test_a_group_without_a_command_shows_its_help(call):
    _, out, err = call("config")
    lines = (out + err).splitlines()
    assert lines[0].startswith("Usage: ") and any(line.strip().startswith("show ") for line in lines)


def started(tmp_path, *arguments, **options):
    """A training that would take hours, once it has a checkpoint."""
    command = [sys.executable, "-m", "handgrad", "train", "iris", "--epochs", "1000000", *arguments]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("experiments/*/*/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking them")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_asks_a_process_to_end_interrupts_its_training(name, tmp_path):
    process = started(tmp_path)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=300)
    run = only_run(tmp_path)
    assert (process.returncode, run.status) == (130, "interrupted")
    assert f"handgrad resume {run.path.relative_to(tmp_path)}" in err
    assert run.checkpoint()["num_steps"] == run.record["steps"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ignored_signals_stay_ignored(tmp_path):
    """As nohup and shells do for jobs in the background."""

    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = started(tmp_path, preexec_fn=ignore)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.terminate()
    process.communicate(timeout=300)
    assert process.returncode == 130


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_training_goes_on_when_nobody_reads_what_it_prints(closed, tmp_path):
    command = [sys.executable, "-m", "handgrad", "train", "iris", "--epochs", "20"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    getattr(process, closed).close()
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert only_run(tmp_path).status == "finished"
    assert list(tmp_path.glob("experiments/*/*/report.html"))


def spellings(path, tmp_path):
    """The same file by other names: relative through a folder, a symbolic link, a hard link."""
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    return [path, os.path.relpath(path, tmp_path), path.parent / ".." / path.parent.name / path.name, "soft", "hard"]


@pytest.mark.parametrize("which", range(5))
def test_an_output_never_replaces_an_input(call, tmp_path, which):
    call("train", "iris", "--epochs", 1)
    run = only_run(tmp_path).path
    (tmp_path / "new").mkdir()
    source, mine = tmp_path / "new" / "in.csv", tmp_path / "new" / "mine.py"
    source.write_text("sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n")
    mine.write_text("def f(x):\n    return x * x\n\ndef f_grad(x):\n    return 2 * x\n")
    commands = {
        source: ["predict", run, source, "-o"],
        run / "run.json": ["report", run, "-o"],
        run / "metrics.jsonl": ["compare", run, "-o"],
        run / "model.safetensors": ["writeup", run, "-o"],
        mine: ["check", mine, "--html"],
    }
    for path, arguments in commands.items():
        before = path.read_bytes()
        name = spellings(path, tmp_path)[which]
        code, _, err = call(*arguments, name)
        assert (code, len(err.splitlines())) == (2, 1)
        assert f"the output {name} would replace" in err
        assert path.read_bytes() == before
        for link in ("soft", "hard"):
            (tmp_path / link).unlink()
    code, _, err = call("writeup", run, "--code", mine, "-o", mine)
    assert code == 2 and "would replace the input" in err


def test_no_output_replaces_the_table_that_a_run_was_trained_on(call, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("a,b\n" + "".join(f"{i % 5},{'xy'[i % 2]}\n" for i in range(30)))
    assert call("train", "mine.csv", "--epochs", 1)[0] == 0
    run, before = only_run(tmp_path).path, table.read_bytes()
    (tmp_path / "new.csv").write_text("a\n1\n")
    for command in (["report", run], ["compare", run], ["writeup", run], ["predict", run, "new.csv"]):
        code, _, err = call(*command, "-o", "mine.csv")
        assert (code, table.read_bytes()) == (2, before) and "would replace the input" in err


def test_an_output_that_cannot_be_written_is_refused_before_the_work(call, tmp_path):
    call("train", "iris", "--epochs", 1)
    run = only_run(tmp_path).path
    for command in (["report", run], ["compare", run], ["writeup", run], ["predict", run, "nothing-yet.csv"]):
        for output, message in ((tmp_path, "it is a folder"), ("none/out.html", "there is no folder none")):
            code, out, err = call(*command, "-o", output)
            assert (code, out, len(err.splitlines())) == (2, "", 1)
            assert message in err


def test_what_is_not_buffered_stays_so(tmp_path):
    """Under PYTHONUNBUFFERED, as in a container, each line is in the log at once."""
    with open(tmp_path / "log", "w", encoding="utf-8") as stream:
        stream.reconfigure(write_through=True)
        print("epoch 1", end="", file=cli.unbroken(stream))
        assert (tmp_path / "log").read_text() == "epoch 1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking them")
def test_a_sweep_that_is_asked_to_end_leaves_no_trial_behind(tmp_path):
    command = [
        sys.executable,
        "-m",
        "handgrad",
        "sweep",
        "iris",
        "--epochs",
        "1000000",
        "--set",
        "seed=1,2",
        "--jobs",
        "2",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("experiments/*/*/*/checkpoint.safetensors"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err.count("handgrad resume")) == (130, 1)
    with pytest.raises(ProcessLookupError):  # the group of the processes it started
        while time.monotonic() < deadline + 300:
            os.killpg(process.pid, 0)
            time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a name be any bytes")
def test_a_table_whose_name_is_no_text_is_trained_on_and_reported(call, tmp_path):
    name = os.fsdecode(b"gr\xffn.csv")
    (tmp_path / name).write_text("x,y,where\n" + "".join(f"{i},{i % 3},{'ab'[i % 2]}\n" for i in range(40)))
    assert call("train", name, "--epochs", 1)[0] == 0
    run = only_run(tmp_path)
    assert run.configuration.data.name.endswith(name)
    for command in ("report", "writeup", "compare", "evaluate"):
        code, _, err = call(command, run.path)
        assert (code, err) == (0, "")


def test_a_narrow_terminal_keeps_epoch_bar_time_and_speed():
    from rich.console import Console

    from handgrad.training.bar import RunBar

    figures = ["loss 0.2539", "accuracy 0.875", "validation loss 0.2225", "validation accuracy 0.9167"]
    for width in 60, 80, 120:
        bar = RunBar(Console(width=width, record=True, force_terminal=True, file=io.StringIO()))
        bar.show("epoch 12/50", 600, 2500, figures)
        bar.keep(["epoch 11/50", *figures])
        bar.console.print(bar.get_renderable())
        kept, line = bar.console.export_text().splitlines()
        assert max(len(kept), len(line)) <= width
        assert line.startswith("epoch 12/50 ━") and kept.startswith("epoch 11/50")
        assert figures[0] in line and (figures[-1] in line) == (width == 120)


@pytest.mark.parametrize(
    "words",
    [
        ["config", "list"],
        ["data", "list"],
        ["courses", "list"],
        ["info"],
        ["info", "iris"],
        ["summary", "iris"],
        ["learn"],
        ["sweep", "iris", "--epochs", 1, "--jobs", 1, "--set", "seed=1,2"],
    ],
)
def test_json_is_one_document(words, call):
    code, out, _ = call(*words, "--json")
    assert code == 0 and json.loads(out)


def test_json_of_a_training_is_what_runs_say_of_it(call):
    code, out, err = call("train", "iris", "--epochs", 2, "--json")
    trained = json.loads(out)
    assert code == 0 and "iris.csv: row 1 is the header" in err
    assert trained["test.accuracy"] > 0 and os.path.isfile(trained["report"])
    (listed,) = json.loads(call("runs", "--json")[1])
    assert listed.items() <= trained.items()
    exported = json.loads(call("export", trained["path"], "-o", "iris.py", "--json")[1])
    assert exported["ok"] and exported["path"] == "iris.py"


def test_summary_shows_a_network_of_a_name_and_of_a_changed_one(call):
    _, out, _ = call("summary", "iris", "--hidden", "7")
    assert "(N, 7)" in out and "(N, 3)" in out
