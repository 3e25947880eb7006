"""The archive for Gradescope, run in a made-up /autograder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from handgrad.assignment.gradescope import requirements
from handgrad.assignment.make import make
from handgrad.cli.application import run as run_command
from handgrad.experiments.configuration import tomllib


@pytest.fixture
def autograder(tmp_path):
    """The tree that Gradescope makes of an archive and a submission, and what its run writes."""
    (tmp_path / "class.csv").write_text("id\neveryone\nada\nbob\n")
    make("layer-norm", tmp_path / "term", tmp_path / "class.csv")
    key = tmp_path / "term" / "key"
    archive, tree = tmp_path / "autograder.zip", tmp_path / "autograder"
    assert run_command(["assignment", "gradescope", "layer-norm", str(archive), "--key", str(key)]) == 0
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tree / "source")
        modes = {entry.filename: entry.external_attr >> 16 for entry in packed.infolist()}
    assert modes["setup.sh"] & modes["run_autograder"] & 0o111
    assert " 'pydantic>=" in (tree / "source" / "setup.sh").read_text()
    shutil.copy(tree / "source" / "run_autograder", tree)

    def run(submission, email=None):
        if email:
            metadata = {"id": 7, "users": [{"email": email, "id": 1, "name": "A Student"}]}
            (tree / "submission_metadata.json").write_text(json.dumps(metadata))
        shutil.copytree(submission, tree / "submission")
        environment = {**os.environ, "AUTOGRADER": str(tree), "PYTHON": sys.executable}
        environment.pop("PYTHONPATH", None)
        subprocess.run(["sh", str(tree / "run_autograder")], env=environment, cwd=tmp_path, check=True)
        return json.loads((tree / "results" / "results.json").read_text())

    return run, tmp_path / "term", tree


def test_the_archive_grades_as_the_command_does(autograder):
    run, term, tree = autograder
    results = run(term / "key" / "solutions" / "everyone")
    assert results["score"] == sum(test["max_score"] for test in results["tests"]) == 12
    assert {*results} == {"score", "visibility", "output", "tests", "extra_data"}
    assert {*results["tests"][0]} == {"name", "score", "max_score", "status", "output", "visibility"}
    assert os.stat(tree / "source").st_mode & 0o077 == 0
    assert "12 of 12" in (tree / "results" / "log.txt").read_text()


def test_who_handed_in_decides_whose_variant_it_is(autograder):
    run, term, tree = autograder
    results = run(term / "key" / "solutions" / "bob", "ada@uni.edu")
    assert results["extra_data"]["student"] == "ada"
    assert "its variant.json is that of bob, and it was handed in as ada's" in results["output"]
    shutil.rmtree(tree / "submission")
    (term / "key" / "solutions" / "ada" / "variant.json").unlink()
    assert run(term / "key" / "solutions" / "ada", "ada@uni.edu")["score"] == 12


def test_what_fails_is_the_graders_fault_and_said_so(autograder):
    run, term, tree = autograder
    (tree / "source" / "assignment" / "SPEC.toml").write_text("nonsense")
    results = run(term / "handouts" / "everyone")
    assert results["score"] == 0
    assert "tell your teacher" in results["output"]


def test_the_requirements_are_those_that_the_package_declares():
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    wanted = [*declared["dependencies"], *declared["optional-dependencies"]["app"]]
    assert requirements() == [line.partition(";")[0] for line in wanted]
