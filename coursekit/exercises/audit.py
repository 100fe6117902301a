"""The proof of the first two promises: no wrong answer passes, no right one fails, and the check names the mistake.

For every exercise, over seeds: each catalogued mistake is rejected and recognised as itself; each alternative, the
solution and the reference get full marks, in two precisions. Mistakes are asked in the precision of the grading; at every
tenth draw they are asked twice and in the other precision, too, and right answers with two threads against expectations
that were made with one.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from coursekit.checks.declare import Key
from coursekit.checks.engine import gather, opaque
from coursekit.checks.isolate import quiet
from coursekit.checks.judge import LiveExpectation, Verdict, judge
from coursekit.exercises import catalogue
from coursekit.exercises.check import PRACTICE_SEED
from coursekit.runtime import threads

SEEDS = tuple(range(100, 120))
GRADED_IN = torch.float32


@dataclass
class Row:
    """What the audit saw of one exercise."""

    exercise: str
    points: float
    mistakes: int = 0
    rejected: int = 0
    named: int = 0
    alternatives: int = 0
    accepted: int = 0
    check_s: float = 0.0
    """CPU seconds of the slowest check: gather, judge, diagnose."""
    probe_s: float = 0.0
    """CPU seconds of one answer's probes (what a worker spends)."""
    faults: list[str] = field(default_factory=list)


def audit_exercise(key: Key, *, seeds: Sequence[int] = SEEDS) -> Row:
    """Run a key's whole catalogue through its question; at every tenth draw with two threads, too."""
    question = key.question
    row = Row(question.id, question.points)
    rights = {"solution": solution_answer(key), "reference": key.reference, **key.alternatives}
    row.mistakes, row.alternatives = len(key.mistakes), len(key.alternatives)
    wrong: dict[str, list[str]] = {mistake.name: [] for mistake in key.mistakes}
    failed: dict[str, list[str]] = {name: [] for name in rights}
    worth: dict[str, set[float]] = {mistake.name: set() for mistake in key.mistakes}
    unread: set[str] = set()
    for (k, seed), dtype in itertools.product(enumerate(seeds), (GRADED_IN, torch.float64)):
        thorough = k % 10 == 0
        where = f"seed {seed}, {str(dtype).removeprefix('torch.')}"
        with threads(1), quiet():
            expectation = LiveExpectation(key, seed, dtype)
            unread.update(opaque(expectation.expected))
            mistaken = _mistaken(key, expectation, again=thorough) if thorough or dtype == GRADED_IN else {}
        for name, verdict in mistaken.items():
            worth[name].add(verdict.earned)
            if verdict.passed:
                wrong[name].append(f"{where}: passed")
            elif verdict.diagnosis is None or verdict.diagnosis.name != name:
                seen = verdict.diagnosis.name if verdict.diagnosis else "nothing"
                wrong[name].append(f"{where}: taken for {seen}")
        for count in (1, 2) if thorough else (1,):
            with threads(count), quiet():
                for name, answer in rights.items():
                    verdict = _verdict(key, answer, expectation)
                    if not verdict.passed:
                        failed[name].append(f"{where}, {count} threads: {_why(verdict)}")
    row.rejected = sum(not any(f.endswith(": passed") for f in faults) for faults in wrong.values())
    row.named = sum(not faults for faults in wrong.values())
    row.accepted = sum(not failed[name] for name in key.alternatives)
    for name, faults in {**wrong, **failed}.items():
        if faults:
            row.faults.append(f"{name}: {faults[0]} ({len(faults)} times)")
    row.faults += [f"the reference's evidence, {place}: a probe must return plain data" for place in sorted(unread)]
    for name, earned in worth.items():
        if len(earned) > 1:
            row.faults.append(f"{name}: earns {sorted(earned)}, depending on the draw; one answer must have one score")
    row.check_s, row.probe_s = _times(key)
    return row


def solution_answer(key: Key) -> Any:
    """The answer that the solution notebook hands over."""
    if key.outcome is not None:
        return key.outcome()
    objects = {getattr(o, "__name__", ""): o for o in key.solution}
    names = key.question.answers
    return objects[names[0]] if len(names) == 1 else {name: objects[name] for name in names}


def _mistaken(key: Key, expectation: LiveExpectation, *, again: bool) -> dict[str, Verdict]:
    """The verdict on each mistake. A diagnosis has probed them all: unless `again`, that is the answer's evidence, too."""
    answered = LiveExpectation(key, expectation.seed, expectation.dtype) if again else expectation
    return {name: judge(key.question, expectation, evidence) for name, (_, evidence) in answered.mistakes.items()}


def _verdict(key: Key, answer: Any, expectation: LiveExpectation) -> Verdict:
    evidence = gather(key.question, key.bundle(answer), expectation.inputs, expectation.dtype)
    return judge(key.question, expectation, evidence)


def _why(verdict: Verdict) -> str:
    part = next(part for part in verdict.parts if part.status != "passed")
    return f"{part.name}: {part.difference or part.said}"


def _times(key: Key) -> tuple[float, float]:
    """The slowest full check over the catalogue (a failing answer costs the diagnosis too), and the probes' CPU time."""
    slowest = 0.0
    with quiet(), threads(1):  # as in a notebook's check
        for answer in [mistake.answer for mistake in key.mistakes[:1] + key.mistakes[-1:]]:
            start = time.process_time()  # on one thread: the seconds of an idle core, also on a busy machine
            _verdict(key, answer, LiveExpectation(key, PRACTICE_SEED))
            slowest = max(slowest, time.process_time() - start)
        inputs = key.question.inputs(PRACTICE_SEED)
        answer = key.bundle(solution_answer(key))
        start = time.process_time()
        gather(key.question, answer, inputs)
        return slowest, time.process_time() - start


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of an audit."""
    return {
        "exercises": len(rows),
        "mistakes": {
            "total": sum(r.mistakes for r in rows),
            "rejected": sum(r.rejected for r in rows),
            "named": sum(r.named for r in rows),
        },
        "alternatives": {"total": sum(r.alternatives for r in rows), "accepted": sum(r.accepted for r in rows)},
        "slowest_check_s": round(max((r.check_s for r in rows), default=0.0), 3),
        "probes_s": round(sum(r.probe_s for r in rows), 3),
        "rows": [asdict(r) for r in rows],
    }


def all_keys() -> list[Key]:
    return [key for u in catalogue.units() for key in catalogue.keys(u).values()]


def as_table(rows: Sequence[Row]) -> str:
    """The audit as a table, one line for each exercise, faults below it."""
    head = (
        f"{'exercise':34s} {'points':>6s} {'mistakes':>8s} {'rejected':>8s} {'named':>6s} {'alternatives':>12s} "
        f"{'accepted':>8s} {'check s':>8s}"
    )
    lines = [head]
    for r in rows:
        lines.append(
            f"{r.exercise:34s} {r.points:6g} {r.mistakes:8d} {r.rejected:8d} {r.named:6d} {r.alternatives:12d} {r.accepted:8d} "
            f"{r.check_s:8.3f}"
        )
        lines += [f"    fault: {fault}" for fault in r.faults]
    total = as_json(rows)
    lines.append(
        f"{total['exercises']} exercises, mistakes {total['mistakes']}, alternatives {total['alternatives']}, "
        f"slowest check {total['slowest_check_s']} s, all probes {total['probes_s']} s of CPU"
    )
    return "\n".join(lines)
