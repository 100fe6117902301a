"""Evidence against expectation: a `Verdict`. Runs no student code, so it can run where that code cannot reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import torch

from coursekit.checks.compare import Difference, alike, difference, same
from coursekit.checks.declare import Evidence, Findings, Inputs, Key, Law, Part, Question
from coursekit.checks.engine import CHANGED, MESSAGE, RAISED, gather

Status = Literal["passed", "failed", "raised", "not started", "missing"]


@dataclass(frozen=True)
class Diagnosis:
    """The known mistake that an answer behaves like."""

    name: str
    hint: str


@dataclass(frozen=True)
class PartVerdict:
    name: str
    tests: str
    possible: float
    status: Status
    difference: Difference | None = None
    said: str = ""
    """For "raised": the exception; for a broken law: the law."""

    @property
    def earned(self) -> float:
        return self.possible if self.status == "passed" else 0.0


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth, and why."""

    exercise: str
    title: str
    parts: tuple[PartVerdict, ...]
    diagnosis: Diagnosis | None = None
    hint: str = ""
    """The next step when no known mistake fits."""

    @cached_property
    def earned(self) -> float:
        return sum(part.earned for part in self.parts)

    @cached_property
    def possible(self) -> float:
        return sum(part.possible for part in self.parts)

    @property
    def passed(self) -> bool:
        return all(part.status == "passed" for part in self.parts)

    @property
    def status(self) -> Literal["passed", "partly", "failed", "not started", "missing"]:
        states = {part.status for part in self.parts}
        if states == {"passed"}:
            return "passed"
        if states == {"not started"}:
            return "not started"
        if states == {"missing"}:
            return "missing"
        return "partly" if self.earned else "failed"

    def redacted(self) -> Verdict:
        """The verdict without the values of hidden draws."""
        parts = tuple(replace(p, difference=p.difference.redacted() if p.difference else None) for p in self.parts)
        return replace(self, parts=parts)


class Expectation(Protocol):
    """What a judge needs to know: the draws, the expected evidence, and that of the mistakes (made when asked for)."""

    @property
    def inputs(self) -> list[Inputs]: ...
    @property
    def expected(self) -> list[Evidence]: ...
    @property
    def mistakes(self) -> Mapping[str, tuple[str, list[Evidence]]]: ...


@dataclass(frozen=True)
class LiveExpectation:
    """An expectation computed from an answer key."""

    key: Key
    seed: int
    dtype: torch.dtype = field(default=torch.float32)

    @cached_property
    def inputs(self) -> list[Inputs]:
        return self.key.question.inputs(self.seed, self.dtype)

    @cached_property
    def expected(self) -> list[Evidence]:
        return gather(self.key.question, self.key.bundle(self.key.reference), self.inputs, self.dtype)

    @cached_property
    def mistakes(self) -> dict[str, tuple[str, list[Evidence]]]:
        return {
            m.name: (m.hint, gather(self.key.question, self.key.bundle(m.answer), self.inputs, self.dtype))
            for m in self.key.mistakes
        }


def missing(question: Question) -> Verdict:
    """The verdict where there is no answer at all."""
    parts = tuple(PartVerdict(p.name, p.tests, p.points, "missing") for p in question.parts)
    return Verdict(question.id, question.title, parts, hint="Define " + ", ".join(question.answers) + ".")


def judge(question: Question, expectation: Expectation, evidence: Sequence[Evidence] | None) -> Verdict:
    """The verdict on `evidence` (one entry for each draw; None when the answer is missing)."""
    draws = len(expectation.inputs)
    if evidence is None or len(evidence) != draws or not all(isinstance(e, dict) for e in evidence):
        return missing(question)
    # A stranger may have sent anything: what is not findings by part counts as absent.
    evidence = [{name: found for name, found in e.items() if isinstance(found, dict)} for e in evidence]
    measured = _Measured()
    outcomes = [_judge_part(part, expectation, evidence, measured) for part in question.parts]
    parts = tuple(verdict for verdict, _ in outcomes)
    verdict = Verdict(question.id, question.title, parts)
    if verdict.passed or verdict.status == "not started":
        return verdict
    diagnosis = _diagnose(question, parts, expectation, evidence)
    if diagnosis is None:
        broken = next((law for _, law in outcomes if law), None)
        diagnosis = Diagnosis(broken.name, broken.says) if broken else None
    return replace(verdict, diagnosis=diagnosis, hint="" if diagnosis else question.hints[0])


class _Measured:
    """Figures already measured: the parts of a question often share a measurement, which may run a network."""

    def __init__(self) -> None:
        self._known: list[tuple[Callable[..., Findings], Inputs, Findings, Findings]] = []

    def __call__(self, part: Part, inputs: Inputs, found: Findings) -> Findings:
        if part.measure is None:
            return found
        for measure, draw, before, figures in self._known:
            if measure is part.measure and draw is inputs and same(before, found):
                return figures
        figures = part.measure(inputs, found)
        self._known.append((part.measure, inputs, found, figures))
        return figures


def _judge_part(
    part: Part, expectation: Expectation, evidence: Sequence[Evidence], measured: _Measured
) -> tuple[PartVerdict, Law | None]:
    verdict = PartVerdict(part.name, part.tests, part.points, "passed")
    for k, inputs in enumerate(expectation.inputs):
        found = evidence[k].get(part.name)
        if found is None:
            return replace(verdict, status="missing"), None
        if RAISED in found:
            if found[RAISED] == "NotImplementedError":
                return replace(verdict, status="not started"), None
            return replace(verdict, status="raised", said=f"{found[RAISED]}: {found.get(MESSAGE, '')}"[:500]), None
        if part.compared:
            unlike = difference(expectation.expected[k].get(part.name, {}), found, rtol=part.rtol, atol=part.atol)
            if unlike:
                return replace(verdict, status="failed", difference=unlike), None
        law = broken_law(part, inputs, found, measured)
        if law:
            return replace(verdict, status="failed", said=law.says), law
    return verdict, None


def broken_law(part: Part, inputs: Inputs, found: Findings, measured: _Measured | None = None) -> Law | None:
    """The first law of `part` that the findings break; findings that a law cannot read break it."""
    measured = measured or _Measured()
    for law in part.laws:
        try:
            holds = law.holds(inputs, measured(part, inputs, found))
        except Exception:  # findings may be anything a stranger sent: unreadable is broken
            holds = False
        if holds is not True:
            return law
    return None


def _diagnose(
    question: Question, verdicts: Sequence[PartVerdict], expectation: Expectation, evidence: Sequence[Evidence]
) -> Diagnosis | None:
    """The mistake whose evidence equals the answer's: in every part if there is one, else in the parts that fail."""
    failing = [part for part, verdict in zip(question.parts, verdicts) if verdict.status != "passed"]
    alike = []
    for name, (hint, theirs) in expectation.mistakes.items():
        if all(_equal(part, theirs, evidence) for part in failing):
            if all(_equal(part, theirs, evidence) for part in question.parts):
                return Diagnosis(name, hint)
            alike.append(Diagnosis(name, hint))
    if alike:
        return alike[0]
    if any(evidence[k].get(part.name, {}).get(CHANGED) is True for k in range(len(evidence)) for part in failing):
        return Diagnosis(
            "changes its inputs",
            "Your code writes into its inputs. Make new tensors instead: the caller still needs them.",
        )
    return None


def _equal(part: Part, theirs: Sequence[Evidence], mine: Sequence[Evidence]) -> bool:
    # A dead giveaway needs all draws; a part left to laws (weights) is never recognised by equality.
    if not part.compared:
        return False
    for other, own in zip(theirs, mine):
        left, right = other.get(part.name), own.get(part.name)
        if left is None or right is None:
            return False
        if RAISED in left or RAISED in right:
            if left.get(RAISED) != right.get(RAISED):
                return False
        elif not alike(left, right, rtol=part.rtol, atol=part.atol):
            return False
    return True
