"""The first two promises, exercise by exercise: mistakes rejected and named, right answers accepted."""

from __future__ import annotations

import itertools

import pytest
import torch

from coursekit.checks.isolate import quiet
from coursekit.course import UNITS
from coursekit.errors import CourseError, ExerciseError
from coursekit.exercises import catalogue, check, hint, progress
from coursekit.exercises.audit import all_keys, audit_exercise, solution_answer
from coursekit.exercises.notebook import solution_lines, source

KEYS = all_keys()
MIN_MISTAKES, MIN_ALTERNATIVES = 6, 3


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.question.id)
def test_exercise_keeps_its_promises(key):
    row = audit_exercise(key)
    assert row.faults == []
    assert row.mistakes >= MIN_MISTAKES
    assert row.rejected == row.named == row.mistakes
    assert row.alternatives >= MIN_ALTERNATIVES
    assert row.accepted == row.alternatives
    assert row.check_s < 1.0


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.question.id)
def test_exercise_is_fully_declared(key):
    q = key.question
    assert 1 <= q.difficulty <= 5
    assert q.minutes > 0
    assert all(part.points > 0 and part.tests for part in q.parts)
    assert len(set(q.hints)) == 3
    assert key.source
    hints = [mistake.hint for mistake in key.mistakes]
    assert len(set(hints)) == len(hints), "each mistake has a message of its own"
    lines = [line for item in key.solution for line in solution_lines(source(item))]
    assert 1 <= len([line for line in lines if not line.startswith("#")]) <= 14
    for name in q.answers:
        assert f"`{name}" in q.task, f"the task does not state {name}"


def test_every_question_has_a_key_and_a_unit():
    for u in catalogue.units():
        assert [q.id for q in catalogue.questions(u)] == list(catalogue.keys(u))
        assert {q.id for q in catalogue.manual_questions(u)} == set(catalogue.rubrics(u))


def test_unit_01_has_what_the_course_promises():
    unit_01 = UNITS[0]
    assert len(catalogue.questions(unit_01)) >= 16
    assert sum(q.slip for q in catalogue.questions(unit_01)) >= 3
    assert len(catalogue.manual_questions(unit_01)) >= 1


def test_unit_02_has_what_the_course_promises():
    unit_02 = UNITS[1]
    assert len(catalogue.questions(unit_02)) >= 12
    assert sum(q.slip for q in catalogue.questions(unit_02)) >= 2


def test_unit_04_has_what_the_course_promises():
    unit_04 = UNITS[3]
    assert len(catalogue.questions(unit_04)) >= 16
    assert sum(q.slip for q in catalogue.questions(unit_04)) >= 4
    assert any(q.file for q in catalogue.questions(unit_04))  # a generator that is handed over as weights


def test_unit_05_has_what_the_course_promises():
    assert len(catalogue.questions(UNITS[4])) >= 12


def test_unit_06_has_what_the_course_promises():
    unit_06 = UNITS[5]
    assert len(catalogue.questions(unit_06)) >= 12
    assert sum(q.slip for q in catalogue.questions(unit_06)) >= 2


def test_unit_08_has_what_the_course_promises():
    unit_08 = UNITS[7]
    assert len(catalogue.questions(unit_08)) >= 12
    assert sum(q.slip for q in catalogue.questions(unit_08)) >= 2
    assert any(q.file for q in catalogue.questions(unit_08))  # a generator that is handed over as weights


def test_checks_give_the_same_verdict_in_any_order():
    keys = KEYS[:6]
    answers = {key.question.id: solution_answer(key) for key in keys}
    wrong = {key.question.id: key.mistakes[0].answer for key in keys}

    def outcome(order, pick):
        found = {}
        for key in order:
            torch.manual_seed(len(found))
            values = pick[key.question.id]
            values = (values,) if len(key.question.answers) == 1 else [values[n] for n in key.question.answers]
            found[key.question.id] = check(key.question.id, *values).verdict
        return found

    for pick in (answers, wrong):
        first = outcome(keys, pick)
        for order in itertools.islice(itertools.permutations(keys), 1, 700, 233):
            assert outcome(order, pick) == first


def test_all_probes_together_are_cheap():
    import time

    from coursekit.checks.engine import gather

    with quiet():
        jobs = [
            (k.question, k.bundle(solution_answer(k)), k.question.inputs(1)) for k in KEYS if k.question.unit == "01"
        ]
        start = time.process_time()
        for question, answer, inputs in jobs:
            gather(question, answer, inputs)
        assert time.process_time() - start < 1.0


def test_progress_is_kept_and_only_improves(tmp_path, monkeypatch):
    key = KEYS[0]
    assert progress("01").earned == 0
    check(key.question.id, solution_answer(key))
    assert progress("01").earned == key.question.points
    check(key.question.id, key.mistakes[0].answer)
    assert progress("01").earned == key.question.points
    assert key.question.title in str(progress("01"))


def test_a_home_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("COURSEKIT_HOME", str(blocked / "home"))
    key = KEYS[0]
    assert check(key.question.id, solution_answer(key)) == key.question.points


def test_a_teachers_progress_is_not_touched_by_grading(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check(KEYS[0].question.id, solution_answer(KEYS[0]))
    assert progress("01").earned == 0


def test_hints_are_graded(capsys):
    hint(KEYS[0].question.id, 2)
    assert KEYS[0].question.hints[1] in capsys.readouterr().out
    with pytest.raises(ExerciseError, match="expected 1, 2 or 3"):
        hint(KEYS[0].question.id, 4)


def test_a_misspelt_exercise_is_recognised():
    with pytest.raises(ExerciseError, match=f"did you mean '{KEYS[0].question.id}'"):
        check(KEYS[0].question.id[:-1], None)
    with pytest.raises(CourseError, match="unknown unit"):
        check("99.nothing", None)
