"""The references of section 3 against torch's optimisers and layers, and steps written the ordinary way."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from coursekit.exercises.u04_gan.known import s3_training as known
from coursekit.exercises.u04_gan.nets import (
    BatchNorm,
    Discriminator,
    Generator,
    RecordingMomentum,
    Stream,
)
from coursekit.runtime import generator, seeded

SEEDS = range(3)
BCE = nn.BCEWithLogitsLoss()


def pair(seed: int, *, batch_norm: bool = False) -> tuple[nn.Module, nn.Module]:
    """A D that gives (n,) and a G, of torch's own layers, in float64."""
    with seeded(seed):
        D = nn.Sequential(nn.Linear(3, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1), nn.Flatten(0)).double()
        middle = nn.BatchNorm1d(5) if batch_norm else nn.Identity()
        G = nn.Sequential(nn.Linear(2, 5), middle, nn.Tanh(), nn.Linear(5, 3)).double()
    return D, G


def rows(seed: int, n: int, width: int) -> Tensor:
    return torch.randn(n, width, generator=generator(seed), dtype=torch.float64)


def equal(first: nn.Module, second: nn.Module) -> None:
    for ours, theirs in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_pieces_are_one_batch(seed: int) -> None:
    (D, G), x, z = pair(seed), rows(seed, 12, 3) + 1, rows(seed + 9, 12, 2)
    whole = copy.deepcopy(D)
    adam = torch.optim.Adam(whole.parameters(), lr=0.1)
    loss = BCE(whole(x), torch.ones(12).double()) + BCE(whole(G(z).detach()), torch.zeros(12).double())
    loss.backward()
    adam.step()

    returned = known.DISCRIMINATOR_STEP.reference(
        D, G, torch.optim.Adam(D.parameters(), lr=0.1), list(x.split([5, 4, 3])), Stream(z)
    )
    equal(D, whole)
    assert returned == pytest.approx(loss.item())


def test_the_step_of_d_leaves_g_to_the_bit_but_its_running_averages_move() -> None:
    D, G = pair(0, batch_norm=True)
    before, mirror = copy.deepcopy(G), copy.deepcopy(G)
    pieces, z = [rows(1, 5, 3), rows(2, 4, 3)], rows(3, 9, 2)
    known.DISCRIMINATOR_STEP.reference(D, G, torch.optim.SGD(D.parameters(), lr=0.1), pieces, Stream(z))
    assert all(torch.equal(now, then) for now, then in zip(G.parameters(), before.parameters()))
    assert all(p.grad is None for p in G.parameters())
    mirror(z[:5])
    mirror(z[5:])
    equal(G, mirror)
    assert not torch.equal(G[1].running_mean, before[1].running_mean)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_message_and_the_step_are_an_ordinary_step_of_g(seed: int) -> None:
    (D, G), z = pair(seed), rows(seed, 7, 2)
    usual, judge = copy.deepcopy(G), copy.deepcopy(D)
    adam = torch.optim.Adam(usual.parameters(), lr=0.1)
    BCE(judge(usual(z)), torch.ones(7).double()).backward()
    adam.step()

    ends = known.GENERATOR_STEP.reference
    before = copy.deepcopy(D)
    ends["generator_step"](G, torch.optim.Adam(G.parameters(), lr=0.1), z, lambda fake: ends["feedback"](D, fake))
    equal(G, usual)
    equal(D, before)
    assert all(p.grad is None for p in D.parameters())


def test_the_message_where_sigma_is_0_is_that_of_the_logit() -> None:
    (D, _), fake = pair(0), rows(1, 4, 3)
    x = fake.clone().requires_grad_()
    (slope,) = torch.autograd.grad(-D(x).mean(), x)
    torch.testing.assert_close(known.GENERATOR_STEP.reference["feedback"](lambda x: D(x) - 900, fake), slope)


def play(
    D: nn.Module, G: nn.Module, x: Tensor, z: Tensor, iterations: int, k: int, m: int, *, letter: str = "g"
) -> None:
    """Algorithm 1 by torch's SGD with momentum; `letter` is the one under the gradient of G's line."""
    of_d = torch.optim.SGD(D.parameters(), lr=0.2, momentum=0.5)
    of_g = torch.optim.SGD(G.parameters(), lr=0.3, momentum=0.5)
    one, none = torch.ones(m).double(), torch.zeros(m).double()
    data, noise = iter(x.split(m)), iter(z.split(m))
    for _ in range(iterations):
        for _ in range(k):
            of_d.zero_grad()
            (BCE(D(next(data)), one) + BCE(D(G(next(noise))), none)).backward()
            of_d.step()
        of_d.zero_grad()
        of_g.zero_grad()
        (-BCE(D(G(next(noise))), none)).backward()
        (of_g if letter == "g" else of_d).step()


@pytest.mark.parametrize(("k", "iterations"), [(1, 5), (3, 2)])
def test_algorithm_1_is_torchs_momentum_in_a_plain_loop(k: int, iterations: int) -> None:
    (D, G), x, z = pair(4), rows(5, 60, 3) + 0.5, rows(6, 60, 2)
    d, g = copy.deepcopy(D), copy.deepcopy(G)
    play(d, g, x, z, iterations, k, 6)
    log: list[str] = []
    of_d = RecordingMomentum(D.parameters(), 0.2, log, "D")
    of_g = RecordingMomentum(G.parameters(), 0.3, log, "G")
    known.ALGORITHM_1.reference(D, G, of_d, of_g, Stream(x), Stream(z), iterations, k, 6)
    equal(D, d)
    equal(G, g)
    assert log == (["D"] * k + ["G"]) * iterations


def test_the_slide_taken_literally_moves_d_twice_and_g_never() -> None:
    """As the task says; the catalogue's mistake does the same as a plain loop with that letter."""
    (D, G), x, z = pair(4), rows(5, 60, 3) + 0.5, rows(6, 60, 2)
    d, g, start = copy.deepcopy(D), copy.deepcopy(G), copy.deepcopy(G)
    play(d, g, x, z, 3, 1, 6, letter="d")
    literal = next(m for m in known.ALGORITHM_1.mistakes if m.name == "the slide taken literally").answer
    of_d = torch.optim.SGD(D.parameters(), lr=0.2, momentum=0.5)
    of_g = torch.optim.SGD(G.parameters(), lr=0.3, momentum=0.5)
    literal(D, G, of_d, of_g, Stream(x), Stream(z), 3, 1, 6)
    equal(D, d)
    equal(G, start)
    equal(g, start)


def test_the_probes_batch_norm_is_torchs() -> None:
    ours, theirs = BatchNorm(4, torch.float64), nn.BatchNorm1d(4, momentum=0.2, eps=0.05, affine=False).double()
    for seed in SEEDS:
        torch.testing.assert_close(ours(rows(seed, 6, 4)), theirs(rows(seed, 6, 4)))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(rows(9, 3, 4)), theirs.eval()(rows(9, 3, 4)))


def test_the_probes_networks_have_the_shapes_they_say() -> None:
    weights = rows(0, 1, 40)[0]
    assert Generator(weights[:33]).double()(rows(1, 5, 2)).shape == (5, 3)
    assert Discriminator(weights[:26])(rows(1, 5, 3)).shape == (5,)
