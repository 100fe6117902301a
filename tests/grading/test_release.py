"""What students get works, and holds nothing that it should not: the bundle is opened and looked through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from room import KIT, UNIT, cell, first, keys, place, solution

from coursekit.course import Course
from coursekit.errors import CourseError, ExerciseError
from coursekit.exercises.notebook import solution_lines
from coursekit.exercises.source import as_code
from coursekit.grading.assess import answer_cell
from coursekit.grading.release import release as release_units

NAMED = 25
"""A line of this length is nobody's common phrase."""


@pytest.fixture
def shop(course: Course) -> Course:
    """The course with what a release takes from the repository."""
    for name in (
        "coursekit",
        "lectures",
        "data",
        "pyproject.toml",
        "coursekit_torchvision.pth",
        "LICENSE",
        "constraints.txt",
    ):
        (course.root / name).symlink_to(KIT / name)
    return course


@pytest.fixture
def bundle(shop: Course, tmp_path: Path) -> Path:
    """The unpacked bundle."""
    written = release_units(shop, [UNIT], bundle=tmp_path / "kit.zip")
    assert written == [shop.assignment(UNIT), tmp_path / "kit.zip"]
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        assert archive.testzip() is None
        assert {name.partition("/")[0] for name in archive.namelist()} == {"coursekit-student"}
        assert not any(name.startswith("/") or ".." in name for name in archive.namelist())
        archive.extractall(tmp_path / "home")
    return tmp_path / "home" / "coursekit-student"


def secrets() -> set[str]:
    """The lines of every solution of the kit, those apart that a question itself gives or shows."""
    known = [path.read_text() for path in KIT.glob("coursekit/exercises/*/known/*.py")]
    shown = {
        line.strip() for path in KIT.glob("coursekit/exercises/*/asked/*.py") for line in path.read_text().splitlines()
    }
    lines = {line for text in known for line in solution_lines(text) if len(line) >= NAMED and not line.startswith("#")}
    assert len(lines) > 20
    return lines - shown


def test_no_file_of_the_bundle_holds_a_line_of_a_solution(bundle: Path) -> None:
    hidden = secrets()
    found = {}
    for path in bundle.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix == ".ipynb":
                text = "\n".join(c.source for c in nbformat.reads(text, as_version=4).cells)
            leaked = hidden & {line.strip() for line in text.splitlines()}
            found |= {str(path.relative_to(bundle)): sorted(leaked)} if leaked else {}
    assert found == {}


def test_the_instructors_side_stays_at_home(bundle: Path) -> None:
    files = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()]
    banned = (
        "known",
        "grading",
        "solutions",
        "__pycache__",
        "gradebook",
        "tests",
        "demo",
        "cli.py",
        "audit.py",
        "notebook.py",
    )
    assert not [name for name in files if set(Path(name).parts) & set(banned)]
    assert f"assignments/{UNIT.name}/{UNIT.name}.ipynb" in files
    assert not [name for name in files if name.startswith("assignments/") and not name.endswith(".ipynb")]
    assert f"coursekit/exercises/practice/{UNIT.name}.bank" in files
    assert {"README.md", "LICENSE", "pyproject.toml", "coursekit_torchvision.pth", "constraints.txt"} <= set(files)
    assert any(name.startswith("coursekit/datasets/") for name in files)


def test_the_students_project_needs_nothing_of_the_instructors(bundle: Path) -> None:
    project = tomllib.loads((bundle / "pyproject.toml").read_text())
    needed = " ".join(project["project"]["dependencies"])
    assert "torch" in needed and "jupyterlab" in needed
    assert not [name for name in ("nbgrader", "nh3", "nbconvert", "nbclient", "jinja2") if name in needed]
    assert "scripts" not in project["project"]


def student(bundle: Path, code: str, **files: str) -> str:
    """What a fresh interpreter prints that knows the bundle's kit only."""
    for name, text in files.items():
        (bundle.parent / f"{name}.py").write_text(text)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{bundle}{os.pathsep}{bundle.parent}",
        "COURSEKIT_HOME": str(bundle.parent),
    }
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=bundle.parent, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


IMPORTS = """\
from __future__ import annotations
import math
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""


def test_checks_work_from_the_practice_bank(bundle: Path) -> None:
    """Full marks for the solution, a name for a mistake; and no way to the answers from there."""
    right, wrong = [IMPORTS], [IMPORTS]
    for name, key in keys().items():
        right.append(solution(name))
        [asked] = key.question.answers
        wrong.append(as_code(key.mistakes[0].answer, asked))
    code = f"""
import importlib.util, json, sys
import coursekit, right, wrong
from coursekit.exercises import check, hint, progress
names = {[(name, key.question.answers[0]) for name, key in keys().items()]!r}
said = {{"home": coursekit.__file__, "right": {{}}, "wrong": {{}}}}
for name, answer in names:
    for side, module in (("right", right), ("wrong", wrong)):
        score = check(name, getattr(module, answer))
        said[side][name] = [float(score), str(score)]
said["found"] = [n for n in ("coursekit.{UNIT.package.removeprefix("coursekit.")}.known", "coursekit.grading", "coursekit.cli",
                             "coursekit.exercises.audit") if importlib.util.find_spec(n)]
said["loaded"] = [n for n in sys.modules if ".known" in n or "nbgrader" in n]
said["progress"] = str(progress("{UNIT.number}"))
print(json.dumps(said))
"""
    said = json.loads(student(bundle, code, right="\n\n".join(right), wrong="\n\n".join(wrong)))
    assert said["home"] == str(bundle / "coursekit" / "__init__.py")
    assert said["found"] == said["loaded"] == []
    for name, key in keys().items():
        assert said["right"][name][0] == key.question.points
        assert said["wrong"][name][0] < key.question.points
        assert f"This looks like: {key.mistakes[0].name}." in said["wrong"][name][1]
    assert f"{sum(key.question.points for key in keys().values()):g} of" in said["progress"]


def test_without_its_bank_a_check_says_where_to_get_it(bundle: Path) -> None:
    for path in bundle.glob("coursekit/exercises/practice/*.bank"):
        path.unlink()
    code = f"""
from coursekit.errors import ExerciseError
from coursekit.exercises import check
try:
    check({first()!r}, print)
except ExerciseError as error:
    print(error)
"""
    assert "Install coursekit from the bundle" in student(bundle, code)


def test_a_release_that_would_leak_is_stopped(shop: Course, tmp_path: Path) -> None:
    """A solution that somebody forgot to mark, or that lies beside the notebook: nothing is bundled."""
    line = solution_lines(solution(first()))[0]
    beside = shop.solution(UNIT).parent / "notes.txt"
    beside.write_text(f"remember:\n    {line}\n")
    with pytest.raises(CourseError, match=r"solution lines.*Nothing was bundled"):
        release_units(shop, [UNIT], bundle=tmp_path / "kit.zip")
    assert not (tmp_path / "kit.zip").exists()


def test_a_solution_notebook_that_lacks_an_exercise_is_stopped(shop: Course, tmp_path: Path) -> None:
    notebook = nbformat.read(shop.solution(UNIT), as_version=4)
    del notebook.cells[place(notebook, answer_cell(first()))]
    nbformat.write(notebook, shop.solution(UNIT))
    with pytest.raises(CourseError, match=r"lacks the exercises.*run `coursekit build` first"):
        release_units(shop, [UNIT], bundle=tmp_path / "kit.zip")


def test_the_assignment_keeps_what_the_task_shows_and_loses_the_rest(release: NotebookNode) -> None:
    for name, key in keys().items():
        answer = cell(release, answer_cell(name)).source
        assert not [line for line in solution_lines(solution(name)) if line in answer]
        assert all(part in answer for part in (f"def {key.question.answers[0]}", "raise NotImplementedError()"))
    assert "gradients vanish" not in cell(release, "why").source and "Rubric" not in cell(release, "why").source


def test_an_unknown_exercise_says_which_was_meant() -> None:
    from coursekit.exercises import check

    with pytest.raises(ExerciseError, match=r"did you mean '01.relu_cell'"):
        check("01.relu_cel", print)
