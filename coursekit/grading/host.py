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
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import sqlalchemy.exc
from nbformat import NotebookNode
from nbgrader.api import (
    Assignment,
    BaseCell,
    Grade,
    Gradebook,
    InvalidEntry,
    MissingEntry,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.converters import GenerateAssignment, NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, NbGraderPreprocessor
from nbgrader.utils import parse_utc
from sqlalchemy import select
from sqlalchemy.orm import Session
from traitlets.config import Config, PyFileConfigLoader

from coursekit.course import Course, Unit, unit
from coursekit.errors import CourseError, GradebookError, GradebookLocked, NotebookError
from coursekit.grading.assess import Examiner, SubmissionResult
from coursekit.grading.collect import collect
from coursekit.grading.mend import mend, read_submission
from coursekit.grading.penalties import Standing, penalise, points_of
from coursekit.grading.pool import Pool
from coursekit.grading.results import Limits
from coursekit.grading.roster import Person
from coursekit.grading.scratch import Place

COURSE_ID = "coursekit"
IGNORED = [".ipynb_checkpoints", "*.pyc", "__pycache__", ".pytest_cache", "[0-9][0-9]_*.py", "*.safetensors"]
"""nbgrader hands out every other file of a source folder: the solution's text and its trained weights must be among these."""
_LOCK_SECONDS = 2
"""How long SQLite itself waits for another process to let go of the gradebook."""


def generate_assignment(course: Course, of: Unit, *, db_url: str | None = None, release: Path | None = None) -> Path:
    """Derive a unit's assignment from its solution with nbgrader's own step; return the assignment's path.

    The step also writes the assignment's cells into the gradebook at `db_url` (default: the course's).
    """
    if not course.solution(of).is_file():
        raise CourseError(f"no solution at {course.solution(of)}, expected the notebook that `coursekit build` makes.")
    target = (release or course.assignments) / of.name
    with Place.make() as place:  # nbgrader removes what it fails to make, and what was there before
        scratch = str(place)
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


@dataclass(frozen=True)
class Grades:
    """What the gradebook holds for one cell: the automatic score, and a person's."""

    automatic: float | None
    manual: float | None


@dataclass(frozen=True)
class Order:
    """A result to write. `only` names the graded cells whose scores it may touch; None means all."""

    result: SubmissionResult
    only: frozenset[str] | None = None
    unchanged: bool = False
    """Whether it is the same hand-in as last time: a cell that a person has graded then needs no second look."""


class Ledger:
    """The course's nbgrader gradebook, as far as grading needs it."""

    def __init__(self, course: Course, of: Unit) -> None:
        self.course, self.unit = course, of
        self._late = _late_plugin(course)
        self._register()
        self._gradebook = _open(course)
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
            with Place.make() as place:
                generate_assignment(self.course, self.unit, release=place)

    def record(self, result: SubmissionResult) -> None:
        """Write a result: every graded cell gets its score, manual scores and comments stay."""
        told = self.record_all([Order(result)])
        if told:
            raise GradebookError(told[result.student])

    def record_all(self, orders: Sequence[Order]) -> dict[str, str]:
        """Write results, all in one transaction; what went wrong, by student. Manual scores and comments stay.

        Where one of them cannot be written they are tried one by one. Raises `GradebookLocked` where another process holds
        the gradebook: some may have been written, and writing them all once more does no harm.
        """
        whose = ", ".join(repr(order.result.student) for order in orders[:3])
        try:
            with (
                _told(self.course, f"the scores of {whose} could not be written, they are unchanged"),
                self._transaction(),
            ):
                for order in orders:
                    self._gradebook.update_or_create_student(order.result.student)
                self._gradebook.db.flush()
                for order in orders:
                    self._record(order)
        except GradebookLocked:
            raise
        except GradebookError as error:
            if len(orders) == 1:
                return {orders[0].result.student: str(error)}
            return {student: why for order in orders for student, why in self.record_all([order]).items()}
        return {}

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """What happens within reaches the database as one, in few statements."""
        sessions = self._gradebook.db
        sessions.remove()
        try:
            with self._gradebook.engine.begin() as connection:
                sessions.registry.set(_Postponing(bind=connection, autoflush=False))
                yield
                sessions.flush()
        finally:
            sessions.remove()

    def _record(self, order: Order) -> None:
        gradebook, result = self._gradebook, order.result
        submission = gradebook.update_or_create_submission(result.unit.name, result.student, **_stamp(result))
        scores, comments = result.scores(), result.comments()
        answers = None if order.only is None else {name.removeprefix("check-") for name in order.only}
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                name = self._names[grade.cell_id]
                if order.only is None or name in order.only:
                    _set_grade(grade, scores.get(name), name in result.unanswered, order.unchanged)
            for comment in notebook.comments:
                name = self._names[comment.cell_id]
                if answers is None or name in answers:
                    comment.auto_comment = comments.get(name)
        penalise(submission, self._late)

    def grades(self) -> dict[str, dict[str, Grades]]:
        """What the gradebook holds for this assignment: by student, by graded cell."""
        query = (
            select(SubmittedAssignment.student_id, BaseCell.name, Grade.auto_score, Grade.manual_score)
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .join(BaseCell, BaseCell.id == Grade.cell_id)
            .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
            .where(Assignment.name == self.unit.name)
        )
        found: dict[str, dict[str, Grades]] = {}
        with _told(self.course, "cannot be read"):
            for student, cell, automatic, manual in self._gradebook.db.execute(query):
                found.setdefault(student, {})[cell] = Grades(automatic, manual)
            self._gradebook.db.rollback()  # a read lock would keep others from writing
        return found

    def scores(self, student: str) -> dict[str, tuple[float | None, float | None]]:
        """(automatic, manual) score by graded cell, as the gradebook has them."""
        submission = self._gradebook.find_submission(self.unit.name, student)
        return {g.cell.name: (g.auto_score, g.manual_score) for n in submission.notebooks for g in n.grades}

    def standings(self) -> list[Standing]:
        """Every student's score as it counts now, manual grades and penalties in it; whoever handed in nothing has None.

        Penalties are worked out anew: nbgrader does so only when it grades, before a person has given their points.
        """
        with _told(self.course, "cannot be read"):
            gradebook, handed_in = self._gradebook, {}
            for submission in gradebook.assignment_submissions(self.unit.name):
                penalty = penalise(submission, self._late)
                grades = {self._names[g.cell_id]: points_of(g) for n in submission.notebooks for g in n.grades}
                waiting = any(
                    g.needs_manual_grade and g.manual_score is None for n in submission.notebooks for g in n.grades
                )
                seconds = float(submission.total_seconds_late)
                handed_in[submission.student_id] = (grades, penalty, seconds, waiting)
            gradebook.db.commit()
            return [Standing(_person(s), *handed_in.get(s.id, (None, 0.0, 0.0, False))) for s in gradebook.students]

    def maximum(self) -> dict[str, float]:
        """The points of every graded cell, in the order of the notebook."""
        notebook = self._gradebook.find_notebook(self.unit.name, self.unit.name)
        cells = {cell.name: float(cell.max_score) for cell in notebook.grade_cells}
        order = [
            cell.metadata.get("nbgrader", {}).get("grade_id") for cell in read_release(self.course, self.unit).cells
        ]
        return {name: cells[name] for name in sorted(cells, key=lambda n: order.index(n) if n in order else len(order))}

    def close(self) -> None:
        self._gradebook.close()


class _Postponing(Session):
    """Each of nbgrader's methods commits, and so waits for the disk. Here the last step is that of `Ledger._transaction`."""

    def commit(self) -> None:
        pass


def students(course: Course) -> list[Person]:
    """nbgrader's students table; empty where there is no gradebook yet."""
    if not course.gradebook.exists():
        return []
    with contextlib.closing(_open(course)) as gradebook, _told(course, "cannot be read"):
        return [_person(student) for student in gradebook.students]


def register(course: Course, people: Iterable[Person]) -> None:
    """Enter people into nbgrader's students table; what is already known about them stays where nothing new is told."""
    with contextlib.closing(_open(course)) as gradebook, _told(course, "the students could not be entered"):
        for person in people:
            fields = {"first_name": person.first_name, "last_name": person.last_name, "email": person.email}
            told = {name: value for name, value in {**fields, "lms_user_id": person.lms_id}.items() if value}
            gradebook.update_or_create_student(person.id, **told)


def _person(student: Any) -> Person:
    names = {"first_name": student.first_name, "last_name": student.last_name, "email": student.email}
    return Person(id=student.id, **{k: v or "" for k, v in names.items()}, lms_id=student.lms_user_id or "")


def _late_plugin(course: Course) -> Any:
    """Made by nbgrader's own preprocessor, from the course's configuration."""
    place = course.root / "nbgrader_config.py"
    sys.path.append(str(course.root))  # a plugin of the course's own lies beside it; nbgrader looks there, too
    try:
        config = PyFileConfigLoader(place.name, path=str(place.parent)).load_config() if place.is_file() else Config()
        assign = AssignLatePenalties(config=config)
        assign.init_plugin()
    except Exception as error:  # an instructor's own Python: whatever it raises, the batch must say where
        raise CourseError(
            f"{place}: {type(error).__name__}: {error}. Mend it; `nbgrader autograde` reads it, too."
        ) from error
    return assign.plugin_inst


def _set_grade(grade: Any, score: float | None, unanswered: bool, unchanged: bool = False) -> None:
    """What `SaveAutoGrades` would write: a manual cell has no automatic score unless it was left blank.

    It also asks for another look at all that a person has graded; here not, where there is nothing new to see.
    """
    grade.auto_score = 0.0 if score is None and unanswered else score
    if not (unchanged and grade.manual_score is not None):
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
        url = _url(course)
        return Gradebook(f"{url}{'&' if '?' in url else '?'}timeout={_LOCK_SECONDS}", COURSE_ID)


@contextlib.contextmanager
def _told(course: Course, what: str) -> Iterator[None]:
    """The database's and nbgrader's errors as one line of ours."""
    try:
        with _hushed(), warnings.catch_warnings():  # nbgrader's own models trip SQLAlchemy's autoflush
            warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
            yield
    except (sqlalchemy.exc.SQLAlchemyError, InvalidEntry, ValueError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        if "database is locked" in str(error):
            raise GradebookLocked(
                f"gradebook {course.gradebook}: {what}, another process holds it ({cause}). Close formgrader or whatever else "
                "writes to it, and run the command again: nothing that was done is lost."
            ) from error
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
