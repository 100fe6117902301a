"""What a hostile notebook tries is refused, by Landlock and seccomp alone too; and without a sandbox it succeeds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import PRELUDE, REFUSED, Attack

import coursekit
from coursekit.grading import sandbox
from coursekit.grading.pool import Pool
from coursekit.grading.results import CellJob, SubmissionJob

pytestmark = pytest.mark.skipif(
    not all(ability.available for ability in sandbox.abilities().values() if ability.required),
    reason="this system has no sandbox",
)

KIT = Path(coursekit.__file__).parent
WALLS = {"all walls": {}, "without namespaces": {"namespaces": False}}


@pytest.fixture(scope="module", params=WALLS, ids=list(WALLS))
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with Pool(jobs=1, units=["01"], hidden=[KIT.parent], **WALLS[request.param]) as pool:
        yield pool


@pytest.fixture(scope="module")
def bare_pool() -> Iterator[Pool]:
    with Pool(jobs=1, units=["01"], trust=True) as pool:
        yield pool


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "gradebook" / "secret.txt"
    path.parent.mkdir()
    path.write_text("the answers")
    return path


def attempt(pool: Pool, attack: Attack, secret: Path) -> str:
    source = PRELUDE + attack.source
    outside = secret.parents[1]
    for mark, text in {
        "@SECRET@": str(secret),
        "@OUTSIDE@": str(outside),
        "@KIT@": str(KIT),
        "@KNOWN@": "coursekit.exercises.u01_recurrent_networks.known",
        "@REPOSITORY@": str(KIT.parent),
        "@PARENT@": str(os.getpid()),
    }.items():
        source = source.replace(mark, text)
    [run] = pool.run([SubmissionJob(key=attack.name, cells=(CellJob(0, source),))])
    assert run.ending == "finished", run
    return "".join(output.get("text", "") or str(output) for output in run.cells[0].outputs)


@pytest.mark.parametrize("attack", REFUSED, ids=lambda attack: attack.name)
def test_refused(pool: Pool, attack: Attack, secret: Path) -> None:
    said = attempt(pool, attack, secret)
    assert "REFUSED" in said and "BREACH" not in said, said
    assert secret.read_text() == "the answers"
    assert sorted(path.name for path in secret.parents[1].rglob("*")) == ["gradebook", "secret.txt"]


@pytest.mark.parametrize("attack", [a for a in REFUSED if a.bare], ids=lambda attack: attack.name)
def test_the_attack_succeeds_without_a_sandbox(bare_pool: Pool, attack: Attack, secret: Path) -> None:
    if attack.owner and not all(os.access(path, os.W_OK) for path in (KIT / "errors.py", os.__file__)):
        pytest.skip("the installation belongs to somebody else")
    said = attempt(bare_pool, attack, secret)
    assert "BREACH" in said, said
