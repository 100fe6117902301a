"""The style-based generator: what AdaIN imposes, what each layer's w decides, what truncation and noise do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.models.style import AdaIN, StyleGenerator, deviation_of_noise
from coursekit.runtime import generator, seeded


def net(**options: object) -> StyleGenerator:
    with seeded(2):
        G = StyleGenerator(latent=10, width=12, maps=(8, 8, 6, 6), depth=2, **options)
        with torch.no_grad():
            for layer in G.layers:
                layer.strength.normal_(0, 0.3)
    return G.eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def test_a_map_leaves_adain_with_the_mean_and_deviation_that_its_style_says() -> None:
    with seeded(0):
        layer = AdaIN(7, 12)
    x, w = 5 * noise(3, 7, 9, 6) - 3, noise(3, 12)
    y, (scale, shift) = layer(x, w), layer.style(w)
    torch.testing.assert_close(y.mean((2, 3)), shift[:, :, 0, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(y.std((2, 3), correction=0), scale[:, :, 0, 0].abs())
    torch.testing.assert_close(layer(100 * x + 7, w), y, atol=1e-4, rtol=1e-4)  # whatever came before
    assert not torch.equal(scale[0], scale[1])
    assert scale.mean().item() == pytest.approx(1, abs=0.5) and shift.mean().item() == pytest.approx(0, abs=0.5)


def test_adain_is_torchs_instance_norm_with_the_styles_gain_and_bias() -> None:
    with seeded(0):
        layer = AdaIN(4, 12)
    x, w = noise(2, 4, 5, 8), noise(2, 12)
    scale, shift = layer.style(w)
    torch.testing.assert_close(layer(x, w), torch.nn.functional.instance_norm(x, eps=1e-8) * scale + shift)


def test_without_truncation_w_is_used_as_it_is_and_with_psi_0_all_pictures_are_the_mean_one() -> None:
    G, z = net(), noise(4, 10)
    with torch.no_grad():
        G.mean_w.copy_(noise(12, seed=5))
    assert torch.equal(G(z, psi=1.0), G.synthesise(G.map(z)))
    mean = G.synthesise(G.mean_w[None])
    torch.testing.assert_close(G(z, psi=0.0), mean.expand(4, -1, -1, -1))
    torch.testing.assert_close(G.truncate(G.map(z), 0.3) - G.mean_w, 0.3 * (G.map(z) - G.mean_w))
    assert G(z).std(0).mean() > 0.01


def test_the_length_of_z_says_nothing() -> None:
    G, z = net(), noise(4, 10)
    torch.testing.assert_close(G.map(z), G.map(7 * z))
    torch.testing.assert_close(G(z), G(7 * z), atol=1e-3, rtol=1e-3)


def test_layers_before_the_switch_follow_one_style_and_layers_after_it_the_other() -> None:
    G = net()
    a, b = G.map(noise(3, 10, seed=3)), G.map(noise(3, 10, seed=4))
    assert torch.equal(G.synthesise(G.mix(a, b, from_layer=8)), G.synthesise(a))
    assert torch.equal(G.synthesise(G.mix(a, b, from_layer=0)), G.synthesise(b))
    rows = G.mix(a, b, from_layer=3)
    assert rows.shape == (3, 8, 12)
    assert all(torch.equal(rows[:, i], a if i < 3 else b) for i in range(8))
    # The layers up to the switch compute the same maps, those after it others.
    seen: dict[int, list[Tensor]] = {i: [] for i in range(8)}
    for i, layer in enumerate(G.layers):
        layer.register_forward_hook(lambda _, __, y, i=i: seen[i].append(y))
    G.synthesise(a), G.synthesise(rows)
    assert [torch.equal(*seen[i]) for i in range(8)] == [True] * 3 + [False] * 5
    with pytest.raises(InputError, match="from_layer"):
        G.mix(a, b, from_layer=9)


def test_noise_is_fixed_in_eval_mode_fresh_from_a_generator_and_gone_at_0() -> None:
    G, w = net(), net().map(noise(2, 10))
    assert torch.equal(G.synthesise(w), G.synthesise(w))
    fresh = [G.synthesise(w, noise=generator(s)) for s in (1, 1, 2)]
    assert torch.equal(fresh[0], fresh[1]) and not torch.equal(fresh[0], fresh[2])
    assert deviation_of_noise(G, w, draws=4).min() > 0
    with torch.no_grad():
        for layer in G.layers:
            layer.strength.zero_()
    assert torch.equal(G.synthesise(w, noise=0.0), G.synthesise(w))
    assert deviation_of_noise(G, w, draws=4).abs().max() < 1e-6


def test_training_mixes_styles_draws_noise_and_follows_the_mean_of_w() -> None:
    G, z = net(mixing=1.0).train(), noise(64, 10)
    seen: list[Tensor] = []
    for layer in (G.layers[0], G.layers[7]):
        layer.register_forward_hook(lambda _, given, __: seen.append(given[1]))
    with seeded(0):
        G(z)
    w = G.map(z)
    assert torch.equal(seen[0], w)  # the switch is after the first layer and before the last at the latest
    assert torch.equal(seen[1], w.roll(1, 0))
    torch.testing.assert_close(G.mean_w, 0.005 * w.mean(0))
    G = net(mixing=0.0).train()
    seen.clear()
    G.layers[7].register_forward_hook(lambda _, given, __: seen.append(given[1]))
    with seeded(0):
        first = G(z)
        assert not torch.equal(first, G(z))  # other noise
    assert torch.equal(seen[0], G.map(z))


def test_every_weight_learns_and_the_picture_depends_on_every_entry_of_z() -> None:
    G, z = net().train(), noise(6, 10).requires_grad_()
    with seeded(0):
        G(z).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in G.parameters())
    assert z.grad is not None and (z.grad.abs().sum(0) > 0).all()
    assert G(z).shape == (6, 3, 32, 32)
