"""Networks that read: shapes, what reaches what, and what a score hangs on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coursekit.errors import InputError
from coursekit.models.text_to_image import StyleEncoder, TextDiscriminator, TextGenerator
from coursekit.runtime import generator, seeded


def codes(n: int, width: int = 8, seed: int = 0) -> torch.Tensor:
    return nn.functional.normalize(torch.randn(n, width, generator=generator(seed)), dim=1)


def small(size: int = 32, **options) -> tuple[TextGenerator, TextDiscriminator]:
    norms = options.pop("norms", True)
    with seeded(0):
        G = TextGenerator(text=8, latent=6, width=4, fine=3, size=size, code=5, norms=norms)
        return G, TextDiscriminator(text=8, width=4, fine=3, size=size, **options)


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("norms", [True, False])
def test_pictures_of_the_size_asked_for_and_one_score_each(size: int, norms: bool) -> None:
    G, D = small(size, norms=norms)
    x = G(torch.randn(5, 6, generator=generator(1)), codes(5))
    assert x.shape == (5, 3, size, size) and x.abs().max() <= 1
    assert D(x, codes(5)).shape == (5,)


@pytest.mark.parametrize("norms", [True, False])
def test_noise_and_sentence_both_reach_the_picture(norms: bool) -> None:
    G, _ = small(norms=norms)
    z, t = torch.randn(4, 6, generator=generator(2)).requires_grad_(), codes(4).requires_grad_()
    G(z, t).square().mean().backward()
    assert z.grad.abs().sum(1).min() > 0 and t.grad.abs().sum(1).min() > 0


@pytest.mark.parametrize("reading", ["projection", "joined"])
def test_the_score_hangs_on_the_sentence(reading: str) -> None:
    _, D = small(reading=reading)
    D.eval()
    x = torch.randn(3, 3, 32, 32, generator=generator(3))
    assert (D(x, codes(3, seed=1)) != D(x, codes(3, seed=2))).all()


def test_the_projection_is_linear_in_the_sentence() -> None:
    """Miyato and Koyama (2018), equation 3: psi(phi(x)) + <t, V phi(x)>, so scores of mixed codes are mixed scores."""
    _, D = small()
    D.eval().double()
    x, s, t = (
        torch.randn(3, 3, 32, 32, generator=generator(3)).double(),
        codes(3, seed=1).double(),
        codes(3, seed=2).double(),
    )
    torch.testing.assert_close(D(x, 0.3 * s + 0.7 * t), 0.3 * D(x, s) + 0.7 * D(x, t))


@pytest.mark.parametrize("reading", ["projection", "joined"])
def test_several_sentences_for_each_picture_are_as_good_as_pictures_repeated(reading: str) -> None:
    _, D = small(reading=reading)
    D.eval()  # in training each pass moves the spectral norms on
    x, s, t = torch.randn(3, 3, 32, 32, generator=generator(3)), codes(3, seed=1), codes(3, seed=2)
    torch.testing.assert_close(D(x, torch.cat([s, t])), torch.cat([D(x, s), D(x, t)]))


def test_bad_arguments_are_named() -> None:
    G, D = small()
    with pytest.raises(InputError, match="sentences"):
        D(torch.zeros(3, 3, 32, 32), codes(4))
    with pytest.raises(InputError, match="reading"):
        TextDiscriminator(reading="guess")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="size"):
        TextGenerator(size=33)


def test_without_spectral_norm_d_has_batch_norm() -> None:
    kinds = lambda net: {type(m) for m in net.modules()}  # noqa: E731
    assert nn.BatchNorm2d in kinds(small(spectral=False)[1]) and nn.BatchNorm2d not in kinds(small()[1])


def test_a_style_encoder_gives_noise_of_the_generators_width() -> None:
    with seeded(0):
        S = StyleEncoder(latent=6, width=4, size=64)
    assert S(torch.zeros(2, 3, 64, 64)).shape == (2, 6)


def test_twins_are_compared_and_both_get_the_same_for_it() -> None:
    """With equal twins the comparison adds its bias to each score; with others the two rows of a pair move together."""
    _, D = small(twins=True)
    D.eval()
    a, b = (torch.randn(2, 3, 32, 32, generator=generator(k)) for k in (1, 2))
    t = codes(2).repeat(2, 1)
    with torch.no_grad():
        equal, apart = D(torch.cat([a, a]), t), D(torch.cat([a, b]), t)
        alone = D(torch.cat([a, a]), t) - D.apart.bias
        D.apart = None
        torch.testing.assert_close(alone, D(torch.cat([a, a]), t))
        extra = apart - D(torch.cat([a, b]), t)
    torch.testing.assert_close(extra[:2], extra[2:])
    assert (equal[:2] - apart[:2]).abs().min() > 1e-6
    with pytest.raises(InputError, match="even"):
        small(twins=True)[1](torch.zeros(3, 3, 32, 32), codes(3))
    with pytest.raises(InputError, match="twins"):
        small(twins=True)[1](torch.zeros(4, 3, 32, 32), codes(4))
