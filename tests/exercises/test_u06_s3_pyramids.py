"""The references of section 3: pyramids against a linear operator, chains against the pyramid of a picture that exists."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u06_conditional_gan.known import s3_pyramids as known
from coursekit.runtime import generator

PYRAMIDS = [
    known.LAPLACIAN_PYRAMID.reference,
    dict(zip(("laplacian_pyramid", "rebuild"), known.LAPLACIAN_PYRAMID.solution)),
]


def picture(seed: int, H: int = 13, W: int = 9) -> Tensor:
    return torch.randn(2, 3, H, W, generator=generator(seed), dtype=torch.float64)


def down(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


def up(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("pair", PYRAMIDS)
@pytest.mark.parametrize("levels", [0, 1, 4])
def test_a_pyramid_comes_back(pair, levels: int) -> None:
    x = picture(1)
    pyramid = pair["laplacian_pyramid"](x, levels, down, up)
    assert [tuple(h.shape[2:]) for h in pyramid] == [(13, 9), (7, 5), (4, 3), (2, 2), (1, 1)][: levels + 1]
    assert float((pair["rebuild"](pyramid, up) - x).abs().max()) < 1e-12
    # Whatever u and d are: here u forgets its input.
    strange = pair["laplacian_pyramid"](
        x, levels, lambda x: x[:, :, ::3, 1:].cos(), lambda x, size: torch.ones(1, 1, *size).double()
    )
    assert float((pair["rebuild"](strange, lambda x, size: torch.ones(1, 1, *size).double()) - x).abs().max()) < 1e-12


@pytest.mark.parametrize("pair", PYRAMIDS)
def test_a_flat_picture_has_nothing_but_its_base(pair) -> None:
    *differences, base = pair["laplacian_pyramid"](torch.full((1, 1, 8, 8), 0.3), 2, down, up)
    assert max(float(h.abs().max()) for h in differences) < 1e-6
    torch.testing.assert_close(base, torch.full((1, 1, 2, 2), 0.3))


@pytest.mark.parametrize("pair", PYRAMIDS)
def test_rebuilding_is_linear_in_each_level(pair) -> None:
    """With a linear u the derivative by I_K is u applied K times."""
    pyramid = [picture(k, *size) for k, size in enumerate([(13, 9), (7, 5), (4, 3)])]
    change = picture(7, 4, 3)
    moved = pair["rebuild"]([*pyramid[:-1], pyramid[-1] + change], up) - pair["rebuild"](pyramid, up)
    torch.testing.assert_close(moved, up(up(change, (7, 5)), (13, 9)))


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


@pytest.mark.parametrize("pairs", [known.LEVEL_PAIRS.reference, known.level_pairs])
def test_pairs_add_up_to_pictures(pairs) -> None:
    x, z = picture(1, 6, 8), torch.randn(2, 4, generator=generator(2), dtype=torch.float64)
    made = picture(3, 6, 8)
    told = []
    real, fake = pairs(x, z, lambda z, l: told.append(l) or made, down, double)
    torch.testing.assert_close(real[:, :3] + real[:, 3:], x)
    torch.testing.assert_close(fake[:, :3], made)
    torch.testing.assert_close(fake[:, 3:], real[:, 3:])
    torch.testing.assert_close(told[0], real[:, 3:])
    # Nearest of a mean: the low-pass picture is constant in blocks, the high-pass one has no mean there.
    torch.testing.assert_close(down(real[:, :3]), torch.zeros(2, 3, 3, 4, dtype=x.dtype))


@pytest.mark.parametrize("chain", [known.LAPGAN_CHAIN.reference, known.lapgan_chain])
def test_a_chain_of_real_differences_draws_the_real_picture(chain) -> None:
    x = picture(1, 16, 8)
    pyramid = known.laplacian_pyramid(x, 3, down, lambda x, size: double(x))
    told = []

    def level(h: Tensor):
        return lambda z, l: told.append(l) or h

    generators = [*map(level, pyramid[:-1]), lambda z: pyramid[-1]]
    pictures = chain(generators, [torch.zeros(2, 1)] * 4, double)
    assert [tuple(p.shape[2:]) for p in pictures] == [(2, 1), (4, 2), (8, 4), (16, 8)]
    torch.testing.assert_close(pictures[-1], x)
    for l, smaller in zip(told, pictures):
        torch.testing.assert_close(l, double(smaller))


@pytest.mark.parametrize("chain", [known.LAPGAN_CHAIN.reference, known.lapgan_chain])
def test_silent_generators_leave_plain_upsampling(chain) -> None:
    base = picture(1, 2, 3)
    silent = [lambda z, l: torch.zeros_like(l)] * 2
    pictures = chain([*silent, lambda z: base], [torch.zeros(2, 1)] * 3, double)
    torch.testing.assert_close(pictures[-1], double(double(base)))
