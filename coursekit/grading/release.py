"""What students get: the assignments that nbgrader derives, and a bundle to work from, without the knowing side."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nbformat

from coursekit.course import Course, Unit
from coursekit.errors import CourseError
from coursekit.exercises import bank, catalogue
from coursekit.exercises.check import PRACTICE_SEED
from coursekit.exercises.notebook import solution_lines

WITHHELD = (
    "exercises/*/known", "exercises/practice", "exercises/audit.py", "exercises/notebook.py", "exercises/source.py",
    "grading", "cli.py", "coverage.py", "demo.py", "doctor.py",
)  # fmt: skip
"""The instructor's side of the package, relative to coursekit/."""
SHIPPED = ("lectures", "data", "LICENSE", "constraints.txt")


def release(
    course: Course,
    units: Sequence[Unit],
    *,
    bundle: Path | None = None,
    on_written: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Derive the assignments of `units` with nbgrader's own step and build one bundle; return what was written.

    `on_written` is told of each at once: a unit takes seconds.
    """
    from coursekit.grading.host import generate_assignment

    written = []
    for of in units:
        path = generate_assignment(course, of)
        _assert_no_solution(course, of, path)
        written.append(path)
        on_written(path)
    target = bundle or course.root / "bundles" / "coursekit-student.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _contents(course, units):
            archive.writestr(f"coursekit-student/{name}", content)
    draft.replace(target)
    on_written(target)
    return [*written, target]


def _contents(course: Course, units: Sequence[Unit]) -> Iterator[tuple[str, bytes]]:
    root = course.root
    for of in units:
        yield f"assignments/{of.name}/{of.name}.ipynb", course.assignment(of).read_bytes()
        yield f"coursekit/exercises/practice/{of.name}.bank", bank.build(of, PRACTICE_SEED)
    package = root / "coursekit"
    withheld = {path for pattern in WITHHELD for path in package.glob(pattern)}
    for path in _files(package):
        if not any(path == hidden or hidden in path.parents for hidden in withheld):
            yield str(path.relative_to(root)), path.read_bytes()
    for name in SHIPPED:
        for path in _files(root / name):
            yield str(path.relative_to(root)), path.read_bytes()
    yield "pyproject.toml", _student_project((root / "pyproject.toml").read_text(encoding="utf-8")).encode()
    yield "coursekit_torchvision.pth", (root / "coursekit_torchvision.pth").read_bytes()
    yield "README.md", _README.encode()


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    skipped = {"__pycache__", "cache", ".ipynb_checkpoints"}
    return sorted(
        p for p in place.rglob("*") if p.is_file() and not skipped & set(p.parts) and not p.name.startswith(".")
    )


def _student_project(text: str) -> str:
    """The project file without the instructor's command and packages."""
    text = re.sub(r"\[project\.scripts\]\n.*?\n\n", "", text, flags=re.DOTALL)
    return re.sub(r'    "(?:nbgrader|nh3|nbconvert|nbclient|jinja2)[^"]*",\n', "", text)


def _assert_no_solution(course: Course, of: Unit, assignment: Path) -> None:
    """No line between the solution marks may stand in the assignment (lines that the task itself shows apart)."""
    solution = nbformat.read(course.solution(of), as_version=4)
    shown = {line.strip() for cell in solution.cells for line in _outside(cell.source).splitlines()}
    hidden = {line for cell in solution.cells for line in solution_lines(cell.source)} - shown
    released = nbformat.read(assignment, as_version=4)
    given = [cell.source for cell in released.cells]
    given += [
        p.read_text(encoding="utf-8", errors="replace")
        for p in assignment.parent.rglob("*")
        if p.suffix in (".py", ".md", ".txt")
    ]
    leaked = hidden & {line.strip() for text in given for line in text.splitlines()}
    if leaked:
        raise CourseError(
            f"{assignment.name} holds {len(leaked)} solution lines, such as {sorted(leaked)[0]!r}. Nothing was bundled."
        )
    absent = {q.name for q in catalogue.questions(of)} - {c.metadata.nbgrader.grade_id for c in released.cells}
    if absent:
        raise CourseError(
            f"{course.solution(of).name} lacks the exercises {sorted(absent)}: run `coursekit build` first."
        )


def _outside(source: str) -> str:
    return re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION", "", source, flags=re.DOTALL)


_README = """\
# Your course kit

Needs Python 3.11 or later. Once, in this folder:

    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e .

Then `.venv/bin/jupyter lab`, open `lectures/` to read and `assignments/` to work. Everything runs offline. The check under
each exercise tells what is right, what is wrong and which mistake it looks like. Hand in the notebook of an
assignment (and the files that it saved beside itself, where the task says so).
"""
