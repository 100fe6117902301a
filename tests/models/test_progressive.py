"""Progressive growing: alpha = 0 changes no bit, layers to come stay out of it, rates are equal."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit.errors import InputError
from coursekit.models.progressive import (
    EqualisedConv2d,
    EqualisedLinear,
    ProgressiveDiscriminator,
    ProgressiveGenerator,
    pixel_norm,
    reals_at,
)
from coursekit.runtime import generator, seeded

Z = torch.randn(5, 12, generator=generator(1))


def pair(stage: int = 0, alpha: float = 1.0) -> tuple[ProgressiveGenerator, ProgressiveDiscriminator]:
    with seeded(3):
        G, D = ProgressiveGenerator(latent=12, maps=(10, 8, 6)), ProgressiveDiscriminator(maps=(10, 8, 6))
    for _ in range(stage):
        G.grow(), D.grow()
    G.fade(alpha), D.fade(alpha)
    return G, D


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(2))


@pytest.mark.parametrize("stage", [0, 1])
def test_grown_at_alpha_0_the_pictures_are_the_small_ones_enlarged_to_the_last_bit(stage: int) -> None:
    G, _ = pair(stage)
    small = G(Z)
    G.grow()
    assert torch.equal(G(Z), small.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert float(G.alpha) == 0 and G.edge == 2 * small.shape[-1]


@pytest.mark.parametrize("stage", [0, 1])
def test_grown_at_alpha_0_the_scores_are_those_of_the_picture_made_smaller(stage: int) -> None:
    _, D = pair(stage)
    x = noise(5, 3, 2 * D.edge, 2 * D.edge)
    small = D(F.interpolate(x, scale_factor=0.5, mode="area"))
    D.grow()
    assert torch.equal(D(x), small)


@pytest.mark.parametrize("alpha", [0.25, 0.7])
def test_pictures_in_between_lie_on_the_line_between_both_ways(alpha: float) -> None:
    G, _ = pair(2)
    ends = {}
    for end in (0.0, 1.0):
        G.fade(end)
        ends[end] = G(Z)
    G.fade(alpha)
    torch.testing.assert_close(G(Z), (1 - alpha) * ends[0.0] + alpha * ends[1.0])
    assert not torch.equal(ends[0.0], ends[1.0])


def test_at_alpha_1_the_last_layers_pictures_are_shown_alone() -> None:
    G, D = pair(2)
    x, before = noise(3, 3, 16, 16), G(Z).clone()
    score = D(x)
    with torch.no_grad():
        for net in (G.to_rgb[1], D.from_rgb[1]):
            net.weight.mul_(-5)
    assert torch.equal(G(Z), before) and torch.equal(D(x), score)


def test_layers_of_edges_to_come_and_colours_of_edges_gone_receive_no_gradient() -> None:
    G, D = pair(1)
    D(G(Z)).sum().backward()
    for net, colours in ((G, G.to_rgb), (D, D.from_rgb)):
        assert all(p.grad is None for p in net.blocks[2].parameters())
        assert [all(p.grad is None for p in c.parameters()) for c in colours] == [True, False, True]
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.blocks[1].parameters())
    # While a layer is faded in, both ways learn.
    G, D = pair(1, alpha=0.5)
    D(G(Z)).sum().backward()
    for colours in (G.to_rgb, D.from_rgb):
        assert [c.weight.grad is None for c in colours] == [False, False, True]


def test_stage_and_alpha_travel_with_the_weights() -> None:
    G, _ = pair(2, alpha=0.3)
    other, _ = pair()
    other.load_state_dict(copy.deepcopy(G.state_dict()))
    assert other.edge == 16 and torch.equal(other(Z), G(Z))


def test_pixel_norm_gives_every_place_mean_square_1() -> None:
    x = 30 * noise(2, 7, 3, 4) + 2
    torch.testing.assert_close(pixel_norm(x).square().mean(1), torch.ones(2, 3, 4))
    torch.testing.assert_close(pixel_norm(x), F.normalize(x, dim=1) * math.sqrt(7))
    assert pixel_norm(torch.zeros(1, 3)).isfinite().all()


def test_equalised_layers_are_the_plain_ones_with_weights_scaled_on_the_way() -> None:
    with seeded(0):
        conv, linear = EqualisedConv2d(40, 30, 3), EqualisedLinear(50, 40, gain=1.0, rate=0.01)
    x, v = noise(2, 40, 6, 6), noise(3, 50)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight * math.sqrt(2 / (40 * 9)), conv.bias, padding=1))
    assert conv.weight.std().item() == pytest.approx(1, abs=0.03)
    # The rate scales what a step does, not what the layer says.
    assert linear(v).var().item() == pytest.approx(1, abs=0.5)
    before = linear(v)
    with torch.no_grad():
        linear.bias += 1
    torch.testing.assert_close(linear(v), before + 0.01)


def test_reals_are_means_of_what_a_pixel_covers_and_fade_as_the_fakes_do() -> None:
    x = noise(2, 3, 16, 16)
    torch.testing.assert_close(reals_at(x, 4), x.view(2, 3, 4, 4, 4, 4).mean((3, 5)))
    torch.testing.assert_close(reals_at(x, 8, 0.0), F.interpolate(reals_at(x, 4), scale_factor=2))
    torch.testing.assert_close(reals_at(x, 8, 0.25), 0.75 * reals_at(x, 8, 0.0) + 0.25 * reals_at(x, 8))
    assert torch.equal(reals_at(x, 16), x)


def test_what_cannot_be_is_refused() -> None:
    G, D = pair(2)
    with pytest.raises(InputError, match="fewer than 16"):
        G.grow()
    with pytest.raises(InputError, match="alpha"):
        G.fade(1.5)
    with pytest.raises(InputError, match="edges of 16"):
        D(noise(1, 3, 8, 8))
    with pytest.raises(InputError, match="multiple of 8"):
        reals_at(noise(1, 3, 20, 20), 8)
