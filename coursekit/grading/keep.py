"""A result as plain JSON and back, for the journal.

Left out are the notebook and the answers, which `autograded/` holds: `answers` reads them there.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from coursekit.checks.compare import Difference
from coursekit.checks.judge import Diagnosis, PartVerdict, Verdict
from coursekit.course import Course, Unit
from coursekit.grading.assess import SubmissionResult

ELSEWHERE = frozenset({"unit", "notebook", "answers"})
"""Fields of a result that the journal does not hold."""


def as_plain(result: SubmissionResult) -> dict[str, Any]:
    """Everything of a result that is not kept elsewhere, ready for `json.dumps`."""
    plain = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name not in ELSEWHERE}
    plain["verdicts"] = [_verdict(verdict) for verdict in result.verdicts.values()]
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in plain.items()}


def from_plain(plain: dict[str, Any], of: Unit) -> SubmissionResult:
    """The result again. Raises `KeyError`, `TypeError` or `ValueError` where another version of the kit wrote it."""
    fields = dict(plain)
    verdicts = [_from_verdict(verdict) for verdict in fields.pop("verdicts")]
    for field in dataclasses.fields(SubmissionResult):
        if isinstance(fields.get(field.name), list):
            fields[field.name] = (frozenset if "frozenset" in str(field.type) else tuple)(fields[field.name])
    return SubmissionResult(unit=of, verdicts={v.exercise: v for v in verdicts}, **fields)


def answers(course: Course, student: str, of: Unit) -> dict[str, str]:
    """A student's answers by grade id, from the autograded notebook; empty where there is none."""
    path = Path(course.autograded, student, of.name, f"{of.name}.ipynb")
    try:
        cells = json.loads(path.read_bytes())["cells"]
        fields = [(cell["metadata"].get("nbgrader", {}), cell["source"]) for cell in cells]
        return {f["grade_id"]: s if isinstance(s, str) else "".join(s) for f, s in fields if f.get("solution")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "exercise": verdict.exercise,
        "title": verdict.title,
        "parts": [_part(part) for part in verdict.parts],
        **({"mistake": [verdict.diagnosis.name, verdict.diagnosis.hint]} if verdict.diagnosis else {}),
        **({"hint": verdict.hint} if verdict.hint else {}),
    }


def _part(part: PartVerdict) -> list[Any]:
    told = [part.name, part.tests, part.possible, part.status]
    if part.difference is None and not part.said:
        return told
    return [*told, part.said, list(dataclasses.astuple(part.difference)) if part.difference else None]


def _from_verdict(plain: dict[str, Any]) -> Verdict:
    diagnosis = Diagnosis(*plain["mistake"]) if "mistake" in plain else None
    return Verdict(
        plain["exercise"], plain["title"], tuple(map(_from_part, plain["parts"])), diagnosis, plain.get("hint", "")
    )


def _from_part(plain: list[Any]) -> PartVerdict:
    name, tests, possible, status, said, unlike = [*plain, "", None] if len(plain) == 4 else plain
    return PartVerdict(name, tests, possible, status, Difference(*unlike) if unlike else None, said)
