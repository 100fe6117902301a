"""From a picture back to its code: encoders, joint discriminators, and a code found by descent.

::

    G = load_ages()                                  # faces, told their age
    E = train_inverse(Encoder(G.latent, 2), G, ...)  # coursekit.training.inference
    z0, logits = E(x)
    found = find_code(G, phi, x, [y], z0, steps=80)    # after Antipov et al. (2017)
    older = G(found, one_hot(1, 2))

Shapes: codes z (N, Z), pictures x (N, C, H, W) in [-1, 1], conditions y (N, K): one-hot rows, or mixtures of them where one
walks from one to another. Points of the plane are (N, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import oracles, runtime, shipped
from coursekit.errors import InputError
from coursekit.models import dcgan
from coursekit.models.class_conditional import ConditionalBatchNorm2d
from coursekit.models.points import perceptron

# ---------------------------------------------------------------- a generator that is told


class _Block(nn.Module):
    """A block of `dcgan` whose batch norm is told y. At first it ignores y and does what the block did."""

    def __init__(self, block: nn.Sequential, conditions: int) -> None:
        super().__init__()
        up, norm = block[0], block[1]
        assert isinstance(norm, nn.BatchNorm2d)
        self.up, self.norm = up, ConditionalBatchNorm2d(norm.num_features, conditions)
        with torch.no_grad():  # a condition's row adds up to 1, so that equal columns are one gain and one bias
            self.norm.gain.weight.copy_((norm.weight - 1)[:, None].expand(-1, conditions))
            self.norm.bias.weight.copy_(norm.bias[:, None].expand(-1, conditions))
        self.norm.norm.load_state_dict({k: v for k, v in norm.state_dict().items() if k not in ("weight", "bias")})

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        return torch.relu(self.norm(self.up(h), y))


class TunedGenerator(nn.Module):
    """z (N, Z), y (N, K) -> pictures (N, C, size, size): `plain`, the last `told` of its batch norms told y.

    Begins as the generator that it is made from (which it takes over), whatever y; training makes the conditions
    differ. y is one-hot, or any mixture of rows: gains and biases are linear in it. What the first blocks lay out,
    such as the pose, cannot depend on y.
    """

    def __init__(self, plain: dcgan.Generator, *, conditions: int, told: int = 2) -> None:
        super().__init__()
        if not 0 < told <= len(plain.blocks):
            raise InputError.of("told", got=told, expected=f"1 to {len(plain.blocks)}, the blocks", do="Try 2.")
        self.latent, self.conditions = plain.latent, conditions
        blocks = list(plain.blocks)
        self.plain = nn.Sequential(*blocks[:-told])
        self.told = nn.ModuleList(_Block(block, conditions) for block in blocks[-told:])
        self.to_picture = plain.to_picture

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        h = self.plain(z[:, :, None, None])
        for block in self.told:
            h = block(h, y)
        return torch.tanh(self.to_picture(h))


class TunedCritic(nn.Module):
    """Pictures, y (N, K) -> scores (N,): psi(phi(x)) + <y V, phi(x)> (Miyato and Koyama 2018, equation 3), spectral norm."""

    def __init__(self, *, conditions: int, channels: int = 3, width: int = 32, size: int = 32, fine: int = 24) -> None:
        super().__init__()
        self.net = dcgan.Discriminator(channels=channels, width=width, size=size, norm="spectral", fine=fine)
        maps = self.net.to_score.in_channels
        self.embed = spectral_norm(nn.Linear(conditions, maps, bias=False))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.net.features(x)[-1]
        return self.net.to_score(h).flatten() + (self.embed(y) * h.sum((2, 3))).sum(1)


# ---------------------------------------------------------------- encoders, and a critic of pairs


class PointEncoder(nn.Module):
    """Points (N, 2) -> codes (N, Z)."""

    def __init__(self, *, latent: int = 2, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.layers = perceptron(2, latent, width, depth, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class PairCritic(nn.Module):
    """Points (N, 2) and codes (N, Z) -> scores (N,): it judges pairs (Donahue et al. 2017; Dumoulin et al. 2017)."""

    def __init__(self, *, latent: int = 2, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.layers = perceptron(2 + latent, 1, width, depth, nn.LeakyReLU(0.2))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.layers(torch.cat([x, z], 1)).squeeze(1)


class Encoder(nn.Module):
    """Pictures (N, C, size, size) -> codes (N, Z) and logits (N, K) of the condition (Perarnau et al. 2016, section 3.1).

    Strided convolutions with batch norm down to 4 x 4 cells, then one linear layer: one network for both of the
    paper's encoders.
    """

    def __init__(
        self, *, latent: int, conditions: int, channels: int = 3, widths: tuple[int, ...] = (24, 48, 64), size: int = 32
    ) -> None:
        super().__init__()
        if size != 4 * 2 ** len(widths):
            raise InputError.of(
                "size",
                got=size,
                expected=f"{4 * 2 ** len(widths)}, halved {len(widths)} times to 4",
                do="Add or drop a width.",
            )
        self.latent, self.conditions = latent, conditions
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * widths[-1], latent + conditions))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, logits = self.body(x).split([self.latent, self.conditions], 1)
        return z, logits


# ---------------------------------------------------------------- a code by descent


def find_code(
    G: Callable[[Tensor, Tensor], Tensor],
    look: Callable[[Tensor], Tensor],
    x: Tensor,
    conditions: Sequence[Tensor],
    start: Tensor,
    *,
    steps: int = 100,
    lr: float = 0.1,
    prior: float = 0.0,
) -> Tensor:
    """z* (N, Z): for each picture the best code met on a descent from `start` of

        sum over y in conditions of ||look(x) - look(G(z, y))||^2, plus prior ||z||^2

    Each of `conditions` is (N, K). With one, the picture's own, this is the search of Antipov et al. (2017); with
    more, one code is to suit all. `look` is the identity for pixels, or a network's features: then z* keeps what the
    network looks at. They use L-BFGS, here it is Adam, its rate falling to 0. G, `look` and `start` stay as they are;
    put G in eval mode, or one picture's code depends on the others in its batch.
    """
    with torch.no_grad():
        wanted = look(x).flatten(1)
    z = start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=lr, betas=(0.9, 0.99))
    best, lowest = start.detach().clone(), torch.full((len(start),), torch.inf, device=start.device)
    for turn in range(steps + 1):
        with torch.enable_grad():
            each = prior * z.square().sum(1)
            for y in conditions:
                each = each + (look(G(z, y)).flatten(1) - wanted).square().sum(1)
        better = each.detach() < lowest
        best[better], lowest[better] = z.detach()[better], each.detach()[better]
        if turn < steps:
            (z.grad,) = torch.autograd.grad(each.sum(), [z])
            adam.param_groups[0]["lr"] = lr * (1 - turn / steps)
            adam.step()
    return best


# ---------------------------------------------------------------- shipped


def load_ages(*, data: Path | None = None) -> TunedGenerator:
    """The shipped generator of faces that is told their age: y is young, old.

    Eval mode, weights fixed (benchmarks/train_inference.py).
    """
    config = shipped.row("conditional/faces_age", data)["config"]
    with runtime.seeded(0):
        plain = dcgan.Generator(**{key: config[key] for key in ("latent", "width", "fine")})
    net = TunedGenerator(plain, conditions=config["conditions"], told=config["told"])
    shipped.load("conditional/faces_age", net, data=data)
    return net


def load_age_encoder(*, data: Path | None = None) -> Encoder:
    """The shipped encoder of `load_ages`: faces -> codes (N, Z) and logits of young and old (N, 2)."""
    config = shipped.row("conditional/faces_age_encoder", data)["config"]
    with runtime.seeded(0):
        net = Encoder(latent=config["latent"], conditions=config["conditions"], widths=tuple(config["widths"]))
    shipped.load("conditional/faces_age_encoder", net, data=data)
    return net


class Recogniser(nn.Module):
    """A reader of everything about a face but its age.

    Pictures (N, 3, H, W) -> features (N, D), mean square about 1 on renders.
    """

    def __init__(self, net: oracles.Reader, *, scale: float) -> None:
        super().__init__()
        self.net, self.scale = net, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.net.features(x) / self.scale

    def logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, K) for each of the eight attributes, in the order of the world's names without the age."""
        return self.net(x).split(self.net.values, 1)


def load_recogniser(*, data: Path | None = None) -> Recogniser:
    """The shipped recogniser of faces whatever their age; eval mode, weights fixed (benchmarks/train_inference.py)."""
    config = shipped.row("conditional/faces_recogniser", data)["config"]
    with runtime.seeded(0):
        net = oracles.build(config)
    shipped.load("conditional/faces_recogniser", net, data=data)
    return Recogniser(net, scale=config["scale"]).eval()
