"""A score cannot be forged: whatever a submission patches, invents or sends, it earns what its answers earn.

Each forgery runs twice: without any answer, where it must get nothing, and beside one honest answer, where it must get that
answer's points and no more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coursekit.course import unit
from coursekit.exercises import catalogue
from coursekit.grading import sandbox
from coursekit.grading.assess import Examiner
from coursekit.grading.classroom import FORGERY
from coursekit.grading.pool import Pool
from coursekit.grading.results import CellJob, Limits, SubmissionJob

pytestmark = pytest.mark.skipif(
    not all(ability.available for ability in sandbox.abilities().values() if ability.required),
    reason="this system has no sandbox",
)

UNIT = unit("01")
HONEST_ID = "01.relu_cell"
HONEST = "import torch\ndef relu_cell(x, h, W, b):\n    return torch.relu(torch.cat([x, h], 1) @ W.T + b)"
STUBS = """
import torch
from coursekit.exercises import catalogue
from coursekit.course import unit
ASKED = catalogue.questions(unit("01"))
for question in ASKED:
    for name in question.answers:
        globals()[name] = lambda *args, **kwargs: args[0]
"""

FORGERIES = {
    "check, Score, builtins, torch and gather replaced at once": FORGERY,
    "check returns a large number": """
import coursekit.exercises
coursekit.exercises.check = check = lambda *a: 1000.0
""",
    "probes return what looks like success": """
for question in ASKED:
    for part in question.parts:
        object.__setattr__(part, "probe", lambda answer, inputs: {"passed": True, "score": 1e9})
""",
    "probes return their inputs": """
for question in ASKED:
    for part in question.parts:
        object.__setattr__(part, "probe", lambda answer, inputs: dict(inputs))
""",
    "points and tolerances raised": """
for question in ASKED:
    for part in question.parts:
        for name, value in (("points", 1000.0), ("rtol", 1e9), ("atol", 1e9), ("compared", False), ("laws", ())):
            object.__setattr__(part, name, value)
""",
    "no parts left": """
for question in ASKED:
    object.__setattr__(question, "parts", ())
""",
    "tensors that equal everything": """
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ("__eq__", "eq", "allclose", "equal", "isclose"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})
for question in ASKED:
    for name in question.answers:
        globals()[name] = lambda *args, **kwargs: torch.zeros(3, 5).as_subclass(Yes)
""",
    "NaN and infinity everywhere": """
for question in ASKED:
    for name in question.answers:
        globals()[name] = lambda *args, **kwargs: torch.full((3, 5), float("nan"))
""",
    "torch patched to return zeros": """
for name in ("relu", "tanh", "sigmoid", "cat", "softmax", "zeros_like", "empty_like", "allclose", "equal", "isclose"):
    setattr(torch, name, lambda *a, **k: torch.zeros(1))
torch.Tensor.__eq__ = lambda self, other: torch.tensor(True)
""",
    "builtins patched": """
import builtins
builtins.sum = builtins.len = builtins.abs = builtins.max = builtins.min = lambda *a, **k: 0
builtins.all = builtins.any = builtins.isinstance = lambda *a, **k: True
""",
    "frames written to every descriptor": """
import os, json
from coursekit.checks.codec import pack
for question in ASKED:
    claim = pack({"question": question.id, "evidence": [{p.name: {"passed": True} for p in question.parts}] * question.draws,
                  "score": 1000.0, "points": 1000.0, "kind": "evidence"})
    for fd in range(64):
        try:
            os.write(fd, len(claim).to_bytes(4, "big") + claim)
        except OSError:
            pass
""",
    "the seed and the references looked for in memory": """
import gc, sys
found = [o for o in gc.get_objects() if type(o).__name__ in ("Key", "LiveExpectation", "Examiner", "Mistake")]
assert not found, found
assert not [m for m in sys.modules if ".known" in m or m == "coursekit.grading.assess"], "the knowing side is here"
""",
    "the seed guessed": """
from coursekit.checks.declare import Question
for seed in range(50):
    for question in ASKED:
        guess = question.inputs(seed)
""",
    "the answer keys imported": """
import importlib
for name in ("s1_cells", "s4_gru", "s6_attention"):
    try:
        module = importlib.import_module(f"coursekit.exercises.u01_recurrent_networks.known.{name}")
    except ImportError:
        continue
    for key in vars(module).values():
        for name in getattr(getattr(key, "question", None), "answers", ()):
            globals()[name] = key.reference
""",
    "verdicts made up": """
import coursekit.checks.judge as judge_module
from coursekit.checks.judge import PartVerdict
PartVerdict.earned = property(lambda self: 1000.0)
judge_module.judge = lambda *a, **k: None
""",
}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    limits = Limits(cell_seconds=10.0, wall_seconds=60.0)
    with Pool(jobs=1, limits=limits, units=[UNIT.number]) as running:
        yield running


@pytest.fixture(scope="module")
def examiner() -> Examiner:
    return Examiner(UNIT, seed=987654321)


def earned(pool: Pool, examiner: Examiner, *sources: str) -> dict[str, float]:
    """Points by exercise of a notebook with these cells, followed by all checks."""
    cells = [CellJob(k, text) for k, text in enumerate(sources)]
    cells += [CellJob(len(cells) + k, "", q.id) for k, q in enumerate(catalogue.questions(UNIT))]
    [run] = pool.run([SubmissionJob(key="forger", cells=tuple(cells), draws=examiner.draws)])
    from coursekit.checks.judge import judge

    return {
        name: judge(expectation.key.question, expectation, run.evidence.get(name)).earned
        for name, expectation in examiner.expectations.items()
    }


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_earns_nothing(pool: Pool, examiner: Examiner, name: str) -> None:
    assert sum(earned(pool, examiner, STUBS, FORGERIES[name]).values()) == 0


@pytest.mark.parametrize("name", [n for n in FORGERIES if n not in ("torch patched to return zeros", "builtins patched")])
def test_beside_an_honest_answer_it_earns_no_more_than_that(pool: Pool, examiner: Examiner, name: str) -> None:
    points = earned(pool, examiner, STUBS, FORGERIES[name], HONEST)
    others = sum(value for exercise, value in points.items() if exercise != HONEST_ID)
    assert others == 0
    assert points[HONEST_ID] <= examiner.expectations[HONEST_ID].key.question.points


def test_the_honest_answer_alone_earns_its_points(pool: Pool, examiner: Examiner) -> None:
    """Without this, a judge that gives nobody anything would pass the tests above."""
    points = earned(pool, examiner, STUBS, HONEST)
    assert points[HONEST_ID] == examiner.expectations[HONEST_ID].key.question.points
