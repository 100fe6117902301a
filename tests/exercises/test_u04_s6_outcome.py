"""Section 6: the ring against the kit's world, hand-set weights against their closed form, one training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from coursekit.checks.engine import gather
from coursekit.checks.judge import LiveExpectation, Verdict, judge
from coursekit.datasets.toy2d import WORLDS
from coursekit.exercises.u04_gan.asked import s6_outcome as asked
from coursekit.exercises.u04_gan.known import s6_outcome as known
from coursekit.metrics.modes import mode_coverage
from coursekit.runtime import generator


def verdict(weights: object, seed: int = 5) -> Verdict:
    expectation = LiveExpectation(known.RING_GENERATOR, seed)
    return judge(asked.RING_GENERATOR, expectation, gather(asked.RING_GENERATOR, weights, expectation.inputs))


def made(weights: dict[str, Tensor], n: int = 20_000) -> Tensor:
    """What the weights make, by the equations in float64, without the network."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    z = torch.randn(n, 4, generator=generator(1), dtype=torch.float64)
    h = (z @ w["first.weight"].T + w["first.bias"]).clamp(min=0)
    h = (h @ w["second.weight"].T + w["second.bias"]).clamp(min=0)
    return h @ w["head.weight"].T + w["head.bias"]


def test_the_data_are_the_kits_ring() -> None:
    world = WORLDS["ring"]
    x = asked.ring_points(8000, generator(0))
    modes = mode_coverage(x, world.modes(), world.spread)
    assert modes.covered == 8
    assert modes.quality == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert (modes.counts / 8000 - 1 / 8).abs().max() < 0.02
    assert world.log_prob(x).mean().item() == pytest.approx(
        world.log_prob(world.draw(8000, generator=generator(1)).x).mean().item(), abs=0.05
    )


def test_hand_set_weights_make_the_shares_that_they_were_given() -> None:
    shares = (0.05, 0.2, 0.1, 0.15, 0.1, 0.1, 0.2, 0.1)
    x = made(known.stairs(shares=shares))
    modes = mode_coverage(x, WORLDS["ring"].modes(), 0.05)
    torch.testing.assert_close(modes.counts / 20_000, torch.tensor(shares), atol=0.012, rtol=0)
    assert modes.quality == pytest.approx((1 - math.exp(-4.5)) * (1 - 0.004), abs=0.006)
    assert (x - WORLDS["ring"].modes()[0].double()).norm(dim=1).lt(0.15).double().mean() == pytest.approx(
        0.05, abs=0.01
    )


def test_the_solutions_training_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the 20 seeds of which all passed when this was written; about 7 seconds of one core."""
    state = torch.random.get_rng_state()
    path = str(tmp_path / "ring.safetensors")
    weights = asked.load_or_train(path, known.train_ring)
    assert verdict(weights).passed
    assert torch.equal(torch.random.get_rng_state(), state)

    def never(seed: int) -> dict[str, Tensor]:
        raise AssertionError("trained although there was a file")

    again = asked.load_or_train(path, never)
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items()) and again.keys() == weights.keys()
    assert [line.split(":")[1].split()[0] for line in capsys.readouterr().out.splitlines()] == ["trained", "loaded."]


def test_what_is_not_begun_or_not_a_dictionary() -> None:
    assert verdict(None).status == "not started"
    handed = verdict(asked.RingGenerator())
    assert handed.earned == 0 and "state_dict" in handed.parts[0].said
    with pytest.raises(TypeError, match=r"returned a RingGenerator, expected a dictionary: net\.state_dict\(\)"):
        asked.load_or_train("nowhere.safetensors", asked.RingGenerator)
    assert not Path("nowhere.safetensors").exists()


@pytest.mark.parametrize("seed", range(10))
def test_no_fresh_network_is_taken_for_a_trained_one(seed: int) -> None:
    handed = verdict(asked.RingGenerator(seed).state_dict())
    assert handed.earned == 0.5
    assert handed.diagnosis is not None and handed.diagnosis.name == "not trained"


def test_weights_that_a_stranger_made_up() -> None:
    right = known.stairs()
    strange: list[dict[str, object]] = [
        {**right, "head.bias": "1"},
        {**right, "head.bias": torch.zeros(2, dtype=torch.int64)},
        {**right, "head.bias": torch.full((2,), math.nan)},
        {**right, "more": torch.zeros(1)},
        {},
    ]
    for weights in strange:
        assert verdict(weights).earned == 0
    assert verdict({name: torch.full_like(tensor, 1e38) for name, tensor in right.items()}).earned <= 0.5


def test_one_perfect_mode_earns_nothing_for_its_quality() -> None:
    assert verdict(known.stairs([(1.0, 0.0)] * 8)).earned == 0.5


def test_thresholds_are_those_of_the_task() -> None:
    task = asked.RING_GENERATOR.task
    for stated in (
        f"at least {asked.ENOUGH_MODES} of the 8",
        "2 %",
        "at least 80 %",
        f"{asked.ENOUGH_SPREAD} σ",
        "2500",
    ):
        assert stated in task
    assert (asked.ENOUGH_SHARE, asked.ENOUGH_QUALITY) == (0.02, 0.80)
