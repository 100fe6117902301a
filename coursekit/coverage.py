"""Which rows of the syllabus the notebooks show or assert: counted from the cells' tags.

A row counts when a *code* cell of a lecture or solution carries the tag ``covers:ID``; a tag on prose is an error.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from coursekit.course import Course
from coursekit.errors import CourseError

UNCOVERED = "uncovered.csv"
"""Rows left out on purpose, with the reason (id, reason), beside the syllabus."""


def count(course: Course) -> dict[str, Any]:
    """Per group: `rows`, `covered`, `missing` (with reasons); and where each row is covered."""
    rows = _rows(course.lectures / "syllabus.csv")
    reasons = _reasons(course.lectures / UNCOVERED)
    places = tagged(course)
    unknown = sorted(set(places) - {row["id"] for row in rows})
    if unknown:
        raise CourseError(f"tags cover unknown rows {unknown}, expected ids of lectures/syllabus.csv. Mend the tags.")
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        group = groups.setdefault(row["id"].partition("-")[0], {"rows": 0, "covered": 0, "missing": {}})
        group["rows"] += 1
        if row["id"] in places:
            group["covered"] += 1
        else:
            group["missing"][row["id"]] = reasons.get(row["id"], "")
    return {"groups": groups, "where": {name: sorted(where) for name, where in sorted(places.items())}}


def tagged(course: Course) -> dict[str, set[str]]:
    """Row id -> the notebooks that cover it."""
    places: dict[str, set[str]] = defaultdict(set)
    for path in sorted([*course.lectures.glob("*/*.ipynb"), *course.solutions.glob("*/*.ipynb")]):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith("covers:"):
                    if cell["cell_type"] != "code":
                        raise CourseError(
                            f"{path.name}, cell {number}: {tag} on prose, expected on the code that shows the claim."
                        )
                    places[tag.removeprefix("covers:")].add(f"{path.parent.name}/{path.name}")
    return places


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise CourseError(f"no syllabus at {path}: expected a table with id, name, unit, source.") from error


def _reasons(path: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in _rows(path)} if path.is_file() else {}


def as_text(report: dict[str, Any]) -> str:
    lines = []
    for name, group in report["groups"].items():
        lines.append(f"group {name}: {group['covered']} of {group['rows']} rows covered")
        if group["covered"]:
            lines += [f"  not {row}: {reason or 'no reason given'}" for row, reason in group["missing"].items()]
    return "\n".join(lines)
