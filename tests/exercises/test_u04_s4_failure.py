"""The references of section 4 against closed forms of the bilinear game, long plays, and torch's entropy."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from coursekit.exercises.u04_gan.known import s4_failure as known
from coursekit.runtime import generator

step = known.GAME_STEP.reference


def cross(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum()


def radii(rule: str, eta: float, steps: int) -> list[float]:
    x, y = (torch.tensor([v], dtype=torch.float64) for v in (1.0, 0.4))
    found = [math.hypot(float(x), float(y))]
    for _ in range(steps):
        x, y = step(cross, x, y, eta, rule)
        found.append(math.hypot(float(x), float(y)))
    return found


@pytest.mark.parametrize(
    ("rule", "factor"),
    [
        ("simultaneous", lambda eta: math.sqrt(1 + eta**2)),
        ("extragradient", lambda eta: math.sqrt((1 - eta**2) ** 2 + eta**2)),
    ],
)
def test_radius_of_the_bilinear_game_grows_by_its_closed_form(rule, factor) -> None:
    found = radii(rule, 0.1, 60)
    for before, after in itertools.pairwise(found):
        assert after / before == pytest.approx(factor(0.1), rel=1e-9)


def test_alternating_play_keeps_its_invariant() -> None:
    """x^2 + y^2 - eta x y is conserved: the orbit is an ellipse, and the play never leaves it."""
    x, y = (torch.tensor([v], dtype=torch.float64) for v in (1.0, 0.4))
    start = float(x**2 + y**2 - 0.1 * x * y)
    for _ in range(500):
        x, y = step(cross, x, y, 0.1, "alternating")
    assert float(x**2 + y**2 - 0.1 * x * y) == pytest.approx(start, rel=1e-9)


def test_a_simultaneous_step_is_one_of_two_optimisers_of_torch() -> None:
    rng = generator(3)
    A = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    x, y = (torch.randn(n, generator=rng, dtype=torch.float64) for n in (3, 2))
    p, q = torch.nn.Parameter(x.clone()), torch.nn.Parameter(y.clone())
    down, up = torch.optim.SGD([p], lr=0.2), torch.optim.SGD([q], lr=0.2, maximize=True)
    torch.sin(p @ A @ q).backward()
    down.step()
    up.step()
    new = step(lambda x, y: torch.sin(x @ A @ y), x, y, 0.2, "simultaneous")
    torch.testing.assert_close(new, (p.detach(), q.detach()))


def test_growth_is_what_a_long_play_does() -> None:
    """Far into the play, the distance to the equilibrium grows by the predicted factor per step (averaged over its turns)."""
    inputs = known.GAME_CONVERGENCE.question.inputs(5)[0]
    value = known.asked._smooth_game(inputs)
    predicted = known.GAME_CONVERGENCE.reference["growth"](value, inputs["x"], inputs["y"], 0.1)
    x, y = inputs["x"] + 1e-3, inputs["y"] - 1e-3
    logs = []
    for _ in range(300):
        x, y = step(value, x, y, 0.1, "simultaneous")
        logs.append(math.log(float(torch.cat([x - inputs["x"], y - inputs["y"]]).norm())))
    assert (logs[299] - logs[99]) / 200 == pytest.approx(math.log(predicted), abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_growth_crosses_1_at_the_largest_rate(seed: int) -> None:
    inputs = known.GAME_CONVERGENCE.question.inputs(seed)[0]
    value, at = known.asked._smooth_game(inputs), (inputs["x"], inputs["y"])
    rate = known.GAME_CONVERGENCE.reference["largest_rate"](value, *at)
    growth = known.GAME_CONVERGENCE.reference["growth"]
    assert growth(value, *at, 0.999 * rate) < 1 < growth(value, *at, 1.001 * rate)
    assert rate > 0
    assert known.GAME_CONVERGENCE.reference["largest_rate"](known.asked._smooth_game(inputs, "outward"), *at) == 0


def test_the_bilinear_game_has_one_equilibrium_and_no_rate() -> None:
    at = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    assert known.GAME_CONVERGENCE.reference["largest_rate"](cross, *at) == 0
    assert known.GAME_CONVERGENCE.reference["growth"](cross, *at, 0.1) == pytest.approx(math.sqrt(1.01))


def record(real: float, fake: float, covered: int, T: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    counts = torch.zeros(T, 8, dtype=torch.int64)
    counts[:, :covered] = 100
    return torch.full((T,), real), torch.full((T,), fake), counts


@pytest.mark.parametrize(
    ("run", "symptoms"),
    [
        (record(0.6, 0.4, 8), []),
        (record(0.99, 0.01, 8), ["D has won"]),
        (record(0.4, 0.6, 4), ["labels swapped"]),
        (record(0.99, 0.01, 3), ["D has won", "mode collapse"]),
        (record(math.inf, 0.01, 3), ["not finite"]),
    ],
)
def test_diagnoses_of_plain_cases(run, symptoms) -> None:
    assert known.DIAGNOSE.reference(*run) == symptoms


def test_hopping_needs_many_modes_in_turn() -> None:
    real, fake, counts = record(0.6, 0.5, 0, T=8)
    counts[-1, :2] = counts[-2, 2:4] = 50
    assert known.DIAGNOSE.reference(real, fake, counts) == ["mode hopping"]
    counts[-2, 3] = 0
    assert known.DIAGNOSE.reference(real, fake, counts) == ["mode collapse"]


@pytest.mark.parametrize("seed", range(3))
def test_effective_modes_are_torchs_perplexity(seed: int) -> None:
    counts = torch.randint(1, 50, (4, 7), generator=generator(seed))
    expected = torch.distributions.Categorical(probs=counts.double()).perplexity()
    torch.testing.assert_close(known.EFFECTIVE_MODES.reference(counts).double(), expected, rtol=1e-5, atol=1e-5)


def test_effective_modes_of_even_rows() -> None:
    counts = torch.tensor([[3, 3, 3, 3], [0, 5, 5, 0], [9, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(known.EFFECTIVE_MODES.reference(counts), torch.tensor([4.0, 2.0, 1.0, 0.0]))
