"""The classifiers of the world `things` that unit 02 works on, with their shipped weights.

Two networks of one family that were trained apart:

- `load_dreamnet()`: wide, trained on pictures that were first disturbed against it. The gradients of such a network look
  like the things themselves (Engstrom et al. 2019, "Adversarial robustness as a prior for learned representations";
  Santurkar et al. 2019, "Image synthesis with a single (robust) classifier"), so this is the one to dream with and to invert.
- `load_second()`: small, another seed, trained in the plain way. It is easily fooled, so this is the one to
  attack, and an independent judge of what the first one draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from coursekit import shipped
from coursekit.datasets.things import NAMES
from coursekit.models.classifier import Classifier
from coursekit.runtime import seeded


@dataclass(frozen=True)
class Shape:
    """What a Classifier of the world is built from."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    size: int = 64


SHAPES = {
    "dreamnet": Shape(widths=(24, 48, 96, 160, 256), depths=(1, 2, 2, 2, 1)),
    "dreamnet_second": Shape(widths=(16, 32, 64, 128), depths=(1, 2, 2, 2)),
}
"""Name of the shipped file -> its network."""


def build(name: str, *, seed: int = 0) -> Classifier:
    """The untrained network `name`, its weights drawn with `seed`."""
    shape = SHAPES[name]
    with seeded(seed):
        net = Classifier(NAMES["thing"], widths=shape.widths, depths=shape.depths, size=shape.size)
    return net.to(memory_format=torch.channels_last)  # twice as fast on a CPU


def load_dreamnet() -> Classifier:
    """The robust network: eval mode, no gradients of weights. `classes` holds "ostrich", "bus", "parking meter" and others."""
    return _load("dreamnet")


def load_second() -> Classifier:
    """The plain network, with the same classes."""
    return _load("dreamnet_second")


def _load(name: str) -> Classifier:
    net = build(name)
    shipped.load(name, net)
    return net
