"""The games of AC-GAN and InfoGAN by hand, their batches, and runs that move both networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from coursekit.datasets.worlds import world
from coursekit.losses import NON_SATURATING
from coursekit.models.conditional import AuxiliaryDiscriminator, ConditionalDiscriminator, ConditionalGenerator
from coursekit.runtime import generator, seeded
from coursekit.training.classify import shuffled
from coursekit.training.conditional import auxiliary_game, coded, conditional, draw_codes, renders_with, shape_of
from coursekit.training.gan import train_gan

REAL = torch.tensor([[0.5, -0.2, -1.0], [2.0, -0.4, 0.5]])
FAKE = torch.tensor([[-0.5, -1.0, -2.0], [0.3, -3.0, 1.0], [-3.0, -0.5, 0.0]])


def test_the_loss_of_d_counts_labels_of_real_pictures_where_they_are_known() -> None:
    hinge = (0.5 + 0) / 2 + (0.5 + 1.3 + 0) / 3
    on_fakes = 2 * (-4.5 / 3) + 0.3 * (-1.0 / 3)
    on_reals = 2 * (-0.6 / 2) + 0.3 * (-0.5 / 2)
    options = {"weight": 2.0, "continuous": 0.3}
    unlabelled, labelled = (auxiliary_game(on_real=known, **options) for known in (False, True))
    assert unlabelled.d(REAL, FAKE).item() == pytest.approx(hinge - on_fakes)
    assert labelled.d(REAL, FAKE).item() == pytest.approx(hinge - on_fakes - on_reals)
    for game in (unlabelled, labelled):  # G sees no real pictures, and wants its condition read
        assert game.g(FAKE).item() == pytest.approx(3.2 / 3 - on_fakes)


def test_an_opinion_is_that_of_the_score_alone() -> None:
    assert torch.equal(auxiliary_game(on_real=True).opinion(FAKE), FAKE[:, 0])
    game = auxiliary_game(on_real=True, base=NON_SATURATING)
    assert game.logits
    torch.testing.assert_close(game.opinion(FAKE), torch.sigmoid(FAKE[:, 0]))


def test_codes_are_one_hot_and_uniform() -> None:
    codes = draw_codes(6000, categories=3, continuous=2, generator=generator(0))
    assert codes.shape == (6000, 5) and torch.equal(codes[:, :3].sum(1), torch.ones(6000))
    # Six standard errors of a share of a third, and of the mean and of the mean square of a uniform number.
    assert (codes[:, :3].mean(0) - 1 / 3).abs().max() < 6 * (2 / 9 / 6000) ** 0.5
    rest = codes[:, 3:]
    assert rest.abs().max() <= 1 and rest.mean(0).abs().max() < 6 * (1 / 3 / 6000) ** 0.5
    assert (rest.square().mean(0) - 1 / 3).abs().max() < 6 * (4 / 45 / 6000) ** 0.5


def test_batches_with_codes_are_functions_of_their_number() -> None:
    x = torch.arange(12.0).view(12, 1, 1, 1)
    batches = coded(x, categories=2, continuous=1, batch=4, seed=3)
    first, again = batches(1), coded(x, categories=2, continuous=1, batch=4, seed=3)(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first[1], batches(2)[1])
    seen = torch.cat([batches(k)[0] for k in range(3)]).flatten().sort().values
    assert torch.equal(seen, torch.arange(12.0))  # an epoch


def test_renders_keep_the_value_that_is_fixed_and_vary_the_others() -> None:
    digits = world("digits")
    x, labels = renders_with(digits, 40, seed=0, slant="upright", thickness="thick")
    assert x.shape == (40, 1, 28, 28)
    assert (labels[:, 1:] == torch.tensor([1, 1])).all() and len(labels[:, 0].unique()) > 5
    assert torch.equal(x, digits.render(labels, generator=_after_sampling(digits, 40), size=28))


def _after_sampling(digits, n):
    own = generator(0)
    digits.sample(n, generator=own)
    return own


@pytest.mark.parametrize("kind", ["concatenate", "project", "acgan", "infogan"])
def test_both_networks_move_and_samples_take_a_condition(kind: str) -> None:
    x, labels = renders_with(world("digits"), 64, seed=0)
    continuous = 2 * (kind == "infogan")
    condition = 10 + continuous
    with seeded(0):
        G = ConditionalGenerator(latent=5, condition=condition, width=4)
        D: ConditionalDiscriminator | AuxiliaryDiscriminator
        if kind in ("acgan", "infogan"):
            D = AuxiliaryDiscriminator(categories=10, continuous=continuous, width=4)
            gan = conditional(G, D, steps=2, seed=0, game=auxiliary_game(on_real=kind == "acgan"))
        else:
            D = ConditionalDiscriminator(condition=10, how=kind, width=4)  # type: ignore[arg-type]
            gan = conditional(G, D, steps=2, seed=0)
    before = {name: p.detach().clone() for name, p in nn.ModuleDict({"G": G, "D": D}).named_parameters()}
    y = F.one_hot(labels[:, 0], 10).float()
    batches = (
        coded(x, categories=10, continuous=2, batch=8, seed=0) if kind == "infogan" else shuffled(x, y, batch=8, seed=0)
    )
    assert [record.step for record in train_gan(gan, batches)] == [0, 1]
    still = {name for name, p in nn.ModuleDict({"G": G, "D": D}).named_parameters() if torch.equal(p, before[name])}
    assert still <= {"D.plain.bias"}  # the hinge loss may pull it up and down by equal amounts
    c = draw_codes(3, categories=10, continuous=continuous, generator=generator(1))
    assert gan.sample(3, c).shape == (3, 1, 28, 28)


def test_moments_of_ink_are_those_of_the_drawing() -> None:
    axis = torch.linspace(-1, 1, 65)
    up, across = -axis[:, None], axis[None]
    # A sheared Gaussian: across = 0.2 + 0.5 (up - 0.1) + noise of deviation 0.1, up around 0.1 with deviation 0.15.
    ink = torch.exp(-((up - 0.1) ** 2) / 2 / 0.15**2 - (across - 0.2 - 0.5 * (up - 0.1)) ** 2 / 2 / 0.1**2)
    got = {name: value.item() for name, value in shape_of((2 * ink - 1)[None, None]).items()}
    expected = {"ink": 2 * torch.pi * 0.15 * 0.1 * 32**2, "place": 0.2, "height": 0.1, "tall": 0.15, "slant": 0.5}
    expected["width"] = (0.1**2 + 0.25 * 0.15**2) ** 0.5
    assert got == pytest.approx(expected, rel=0.01)


def test_an_attribute_may_be_kept_among_several_values() -> None:
    _, labels = renders_with(world("digits"), 60, seed=0, digit=("0", "7"))
    assert labels[:, 0].unique().tolist() == [0, 7] and len(labels[:, 2].unique()) == 3
