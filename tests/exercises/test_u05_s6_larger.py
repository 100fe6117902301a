"""The references of section 6 against the networks at both ends, torch's norms and moments."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u05_dcgan.known import s6_larger as known
from coursekit.runtime import generator, seeded


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("faded", [known.FADED_LOGITS.reference, known.faded_logits])
def test_fading_leads_from_one_discriminator_to_the_other(faded) -> None:
    with seeded(1):
        small = nn.Sequential(nn.Conv2d(3, 5, 1), nn.LeakyReLU(0.2)).double()
        large = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LeakyReLU(0.2)).double()
        block = nn.Sequential(nn.Conv2d(4, 5, 3, 1, 1), nn.LeakyReLU(0.2), nn.AvgPool2d(2)).double()
        rest = nn.Sequential(nn.Flatten(), nn.Linear(5 * 3 * 4, 1), nn.Flatten(0)).double()
    x = normal(2, 3, 6, 8, seed=2)
    parts = {"from_small": small, "from_large": large, "block": block, "rest": rest}
    before = rest(small(F.interpolate(x, size=(3, 4), mode="area")))
    after = rest(block(large(x)))
    torch.testing.assert_close(faded(x, 0.0, **parts), before)
    torch.testing.assert_close(faded(x, 1.0, **parts), after)
    # `rest` is linear here, so that the logits are mixed as the features are.
    torch.testing.assert_close(faded(x, 0.3, **parts), 0.7 * before + 0.3 * after)


ADAINS = [known.ADAIN.reference, known.adain]


@pytest.mark.parametrize("adain", ADAINS)
def test_adain_has_the_moments_of_the_style(adain) -> None:
    content, style = 3 * normal(2, 3, 9, 7, seed=1) + 1, 0.5 * normal(2, 3, 4, 5, seed=2) - 2
    out = adain(content, style, 0.0, 1.0)
    torch.testing.assert_close(out.mean((2, 3)), style.mean((2, 3)))
    torch.testing.assert_close(out.flatten(2).std(2, correction=0), style.flatten(2).std(2, correction=0))
    torch.testing.assert_close(adain(content, style, 0.1, 0.0), content)
    torch.testing.assert_close(adain(content, content, 0.1, 1.0), content)


@pytest.mark.parametrize("adain", ADAINS)
def test_adain_is_an_affine_function_of_torchs_instance_norm(adain) -> None:
    content, style, eps = normal(2, 3, 4, 5, seed=1), normal(2, 3, 6, 2, seed=2), 0.05
    scale = (((style - style.mean((2, 3), keepdim=True)) ** 2).mean((2, 3), keepdim=True) + eps) ** 0.5
    expected = F.instance_norm(content, eps=eps) * scale + style.mean((2, 3), keepdim=True)
    torch.testing.assert_close(adain(content, style, eps, 1.0), expected)
    torch.testing.assert_close(adain(content, style, eps, 0.4), torch.lerp(content, expected, 0.4))


@pytest.mark.parametrize("k", ["reference", "solution"])
def test_truncation_shrinks_the_distance_to_the_mean(k: str) -> None:
    truncate = known.TRUNCATE_W.reference["truncate_w"] if k == "reference" else known.truncate_w
    w, mean = normal(3, 5, seed=1), normal(5, seed=2)
    out = truncate(w, mean, 0.6, 2, 5)
    away = (out - mean).norm(dim=2) / (w - mean).norm(dim=1)[:, None]
    torch.testing.assert_close(away, torch.tensor([0.6, 0.6, 1, 1, 1], dtype=w.dtype).expand(3, 5))
    torch.testing.assert_close(truncate(w, mean, 0.0, 1, 2)[:, 0], mean.expand(3, 5))


@pytest.mark.parametrize("k", ["reference", "solution"])
def test_running_mean_is_a_geometric_average(k: str) -> None:
    follow = known.TRUNCATE_W.reference["follow_mean"] if k == "reference" else known.follow_mean
    start, batches, beta = normal(4, seed=1), [normal(n, 4, seed=n) for n in (2, 5, 3)], 0.9
    mean = start
    for batch in batches:
        mean = follow(mean, batch, beta)
    weights = [(1 - beta) * beta ** (2 - i) for i in range(3)]
    expected = beta**3 * start + sum(weight * batch.mean(0) for weight, batch in zip(weights, batches))
    torch.testing.assert_close(mean, expected)
