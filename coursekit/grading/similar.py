"""The similarity report on a class: answers read from the submissions, compared, written as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.course import Course, Unit
from coursekit.errors import ExerciseError, NotebookError
from coursekit.exercises import catalogue
from coursekit.exercises.audit import solution_answer
from coursekit.exercises.notebook import source
from coursekit.files import replace
from coursekit.grading.assess import Submission, answer_cell
from coursekit.grading.classroom import as_typed
from coursekit.grading.mend import mend, read_submission
from coursekit.grading.report import report_path, templates
from coursekit.grading.similarity import Pair, Task, compare


def similarity_path(course: Course, of: Unit) -> Path:
    return report_path(course, of).with_name("similarity.html")


@dataclass(frozen=True)
class Report:
    """What comparing a class came to."""

    path: Path
    students: int
    pairs: list[Pair]
    skipped: list[str]
    """Submissions that could not be read."""


def write_similarity(course: Course, of: Unit, submissions: Sequence[Submission], *, most: int = 50) -> Report:
    """Compare the answers of a class and write the page. Nothing of a submission is executed."""
    from coursekit.grading.host import read_release

    release = read_release(course, of)
    answers: dict[str, dict[str, str]] = {}
    skipped = []
    for submission in submissions:
        try:
            notebook = mend(release, read_submission(Path(submission.notebook))).notebook
        except NotebookError as error:
            skipped.append(f"{submission.student}: {error}")
            continue
        fields = [(cell, cell.metadata.get("nbgrader", {})) for cell in notebook.cells]
        answers[submission.student] = {f["grade_id"]: cell.source for cell, f in fields if f.get("solution")}
    released = {cell.metadata.get("nbgrader", {}).get("grade_id", ""): cell.source for cell in release.cells}
    pairs = compare(tasks(of, released), answers, most=most)
    page = templates().get_template("similarity.html")
    path = similarity_path(course, of)
    replace(path, page.render(unit=of, pairs=pairs, students=len(answers), skipped=skipped))
    return Report(path, len(answers), pairs, skipped)


def as_text(report: Report) -> str:
    """The strongest pairs, for a terminal."""
    lines = [
        f"compared {report.students} submissions; pairs more alike than known answers explain: {len(report.pairs)}"
    ]
    for pair in report.pairs[:10]:
        titles = ", ".join(a.title for a in pair.answers[:2]) + (", ..." if len(pair.answers) > 2 else "")
        lines.append(f"  {pair.weight:5.0f}  {pair.left} and {pair.right}: {len(pair.answers)} answers ({titles})")
    lines += [f"  not compared: {line}" for line in report.skipped]
    return "\n".join([*lines, f"similarity report: {report.path}"])


def as_json(report: Report) -> dict[str, Any]:
    return {
        "students": report.students,
        "page": str(report.path),
        "skipped": report.skipped,
        "pairs": [
            {
                "students": [p.left, p.right],
                "weight": round(p.weight, 1),
                "share": round(p.share, 3),
                "answers": {
                    a.name: {"similarity": round(a.similarity, 3), "evidence": round(a.evidence, 3)} for a in p.answers
                },
            }
            for p in report.pairs
        ],
    }


def tasks(of: Unit, released: dict[str, str]) -> list[Task]:
    """A unit's questions with the answers that the kit knows itself."""
    found = []
    for name, key in catalogue.keys(of).items():
        known = ["\n\n".join(source(item) for item in key.solution)]
        for answer in (solution_answer(key), *key.alternatives.values(), *(m.answer for m in key.mistakes)):
            try:
                known.append(as_typed(key, answer))
            except ExerciseError:
                continue  # weights, or an object that has no text: nobody could have typed it
        cell = answer_cell(name)
        found.append(Task(cell, key.question.title, released.get(cell, ""), tuple(known)))
    for rubric in catalogue.rubrics(of).values():
        question = rubric.question
        found.append(
            Task(question.name, question.title, released.get(question.name, ""), (rubric.model_answer,), prose=True)
        )
    return found
