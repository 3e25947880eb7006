"""The zoo: every wrong version is caught, and called by its name."""

import subprocess
import sys
from pathlib import Path

import pytest

from kill_matrix import kill_matrix, render
from zoo import SPECIMENS


@pytest.fixture(scope="module")
def rows():
    return kill_matrix(rivals=False)


def test_the_zoo_is_large_and_teaches(rows):
    assert len(SPECIMENS) >= 206
    assert all(len(s.lesson) > 10 and s.slug for s in SPECIMENS.values())


def test_every_wrong_version_is_caught(rows):
    assert [row.specimen.name for row in rows if not row.detected] == []


def test_the_right_mistake_is_named(rows):
    assert [row.specimen.name for row in rows if not row.named] == []
    others = [(row.specimen.name, v.mistake) for row in rows for v in row.verdicts if v.mistake != row.specimen.slug]
    assert others == [], "and nothing beside it"


def test_the_array_named_first_is_the_one_the_mistake_was_made_in(rows):
    edits = [row for row in rows if getattr(row.specimen, "array", "")]
    assert len(edits) > 150
    assert [row.specimen.name for row in edits if row.verdicts[0].array.split(", ")[0] != row.specimen.array] == []


def test_verdicts_come_with_evidence_in_one_line(rows):
    for row in rows:
        for verdict in row.verdicts:
            assert verdict.message and "\n" not in verdict.message + verdict.evidence


def test_names_do_not_hang_on_the_numbers():
    rows = kill_matrix(seed=1, rivals=False)
    assert all(row.detected for row in rows)
    assert sum(row.named for row in rows) >= 0.97 * len(rows)


def test_the_usual_checks_miss_some():
    names = ["linear.dweight_ignores_upstream", "batch_norm.epsilon_forgotten", "dense_layer.Accumulates"]
    matrix = kill_matrix(names)
    assert [row.ones for row in matrix] == [False, True, False]
    assert [row.random for row in matrix] == [True, False, False]
    assert all(row.detected for row in matrix)
    assert "caught by check_gradients" in render(matrix)


def test_the_command_prints_the_matrix_and_refuses_unknown_names():
    command = [sys.executable, Path(__file__).parents[1] / "kill_matrix.py"]
    done = subprocess.run([*command, "relu.relu_guided"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "mask-from-upstream" in done.stdout
    wrong = subprocess.run([*command, "relu.nobody"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "no specimen 'relu.nobody'" in wrong.stderr
