"""The pyramid against Burt and Adelson's weights written out, and the networks of a cascade."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.models.laplacian import (
    BaseDiscriminator,
    Cascade,
    DetailDiscriminator,
    DetailGenerator,
    halve,
    join,
    load_cascade,
    load_single,
    split,
    widen,
)
from coursekit.runtime import generator, seeded

WEIGHTS = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def cascade() -> Cascade:
    with seeded(0):
        return Cascade(latent=5, base=6, details=(7, 4), scales=(0.3, 0.1)).eval()


def test_halving_is_the_weighted_sum_of_twenty_five_pixels() -> None:
    x = drawn(1, 2, 9, 12).double()
    low = halve(x)
    assert low.shape == (1, 2, 5, 6)
    for i, j in ((1, 1), (2, 3), (3, 4)):  # away from the border
        by_hand = sum(
            WEIGHTS[a] * WEIGHTS[b] * x[0, 1, 2 * i + a - 2, 2 * j + b - 2] for a in range(5) for b in range(5)
        )
        torch.testing.assert_close(low[0, 1, i, j], by_hand)


def test_widening_takes_each_new_pixel_from_the_small_ones_around_it() -> None:
    x = drawn(1, 1, 5, 6).double()
    wide = widen(x, (9, 12))
    one = [1 / 8, 6 / 8, 1 / 8]  # on a small pixel; between two of them 1/2 and 1/2
    torch.testing.assert_close(
        wide[0, 0, 4, 6], sum(one[a] * one[b] * x[0, 0, 1 + a, 2 + b] for a in range(3) for b in range(3))
    )
    torch.testing.assert_close(wide[0, 0, 5, 7], x[0, 0, 2:4, 3:5].mean())


def test_constants_stay_at_the_border_too() -> None:
    x = torch.full((2, 3, 11, 7), -0.7)
    torch.testing.assert_close(halve(x), torch.full((2, 3, 6, 4), -0.7))
    torch.testing.assert_close(widen(halve(x), (11, 7)), x)


@pytest.mark.parametrize("size", [(32, 32), (37, 22), (3, 4)])
def test_joining_undoes_splitting(size: tuple[int, int]) -> None:
    x = drawn(3, 2, *size)
    low, high = split(x)
    assert high.shape == x.shape and low.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    torch.testing.assert_close(join(low, high), x, rtol=0, atol=1e-6)
    torch.testing.assert_close(join(low, torch.zeros_like(high)), widen(low, size))


def test_little_is_left_of_a_smooth_picture_and_much_of_noise() -> None:
    row = torch.linspace(0, 1, 32)
    smooth = (torch.cos(3 * row)[:, None] * torch.sin(4 * row))[None, None]
    assert split(smooth).high.square().mean() < 0.005 * smooth.var()
    assert split(drawn(1, 1, 32, 32)).high.square().mean() > 0.5


def test_pictures_of_wrong_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="to halve"):
        halve(torch.zeros(1, 1, 2, 8))
    with pytest.raises(InputError, match="to widen"):
        widen(torch.zeros(1, 1, 4, 4), (9, 8))


@torch.no_grad()
def test_a_chain_adds_differences_to_widened_pictures() -> None:
    net = cascade()
    base = net.base(drawn(3, 5))
    assert base.shape == (3, 3, 8, 8) and base.abs().max() <= 1
    stages = net.refine(base, generator=generator(1), strength=(1, 0.5))
    assert [s.picture.shape[-1] for s in stages] == [16, 32]
    here, noise = base, generator(1)
    for stage, G, factor in zip(stages, net.details, (1, 0.5)):
        wide = widen(here, stage.wide.shape[2:])
        z = torch.randn(3, wide.shape[-1] ** 2, generator=noise)
        torch.testing.assert_close(stage.picture, wide + factor * G(z, wide))
        here = stage.picture
    torch.testing.assert_close(
        net(drawn(3, 5), generator=generator(1)), net.refine(base, generator=generator(1))[-1].picture
    )


@torch.no_grad()
def test_silent_generators_leave_plain_upsampling_and_later_bases_skip_levels() -> None:
    net = cascade()
    base = drawn(2, 3, 8, 8)
    silent = net.refine(base, generator=generator(1), strength=(0, 0))
    assert torch.equal(silent[-1].picture, widen(widen(base, (16, 16)), (32, 32)))
    assert len(net.refine(drawn(2, 3, 16, 16), generator=generator(1))) == 1
    with pytest.raises(ValueError, match=r"shorter|longer"):
        net.refine(base, generator=generator(1), strength=(1,))


def test_details_follow_noise_and_condition_in_units_of_the_scale() -> None:
    with seeded(0):
        G = DetailGenerator(edge=16, width=4, scale=0.2).eval()
    z, l = drawn(2, 256).requires_grad_(), drawn(2, 3, 16, 16, seed=1).requires_grad_()
    h = G(z, l)
    of_z, of_l = torch.autograd.grad(h[0].square().sum(), (z, l))
    assert of_z[0].norm() > 0 and of_l[0].norm() > 0
    assert not of_z[1].any() and not of_l[1].any()
    before = h.detach()
    G.scale.mul_(3)
    torch.testing.assert_close(G(z, l).detach(), 3 * before)


def test_discriminators_look_at_all_that_they_are_shown() -> None:
    with seeded(0):
        D, D_base = DetailDiscriminator(edge=16, width=4), BaseDiscriminator(width=4)
    h, l = drawn(2, 3, 16, 16).requires_grad_(), drawn(2, 3, 16, 16, seed=1).requires_grad_()
    score = D(h, l)
    assert score.shape == (2,)
    of_h, of_l = torch.autograd.grad(score[1], (h, l))
    assert of_h[1].abs().amin(0).max() > 0 and of_l[1].norm() > 0 and not of_h[0].any()
    assert D_base(drawn(4, 3, 8, 8)).shape == (4,)


def test_shipped_networks_draw_birds_of_their_sizes() -> None:
    z = drawn(4, 32)
    with torch.no_grad():
        for suffix, edge in (("", 32), ("_hundred", 16)):
            made = load_cascade(f"cascade{suffix}")(z, generator=generator(1)), load_single(f"single{suffix}")(z)
            for x in made:
                assert x.shape == (4, 3, edge, edge) and 0.1 < x.std() < 1
    with pytest.raises(InputError, match="shipped weights"):
        load_cascade("cascade_of_lions")
