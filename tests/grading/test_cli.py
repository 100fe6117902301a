"""The command line: one JSON object where asked for, one line and exit code 2 where the work cannot be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from room import KIT, NAME, SANDBOX, UNIT, filled, first, gradebook, hand_in, keys, needs_sandbox, solution

from coursekit import cli
from coursekit.cli import main
from coursekit.course import Course
from coursekit.errors import ExerciseError
from coursekit.grading import sandbox

TRUST = [] if SANDBOX else ["--trust-submissions"]


class Said:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """Standard output is exactly one JSON object."""
        value = json.loads(self.out)
        assert isinstance(value, dict) and self.err == ""
        return value


@pytest.fixture
def run(course: Course, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main(["--course", str(course.root), *words])
        return Said(code, *capsys.readouterr())

    return run


def fails(said: Said, *pieces: str) -> None:
    """One line on standard error, none on standard output, exit code 2."""
    assert said.code == 2 and said.out == ""
    assert said.err.startswith("coursekit ") and said.err.count("\n") == 1 and said.err.endswith("\n")
    assert "Traceback" not in said.err
    for piece in pieces:
        assert piece in said.err


def test_doctor(run: Any) -> None:
    facts = run("doctor", "--json").json
    assert facts["ready"] is True and facts["packages"]["torch"]
    assert facts["torchvision"] == "works" and facts["sandbox"].keys() == sandbox.abilities().keys()
    assert all(set(problem) == {"what", "remedy"} for problem in facts["problems"])
    told = run("doctor")
    assert told.code == 0 and told.out.endswith("ready\n")


def test_doctor_names_what_is_missing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "nbgrader":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    said = run("doctor", "--json")
    assert said.code == 1 and said.json["ready"] is False
    assert "nbgrader is not installed" in [problem["what"] for problem in said.json["problems"]]
    assert "not ready" in run("doctor").out


def test_audit_proves_an_exercise(run: Any) -> None:
    key = keys()[first()]
    figures = run("audit", "--json", "--only", first(), "--seeds", "2").json
    assert figures["exercises"] == 1
    assert figures["mistakes"] == dict.fromkeys(("total", "rejected", "named"), len(key.mistakes))
    assert figures["rows"][0]["faults"] == []
    told = run("audit", "--only", first(), "--seeds", "2")
    assert told.code == 0 and first() in told.out and "fault" not in told.out


def test_audit_of_an_exercise_with_a_fault_ends_in_1(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from coursekit.checks.declare import Mistake
    from coursekit.exercises import audit

    key = keys()[first()]
    right = Mistake("no mistake at all", "hint", key.reference)
    monkeypatch.setattr(audit, "all_keys", lambda: [replace(key, mistakes=(*key.mistakes, right))])
    said = run("audit", "--json", "--seeds", "1")
    assert said.code == 1 and "no mistake at all" in said.json["rows"][0]["faults"][0]


@pytest.mark.slow
def test_audit_judges_one_notebook_and_records_nothing(run: Any, course: Course, release: NotebookNode) -> None:
    path = hand_in(course, "al", filled(release, {first(): solution(first())}))
    verdict = run("audit", "--submission", str(path), "--json", *TRUST).json
    worth = keys()[first()].question.points
    assert verdict["earned"] == worth < verdict["possible"]
    assert verdict["exercises"][first()] == {"status": "passed", "earned": worth, "possible": worth, "diagnosis": None}
    others = [v["status"] for name, v in verdict["exercises"].items() if name != first()]
    assert set(others) == {"not started"}
    told = run("audit", "--submission", str(path), *TRUST)
    assert told.code == 0 and f"{worth:g} of" in told.out.splitlines()[0]
    assert gradebook(course) == {} and not course.autograded.exists()


def test_audit_of_no_notebook(run: Any, course: Course, tmp_path: Path) -> None:
    fails(run("audit", "--submission", str(tmp_path / "absent.ipynb"), "--json"), "nothing to grade at")


def test_coverage(run: Any, course: Course, root: Path) -> None:
    fails(run("coverage", "--json"), "no syllabus at")
    (course.root / "lectures").symlink_to(root / "lectures")
    assert run("coverage", "--json").json["groups"]["A"]["rows"] > 0
    assert "rows covered" in run("coverage").out


def test_build_tells_what_is_stale_and_writes_it_not(run: Any, course: Course) -> None:
    assert run("build", "--check").code in (0, 1)
    before = course.solution(UNIT).read_bytes()
    course.solution(UNIT).with_suffix(".py").write_text("old")
    said = run("build", "--check", "01")
    assert said.code == 1 and said.out.split() == ["stale", str(course.solution(UNIT))]
    assert course.solution(UNIT).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        (["grade", "absent"], ["nothing to grade at absent", "expected a notebook, or a folder"]),
        (["grade"], ["nothing to grade at"]),
        (["grade", "--assignment", "01_recurent_networks"], ["Did you mean '01_recurrent_networks'?"]),
        (["grade", "--assignment", "09"], ["unknown assignment '09'"]),
        (["audit", "--submission", "x.ipynb", "--assignment", "05"], ["unknown assignment '05'"]),
        (["build", "99"], ["unknown unit", "01_recurrent_networks"]),
        (["release", "x"], ["unknown unit: got 'x'"]),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(run: Any, words: list[str], pieces: list[str]) -> None:
    fails(run(*words), *pieces)


def test_an_empty_folder(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fails(run("grade", str(tmp_path / "empty")), "no submission in", "STUDENT.ipynb")


def test_no_course(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["grade"], ["release"], ["build"], ["coverage"], ["audit", "--submission", "x"]):
        fails(Said(main(words), *capsys.readouterr()), "no course at", "--course")


def test_a_broken_gradebook_or_disk(run: Any, course: Course, release: NotebookNode) -> None:
    hand_in(course, "al", filled(release))
    course.gradebook.write_bytes(b"not a database")
    said = run("grade", *TRUST)
    fails(
        Said(said.code, said.out.removeprefix(f"grading 1 submissions of {UNIT.name}\n"), said.err),
        "file is not a database",
    )
    fails(run("release"), "file is not a database")
    course.gradebook.unlink()
    (course.root / "bundles").write_text("a file where a folder should be")
    said = run("release", UNIT.number)
    assert said.out == f"wrote {course.assignment(UNIT)}\n"  # the bundle alone failed
    fails(Said(said.code, "", said.err), "File exists", "bundles")


def test_errors_of_the_system_are_told_too(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device", "/x")

    monkeypatch.setattr(cli.Course, "find", full)
    fails(run("grade"), "No space left on device")


def test_an_interrupt_ends_in_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Course, "find", interrupted)
    said = run("grade")
    assert said.code == 130 and said.err.count("\n") == 1 and "What was recorded stays" in said.err


def test_an_error_of_the_kits_own_making_is_not_hidden(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug shows its traceback; only errors with a remedy become a line."""

    def wrong(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.Course, "find", wrong)
    with pytest.raises(ZeroDivisionError):
        run("grade")

    def known(*_: Any, **__: Any) -> Any:
        raise ExerciseError("exercise 01.x: got 1, expected 2. Do that.")

    monkeypatch.setattr(cli.Course, "find", known)
    fails(run("build"), "01.x: got 1, expected 2. Do that.")


@needs_sandbox
def test_without_a_sandbox_grading_refuses(
    run: Any, course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coursekit.errors import SandboxUnavailable

    hand_in(course, "al", filled(release))

    def absent() -> None:
        raise SandboxUnavailable("no Landlock here. Use --trust-submissions.")

    monkeypatch.setattr(sandbox, "require", absent)
    said = run("grade")
    assert said.code == 2 and "--trust-submissions" in said.err
    assert gradebook(course) == {}


def test_a_failure_to_record_ends_in_1(run: Any, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    from coursekit.grading import batch

    hand_in(course, "al", "no JSON")
    done = batch.Batch(UNIT, failures=["al: disk full"])
    monkeypatch.setattr(batch, "grade", lambda *_, **__: done)
    said = run("grade")
    assert said.code == 1 and said.err == "not written: al: disk full\n"


@pytest.mark.parametrize("words", [[], ["nothing"], ["grade", "--jobs", "two"], ["--no-such-option"]])
def test_wrong_usage_ends_in_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "usage: coursekit" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(command in said for command in ("doctor", "build", "release", "grade", "audit", "coverage"))


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """As a shell sees it: the exit code, one line, and nothing heavy loaded for a typing error."""
    command = [sys.executable, "-X", "importtime", "-m", "coursekit.cli", "grade", NAME]
    environment = {**os.environ, "PYTHONPATH": str(KIT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "argparse" in loaded and not loaded & {"torch", "numpy", "nbgrader", "IPython", "nbformat"}
    assert done.returncode == 2 and done.stdout == "" and len(lines) == 1
    assert lines[0].startswith("coursekit grade: no course at")
