"""What probes of several units need: a scalar without symmetry, and a look at a network that should be as it was."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings
from coursekit.checks.protocol import flat_weights


def weighted_sum(out: Tensor, top: float = 2.0) -> Tensor:
    """A scalar with a weight of its own for each entry, from -1 to `top`: no gradient is right by symmetry alone."""
    return (out * torch.linspace(-1, top, out.numel(), dtype=out.dtype).reshape(out.shape)).sum()


def network_state(net: nn.Module) -> Findings:
    """All that a function could have changed in a network it was only to look through."""
    parameters = list(net.parameters())
    return {
        "weights": flat_weights(parameters),
        "gradients of the weights": [None if p.grad is None else p.grad.clone() for p in parameters],
        "requires_grad of the weights": [p.requires_grad for p in parameters],
        "buffers": [b.clone() for b in net.buffers()],
        "train mode": net.training,
    }
