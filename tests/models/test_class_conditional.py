"""BigGAN in small: noise that was drawn again, batch norm told the class, the projection, statistics taken anew."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.models.class_conditional import (
    ClassDiscriminator,
    ClassGenerator,
    ConditionalBatchNorm2d,
    standing_statistics,
    truncated_noise,
)
from coursekit.runtime import generator, seeded

Y = torch.tensor([0, 2, 1, 2, 0])


def pair() -> tuple[ClassGenerator, ClassDiscriminator]:
    with seeded(1):
        return (
            ClassGenerator(classes=3, latent=12, width=4, size=16, embedding=5),
            ClassDiscriminator(classes=3, width=4, size=16),
        )


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


@pytest.mark.parametrize("threshold", [0.3, 1.0, 2.0])
def test_noise_stays_within_the_threshold_and_is_otherwise_normal(threshold: float) -> None:
    z = truncated_noise(4000, 8, threshold, generator=generator(3))
    assert z.abs().max() <= threshold and z.abs().max() > 0.999 * threshold
    # What drawing again gives: the same as picking from ordinary noise what is within.
    plain = noise(200_000, seed=4)
    kept = plain[plain.abs() <= threshold]
    # Six standard errors of each statistic; those of the kept part are smaller than for 32,000 here.
    assert z.mean().abs() < 6 * kept.std() / 32_000**0.5
    assert z.std().item() == pytest.approx(kept.std().item(), abs=6 * threshold / 32_000**0.5)
    inner, expected = ((rows.abs() < threshold / 2).double().mean().item() for rows in (z, kept))
    assert inner == pytest.approx(expected, abs=6 * 0.5 * (1 / 32_000 + 1 / len(kept)) ** 0.5)


def test_a_wide_threshold_is_no_threshold_and_0_is_refused() -> None:
    z = truncated_noise(2000, 8, 9.0, generator=generator(0))
    assert z.std().item() == pytest.approx(1, abs=0.04) and z.isfinite().all()
    with pytest.raises(InputError, match="threshold"):
        truncated_noise(2, 2, 0.0, generator=generator(0))


def test_conditional_batch_norm_is_batch_norm_with_a_gain_and_bias_for_each_example() -> None:
    with seeded(0):
        layer = ConditionalBatchNorm2d(6, 4)
    x, code = 3 * noise(8, 6, 5, 4) + 2, noise(8, 4)
    y = layer(x, code)
    plain = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    gain, bias = ((code @ linear.weight.T)[..., None, None] for linear in (layer.gain, layer.bias))
    torch.testing.assert_close(y, plain * (1 + gain) + bias)
    torch.testing.assert_close(layer(x, torch.zeros(8, 4)), plain)  # nothing to be told: plain batch norm


def test_pictures_depend_on_the_class_and_on_every_piece_of_z() -> None:
    G, _ = pair()
    G.eval()
    z = noise(5, 12).requires_grad_()
    x = G(z, Y)
    assert x.shape == (5, 1, 16, 16) and x.abs().max() <= 1
    assert not torch.equal(x, G(z, (Y + 1) % 3))
    x.square().sum().backward()
    assert (z.grad.abs().sum(0) > 0).all()
    with pytest.raises(InputError, match="multiple of 3"):
        ClassGenerator(classes=3, latent=10, size=16)


def test_the_score_is_a_plain_part_and_the_projection_on_the_class() -> None:
    _, D = pair()
    D.eval()
    x = noise(5, 1, 16, 16)
    code = torch.relu(D.blocks(x)).sum((2, 3))
    scores = torch.stack([D(x, torch.full((5,), k)) for k in range(3)], 1)  # every picture as every class
    plain = code @ D.plain.weight.T + D.plain.bias
    torch.testing.assert_close(scores, plain + code @ D.embed.weight.T)
    torch.testing.assert_close(D(x, Y), scores[torch.arange(5), Y])


def test_every_weight_of_both_networks_learns() -> None:
    G, D = pair()
    D(G(noise(5, 12), Y), Y).sum().backward()
    for net in (G, D):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_weights_of_the_discriminator_are_divided_by_their_largest_singular_value() -> None:
    G, D = pair()
    for _ in range(30):  # the power iteration needs some calls in training mode
        D(G(noise(5, 12), Y), Y)
    for layer in (D.plain, D.blocks[0].conv1, D.blocks[1].conv2, D.embed):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_standing_statistics_are_the_means_over_what_is_drawn_and_change_nothing_else() -> None:
    G, _ = pair()
    G(noise(5, 12), Y)
    before = {k: v.clone() for k, v in G.state_dict().items()}
    draws = [truncated_noise(6, 12, 0.5, generator=generator(s)) for s in range(3)]
    label, turn = torch.tensor([0, 1, 2, 0, 1, 2]), iter(draws)
    G.eval()
    entering: list[Tensor] = []
    hook = G.blocks[0].norm1.norm.register_forward_hook(lambda _, given, __: entering.append(given[0]))
    standing_statistics(G, lambda: (next(turn), label), batches=3)
    hook.remove()
    norm = G.blocks[0].norm1.norm
    torch.testing.assert_close(norm.running_mean, torch.stack([h.mean((0, 2, 3)) for h in entering]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([h.var((0, 2, 3)) for h in entering]).mean(0))
    assert not G.training and not any(m.training for m in G.modules()) and norm.momentum == 0.1
    moved = {k.rsplit(".", 1)[1] for k, v in G.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"running_mean", "running_var", "num_batches_tracked"}
