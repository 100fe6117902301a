"""Section 8: the reader against the cards' own facts, hand-set weights against what they were given, one training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from coursekit.checks.engine import gather
from coursekit.checks.judge import LiveExpectation, Verdict, judge
from coursekit.checks.weights import load_or_train
from coursekit.exercises.u08_text_to_image.asked import s8_outcome as asked
from coursekit.exercises.u08_text_to_image.known import s8_outcome as known
from coursekit.runtime import generator


def verdict(weights: object, seed: int = 5) -> Verdict:
    expectation = LiveExpectation(known.CARD_PAINTER, seed)
    return judge(asked.CARD_PAINTER, expectation, gather(asked.CARD_PAINTER, weights, expectation.inputs))


def values(facts: Tensor) -> Tensor:
    return torch.stack([part.argmax(1) for part in facts.split([4, 3, 2], 1)], 1)


def test_the_reader_reads_cards_without_error() -> None:
    x, facts = asked.draw_cards(2000, generator(0))
    assert x.shape == (2000, 3, 8, 8) and facts.shape == (2000, 9) and float(x.abs().max()) <= 0.9
    seen = asked.read_cards(x)
    assert torch.equal(seen["values"], values(facts))
    assert float(seen["ink"].max()) < 2e-3 and float(seen["rest"].max()) < 2e-3
    shares = torch.bincount(seen["row"]) / 2000
    assert float((shares - 1 / 6).abs().max()) < 0.04
    assert float(seen["grey"].std()) == pytest.approx(0.8 / math.sqrt(12), abs=0.01)
    blurred = asked.read_cards((x + 0.3 * torch.randn(x.shape, generator=generator(1))).clamp(-1, 1))
    assert float((blurred["values"] == values(facts)).float().mean()) > 0.99
    assert float((blurred["rest"] > 0.25).float().mean()) > 0.5


def test_a_caption_leaves_a_quarter_out() -> None:
    _, facts = asked.draw_cards(4000, generator(0))
    told = asked.tell(facts, generator(1))
    assert bool(((told == facts) | (told == 0)).all())
    named = torch.stack([part.sum(1) for part in told.split([4, 3, 2], 1)], 1)
    assert float((named.mean(0) - 0.75).abs().max()) < 0.03


def test_hand_set_weights_paint_what_they_are_told() -> None:
    """By the equations in float64, without the network."""
    w = {name: tensor.double() for name, tensor in known.painter().items()}
    _, facts = asked.draw_cards(500, generator(0))
    z = torch.randn(500, 8, generator=generator(1), dtype=torch.float64)
    h = (torch.cat([z, facts.double()], 1) @ w["first.weight"].T + w["first.bias"]).clamp(min=0)
    h = (h @ w["second.weight"].T + w["second.bias"]).clamp(min=0)
    x = torch.tanh(h @ w["head.weight"].T + w["head.bias"]).view(500, 3, 8, 8)
    seen = asked.read_cards(x.float())
    assert float((seen["values"] == values(facts)).all(1).float().mean()) > 0.97  # the rest lies on a step between rows
    row = torch.special.ndtr(z[:, 0]).mul(6).long()
    assert float((seen["row"] == row).float().mean()) > 0.97


def test_blank_cards_are_not_clear() -> None:
    for grey in (-0.7, -0.3, 0.1):
        seen = asked.read_cards(torch.full((1, 3, 8, 8), grey))
        assert float(seen["ink"]) > 0.6


def test_the_solutions_training_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the seeds of which all passed when this was written; about 13 seconds of one core."""
    state = torch.random.get_rng_state()
    weights = load_or_train(str(tmp_path / "painter.safetensors"), known.train_painter)
    assert verdict(weights).passed
    assert torch.equal(torch.random.get_rng_state(), state)
    assert capsys.readouterr().out.split(":")[1].split()[0] == "trained"


def test_what_is_not_begun_or_not_a_dictionary() -> None:
    assert verdict(None).status == "not started"
    handed = verdict(asked.CardGenerator())
    assert handed.earned == 0 and "state_dict" in handed.parts[0].said


@pytest.mark.parametrize("seed", range(5))
def test_no_fresh_network_is_taken_for_a_trained_one(seed: int) -> None:
    handed = verdict(asked.CardGenerator(seed).state_dict())
    assert handed.earned == 0.5
    assert handed.diagnosis is not None and handed.diagnosis.name == "nothing is drawn"


def test_weights_that_a_stranger_made_up() -> None:
    right = known.painter()
    strange: list[dict[str, object]] = [
        {**right, "head.bias": "1"},
        {**right, "head.bias": torch.zeros(192, dtype=torch.int64)},
        {**right, "more": torch.zeros(1)},
        {},
    ]
    for weights in strange:
        assert verdict(weights).earned == 0
    assert verdict({name: torch.full_like(tensor, 1e38) for name, tensor in right.items()}).earned <= 0.5


def test_thresholds_are_those_of_the_task() -> None:
    for stated in ("80%", "85%", "70%", "0.08", "0.6 on the ink", "0.25"):
        assert stated in " ".join(asked.CARD_PAINTER.task.split())
    assert (asked.ENOUGH_CLEAR, asked.ENOUGH_RIGHT, asked.ENOUGH_GREY, asked.ENOUGH_ROWS) == (0.80, 0.85, 0.08, 0.70)
