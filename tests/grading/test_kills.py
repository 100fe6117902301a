"""A few kills of a real run (`benchmarks/kills.py` deals fifty), and a cluster that loses a worker."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest
from nbformat import NotebookNode
from room import UNIT, needs_sandbox

from coursekit.course import Course
from coursekit.grading.classroom import make_class

COMMAND = (sys.executable, str(Path(__file__).with_name("graded_small.py")))


def benchmark(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module(name)


@pytest.fixture
def class_of_four(course: Course, release: NotebookNode) -> Course:
    for student in make_class(UNIT, release, hostile=False)[:4]:
        student.hand_in(course.submitted, UNIT)
    return course


@pytest.mark.slow
@needs_sandbox
def test_killed_and_started_again(
    class_of_four: Course, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = benchmark("kills", root, monkeypatch)
    report = kills.measure(class_of_four, tmp_path, kills=3, rng=random.Random(1), command=COMMAND)
    nothing = ("lost", "doubled", "different", "failed", "left_processes", "left_folders")
    assert (report["kills"], report["recovered"]) == (3, 3) and not any(report[name] for name in nothing)
    assert report["grades"] == 16


@pytest.mark.slow
@needs_sandbox
def test_a_cluster_gives_the_same_scores_though_a_worker_is_lost(
    class_of_four: Course, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    report = benchmark("dask_grading", root, monkeypatch).measure(class_of_four, tmp_path, command=COMMAND)
    assert report["same"] and report["lost"] == 0 and report["submissions"] == 4
    assert report["killed_after"] == 2 and report["tried"] and not report["reached"]
