"""Training a VQ autoencoder, and then the prior over its codes: two straight loops, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import runtime
from coursekit.models.vq import CodePrior, VQAutoencoder
from coursekit.training.loop import Record, descend

Perceive = Callable[[Tensor], Tensor]
"""Pictures (N, 3, H, W) -> features (N, R, D) in which copies shall agree with their originals, too."""


def copy_loss(
    net: VQAutoencoder, x: Tensor, *, beta: float = 0.1, perceive: Perceive | None = None, weight: float = 0.3
) -> Tensor:
    """Mean absolute error of the copy + beta * commitment + weight * (1 - cosine of perceived features).

    van den Oord et al. (2017), equation 3, with the absolute error for the squared one (flat colours have medians, not
    means) and a book that follows by averages; the perceptual term is one of those that Esser et al. (2021) add.
    """
    copy, quantised = net(x)
    loss = F.l1_loss(copy, x) + beta * quantised.commitment
    if perceive is not None:
        with torch.no_grad():
            wanted = perceive(x)
        loss = loss + weight * (1 - F.cosine_similarity(perceive(copy), wanted, dim=2)).mean()
    return loss


def train_autoencoder(
    net: VQAutoencoder,
    batches: Callable[[int], Tensor],
    *,
    steps: int,
    lr: float = 2e-3,
    perceive: Perceive | None = None,
    seed: int = 0,
) -> Iterator[Record]:
    """Descend `copy_loss` on batches(k) (N, 3, 32, 32); yield a record after each step."""

    def loss(step: int) -> Tensor:
        with runtime.seeded(seed * 1_000_003 + step):  # from which the book draws where to restart a code
            return copy_loss(net, batches(step), perceive=perceive)

    net.train()
    yield from _descend(net, loss, steps, lr, "the autoencoder")
    net.eval()


def train_prior(
    net: CodePrior, batches: Callable[[int], tuple[Tensor, list[str]]], *, steps: int, lr: float = 2e-3
) -> Iterator[Record]:
    """Descend the cross entropy of the next code, in nats a code, on batches(k): codes (N, L) and their captions."""

    def loss(step: int) -> Tensor:
        codes, texts = batches(step)
        return prior_loss(net, codes, texts)

    net.train()
    yield from _descend(net, loss, steps, lr, "the prior")
    net.eval()


def prior_loss(net: CodePrior, codes: Tensor, texts: list[str]) -> Tensor:
    """-log p(codes | texts) / L, in nats, mean over the batch."""
    ids, _, mask = net.vocabulary.batch(texts)
    return F.cross_entropy(net(ids, mask, codes).float().flatten(0, 1), codes.flatten())


def _descend(
    net: torch.nn.Module, loss: Callable[[int], Tensor], steps: int, lr: float, label: str
) -> Iterator[Record]:
    weights = list(net.parameters())
    descent = torch.optim.Adam(weights, lr=lr, betas=(0.9, 0.99), fused=True)
    # Up over the first steps, then down along half a cosine.
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, lr, total_steps=steps + 1, pct_start=0.1)
    for record in descend(weights, loss, descent, steps=range(steps), label=label):
        schedule.step()
        yield record
