"""The references of section 3 against torch's optimisers and closed forms of batch norm's statistics."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.exercises.u05_dcgan.known import s3_training as known
from coursekit.exercises.u05_dcgan.nets import TinyD, TinyG, made
from coursekit.runtime import generator


@pytest.mark.parametrize("preview", [known.PREVIEW.reference, known.preview])
def test_preview_is_the_network_in_eval_mode(preview) -> None:
    G = made(TinyG, 3, torch.float64).train()
    G.norm.eval()
    z = torch.randn(7, 3, generator=generator(1), dtype=torch.float64)
    twin = copy.deepcopy(G).eval()
    expected = (twin(z).detach() / 2 + 0.5).permute(0, 2, 3, 1)
    torch.testing.assert_close(preview(G, z, 3), expected)
    assert [m.training for m in G.modules()] == [True, True, False, True]
    assert expected.shape == (7, 4, 6, 2)
    assert float(expected.min()) >= 0
    assert float(expected.max()) <= 1


@pytest.mark.parametrize("step", [known.DCGAN_STEP.reference, known.dcgan_step])
def test_step_is_two_updates_of_torchs_optimisers(step) -> None:
    """The same step from networks in functional form, momentum included."""
    G, D = made(TinyG, 3, torch.float64).train(), made(TinyD, 4, torch.float64).train()
    twin_G, twin_D = copy.deepcopy(G), copy.deepcopy(D)
    x = 2 * torch.rand(5, 2, 4, 6, generator=generator(1), dtype=torch.float64) - 1
    z = torch.randn(5, 3, generator=generator(2), dtype=torch.float64)
    optimizers = [torch.optim.SGD(net.parameters(), 0.1, momentum=0.5) for net in (G, D)]
    twins = [torch.optim.SGD(net.parameters(), 0.1, momentum=0.5) for net in (twin_G, twin_D)]
    for _ in range(3):
        losses = step(G, D, *optimizers, x, z, 0.9)
        d_loss = F.binary_cross_entropy(twin_D(x).sigmoid(), torch.full((5,), 0.9, dtype=x.dtype))
        with torch.no_grad():
            shown = copy.deepcopy(twin_G)(z)
        d_loss = d_loss - (1 - twin_D(shown).sigmoid()).log().mean()
        for parameter, gradient in zip(twin_D.parameters(), torch.autograd.grad(d_loss, list(twin_D.parameters()))):
            parameter.grad = gradient
        twins[1].step()
        g_loss = -twin_D(twin_G(z)).sigmoid().log().mean()
        for parameter, gradient in zip(twin_G.parameters(), torch.autograd.grad(g_loss, list(twin_G.parameters()))):
            parameter.grad = gradient
        twins[0].step()
        assert losses == pytest.approx((d_loss.item(), g_loss.item()))
    for net, twin in ((G, twin_G), (D, twin_D)):
        for name, value in net.state_dict().items():
            torch.testing.assert_close(value, twin.state_dict()[name])


@pytest.mark.parametrize("step", [known.DCGAN_STEP.reference, known.dcgan_step])
def test_running_means_after_a_step_that_learns_nothing(step) -> None:
    """With a rate of 0 the running mean of D is 0.729 old + 0.081 real + 0.09 fake + 0.1 fake."""

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(2, dtype=torch.float64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x).sum(1)

    G, D = nn.BatchNorm1d(2, dtype=torch.float64), Reader()
    D.norm.running_mean.fill_(5.0)
    x = torch.randn(6, 2, generator=generator(1), dtype=torch.float64) + 3
    z = torch.randn(6, 2, generator=generator(2), dtype=torch.float64) - 2
    optimizers = [torch.optim.SGD(net.parameters(), 0.0) for net in (G, D)]
    step(G, D, *optimizers, x, z, 0.9)
    # G normalises: its fakes have a mean of 0.
    torch.testing.assert_close(D.norm.running_mean, 0.729 * torch.full((2,), 5.0, dtype=x.dtype) + 0.081 * x.mean(0))
    torch.testing.assert_close(G.running_mean, 0.1 * z.mean(0))
    assert int(D.norm.num_batches_tracked) == 3 and int(G.num_batches_tracked) == 1
