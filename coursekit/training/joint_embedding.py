"""Training a text and a picture encoder to agree: each sentence nearest to its own picture, each picture to its own sentence.

N pairs of a picture and a caption in a batch, D features, codes of length 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit.models.joint_embedding import PictureEncoder, TextEncoder
from coursekit.training.run import descend_once

SCALE = 16.0
"""The inverse temperature of the softmax over compatibilities, which lie in [-1, 1]."""


def also_true(told: Tensor, labels: Tensor) -> Tensor:
    """(N, M) bool: is caption i true of picture j?

    told (N, A) int64, -1 where the caption leaves an attribute unsaid; labels (M, A) int64. Of two random birds a short
    caption often fits both: such a picture is no counterexample.
    """
    unsaid = told.unsqueeze(1) < 0
    return (unsaid | (told.unsqueeze(1) == labels.unsqueeze(0))).all(2)


def agreement_loss(texts: Tensor, pictures: Tensor, fits: Tensor, *, scale: float = SCALE) -> Tensor:
    """Mean over N pairs of -log softmax of the right partner, among pictures for each text and among texts for each picture.

    texts, pictures (N, D), row i of each belongs together; fits (N, N) bool from `also_true`: pairs off the diagonal that
    fit by accident are left out of the sums. The symmetric softmax form of a joint embedding (Radford et al. 2021, figure 3);
    Reed et al. (2016a), equation 4, use a margin in its place.
    """
    scores = scale * texts @ pictures.T
    accidents = fits & ~torch.eye(len(fits), dtype=torch.bool, device=fits.device)
    scores = scores.masked_fill(accidents, -torch.inf)
    right = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2


@dataclass(frozen=True)
class Agreement:
    """What one step left behind, on its batch."""

    step: int
    loss: float
    hits: float
    """Share of the texts whose nearest picture in the batch is their own, or one that they fit as well."""


def train_together(
    text: TextEncoder,
    picture: PictureEncoder,
    batches: Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]],
    *,
    steps: int,
    lr: float = 2e-3,
) -> Iterator[Agreement]:
    """Adam on both encoders, its rate falling to 0 on half a cosine; yields a record after each step.

    `batches(k)`: features of pictures (N, F), ids (N, T) and lengths (N,) of their captions, and fits (N, N) bool.
    Raises TrainingError at the first loss or gradient that is not finite.
    """
    weights = [*text.parameters(), *picture.parameters()]
    adam = torch.optim.Adam(weights, lr=lr, betas=(0.9, 0.99))
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, steps))
    text.train(), picture.train()
    for step in range(steps):
        x, ids, lengths, fits = batches(step)
        u, v = text(ids, lengths), picture(x)
        loss = agreement_loss(u, v, fits)
        descend_once(loss, adam, label=f"step {step}")
        falling.step()
        with torch.no_grad():
            nearest = (u @ v.T).argmax(1)
            hits = fits[torch.arange(len(fits)), nearest].float().mean()
        yield Agreement(step, loss.item(), hits.item())
    text.eval(), picture.eval()
