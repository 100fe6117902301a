"""A self-learner's progress: kept in one small file, offline, across sessions."""

from __future__ import annotations

import contextlib
import html
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.checks.judge import Verdict
from coursekit.checks.score import points
from coursekit.course import Unit, unit
from coursekit.exercises import catalogue
from coursekit.files import replace

try:
    import fcntl
except ImportError:  # Windows has no such lock: there the last of two notebooks wins
    fcntl = None  # type: ignore[assignment]


def store() -> Path:
    """Where progress is kept: ``$COURSEKIT_HOME`` or ``~/.coursekit``."""
    home = os.environ.get("COURSEKIT_HOME")
    return (Path(home) if home else Path.home() / ".coursekit") / "progress.json"


def remember(verdict: Verdict) -> None:
    """Keep the best score of an exercise. A home that cannot be written costs the memory, never the check."""
    if os.environ.get("NBGRADER_EXECUTION"):  # a class is being graded: these are not the teacher's own scores
        return
    try:
        with _alone():
            scores = _read()
            if verdict.earned >= scores.get(verdict.exercise, -1.0):
                scores[verdict.exercise] = verdict.earned
                replace(store(), json.dumps(scores, indent=1))
    except OSError:
        return


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two notebooks may finish a check at the same time: neither may lose the other's score."""
    lock = store().with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _read() -> dict[str, float]:
    try:
        scores = json.loads(store().read_text())
    except (OSError, ValueError):
        return {}
    return {k: float(v) for k, v in scores.items() if isinstance(v, int | float)} if isinstance(scores, dict) else {}


@dataclass(frozen=True)
class Progress:
    """Best scores so far: per exercise (earned or None, possible)."""

    unit: Unit
    rows: tuple[tuple[str, str, float | None, float], ...]

    @property
    def earned(self) -> float:
        return sum(row[2] or 0.0 for row in self.rows)

    @property
    def possible(self) -> float:
        return sum(row[3] for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{self.unit.title}: {points(self.earned)} of {points(self.possible)} points"]
        for identifier, title, earned, possible in self.rows:
            score = f"{points(earned or 0):>4s}/{points(possible):<4s}"
            lines.append(f"  {_mark(earned, possible)} {identifier:28s} {score} {title}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        share = self.earned / self.possible if self.possible else 0.0
        bar = (
            '<div style="background:#8884;width:24em;max-width:100%;height:.6em;border-radius:.3em;margin:.4em 0 .6em">'
            f'<div style="background:#009E73;width:{100 * share:.0f}%;height:100%;border-radius:.3em"></div></div>'
        )
        head = "".join(f'<th style="text-align:{side}">{text}</th>' for text, side in _HEAD)
        rows = "".join(
            f'<tr><td style="text-align:left">{_mark(earned, possible)} {html.escape(title)}</td>'
            f'<td style="text-align:left"><code>{html.escape(identifier)}</code></td>'
            f'<td style="text-align:right">{points(earned or 0)} / {points(possible)}</td></tr>'
            for identifier, title, earned, possible in self.rows
        )
        card = (
            f"<div><b>{html.escape(self.unit.title)}: {points(self.earned)} of {points(self.possible)} points</b>{bar}"
            f'<table style="margin:0"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        )
        return {"text/plain": str(self), "text/html": card}


_HEAD = (("Exercise", "left"), ("Name", "left"), ("Points", "right"))


def _mark(earned: float | None, possible: float) -> str:
    """Not tried, full, partly, nothing."""
    return "○" if earned is None else "✓" if earned >= possible else "◐" if earned else "✗"


def progress(unit_name: str) -> Progress:
    """How far you are in a unit, such as ``progress("01")``."""
    of = unit(unit_name)
    scores = _read()
    rows = tuple((q.id, q.title, scores.get(q.id), q.points) for q in catalogue.questions(of))
    return Progress(of, rows)
