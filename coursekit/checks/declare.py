"""What an exercise is: a `Question` (the asking side) and its `Key` (the knowing side).

The sandbox, in which strangers' code runs, sees questions only. The answer key, with the reference, the catalogue of
mistakes and the alternatives, stays with the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.draws import Rng
from coursekit.errors import ExerciseError

Value = Any
"""Plain data: a tensor, number, string, truth value, None, or a list of these."""
Inputs = dict[str, Any]
"""What one draw hands to a probe: name -> plain data."""
Findings = dict[str, Any]
"""What one probe found: name -> plain data."""
Evidence = dict[str, Findings]
"""What one draw brought to light: part -> findings."""


@dataclass(frozen=True)
class Law:
    """A property that needs no reference, such as: attention weights sum to 1."""

    name: str
    says: str
    """The sentence shown when it does not hold: what must be true, and what to look at."""
    holds: Callable[[Inputs, Findings], bool]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A group of evidence with points."""

    name: str
    points: float
    tests: str
    """One line: what is tested."""
    probe: Callable[[Any, Inputs], Findings]
    """Runs the student's object on fresh inputs; runs where the student's code runs, so it knows no answer."""
    laws: tuple[Law, ...] = ()
    measure: Callable[[Inputs, Findings], Findings] | None = None
    """For outcomes (trained weights): turns findings into figures, where the judge runs; the laws then see the figures."""
    compared: bool = True
    """Whether the findings must equal the reference's; False leaves the verdict to the laws."""
    rtol: float = 1e-3
    atol: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: text, inputs, probes. Everything here may be read by the student."""

    unit: str
    name: str
    title: str
    task: str
    """Markdown. States every name, shape, dtype and tolerance that the check uses."""
    answers: tuple[str, ...]
    """The names that the student defines and the check receives."""
    draw: Callable[[Rng], Inputs]
    parts: tuple[Part, ...]
    hints: tuple[str, str, str]
    """From a nudge to nearly the line of code."""
    difficulty: int
    """From 1 (a line) to 5 (an evening)."""
    minutes: int
    draws: int = 2
    given: tuple[object, ...] = ()
    """Functions and classes whose source stands before the task, ready to use."""
    setup: str = ""
    """Code between the answer and its check, such as a training run that is kept in a file."""
    showcase: bool = False
    """Whether `setup` only shows something: no later cell needs what it makes, so the grader skips it."""
    file: str = ""
    """For trained weights: the file beside the notebook in which they are handed in."""
    slip: bool = False
    """Whether it is a slip found on a lecture slide that is to be mended."""

    def __post_init__(self) -> None:
        if not self.answers or not self.parts:
            raise ExerciseError(f"exercise {self.id}: needs at least one answer name and one part.")
        if len({part.name for part in self.parts}) != len(self.parts):
            raise ExerciseError(f"exercise {self.id}: two parts have one name.")

    @property
    def id(self) -> str:
        return f"{self.unit}.{self.name}"

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)

    def inputs(self, seed: int, dtype: torch.dtype = torch.float32) -> list[Inputs]:
        """The draws that belong to a seed."""
        return [self.draw(Rng(seed, f"{self.id}/{k}", dtype)) for k in range(self.draws)]

    def answer(self, values: Sequence[Any]) -> Any:
        """What a probe receives: the object itself, or a namespace where several names are asked for."""
        if len(values) != len(self.answers):
            raise ExerciseError(
                f'check("{self.id}", ...): got {len(values)} objects, expected {len(self.answers)}: '
                f"{', '.join(self.answers)}."
            )
        return values[0] if len(values) == 1 else SimpleNamespace(**dict(zip(self.answers, values)))


@dataclass(frozen=True)
class Mistake:
    """A named wrong answer, with the hint that its author needs."""

    name: str
    hint: str
    answer: Any
    """As `Question.answer` would give it: the object, or a mapping from names to objects."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known about a question."""

    question: Question
    solution: tuple[object, ...]
    """Functions and classes with BEGIN/END SOLUTION marks: their source is the notebook's answer cell."""
    reference: Any
    """The slow, obvious answer, straight from the equation; shares no code with what it judges."""
    source: str
    """Where the equation stands: paper, section, equation."""
    mistakes: tuple[Mistake, ...]
    alternatives: Mapping[str, Any]
    """Correct answers written differently: description -> answer."""
    outcome: Callable[[], Any] | None = None
    """For answers that are made rather than written (trained weights): makes the solution's."""

    def bundle(self, answer: Any) -> Any:
        """An answer from the catalogue as a probe receives it."""
        if len(self.question.answers) == 1:
            return answer
        return self.question.answer([answer[name] for name in self.question.answers])


@dataclass(frozen=True, kw_only=True)
class ManualQuestion:
    """A question that a person grades."""

    unit: str
    name: str
    title: str
    task: str
    points: float
    minutes: int
    difficulty: int = 3

    @property
    def id(self) -> str:
        return f"{self.unit}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """How a person grades a `ManualQuestion`."""

    question: ManualQuestion
    model_answer: str
    criteria: tuple[tuple[float, str], ...] = field(default=())
    """Points and what earns them; the points sum to the question's."""


def copy_inputs(inputs: Inputs) -> Inputs:
    """The same inputs in fresh memory, so that no probe sees what another one did to them."""
    return {name: _copy(value) for name, value in inputs.items()}


def _copy(value: Value) -> Value:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return value
