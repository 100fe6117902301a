"""The line under every exercise: ``check("01.unroll", unroll)``."""

from __future__ import annotations

import os
from typing import Any

from coursekit.checks.engine import gather
from coursekit.checks.isolate import quiet
from coursekit.checks.judge import Expectation, LiveExpectation, judge, missing
from coursekit.checks.score import Score
from coursekit.errors import ExerciseError
from coursekit.exercises import bank, catalogue
from coursekit.exercises.progress import remember
from coursekit.runtime import threads

PRACTICE_SEED = 1
"""Checks in a notebook always draw the same inputs, so that a message can be discussed. Grading draws secret ones."""


def check(exercise: str, *answers: Any) -> Score:
    """Check an answer: a `Score` that is a number to nbgrader and a card to the reader.

    Takes the exercise's id and the objects it asks for, in the order in which the task names them.
    """
    question = catalogue.question(exercise)
    answer = question.answer(answers)
    if os.environ.get("COURSEKIT_SANDBOX"):  # a worker collects evidence itself and knows no right answer
        return Score(missing(question))
    expectation = practice(exercise)
    with quiet(), threads(1):  # tensors this small are slower on two threads, far slower on a busy machine
        evidence = gather(question, answer, expectation.inputs)
        verdict = judge(question, expectation, evidence)
    remember(verdict)
    return Score(verdict)


def practice(exercise: str) -> Expectation:
    """What the check in a notebook expects: from the answer key, or from the bank of a student's edition."""
    key = catalogue.key(exercise)
    if key is not None:
        return LiveExpectation(key, PRACTICE_SEED)
    stored = bank.load(exercise)
    if stored is None:
        raise ExerciseError(
            f"exercise {exercise}: neither its answer key nor a practice bank is here, expected one of them. "
            "Install coursekit from the bundle that your course handed out."
        )
    return stored


def hint(exercise: str, number: int = 1) -> None:
    """Print hint 1 (a nudge), 2 or 3 (nearly the line of code) of an exercise."""
    hints = catalogue.question(exercise).hints
    if number not in (1, 2, 3):
        raise ExerciseError(f"hint {number!r} of {exercise}: expected 1, 2 or 3.")
    print(f"Hint {number} of 3: {hints[number - 1]}")
