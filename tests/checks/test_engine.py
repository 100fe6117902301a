"""A check sees fresh inputs, restores the world, and turns whatever happens into plain data."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from coursekit.checks.declare import Key, Law, Mistake, Part, Question
from coursekit.checks.engine import CHANGED, RAISED, gather, opaque, plain
from coursekit.checks.isolate import isolated, quiet
from coursekit.checks.judge import LiveExpectation, judge
from coursekit.checks.score import Score, as_html
from coursekit.errors import ExerciseError
from coursekit.exercises.audit import audit_exercise


def question(**changes):
    parts = (
        Part(name="values", points=1.0, tests="the double", probe=lambda f, i: {"y": f(i["x"])}),
        Part(
            name="sum",
            points=0.5,
            tests="the double of the first",
            probe=lambda f, i: {"y": f(i["x"][:1])},
            laws=(
                Law(
                    "twice",
                    "The result is twice the input.",
                    lambda i, found: bool((found["y"] == 2 * i["x"][:1]).all()),
                ),
            ),
        ),
    )
    fields = {
        "unit": "01", "name": "double", "title": "Double", "task": "", "answers": ("double",),
        "draw": lambda rng: {"x": rng.normal(3, 2)}, "parts": parts, "hints": ("a", "b", "c"), "difficulty": 1, "minutes": 1,
    }  # fmt: skip
    return Question(**{**fields, **changes})


def key(**changes):
    return Key(
        question=question(**changes),
        solution=(),
        reference=lambda x: x + x,
        source="",
        mistakes=(Mistake("squared", "Add, do not multiply.", lambda x: x * x),),
        alternatives={},
    )


def verdict(answer, **changes):
    expectation = LiveExpectation(key(**changes), seed=1)
    return judge(expectation.key.question, expectation, gather(expectation.key.question, answer, expectation.inputs))


def test_a_right_answer_earns_everything():
    assert verdict(lambda x: 2 * x).earned == 1.5
    assert verdict(lambda x: 2 * x).status == "passed"


def test_a_known_mistake_is_named():
    found = verdict(lambda x: x**2)
    assert found.earned == 0
    assert found.diagnosis.name == "squared"


def test_an_unknown_mistake_gets_the_first_hint():
    found = verdict(lambda x: 3 * x)
    assert found.diagnosis is None
    assert found.hint == "a"


def test_parts_are_earned_apart():
    def breaks_on_one(x):
        if len(x) == 1:
            raise ValueError("one")
        return 2 * x

    found = verdict(breaks_on_one)
    assert found.earned == 1.0
    assert found.status == "partly"
    assert "ValueError: one" in str(Score(found))


def test_not_started_is_no_failure():
    def stub(x):
        raise NotImplementedError

    assert verdict(stub).status == "not started"
    assert "Traceback" not in str(Score(verdict(stub)))


def test_writing_into_the_inputs_is_noticed_and_said():
    found = verdict(lambda x: x.mul_(2))
    assert found.earned == 0
    assert found.diagnosis.name == "changes its inputs"


def test_a_broken_law_names_itself():
    parts = tuple(
        Part(name=p.name, points=p.points, tests=p.tests, probe=p.probe, laws=p.laws, compared=False)
        for p in question().parts
    )
    found = verdict(lambda x: 3 * x, parts=parts)
    assert found.diagnosis.name == "twice"


def test_a_law_that_stumbles_over_findings_is_broken():
    law = Law("reads", "It can be read.", lambda i, found: found["absent"] > 0)
    part = Part(name="p", points=1, tests="t", probe=lambda f, i: {"y": 1}, laws=(law,), compared=False)
    assert verdict(lambda x: x, parts=(part,)).earned == 0


@pytest.mark.parametrize("evidence", [None, [], [{}], "yes", [1, 2], [{"values": 1}, {"values": None}]])
def test_evidence_of_the_wrong_form_earns_nothing(evidence):
    expectation = LiveExpectation(key(), seed=1)
    assert judge(expectation.key.question, expectation, evidence).earned == 0


def test_global_state_is_restored_and_fixed_within():
    seen = []

    def nosy(x):
        seen.append((torch.rand(1).item(), random.random(), np.random.rand(), torch.is_grad_enabled()))
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(99)
        return 2 * x

    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.no_grad():
        verdict(nosy)
        assert not torch.is_grad_enabled()
    torch.rand(3)
    torch.set_rng_state(before)
    verdict(nosy)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32
    assert len(set(seen)) == 1, "every probe starts from one state"


def test_same_verdict_in_any_order():
    first = [verdict(lambda x: x * x), verdict(lambda x: 2 * x)]
    second = [verdict(lambda x: 2 * x), verdict(lambda x: x * x)]
    assert first == second[::-1]


def test_nothing_reaches_standard_error(capfd):
    import os
    import sys
    import warnings

    with quiet() as printed, isolated():
        warnings.warn("careful", stacklevel=1)
        print("hello")
        print("noise", file=sys.stderr)
        os.write(2, b"noise from below")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert printed.getvalue() == "hello\n"


def test_evidence_is_plain():
    class Sub(torch.Tensor):
        pass

    assert type(plain(torch.ones(2).as_subclass(Sub))) is torch.Tensor
    assert plain(np.ones(2)) == "<a ndarray>"
    assert plain([1, (2, object())]) == [1, [2, "<a object>"]]
    assert "too large" in plain(torch.zeros(1).expand(5_000_000))
    assert plain(torch.ones(2, requires_grad=True)).requires_grad is False
    assert isinstance(plain(torch.ones(2).to_sparse()), str)


def test_probes_get_inputs_of_their_own():
    expectation = LiveExpectation(key(), seed=1)
    kept = [i["x"].clone() for i in expectation.inputs]
    evidence = gather(expectation.key.question, lambda x: x.zero_(), expectation.inputs)
    assert all(torch.equal(i["x"], k) for i, k in zip(expectation.inputs, kept))
    assert evidence[0]["values"][CHANGED] is True


def test_exceptions_are_findings():
    evidence = gather(question(), lambda x: 1 / 0, question().inputs(1))
    assert evidence[0]["values"][RAISED] == "ZeroDivisionError"


def test_a_score_is_a_number_to_nbgrader_and_a_card_to_a_reader():
    score = Score(verdict(lambda x: x * x if len(x) > 1 else 2 * x))
    assert float(repr(score)) == 0.5
    bundle = score._repr_mimebundle_()
    assert bundle["text/plain"] == "0.5"
    assert "Add, do not multiply." in bundle["text/html"]


def test_what_student_code_says_is_escaped():
    def evil(x):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in as_html(verdict(evil))


def test_wrong_number_of_answers_is_a_clear_error():
    with pytest.raises(ExerciseError, match="expected 1: double"):
        question().answer([1, 2])


def test_what_plain_cannot_carry_is_found_in_evidence_and_by_the_audit() -> None:
    """Two different dictionaries become one string: a probe that returns one would let every answer pass."""
    parts = (
        Part(name="p", points=1, tests="t", probe=lambda f, i: {"y": {"z": f(i["x"])}, "w": [1.0, object()], "v": 1.0}),
    )

    def double(x):
        return 2 * x

    wrong = (Mistake("squared", "Add.", lambda x: x * x),)
    made = Key(
        question=question(parts=parts), solution=(double,), reference=double, source="", mistakes=wrong, alternatives={}
    )
    assert opaque(LiveExpectation(made, seed=1).expected) == ["p: w is <a object>", "p: y is <a dict>"]
    assert opaque(LiveExpectation(key(), seed=1).expected) == []
    assert [fault for fault in audit_exercise(made, seeds=(1,)).faults if "plain data" in fault]
