"""Several small networks trained side by side: every weight carries a leading run axis R, one loop serves all runs.

Small recurrent networks spend their time on the overhead of each operation, not on arithmetic; nine networks
side by side cost little more than one. The runs stay independent: each has its own gradient, clip and Adam state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.training.progress import track


def train_together(
    parameters: Sequence[Tensor],
    losses_fn: Callable[[int], Tensor],
    *,
    steps: int,
    lr: float | Tensor = 1e-2,
    clip: float = 1.0,
    label: str | None = "training",
) -> Tensor:
    """Descend each of the R losses that `losses_fn(step)` returns, shape (R,); return them all, (R, steps).

    `parameters` have shape (R, ...) and are changed in place. Loss r must depend on slice r of each only. `lr` is one
    rate or one per run (R,); `clip` bounds the gradient norm of each run by itself. The update is Adam (Kingma and
    Ba 2015, algorithm 1, betas 0.9 and 0.999). A run whose loss or gradient is not finite stands still from there on;
    its losses say so (NaN or infinity), and the others go on. `label` stands before the progress bar; None draws none.
    """
    runs = {len(p) for p in parameters}
    if len(runs) != 1:
        raise InputError.of(
            "parameters", got=f"leading sizes {sorted(runs)}", expected="one run axis R, first in every tensor",
            do="Give each weight a leading axis of length R.",
        )  # fmt: skip
    rate = torch.as_tensor(lr, dtype=parameters[0].dtype).expand(runs.pop())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    history = []
    for p in parameters:
        p.requires_grad_()
    for step in range(steps) if label is None else track(range(steps), label):
        losses = losses_fn(step)
        history.append(losses.detach().clone())
        gradients = torch.autograd.grad(losses.sum(), parameters, allow_unused=True, materialize_grads=True)
        norms = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
        alive = losses.detach().isfinite() & norms.isfinite()
        shrink = (clip / norms.clamp_min(1e-12)).clamp_max(1.0)
        with torch.no_grad():
            for p, g, m, v in zip(parameters, gradients, first, second):
                wide = (-1, *[1] * (p.dim() - 1))
                g = torch.where(alive.view(wide), g * shrink.view(wide), 0.0)
                m.lerp_(g, 1 - 0.9)
                v.lerp_(g.square(), 1 - 0.999)
                move = (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
                p.sub_(torch.where(alive.view(wide), rate.view(wide) * move, 0.0))
    return torch.stack(history, 1)
