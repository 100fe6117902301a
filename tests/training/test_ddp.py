"""Two processes train as one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from nets import points, ring

from coursekit.errors import InputError
from coursekit.training.gan import Gan, GanConfig


def test_two_processes_give_the_losses_of_one(root: Path) -> None:
    """The tolerance, and why there is one, stands in the script. Most of the time goes into imports in three processes."""
    command = [sys.executable, str(root / "benchmarks" / "train_ddp.py"), "--steps", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("over 8 steps, tolerance 1e-05: the same")
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r" +\d", line)]
    assert [int(row[0]) for row in rows] == list(range(8))
    losses = [float(row[1]) for row in rows]
    assert len(set(losses)) == 8 and [float(row[2]) for row in rows] == pytest.approx(losses, abs=2e-6)  # six decimals
    # Both processes were there: Fabric announces them.
    assert "MEMBER: 1/2" in done.stderr and "MEMBER: 2/2" in done.stderr


class TwoProcesses:
    """What `Run.share` asks of a fabric."""

    world_size, device = 2, torch.device("cpu")

    def __init__(self, rank: int) -> None:
        self.global_rank = rank


def test_processes_share_a_batch_without_gap_or_overlap() -> None:
    gan = Gan(*points(), GanConfig(steps=1, latent=4))
    x, parts = ring(6)(0), []
    for rank in (0, 1):
        gan.fabric = TwoProcesses(rank)
        parts.append(gan.share(x))
    assert torch.equal(torch.cat(parts), x) and len(parts[0]) == 3


def test_a_batch_that_cannot_be_halved_is_refused() -> None:
    """Silently dropping or repeating an example would make the losses differ from those of one process."""
    gan = Gan(*points(), GanConfig(steps=1, latent=4))
    gan.fabric = TwoProcesses(0)
    with pytest.raises(InputError, match="a batch: got '5 examples', expected a multiple of the 2 processes"):
        gan.share(ring(5)(0))
