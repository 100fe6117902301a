"""The host: the only file that imports nbgrader.

Three jobs: derive assignments with nbgrader's own generate step, record results through its `Gradebook`, and offer
the kit's engine as preprocessors, so that `nbgrader autograde` and formgrader's button are contained and unforgeable too
(see ``nbgrader_config.py``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import sqlalchemy.exc
from nbformat import NotebookNode
from nbgrader.api import Assignment, Gradebook, InvalidEntry, MissingEntry
from nbgrader.converters import GenerateAssignment, NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import parse_utc
from traitlets.config import Config

from coursekit.course import Course, Unit, unit
from coursekit.errors import CourseError, GradebookError, NotebookError
from coursekit.grading.assess import Examiner, SubmissionResult
from coursekit.grading.collect import collect
from coursekit.grading.mend import mend, read_submission
from coursekit.grading.pool import Pool
from coursekit.grading.results import Limits

COURSE_ID = "coursekit"
IGNORED = [".ipynb_checkpoints", "*.pyc", "__pycache__", ".pytest_cache", "[0-9][0-9]_*.py", "*.safetensors"]
"""nbgrader hands out every other file of a source folder: the solution's text and its trained weights must be among these."""


def generate_assignment(course: Course, of: Unit, *, db_url: str | None = None, release: Path | None = None) -> Path:
    """Derive a unit's assignment from its solution with nbgrader's own step; return the assignment's path.

    The step also writes the assignment's cells into the gradebook at `db_url` (default: the course's).
    """
    if not course.solution(of).is_file():
        raise CourseError(f"no solution at {course.solution(of)}, expected the notebook that `coursekit build` makes.")
    target = (release or course.assignments) / of.name
    with tempfile.TemporaryDirectory() as scratch:  # nbgrader removes what it fails to make, and what was there before
        config = Config()
        config.CourseDirectory.root = str(course.root)
        config.CourseDirectory.course_id = COURSE_ID
        config.CourseDirectory.source_directory = str(course.solutions)
        config.CourseDirectory.release_directory = scratch
        config.CourseDirectory.ignore = IGNORED
        config.CourseDirectory.db_url = db_url or _url(course)
        config.CourseDirectory.assignment_id = of.name
        with _hushed() as complaints, _scripts_on_path():
            converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
            converter.create_assignment, converter.permissions = True, 644
            try:
                converter.start()
            except NbGraderException as error:
                raise GradebookError(
                    f"{of.name}: nbgrader could not derive the assignment ({_cause(complaints) or error}). If its cells have "
                    f"changed since a class was graded, move {course.gradebook} away, release, and grade again."
                ) from error
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(scratch) / of.name, target)
    return target / f"{of.name}.ipynb"


class Ledger:
    """The course's nbgrader gradebook, as far as grading needs it."""

    def __init__(self, course: Course, of: Unit) -> None:
        self.course, self.unit = course, of
        self._register()
        self._gradebook = _open(course)
        # A batch touches each student's rows once: reading them all again after each of nbgrader's commits finds nothing new.
        self._gradebook.db().expire_on_commit = False
        notebook = self._gradebook.find_notebook(of.name, of.name)
        # By id: asking every grade and comment for its cell would cost a query each.
        self._names = {cell.id: cell.name for cell in (*notebook.grade_cells, *notebook.solution_cells)}

    def _register(self) -> None:
        """Make sure that the gradebook knows the released assignment, and that it is this course's."""
        release = read_release(self.course, self.unit)
        fields = [cell.metadata.get("nbgrader", {}) for cell in release.cells]
        graded = {f["grade_id"]: float(f["points"]) for f in fields if f.get("grade")}
        with contextlib.closing(_open(self.course)) as gradebook, _told(self.course, "cannot be read"):
            others = [a.name for a in gradebook.db.query(Assignment) if a.course_id != COURSE_ID]
            if others:
                raise GradebookError(
                    f"gradebook {self.course.gradebook}: belongs to another course (it holds {others[0]!r}), expected the one "
                    f"of {COURSE_ID!r}. Move it away; a new one is made."
                )
            try:
                notebook = gradebook.find_notebook(self.unit.name, self.unit.name)
                known = {cell.name: cell.max_score for cell in notebook.grade_cells}
            except MissingEntry:
                known = {}
        if known != graded:
            with tempfile.TemporaryDirectory() as scratch:
                generate_assignment(self.course, self.unit, release=Path(scratch))

    def record(self, result: SubmissionResult) -> None:
        """Write a result: every graded cell gets its score, manual scores and comments stay."""
        gradebook = self._gradebook
        try:
            with _told(self.course, f"the scores of {result.student!r} could not be written, they are unchanged"):
                self._record(result)
        except GradebookError:
            gradebook.db.rollback()
            raise

    def _record(self, result: SubmissionResult) -> None:
        gradebook = self._gradebook
        gradebook.update_or_create_student(result.student)
        submission = gradebook.update_or_create_submission(result.unit.name, result.student, **_stamp(result))
        scores, comments = result.scores(), result.comments()
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                name = self._names[grade.cell_id]
                _set_grade(grade, scores.get(name), name in result.unanswered)
            for comment in notebook.comments:
                comment.auto_comment = comments.get(self._names[comment.cell_id])
        gradebook.db.commit()

    def scores(self, student: str) -> dict[str, tuple[float | None, float | None]]:
        """(automatic, manual) score by graded cell, as the gradebook has them."""
        submission = self._gradebook.find_submission(self.unit.name, student)
        return {g.cell.name: (g.auto_score, g.manual_score) for n in submission.notebooks for g in n.grades}

    def close(self) -> None:
        self._gradebook.close()


def _set_grade(grade: Any, score: float | None, unanswered: bool) -> None:
    """What `SaveAutoGrades` would write: a manual cell has no automatic score unless it was left blank."""
    grade.auto_score = 0.0 if score is None and unanswered else score
    grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None


def read_release(course: Course, of: Unit) -> NotebookNode:
    """The released assignment of a unit."""
    path = course.assignment(of)
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise CourseError(f"no readable assignment at {path}: run `coursekit release {of.number}` first.") from error


def _stamp(result: SubmissionResult) -> dict[str, Any]:
    """When it was handed in. The file that says so is the student's: nonsense costs the date, not the grade."""
    with contextlib.suppress(ValueError, OverflowError):
        return {"timestamp": parse_utc(result.timestamp)} if result.timestamp else {}
    return {}


def _open(course: Course) -> Gradebook:
    with _told(course, "cannot be opened"), _scripts_on_path():
        return Gradebook(_url(course), COURSE_ID)


@contextlib.contextmanager
def _told(course: Course, what: str) -> Iterator[None]:
    """The database's and nbgrader's errors as one line of ours."""
    try:
        with _hushed(), warnings.catch_warnings():  # nbgrader's own models trip SQLAlchemy's autoflush
            warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
            yield
    except (sqlalchemy.exc.SQLAlchemyError, InvalidEntry, ValueError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise GradebookError(
            f"gradebook {course.gradebook}: {what} ({cause}), expected nbgrader's database in a folder that can be written. "
            "Check the permissions, the disk and who else has it open; then run the command again."
        ) from error


def _url(course: Course) -> str:
    return f"sqlite:///{course.gradebook}"


@contextlib.contextmanager
def _scripts_on_path() -> Iterator[None]:
    """nbgrader shells out to `alembic`, which a virtual environment's python called by its path does not find."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextlib.contextmanager
def _hushed() -> Iterator[list[str]]:
    """Keep what nbgrader logs off the terminal; its errors are collected instead."""
    heard = _Ear()
    loggers = [logging.getLogger(name) for name in ("traitlets", "tornado.application")]
    before = [(log, log.handlers, log.propagate, log.level) for log in loggers]
    for log in loggers:
        log.handlers, log.propagate = [heard], False
        log.setLevel(logging.ERROR)
    try:
        yield heard.errors
    finally:
        for log, handlers, propagate, level in before:
            log.handlers, log.propagate = handlers, propagate
            log.setLevel(level)


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())


def _cause(complaints: list[str]) -> str:
    """The error that a traceback among them ends in."""
    errors = re.findall(r"^[\w.]+(?:Error|Exception)\b.*", "\n".join(complaints), flags=re.MULTILINE)
    return errors[-1][:300] if errors else ""


# The engine as nbgrader's preprocessors. They share one pool and one examiner for each unit and process.


class Mend(NbGraderPreprocessor):  # type: ignore[misc]
    """Sanitise: rebuild the notebook from the release, with the student's answers in it."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        course, of = _course_of(resources)
        try:
            mended = mend(read_release(course, of), nb)
        except NotebookError as error:
            self.log.warning("%s", error)
            return nb, resources
        for note in mended.notes:
            self.log.warning("%s", note)
        return mended.notebook, resources


class Contain(NbGraderPreprocessor):  # type: ignore[misc]
    """Execute and save grades in one: run in the sandbox, judge here, write through the gradebook."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        course, of = _course_of(resources)
        student = resources["nbgrader"]["student"]
        engine = _engine(course, of)
        [submission] = collect(course.submitted / student, of)
        release = read_release(course, of)
        try:
            mended = mend(release, read_submission(Path(submission.notebook)))
            run = next(iter(engine.pool.run([engine.examiner.job(student, mended, submission)])))
            result = engine.examiner.result(submission, release, mended, run)
        except NotebookError as error:
            result = engine.examiner.unreadable(submission, str(error))
        ledger = Ledger(course, of)
        with contextlib.closing(ledger):
            ledger.record(result)
        self.log.info("%s: %s, %g of %g points", student, result.status, result.earned, result.possible)
        return (result.notebook or nb), resources


class _Engine:
    def __init__(self, course: Course, of: Unit) -> None:
        self.examiner = Examiner(of, secrets.randbits(62))
        self.pool = Pool(jobs=1, limits=Limits(), units=[of.number], hidden=[course.root])
        self.pool.__enter__()


_ENGINES: dict[Unit, _Engine] = {}


def _engine(course: Course, of: Unit) -> _Engine:
    if of not in _ENGINES:
        import atexit

        _ENGINES[of] = engine = _Engine(course, of)
        atexit.register(engine.pool.__exit__, None, None, None)
    return _ENGINES[of]


def _course_of(resources: dict[str, Any]) -> tuple[Course, Unit]:
    fields = resources["nbgrader"]
    database = Path(str(fields["db_url"]).removeprefix("sqlite:///"))
    return Course.find(database.parent), unit(fields["assignment"])
