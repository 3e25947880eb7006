"""Somebody's file in processes of its own: whatever it does is one verdict, and the other checks are made."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import handgrad
from handgrad.user_files import Limits, check_apart, confinement, follow, runner
from handgrad.user_files.runner import run

# what a forward does, the mistake that it is, and whether its line is known
ENDINGS = {
    "loops": ("while True: pass", "timed-out", True),
    "sleeps": ("signal.alarm(0), time.sleep(1000)", "timed-out", True),
    "hides": ("os.closerange(0, 300), time.sleep(1000)", "timed-out", False),
    "stops": ("os.kill(os.getpid(), signal.SIGSTOP)", "timed-out", False),
    "leaves": ("os._exit(0)", "process-died", False),
    "exits": ("sys.exit()", "forward-raises", True),
    "interrupts": ("raise KeyboardInterrupt", "process-died", True),
    "crashes": ("ctypes.string_at(0)", "process-died", True),
    "forges": ("""print('{"data": {"ok": true}}', flush=True), os._exit(0)""", "process-died", False),
    "floods": ("while True: print('x' * 10_000)", "too-much-output", False),
    "recurs": ("recurs_forward(x)", "forward-raises", True),
    "eats": ("np.ones(2**50)", "forward-raises", True),
    "reads": ("input()", "forward-raises", True),
    "prints": ("print('seen')", None, False),
    "blinds": ("os.closerange(0, 300)", None, False),
    "leaves_a_thread": ("threading.Thread(target=time.sleep, args=[1000]).start()", None, False),
}
HEAD = "import ctypes, os, signal, subprocess, sys, threading, time\nimport numpy as np\nprint('hello')\n"
PAIR = """
def {0}_forward(x):
    {1}
    return x * x, x

def {0}_backward(dy, x):
    return 2 * dy * x
"""
QUICK = Limits(seconds=2.0, printed=1_000_000)  # for what takes all its time
PATIENT = QUICK._replace(seconds=60.0)  # for what ends by itself, on a busy machine too


@pytest.fixture(params=["copy", "new interpreter"])
def way(request, monkeypatch):
    """Both ways to start a process; the copy is for systems and programs where it is safe."""
    monkeypatch.setattr(runner, "can_copy", lambda: request.param == "copy")
    return request.param


@pytest.fixture
def write(tmp_path):
    def writer(*pairs, head=HEAD):
        path = tmp_path / "mine.py"
        path.write_text(head + "".join(PAIR.format(name, body) for name, body in pairs))
        return path

    return writer


@pytest.mark.parametrize("limits", [QUICK, PATIENT], ids=["quick", "patient"])
def test_whatever_a_check_does_is_one_verdict_and_the_others_are_made(write, limits):
    endings = {name: row for name, row in ENDINGS.items() if (row[1] == "timed-out") == (limits is QUICK)}
    path = write(*((name, body) for name, (body, *_) in endings.items()))
    checks = {checked.name: checked for checked in check_apart(path, limits=limits)}
    for name, (body, mistake, has_line) in endings.items():
        verdicts = checks[name].report["verdicts"]
        assert [v["mistake"] for v in verdicts] == [mistake] * (mistake is not None), name
        assert checks[name].ok == (mistake is None)
        if has_line:
            assert path.read_text().splitlines()[verdicts[0]["line"] - 1].strip() == body
    assert next(iter(checks.values())).printed == "hello"  # the import's, once
    if limits is PATIENT:
        assert set(checks["prints"].printed.splitlines()) == {"seen"}
        assert checks["floods"].printed.endswith("bytes more")


def test_both_ways_to_start_give_the_same(way, write):
    path = write(("fine", "pass"), ("leaves", "os._exit(3)"))
    fine, leaves = check_apart(path, limits=PATIENT)
    assert fine.ok
    assert leaves.report["verdicts"][0]["mistake"] == "process-died"
    assert "exit code 3" in leaves.text


@pytest.mark.parametrize("session, then", [("False", "time.sleep(1000)"), ("True", "os._exit(0)")])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a daemon came from")
def test_what_a_file_starts_ends_with_it(write, tmp_path, session, then):
    """A daemon too, which is in no group of its parent's any more."""
    sign = tmp_path / "alive"
    lives = f"pathlib.Path({str(sign)!r}).write_text(str(i)), time.sleep(0.05)"
    code = f"import time, pathlib; [({lives}) for i in range(999)]"
    starts = f"subprocess.Popen([sys.executable, '-c', {code!r}], start_new_session={session})"
    waits = f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(sign)!r}), True)]"
    path = write(("starts", f"{starts}; {waits}; {then}"))
    subprocess.run(
        [sys.executable, "-m", "handgrad", "check", path, "--timeout", "5"], capture_output=True, check=False
    )
    last = sign.read_text()
    time.sleep(0.3)
    assert sign.read_text() == last


@pytest.mark.parametrize(
    "head, mistake",
    [
        ("while True: pass\n", "timed-out"),
        ("import os; os._exit(0)\n", "process-died"),
        ("import ctypes; ctypes.string_at(0)\n", "process-died"),
        ("while True: print('x' * 10_000)\n", "too-much-output"),
    ],
)
def test_an_import_that_does_not_come_back_is_one_verdict(write, head, mistake):
    path = write(("fine", "pass"), head=head)
    (checked,) = check_apart(path, limits=QUICK if mistake == "timed-out" else PATIENT)
    (verdict,) = checked.report["verdicts"]
    assert (checked.name, checked.ok, verdict["mistake"]) == (str(path), False, mistake)


def test_what_the_import_prints_is_told_once_whatever_is_checked(write):
    path = write(("fine", "pass"), ("other", "print('seen')"))
    assert [checked.printed.splitlines()[0] for checked in check_apart(path)] == ["hello", "seen"]
    assert [checked.printed.splitlines()[0] for checked in check_apart(path, "other")] == ["hello"]


@pytest.mark.parametrize("names", ["json.dumps", "json.loads", "os.replace = os._exit", "os.fork", "time.sleep"])
def test_a_file_may_change_what_answers_are_made_with(write, names):
    head = f"import json, os, time\n{names} = None\n"
    assert [checked.ok for checked in check_apart(write(("fine", "pass"), head=head))] == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is copied")
def test_a_file_is_imported_once_for_all_its_checks(write, tmp_path, monkeypatch):
    """Once more for each check that ends its process: only a fresh one says so for certain."""
    monkeypatch.setattr(runner, "can_copy", lambda: True)
    count = f"open({str(tmp_path / 'count')!r}, 'a').write('imported ')\n"
    checks = check_apart(
        write(*((name, ENDINGS[name][0]) for name in ("loops", "exits", "prints")), head=HEAD + count), limits=QUICK
    )
    assert [[v["mistake"] for v in checked.report["verdicts"]] for checked in checks] == [
        ["timed-out"],
        ["forward-raises"],
        [],
    ]
    assert (tmp_path / "count").read_text() == "imported "
    list(check_apart(write(("leaves", "os._exit(0)"), ("prints", "pass"), head=HEAD + count), limits=PATIENT))
    assert (tmp_path / "count").read_text() == 3 * "imported "


def test_a_file_that_starts_a_thread_is_imported_for_each_check(write):
    thread = "threading.Thread(target=time.sleep, args=[1000], daemon=True).start()\n"
    checks = check_apart(
        write(("fine", "print('seen')"), ("leaves", "os._exit(0)"), head=HEAD + thread), limits=PATIENT
    )
    assert [(checked.ok, checked.printed.split()[:1]) for checked in checks] == [(True, ["hello"]), (False, [])]


@pytest.mark.parametrize(
    "deed", ["kill(os.getppid(), signal.SIGKILL)", "killpg(os.getpgid(os.getppid()), signal.SIGKILL)"]
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the process that imported the file is ours")
def test_a_check_that_ends_the_process_which_imported_the_file_ends_no_other(write, tmp_path, deed, monkeypatch):
    monkeypatch.setattr(runner, "can_copy", lambda: True)
    ours = f"os.getppid() == {os.getpid()}"  # and not that of the file
    once = f"{ours} or os.path.exists({str(tmp_path / 'done')!r}) or (open({str(tmp_path / 'done')!r}, 'w'), os.{deed})"
    checks = check_apart(write(("ends", once), ("fine", "pass")), limits=PATIENT)
    assert [checked.ok for checked in checks] == [True, True]


def test_a_file_may_read_on_from_what_it_opened(write, tmp_path):
    np.savez(tmp_path / "two.npz", two=np.full((), 2.0))
    opens = f"arrays = np.load({str(tmp_path / 'two.npz')!r})\n"
    assert [c.ok for c in check_apart(write(("fine", "assert arrays['two'] == 2"), head=HEAD + opens))] == [True]


def test_a_file_may_go_or_be_saved_while_it_is_checked(write):
    path = write(
        ("fine", "pass"), ("other", "pass"), head="import os\nif os.path.exists(__file__): os.unlink(__file__)\n"
    )
    assert [checked.ok for checked in check_apart(path)] == [True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what belongs to whom")
def test_processes_are_limited(write, monkeypatch):
    monkeypatch.setattr(runner, "MOST_PROCESSES", 20)
    monkeypatch.setattr(runner, "can_copy", lambda: True)  # a new interpreter would count to its own number
    bomb = "[os.fork() for _ in range(6)]; time.sleep(1000)"
    (checked,) = check_apart(write(("bursts", bomb)), limits=PATIENT)
    assert [v["mistake"] for v in checked.report["verdicts"]] == ["too-many-processes"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory")
def test_memory_is_limited(write):
    kept = "kept = []\nwhile True: kept.append(np.ones(10**7))\n"
    with pytest.raises(ValueError, match="MemoryError"):
        list(check_apart(write(head="import numpy as np\n" + kept), limits=PATIENT._replace(memory=2**28)))


def test_a_task_returns_plain_data_or_refuses():
    assert run("json:loads", {"s": "[1]"}, "mine.py").data == [1]
    assert "Expecting value" in run("json:loads", {"s": "["}, "mine.py").problem


def test_a_process_with_threads_is_not_copied(write):
    """The copy could wait for ever for a lock that another thread held."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert not runner.can_copy()
        assert [checked.ok for checked in check_apart(write(("fine", "pass")))] == [True]
    finally:
        done.set()
        thread.join()


def test_a_report_is_json_of_finite_numbers(write):
    nothing = "return np.nan * x, x"
    for checked in check_apart(write(("fine", "pass"), ("infinite", nothing))):
        assert json.loads(json.dumps(checked.report, allow_nan=False)) == checked.report


def test_following_a_file_acts_on_what_it_holds_and_stops_what_runs(tmp_path, monkeypatch):
    """Touched, it is the same; replaced, gone or saved while something runs, it is not."""
    monkeypatch.setattr(runner, "QUIET", 1.0)  # a busy machine is slow to save
    path, seen = tmp_path / "mine.py", []
    path.write_text("1")

    def save(text):
        (tmp_path / "new.py").write_text(text)
        (tmp_path / "new.py").replace(path)

    def act(stop_when_saved):
        seen.append(path.read_text() if path.exists() else None)
        if seen[-1] == "1":
            path.touch()
            threading.Timer(0.3, save, "2").start()
            while True:  # as an endless loop in the file would
                time.sleep(0.02)
                stop_when_saved()
        elif seen[-1] == "2":
            path.unlink()
        elif seen[-1] is None:
            save("3")
            threading.Timer(0.1, save, "4").start()  # before it has kept still
        else:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(path, act)
    assert seen == ["1", "2", None, "4"]


def test_a_task_alone_has_a_path_of_its_own_and_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "42")
    monkeypatch.syspath_prepend(tmp_path / "ours")
    (tmp_path / "looking.py").write_text(
        "import os, sys\ndef around():\n    return ['SECRET' in os.environ, os.listdir(), sys.path]\n"
    )
    path = [str(tmp_path), *(str(Path(package.__file__).parents[1]) for package in (handgrad, np))]
    has_secret, files, folders = run("looking:around", {}, "none.py", path=path).data
    assert not has_secret
    assert files == []
    assert folders[:3] == path
    assert all(folder.startswith(sys.base_prefix) and "-packages" not in folder for folder in folders[3:])


# what confined code tries, with {there} a file of somebody else's
TRIES = {
    "read": "open({there!r}).read()",
    "read by number": "os.read(os.open({there!r}, os.O_RDONLY), 9)",
    "list": "os.listdir(os.path.dirname({there!r}))",
    "write": "open({there!r}, 'w')",
    "remove": "os.remove({there!r})",
    "fork": "os.fork() or os._exit(0)",
    "program": "subprocess.run(['true'])",
    "shell": "if os.system('true'): raise OSError",
    "kill": "os.kill(os.getppid(), 0)",
    "reach": "socket.socket()",
    "compiled code": "ctypes.CDLL(None).getpid()",
}


@pytest.mark.parametrize("kernel", [True, False])
def test_confined_code_reads_and_reaches_nothing_else(tmp_path, kernel):
    """By Python's fence and, where the kernel has one, by that alone: a way around the first ends at the second."""
    there, program = tmp_path / "solution.py", tmp_path / "program.py"
    there.write_text("secret")
    (tmp_path / "empty").mkdir()
    leave = "sys.addaudithook = lambda hook: None" if kernel else "confinement.lock_files = lambda *folders: None"
    program.write_text(
        "import ctypes, json, os, socket, subprocess, sys\n"
        "from handgrad.user_files import confinement\n"
        f"{leave}\n"
        f"confinement.confine([], [{str(tmp_path / 'empty')!r}])\n"
        "import statistics, decimal\n"
        "done = []\n"
        f"for name, code in {[(name, code.format(there=str(there))) for name, code in TRIES.items()]}:\n"
        "    try:\n"
        "        exec(code)\n"
        "        done.append(name)\n"
        "    except OSError:\n"
        "        pass\n"
        "print(json.dumps(done))\n"
    )
    done = json.loads(subprocess.check_output([sys.executable, "-B", program]))
    assert there.read_text() == "secret"
    if not kernel:
        assert done == []
    elif confinement.kernel_version() >= 6:
        assert done == ["fork", "reach", "compiled code"]


def test_processes_of_their_own_count_are_few(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\n"
        "from handgrad.user_files.confinement import leave_others\n"
        "if os.getuid() == 0:\n"
        "    os.setresuid(61001, 61001, 61001)\n"
        "leave_others()\n"
        "try:\n"
        "    for number in range(150):\n"
        "        os.fork() or (time.sleep(5), os._exit(0))\n"
        "except OSError:\n"
        "    pass\n"
        "print(number)\n"
    )
    can_be_apart = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True).returncode == 0
    if can_be_apart and confinement.kernel_version() >= 2:
        one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        assert int(subprocess.check_output([sys.executable, "-B", program], env=one_thread)) < 64
