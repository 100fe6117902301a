"""Pages for people: feedback for a student, a report on the class, a table for a terminal, CSV for a spreadsheet.

Templates escape everything, and the pages forbid scripts by a content security policy.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from coursekit.checks.judge import Verdict
from coursekit.checks.score import MARKS, UNTOUCHED, details, lead, next_step, points
from coursekit.course import Course, Unit
from coursekit.exercises import catalogue
from coursekit.files import replace
from coursekit.grading import keep
from coursekit.grading.assess import SubmissionResult, answer_cell
from coursekit.grading.clean import one_line
from coursekit.grading.export import plain
from coursekit.grading.items import ENOUGH, items, mistakes

if TYPE_CHECKING:
    from coursekit.grading.batch import Batch

BINS = 10


def feedback_path(course: Course, student: str, of: Unit) -> Path:
    """Where nbgrader puts feedback."""
    return course.feedback / student / of.name / f"{of.name}.html"


def report_path(course: Course, of: Unit) -> Path:
    return course.reports / of.name / "index.html"


def write_feedback(course: Course, result: SubmissionResult) -> Path:
    """A student's page."""
    path = feedback_path(course, result.student, result.unit)
    manual = [q.title for q in catalogue.manual_questions(result.unit)]
    rows = [_exercise(verdict, result) for verdict in result.verdicts.values()]
    replace(path, templates().get_template("feedback.html").render(r=result, rows=rows, manual=manual))
    return path


def write_report(course: Course, batch: Batch, *, names: bool = False) -> Path:
    """The report on a class, and beside it the scores as CSV. `names`: say whose lines the examples of mistakes are."""
    path = report_path(course, batch.unit)

    def answers(result: SubmissionResult) -> Mapping[str, str]:
        return result.answers or keep.answers(course, result.student, result.unit)

    replace(path.with_name("scores.csv"), as_csv(batch.results))
    shares = [r.earned / r.possible if r.possible else 0.0 for r in batch.results]
    page = (
        templates()
        .get_template("report.html")
        .render(
            unit=batch.unit,
            students=[_student(course, path, result) for result in batch.results],
            mean=statistics.fmean(r.earned for r in batch.results) if batch.results else 0.0,
            median=statistics.median(r.earned for r in batch.results) if batch.results else 0.0,
            possible=max((r.possible for r in batch.results), default=0.0),
            seconds=batch.timing.run_wall,
            bins=_bins(shares),
            items=items(batch.results),
            enough=ENOUGH,
            mistakes=mistakes(batch.results, _released(course, batch.unit), answers),
            names=names,
            failures=batch.failures,
        )
    )
    replace(path, page)
    return path


def line(result: SubmissionResult) -> str:
    """A finished submission in one line."""
    detail = f" ({result.detail})" if result.detail else ""
    earned = f"{points(result.earned):>5s}/{points(result.possible):<5s}"
    return one_line(f"  {result.student:24s} {earned} {result.status}{detail}")


def table(results: Sequence[SubmissionResult]) -> str:
    """The class in a few lines: how many ended how, and the hardest exercises."""
    endings = Counter(result.status for result in results)
    lines = [", ".join(f"{count} {status}" for status, count in endings.most_common())]
    for item in items(results)[:5]:
        lines.append(f"  {100 * item.share:3.0f} %  {item.title}{' · ' + item.mistake if item.mistake else ''}")
    return "\n".join(lines)


def as_csv(results: Sequence[SubmissionResult]) -> str:
    """Scores by student and exercise. A name that a spreadsheet would take for a formula is quoted."""
    names = list(results[0].verdicts) if results else []
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["student", "status", "earned", "possible", *names])
    for r in results:
        scores = [f"{r.verdicts[name].earned:g}" for name in names]
        writer.writerow([plain(r.student), r.status, f"{r.earned:g}", f"{r.possible:g}", *scores])
    return text.getvalue()


def _exercise(verdict: Verdict, result: SubmissionResult) -> SimpleNamespace:
    """What the template shows. With attributes: a template looks for these first, and a failing look-up costs it most."""
    return SimpleNamespace(
        title=verdict.title,
        status=verdict.status,
        mark=MARKS[verdict.status],
        earned=verdict.earned,
        possible=verdict.possible,
        parts=[
            SimpleNamespace(mark=MARKS[p.status], tests=p.tests, earned=p.earned, possible=p.possible, lines=told)
            for p, told in zip(verdict.parts, details(verdict))
            if verdict.status not in UNTOUCHED
        ],
        lead=lead(verdict),
        next=next_step(verdict),
        code=result.answers.get(answer_cell(verdict.exercise), ""),
    )


def _student(course: Course, page: Path, result: SubmissionResult) -> dict[str, Any]:
    target = feedback_path(course, result.student, result.unit)
    link = quote(Path(os.path.relpath(target, page.parent)).as_posix()) if target.is_file() else ""
    return {
        "name": result.student,
        "link": link,
        "earned": result.earned,
        "possible": result.possible,
        "status": result.status,
        "detail": result.detail,
        "notes": result.notes,
    }


def _released(course: Course, of: Unit) -> dict[str, str]:
    """The cells as handed out, by grade id; empty where the release is gone (a report needs none)."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        cells = json.loads(course.assignment(of).read_bytes())["cells"]
        return {c["metadata"].get("nbgrader", {}).get("grade_id", ""): "".join(c["source"]) for c in cells}
    return {}


def _bins(shares: Sequence[float]) -> list[dict[str, Any]]:
    counts = Counter(min(int(share * BINS), BINS - 1) for share in shares)
    most = max(counts.values(), default=1)
    return [
        {
            "label": f"{100 * k // BINS} to {100 * (k + 1) // BINS} %",
            "count": counts[k],
            "width": round(100 * counts[k] / most),
        }
        for k in range(BINS)
    ]


@functools.cache
def templates() -> jinja2.Environment:
    """Compiled once for a batch."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["points"] = points
    environment.filters["ticks"] = _ticks
    return environment


def _ticks(text: str) -> Markup:
    """Text with its backticked pieces as code; each piece is escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if k % 2 else escape(piece) for k, piece in enumerate(pieces)
    )
