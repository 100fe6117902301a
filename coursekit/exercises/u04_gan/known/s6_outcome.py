"""Answer key to section 6: a generator that leaves no mode out.

The weights of the catalogue are set by hand: one of the noise's numbers picks the mode, by steps at its quantiles, two others
make the blur. So every figure that the check measures can be chosen.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s6_outcome as asked
from coursekit.exercises.u04_gan.asked.s6_outcome import RingDiscriminator, RingGenerator, ring_points, update

# ring_generator


def train_ring(seed: int) -> dict:
    """A RingGenerator(seed), trained on ring_points -> the state_dict of its averaged weights."""
    ### BEGIN SOLUTION
    G, steady, dice = RingGenerator(seed), RingGenerator(seed), torch.Generator().manual_seed(seed)
    D = RingDiscriminator(seed + 1)
    for_G, for_D = (torch.optim.Adam(net.parameters(), lr=0.004, betas=(0.0, 0.9)) for net in (G, D))
    for _ in range(3000):
        x, z = ring_points(128, dice).requires_grad_(), torch.randn(128, 4, generator=dice)
        trust, forged = D(x), G(z)
        (steep,) = torch.autograd.grad(trust.sum(), x, create_graph=True)
        judged = F.softplus(-trust).mean() + F.softplus(D(forged.detach())).mean()
        update(for_D, judged + 0.01 * steep.square().sum(1).mean())
        update(for_G, F.softplus(-D(forged)).mean())
        for slow, fast in zip(steady.parameters(), G.parameters()):
            slow.data.lerp_(fast.data, 0.002)
    return steady.state_dict()
    ### END SOLUTION


_EVEN = (1 / 8,) * 8
_RING = [(math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8)]
Weights = dict[str, Tensor]


def stairs(
    places: list[tuple[float, float]] | None = None,
    shares: tuple[float, ...] = _EVEN,
    *,
    bridge: float = 0.004,
    blur: float = 0.05,
    reads: tuple[int, int, int] = (0, 1, 2),
) -> Weights:
    """A generator that makes `places[k]` with the probability `shares[k]`, and Gaussian `blur` around it.

    The share `bridge` of a mode's samples lies on the straight way to the next one. `reads`: which of the noise's numbers
    pick the mode and make the blur along x and y.
    """
    target = torch.tensor(_RING if places is None else places, dtype=torch.float64)
    W_1, b_1 = torch.zeros(64, 4, dtype=torch.float64), torch.zeros(64, dtype=torch.float64)
    W_2, head = torch.zeros(64, 64, dtype=torch.float64), torch.zeros(2, 64, dtype=torch.float64)
    cumulated, half = torch.tensor(shares, dtype=torch.float64).cumsum(0), bridge * min(shares) / 2
    for k in range(len(shares) - 1):
        low, high = (torch.special.ndtri(cumulated[k] + side * half) for side in (-1, 1))
        for unit, start in ((2 * k, low), (2 * k + 1, high)):
            W_1[unit, reads[0]], b_1[unit] = 1 / (high - low), -start / (high - low)
            W_2[k, unit] = 1.0 if start is low else -1.0  # a ramp from 0 to 1 is the difference of two rectifiers
        head[:, k] = target[k + 1] - target[k]
    for axis in (0, 1):
        for sign in (1.0, -1.0):
            unit = 40 + 2 * axis + (sign < 0)
            W_1[unit, reads[1 + axis]], W_2[unit, unit], head[axis, unit] = sign, 1.0, sign * blur
    made = {
        "first.weight": W_1,
        "first.bias": b_1,
        "second.weight": W_2,
        "second.bias": torch.zeros(64),
        "head.weight": head,
        "head.bias": target[0],
    }
    return {name: tensor.float() for name, tensor in made.items()}


def _at(*modes: int) -> list[tuple[float, float]]:
    return [_RING[k] for k in modes]


def _law_says(name: str) -> str:
    """What the broken law says is the hint: weights are recognised by the laws that they break, in order."""
    return next(law.says for part in asked.RING_GENERATOR.parts for law in part.laws if law.name == name)


_WRONG: dict[str, Weights] = {
    "other names": {f"net.{name}": tensor for name, tensor in stairs().items()},
    "other shapes": {name: tensor[..., :32] if name == "head.weight" else tensor for name, tensor in stairs().items()},
    "not finite": {name: tensor * math.nan for name, tensor in stairs().items()},
    "one point": {name: tensor * (name == "head.bias") for name, tensor in stairs().items()},
    "not trained": RingGenerator(0).state_dict(),
    "another radius": stairs([(2 * x, 2 * y) for x, y in _RING]),
    "one mode only": stairs(_at(*[3] * 8)),
    "half of the modes": stairs(_at(0, 2, 4, 6), (0.25,) * 4),
    "modes that are barely touched": stairs(shares=(0.01, 0.01, 0.17, 0.16, 0.17, 0.16, 0.16, 0.16)),
    "two modes missing": stairs(_at(0, 1, 2, 4, 5, 7), (1 / 6,) * 6),
    "a ring without modes": stairs(bridge=1.0),
    "bridges between the modes": stairs(bridge=0.5),
    "learned by heart": stairs(blur=0.0),
}

RING_GENERATOR = Key(
    question=asked.RING_GENERATOR,
    solution=(train_ring,),
    reference=stairs(),
    source="a mixture by its quantiles; for the training Mescheder, Geiger and Nowozin 2018, arXiv:1801.04406, section 4 "
    "(the penalty at the data), and Yazici et al. 2019, arXiv:1806.04498 (the average); Srivastava et al. 2017, "
    "arXiv:1705.07761, section 5.1 (the measure)",
    outcome=stairs,
    mistakes=tuple(Mistake(name, _law_says(name), weights) for name, weights in _WRONG.items()),
    alternatives={
        "seven modes": stairs(_at(0, 1, 2, 3, 5, 6, 7), (0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.1)),
        "other order, other noise": stairs(_at(5, 0, 2, 7, 1, 6, 3, 4), reads=(3, 0, 1)),
        "thin modes and some bridges": stairs(blur=0.03, bridge=0.15),
        "float64": {name: tensor.double() for name, tensor in stairs(reads=(1, 3, 0)).items()},
    },
)
