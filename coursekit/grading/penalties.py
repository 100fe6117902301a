"""What a score comes to in the end: a person's points before the machine's, and nbgrader's penalty for being late.

Works on rows of nbgrader's gradebook without importing nbgrader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coursekit.grading.roster import Person


@dataclass(frozen=True)
class Standing:
    """Where a student stands in an assignment."""

    person: Person
    points: dict[str, float] | None
    """By graded cell; None where nothing was handed in."""
    penalty: float = 0.0
    seconds_late: float = 0.0
    waiting: bool = False
    """A person has yet to grade something."""

    @property
    def score(self) -> float | None:
        """As nbgrader exports it: never below zero."""
        return None if self.points is None else max(0.0, sum(self.points.values()) - self.penalty)


def points_of(grade: Any) -> float:
    """What nbgrader's `Grade.score` says, from the row's columns: that one is worked out by the database, and goes stale."""
    given = grade.auto_score if grade.manual_score is None else grade.manual_score
    return float(given or 0.0) + float(grade.extra_credit or 0.0)


def penalise(submission: Any, plugin: Any) -> float:
    """Set each notebook's penalty, as `nbgrader.preprocessors.AssignLatePenalties` does; return their sum.

    `plugin` is the course's late submission plugin. The due date is the gradebook's, extensions included.
    """
    total = 0.0
    for notebook in submission.notebooks:
        notebook.late_submission_penalty = None
        late = submission.total_seconds_late
        if late > 0:
            score = sum(points_of(grade) for grade in notebook.grades)
            penalty = plugin.late_submission_penalty(submission.student_id, score, late)
            if penalty is not None:
                notebook.late_submission_penalty = min(max(float(penalty), 0.0), score)
                total += notebook.late_submission_penalty
    return total
