"""Every command, given every kind of bad input that it can be given, ends with one clear line and exit code 2."""

import json
import shutil

import joblib
import pytest

from example_runs import table
from handgrad import cli
from handgrad.cli.application import COMMANDS
from handgrad.experiments import check_configuration, train
from handgrad.experiments.sweep import run_sweep, start_sweep


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one of each: a run, a sweep, damaged ones, and files of every wrong kind."""
    folder = tmp_path_factory.mktemp("bad")
    base = {**table("momentum", folder), "epochs": 1}
    shutil.copytree(train(check_configuration(base), folder / "out", progress=False).path, folder / "run")
    with joblib.parallel_config(backend="threading"):
        swept = run_sweep(start_sweep(base, ["seed=1,2"], folder / "out"), jobs=1)
    shutil.copytree(swept.path, folder / "sweep")
    shutil.rmtree(folder / "out")
    record = json.loads((folder / "run" / "run.json").read_text())
    for name, changes in {
        "interrupted": {"status": "interrupted", "results": None},
        "newer": {"format": 99},
        "lying": {"data": {**record["data"], "fingerprint": "0"}, "status": "interrupted"},
    }.items():
        shutil.copytree(folder / "run", folder / name)
        (folder / name / "run.json").write_text(json.dumps({**record, **changes}))
    for name, content in {
        "empty.csv": b"",
        "binary.csv": bytes(range(256)) * 9,
        "latin.csv": "größe,art\n1,ä\n2,b\n".encode("latin-1") * 3,
        "text.toml": b"epochs = [",
        "binary.toml": b"\xff\xfe\x00",
        "notes.txt": b"hello",
        "wrong.npz": b"PK nothing",
        "mine.py": b"def f(:\n",
        "nothing.py": b"x = 1\n",
        "fine.csv": b"sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n",
    }.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "run.json").write_bytes(b'{"status": ')
    return folder


NO_RUN = [
    "nowhere",
    "",
    "folder",
    "fine.csv",
    "binary.csv",
    "damaged",
    "ru\udcffn",
    "\x00",
    "-",
    "run/run.json",
    "r" * 5000,
]
NO_SOURCE = ["nowhere", "", "irs", "folder", "nowhere.csv", "nowhere.toml", "empty.csv", "binary.csv", "binary.toml"]
NO_SOURCE += [
    "text.toml",
    "notes.txt",
    "wrong.npz",
    "run",
    "ru\udcffn.csv",
    "\x00.csv",
    "folder/..",
    "x" * 5000 + ".csv",
]
NO_OUTPUT = ["folder", "none/out.html", "run/run.json", "run/../run/metrics.jsonl", "sweep/sweep.json"]
NO_COUNT = ["-1", "1.5", "nan", "inf", "", "ten", "9" * 5000]
NO_SETTING = [
    "epochs",
    "=1",
    "",
    "epochs=-1",
    "epochs=nan",
    "epochs=" + "9" * 99,
    "epoch=1",
    "optimizer.lr=1",
    "a..b=1",
]
NO_SETTING += ["batch_size=0", "optimizer.learning_rate=nan", "optimizer.learning_rate=inf", "data.test=2.5", "seed=-1"]
NO_SETTING += [
    "model.layers.9.units=3",
    "loss=3",
    "name=../x",
    "data.name=" + "[" * 999,
    "model.layers=[]",
    "dtype=int8",
]

# command -> what it is given, a kind of bad input after the other
BAD = {
    "train": [
        *([source] for source in NO_SOURCE),
        *(["iris", "--epochs", count] for count in NO_COUNT),
        *(["iris", "--seed", count] for count in NO_COUNT),
        *(["iris", "--set", setting] for setting in NO_SETTING),
        ["iris", "--out", "fine.csv"],
        ["iris", "--device", "cpu", "--engine", "numpy"],
        ["iris", "--engine", "nupmy"],
        ["iris", "--target", "species"],
        ["fine.csv", "--target", "nobody"],
        ["fine.csv", "--target", "99"],
    ],
    "resume": [*([run] for run in NO_RUN), ["newer"], ["lying"]],
    "sweep": [
        *([source, "--set", "seed=1,2"] for source in NO_SOURCE),
        *(["iris", "--set", setting] for setting in NO_SETTING),
        *(
            ["iris", "--set", "seed=1,2", option, count]
            for option in ("--random", "--jobs")
            for count in [*NO_COUNT, "0"]
        ),
        ["iris"],
        ["iris", "--set", "optimizer.learning_rate=log(1,2"],
        ["iris", "--set", "optimizer.learning_rate=log(0,1,3)"],
        ["iris", "--set", "optimizer.learning_rate=log(1e-3,1,999999999)"],
        ["iris", "--set", "seed=linear(1,9,999)", "--set", "epochs=linear(1,9,999)"],
        ["iris", "--set", "optimizer.learning_rate=linear(1,nan,3)"],
        ["iris", "--set", "seed=1,2", "--metric", "test.acuracy"],
        ["iris", "--set", "seed=1,2", "--random", "2", "--optuna", "2"],
        ["iris", "--set", "seed=1,2", "--out", "fine.csv"],
    ],
    "predict": [
        *([run, "fine.csv"] for run in [*NO_RUN, "sweep"]),
        *(["run", source] for source in NO_SOURCE),
        *(["run", "fine.csv", "-o", output] for output in [*NO_OUTPUT, "fine.csv", "./folder/../fine.csv"]),
        ["run", "fine.csv", "--format", "kagle"],
    ],
    "evaluate": [*([run] for run in [*NO_RUN, "sweep"]), ["newer"], ["lying"]],
    "replay": [
        *([run, "--step", "1"] for run in [*NO_RUN, "sweep", "newer", "lying"]),
        *(["run", "--step", count] for count in [*NO_COUNT, "0", "999999"]),
        ["run"],
    ],
    "runs": [
        ["nowhere"],
        ["fine.csv"],
        ["\x00"],
        ["", "--sort", "x"],
        [".", "--sort", "test.acuracy"],
        [".", "--where", "epochs"],
        [".", "--where", "="],
        [".", "--show", "epoch"],
    ],
    "check": [
        ["nowhere.py"],
        ["folder"],
        ["fine.csv"],
        ["mine.py"],
        ["nothing.py"],
        ["nothing.py:x"],
        [""],
        ["\x00.py"],
        ["nothing.py", "--seed", "-1"],
        ["nothing.py", "--html", "nothing.py"],
        ["nothing.py", "--hints", "fxi"],
    ],
    "report": [*([run] for run in [*NO_RUN, "sweep"]), *(["run", "-o", output] for output in NO_OUTPUT)],
    "judge": [[run] for run in NO_RUN],
    "writeup": [
        *([run] for run in [*NO_RUN, "interrupted", "newer"]),
        *(["run", "-o", output] for output in NO_OUTPUT),
        ["run", "--heading-level", "9"],
        ["run", "--format", "word"],
        ["run", "--code", "nowhere.py"],
        ["run", "--code", "mine.py"],
        ["run", "--code", "nothing.py", "-o", "nothing.py"],
    ],
    "compare": [*([run] for run in NO_RUN), *(["run", "-o", output] for output in NO_OUTPUT)],
    "compare-engines": [
        *([run] for run in [*NO_RUN, "sweep"]),
        *(["run", "--rows", count] for count in [*NO_COUNT, "0"]),
    ],
    "watch": [
        ["nowhere"],
        ["fine.csv"],
        ["\x00"],
        ["run", "--port", "99999"],
        ["run", "--port", "-1"],
        ["run", "--port", "x"],
    ],
    "export": [
        *([run, "-o", "network.onnx"] for run in [*NO_RUN, "sweep", "newer"]),
        *(["run", "-o", output] for output in [*NO_OUTPUT, "network.txt", "network"]),
        ["run"],
    ],
    "generate": [
        *([run, "--prompt", "a"] for run in [*NO_RUN, "sweep", "newer", "lying", "run"]),
        ["run"],
    ],
    "summary": [["x"], ["newer"], *(["iris", "--set", setting] for setting in NO_SETTING[:7])],
    "export-tensorboard": [*([run] for run in [*NO_RUN, "sweep"]), ["run", "--out", "fine.csv"]],
    "config": [
        *(["show", source] for source in NO_SOURCE if source != "run"),
        ["shwo"],
        ["show", "newer"],
        *(["show", "iris", "--set", setting] for setting in NO_SETTING[:7]),
    ],
    "data": [
        ["get", "cifar11"],
        ["get", ""],
        ["path", "cifar11"],
        ["gte"],
        ["get", "mnist", "--from", "nowhere"],
        ["get", "mnist", "--from", "fine.csv"],
        ["get", "mnist", "--from", "folder"],
    ],
    "courses": [
        ["link", "cs198", "x"],
        ["link", "cs189", "fine.csv"],
        ["run", "cs189", "nowhere.py"],
        ["lnik"],
        ["run", "cs198", "x"],
    ],
    "assignment": [
        ["make", "nothing", "x"],
        ["make", "layer-norm", "fine.csv"],
        ["make", "layer-norm", "x", "--roster", "nowhere.csv"],
        ["make", "layer-norm", "x", "--roster", "binary.csv"],
        ["grade", "fine.csv", "folder", "-o", "x.json"],
        ["summary", "nowhere.json"],
        ["summary", "fine.csv"],
        ["summary", "binary.csv"],
        ["summary", "folder"],
        ["summary", "/dev/null"],
        ["grdae"],
    ],
    "learn": [["fine.csv"], ["--list", "fine.csv"], ["run", "extra"]],
    "info": [["x"]],
}


def test_every_command_is_here():
    assert set(COMMANDS) <= set(BAD)


def arguments():
    for command, given in BAD.items():
        for words in [*given, ["--bogus"], ["--", "--bogus"]]:
            name = " ".join([command, *words])[:60].encode("ascii", "replace").decode()
            yield pytest.param([command, *words], id=name)


@pytest.mark.parametrize("words", list(arguments()))
def test_bad_input_is_one_clear_line_and_exit_code_2(words, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("HANDGRAD_DATA", str(place / "folder"))
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    with pytest.raises(SystemExit) as ending:
        cli.main(words)
    err = capsys.readouterr().err
    assert ending.value.code == 2, err
    assert err.startswith("handgrad: ") and err.count("\n") == 1
    assert "Traceback" not in err and "[Errno" not in err and len(err) < 1100
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
