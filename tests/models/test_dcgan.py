"""The networks of the DCGAN paper: sizes, guidelines, initial weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coursekit.errors import InputError
from coursekit.models.dcgan import Discriminator, Generator, init_dcgan
from coursekit.runtime import generator, seeded

Z = torch.randn(5, 20, generator=generator(0))


@pytest.mark.parametrize("size", [16, 32, 64])
def test_pictures_double_up_and_halve_down(size: int) -> None:
    G, D = Generator(latent=20, channels=2, width=8, size=size), Discriminator(channels=2, width=8, size=size)
    x = G(Z)
    assert x.shape == (5, 2, size, size) and x.abs().max() <= 1 and D(x).shape == (5,)
    up = [tuple(h.shape[1:]) for h in G.features(Z)]
    down = [tuple(h.shape[1:]) for h in D.features(x)]
    edges = [4 * 2**i for i in range(len(up))]
    assert up == [(8 * size // (2 * edge), edge, edge) for edge in edges] and down == up[::-1]


def test_fine_maps_lie_at_full_size_in_both_networks() -> None:
    G, D = Generator(latent=20, width=8, fine=6), Discriminator(width=8, fine=6)
    x = G(Z)
    assert x.shape == (5, 3, 32, 32) and G.features(Z)[-1].shape == (5, 6, 32, 32)
    assert [tuple(h.shape[1:]) for h in D.features(x)] == [(8, 16, 16), (16, 8, 8), (32, 4, 4)]
    full = [layer for layer in D.modules() if isinstance(layer, nn.Conv2d) and layer.in_channels == 3]
    assert [layer.out_channels for layer in full] == [6] and full[0].stride == (1, 1)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in D.blocks[0].modules())


def test_scores_and_pictures_are_made_of_the_features() -> None:
    G, D = Generator(latent=20, width=8).eval(), Discriminator(width=8).eval()
    x = G(Z)
    torch.testing.assert_close(x, torch.tanh(G.to_picture(G.features(Z)[-1])))
    torch.testing.assert_close(D(x), D.to_score(D.features(x)[-1])[:, 0, 0, 0])


def test_the_guidelines_hold() -> None:
    G, D = Generator(latent=20, width=8), Discriminator(width=8)
    layers = [*G.modules(), *D.modules()]
    assert not any(isinstance(layer, nn.MaxPool2d | nn.AvgPool2d | nn.Linear) for layer in layers)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in G.modules()) == len(G.blocks)  # and none after to_picture
    first, *others = D.blocks
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in first.modules())
    assert all(isinstance(block[1], nn.BatchNorm2d) for block in others)
    assert all(layer.negative_slope == 0.2 for layer in D.modules() if isinstance(layer, nn.LeakyReLU))
    # A bias before batch norm would be subtracted again.
    assert all(block[0].bias is None for block in [*G.blocks, *others]) and first[0].bias is not None


def test_spectral_norm_bounds_each_layer_and_leaves_no_batch_norm() -> None:
    D = Discriminator(width=8, norm="spectral")
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in D.modules())
    x = torch.randn(4, 3, 32, 32, generator=generator(1))
    layers = [layer for layer in D.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        for _ in range(300):  # power iterations: each reading is one
            layer.weight  # noqa: B018
    D.eval()
    for layer in layers:  # of 200 initialisations the worst was off by 0.006 (after 30 iterations by 0.05)
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)
    torch.testing.assert_close(D(x)[:2], D(x[:2]))  # no example depends on the others


def test_initial_weights_reach_every_module_and_nothing_global() -> None:
    with seeded(0):
        net = nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(200, 300))), Generator(latent=20), Discriminator())
    before = torch.get_rng_state()
    assert init_dcgan(net, seed=3) is net
    assert torch.equal(before, torch.get_rng_state())
    gains = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            n = layer.weight.numel()
            assert layer.weight.std().item() == pytest.approx(0.02, rel=5 / (2 * n) ** 0.5)  # 5 standard errors
            assert layer.bias is None or not layer.bias.any()
        elif isinstance(layer, nn.BatchNorm2d):
            gains.append(layer.weight)
            assert not layer.bias.any()
    drawn = torch.cat(gains)
    assert drawn.mean().item() == pytest.approx(1.0, abs=0.01) and drawn.std().item() == pytest.approx(0.02, rel=0.25)
    again = init_dcgan(Generator(latent=20), seed=4).state_dict()
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.values(), init_dcgan(Generator(latent=20), seed=4).state_dict().values())
    )


@pytest.mark.parametrize("size", [0, 4, 8, 48, 28])
def test_a_size_that_cannot_be_doubled_to_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="size: got"):
        Generator(size=size)


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(InputError, match="norm: got 'layer'"):
        Discriminator(norm="layer")  # type: ignore[arg-type]
