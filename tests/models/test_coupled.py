"""Coupled networks: what is shared is one object, what is not is apart, and nobody looks at two pictures together."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.models.coupled import CoupledDiscriminator, CoupledGenerator, shared_parameters, unrelated
from coursekit.runtime import generator, seeded


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def generators(shared: int) -> CoupledGenerator:
    with seeded(0):
        return CoupledGenerator(shared=shared, latent=5, width=4).eval()


def discriminators(shared: int) -> CoupledDiscriminator:
    with seeded(1):
        return CoupledDiscriminator(shared=shared, width=4).eval()


@pytest.mark.parametrize("shared", range(4))
def test_the_first_blocks_of_the_generators_are_the_same_objects(shared: int) -> None:
    G = generators(shared)
    assert [a is b for a, b in zip(G.one, G.two)] == [k < shared for k in range(3)]
    mine, other = ({id(p) for p in net.parameters()} for net in (G.one, G.two))
    assert {id(p) for p in shared_parameters((G.one, G.two))} == mine & other
    assert len(list(G.parameters())) == len(mine | other)  # each once, so that an optimiser moves it once
    for a, b in itertools.product(list(G.one)[shared:], list(G.two)[shared:]):
        assert not {p.data_ptr() for p in a.parameters()} & {p.data_ptr() for p in b.parameters()}


@pytest.mark.parametrize("shared", range(5))
def test_the_last_blocks_of_the_discriminators_are_the_same_objects(shared: int) -> None:
    D = discriminators(shared)
    assert [a is b for a, b in zip(D.one, D.two)] == [k >= 4 - shared for k in range(4)]
    assert len({id(p) for p in D.parameters()}) == len(list(D.parameters()))


@pytest.mark.parametrize("shared", [0, 2, 3])
def test_both_generators_draw_what_each_would_draw_alone(shared: int) -> None:
    G, z = generators(shared), drawn(3, 5)
    both = G(z)
    assert both.shape == (3, 2, 1, 28, 28) and both.abs().max() <= 1
    torch.testing.assert_close(both[:, 0], G.one(z))
    torch.testing.assert_close(both[:, 1], G.two(z))
    assert torch.equal(both[:, 0], both[:, 1]) == (shared == 3)


@pytest.mark.parametrize("shared", [0, 3, 4])
def test_a_score_knows_only_its_own_picture(shared: int) -> None:
    D, x = discriminators(shared), drawn(3, 2, 1, 28, 28).requires_grad_()
    scores = D(x)
    assert scores.shape == (3, 2)
    torch.testing.assert_close(scores[:, 0], D.one(x[:, 0])[:, 0])
    torch.testing.assert_close(scores[:, 1], D.two(x[:, 1])[:, 0])
    (of_x,) = torch.autograd.grad(scores[1, 0], x)
    assert of_x[1, 0].norm() > 0
    of_x[1, 0] = 0
    assert not of_x.any()


def test_both_games_move_what_is_shared() -> None:
    G, D = generators(2), discriminators(3)
    scores = D(G(drawn(6, 5)))
    weight = G.one[0][0].weight
    first, second = (torch.autograd.grad(scores[:, k].sum(), weight, retain_graph=True)[0] for k in range(2))
    assert first.norm() > 0 and second.norm() > 0 and not torch.allclose(first, second)
    last = G.one[2][0].weight
    of_last = torch.autograd.grad(scores[:, 1].sum(), last, allow_unused=True)[0]
    assert of_last is None or not of_last.any()


def test_batches_pair_what_has_nothing_to_do_with_each_other() -> None:
    first, second = torch.arange(50.0).view(50, 1, 1, 1), 100 + torch.arange(30.0).view(30, 1, 1, 1)
    batches = unrelated(first, second, batch=400, seed=3)
    x = batches(0).flatten(1)
    assert x.shape == (400, 2) and x[:, 0].max() < 50 and x[:, 1].min() >= 100
    assert torch.equal(batches(0), batches(0)) and not torch.equal(batches(0), batches(1))
    assert torch.corrcoef(x.T)[0, 1].abs() < 0.2  # four standard deviations


@pytest.mark.parametrize("make", [lambda: CoupledGenerator(shared=4), lambda: CoupledDiscriminator(shared=-1)])
def test_more_blocks_than_there_are_cannot_be_shared(make: type) -> None:
    with pytest.raises(InputError, match="shared"):
        make()
