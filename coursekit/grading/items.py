"""Item analysis: what each exercise tells about the class, and what the class's answers tell about the exercise."""

from __future__ import annotations

import statistics
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coursekit.grading.assess import SubmissionResult, answer_cell

ENOUGH = 10
"""Submissions below which no discrimination is given: with 10, a correlation of 0 comes out between -0.6 and 0.6."""
EXAMPLES = 3
LINES = 14
IDLE = ("not started", "missing")


@dataclass(frozen=True)
class Item:
    """An exercise in numbers."""

    exercise: str
    title: str
    share: float
    """Mean share of the points, 0 to 1: what the literature calls the difficulty, though it says how easy an item is."""
    full: int
    idle: int
    discrimination: float | None
    """Correlation of this item's points with those of all other items; None where there are too few submissions, or where
    everybody got the same."""
    seconds: float
    """Median CPU seconds of the answer's cell and the probes, over those who answered."""
    slowest: float
    mistake: str
    """The most frequent one, with its count."""

    @property
    def verdict(self) -> str:
        """What to make of the discrimination: the bounds of Ebel (1965)."""
        if self.discrimination is None:
            return ""
        return "good" if self.discrimination >= 0.4 else "fair" if self.discrimination >= 0.2 else "look at it"


@dataclass(frozen=True)
class Mistake:
    """A mistake that was seen, with what students wrote who made it."""

    name: str
    hint: str
    title: str
    count: int
    examples: tuple[tuple[str, str], ...]
    """(student, own lines)."""


def items(results: Sequence[SubmissionResult]) -> list[Item]:
    """The exercises of a class, hardest first. Submissions that could not be read say nothing about an exercise's worth to
    tell students apart, so they count in the mean and not in the discrimination."""
    read = [r for r in results if r.status != "unreadable"]
    totals = [r.earned for r in read]
    found = []
    for name in results[0].verdicts if results else ():
        verdicts = [r.verdicts[name] for r in results]
        seen = Counter(v.diagnosis.name for v in verdicts if v.diagnosis)
        spent = [r.exercise_seconds.get(name, 0.0) for r in read if r.verdicts[name].status not in IDLE]
        mine = [r.verdicts[name].earned for r in read]
        rest = [total - earned for total, earned in zip(totals, mine)]
        found.append(
            Item(
                exercise=name,
                title=verdicts[0].title,
                share=statistics.fmean(v.earned / v.possible if v.possible else 0.0 for v in verdicts),
                full=sum(v.passed for v in verdicts),
                idle=sum(v.status in IDLE for v in verdicts),
                discrimination=correlation(mine, rest) if len(read) >= ENOUGH else None,
                seconds=statistics.median(spent) if spent else 0.0,
                slowest=max(spent, default=0.0),
                mistake=f"{seen.most_common(1)[0][0]} ({seen.most_common(1)[0][1]})" if seen else "",
            )
        )
    return sorted(found, key=lambda item: item.share)


def correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's, or None where one side does not vary."""
    if len(set(left)) < 2 or len(set(right)) < 2:
        return None
    return statistics.correlation(left, right)


def mistakes(
    results: Sequence[SubmissionResult],
    released: Mapping[str, str],
    answers: Callable[[SubmissionResult], Mapping[str, str]],
    *,
    most: int = 20,
) -> list[Mistake]:
    """The most frequent mistakes, each with a few students' own lines.

    `released`: the cells as handed out, by grade id. `answers` gives a student's text by grade id; it is asked for the few
    examples only.
    """
    made: dict[tuple[str, str], list[SubmissionResult]] = {}
    for result in results:
        for name, verdict in result.verdicts.items():
            if verdict.diagnosis:
                made.setdefault((name, verdict.diagnosis.name), []).append(result)
    found = []
    for (name, mistake), who in sorted(made.items(), key=lambda entry: -len(entry[1]))[:most]:
        verdict = who[0].verdicts[name]
        cell = answer_cell(name)
        examples: dict[str, str] = {}
        for result in who[: 4 * EXAMPLES]:
            lines = own_lines(answers(result).get(cell, ""), released.get(cell, ""))
            if lines and lines not in examples and len(examples) < EXAMPLES:
                examples[lines] = result.student
        hint = verdict.diagnosis.hint if verdict.diagnosis else ""
        shown = tuple((student, lines) for lines, student in examples.items())
        found.append(Mistake(mistake, hint, verdict.title, len(who), shown))
    return found


def own_lines(text: str, released: str) -> str:
    """What a student wrote: the answer without the lines that were handed out, cut after a screenful."""
    given = {line.strip() for line in released.splitlines()}
    lines = [line for line in text.splitlines() if line.strip() and line.strip() not in given]
    more = len(lines) - LINES
    return textwrap.dedent("\n".join(line[:200] for line in lines[:LINES])) + (
        f"\n… {more} more lines" if more > 0 else ""
    )
