"""A score cannot be forged: whatever a submission patches, invents or sends, it earns what its answers earn.

Each forgery runs twice: without any answer, where it must get nothing, and beside one honest answer, where it must get that
answer's points and no more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from forgeries import FORGERIES, STUBS

from coursekit.course import unit
from coursekit.exercises import catalogue
from coursekit.grading import sandbox
from coursekit.grading.assess import Examiner
from coursekit.grading.pool import Pool
from coursekit.grading.results import CellJob, Limits, SubmissionJob

pytestmark = pytest.mark.skipif(
    not all(ability.available for ability in sandbox.abilities().values() if ability.required),
    reason="this system has no sandbox",
)

UNIT = unit("01")
HONEST_ID = "01.relu_cell"
HONEST = "import torch\ndef relu_cell(x, h, W, b):\n    return torch.relu(torch.cat([x, h], 1) @ W.T + b)"


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


@pytest.mark.parametrize(
    "name", [n for n in FORGERIES if n not in ("torch patched to return zeros", "builtins patched")]
)
def test_beside_an_honest_answer_it_earns_no_more_than_that(pool: Pool, examiner: Examiner, name: str) -> None:
    points = earned(pool, examiner, STUBS, FORGERIES[name], HONEST)
    others = sum(value for exercise, value in points.items() if exercise != HONEST_ID)
    assert others == 0
    assert points[HONEST_ID] <= examiner.expectations[HONEST_ID].key.question.points


def test_the_honest_answer_alone_earns_its_points(pool: Pool, examiner: Examiner) -> None:
    """Without this, a judge that gives nobody anything would pass the tests above."""
    points = earned(pool, examiner, STUBS, HONEST)
    assert points[HONEST_ID] == examiner.expectations[HONEST_ID].key.question.points
