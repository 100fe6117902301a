"""The references of section 2, second half, against closed forms, torch's optimiser, torchmetrics and counts by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u02_input_optimization.known import s2_defence as known
from coursekit.runtime import generator, seeded

N, C, H, W, K = 3, 2, 4, 5, 4


def linear(seed: int) -> tuple[nn.Module, Tensor]:
    """A linear network and its matrix (K, C H W)."""
    weights = torch.randn(K, C * H * W, generator=generator(seed), dtype=torch.float64) / 4
    head = nn.Linear(C * H * W, K, bias=False, dtype=torch.float64)
    head.weight.data.copy_(weights)
    return nn.Sequential(nn.Flatten(), head), weights


def images(seed: int) -> tuple[Tensor, Tensor]:
    rng = generator(seed + 100)
    x = 2 * torch.rand(N, C, H, W, generator=rng, dtype=torch.float64) - 1
    return x, torch.randint(0, K, (N,), generator=rng)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_adversarial_step_is_an_update_of_torchs_optimiser_on_weights_times_errors(share: float) -> None:
    """The gradient of a linear network in closed form: errors times pixels, mixed by the share."""
    (net, weights), (x, y) = linear(2), images(2)
    moved = (x + 0.2 * torch.randn(x.shape, generator=generator(9), dtype=x.dtype)).clamp(-1, 1)
    modes = []

    def attack(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        modes.append(model.training)
        model[1].weight.grad = torch.full_like(model[1].weight, 7.0)
        # The value of `moved`, but with a path to the weights that the update must not follow.
        return moved + (model[1].weight - model[1].weight.detach()).sum()

    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    loss = known.ADVERSARIAL_STEP.reference(net, optimizer, attack, x, y, share)
    gradient, expected = torch.zeros_like(weights), 0.0
    for batch, weight in ((x, 1 - share), (moved, share)):
        p = (batch.flatten(1) @ weights.T).softmax(1)
        gradient += weight / N * (p - F.one_hot(y, K)).T @ batch.flatten(1)
        expected += weight * float(-p[torch.arange(N), y].log().mean())
    torch.testing.assert_close(net[1].weight.detach(), weights - 0.3 * gradient)
    assert loss == pytest.approx(expected)
    assert modes == [False]
    assert net.training


def test_robust_accuracy_of_four_known_fates() -> None:
    """Images are their own logits here, and the attack swaps the classes of those that are marked."""

    class Reader(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            return x[:, 0, 0, :2]

    def attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        marked = x[:, 0, 0, 2] > 0
        return torch.where(marked[:, None, None, None], x[..., [1, 0, 2]], x)

    def image(seen: int, swapped: bool) -> Tensor:
        return torch.tensor([[[float(seen == 0), float(seen == 1), float(swapped)]]])

    # (seen before, swapped by the attack), all of class 0: right-right, right-wrong, wrong-right, wrong-wrong, right-right
    fates = [(0, False), (0, True), (1, True), (1, False), (0, False)]
    x, y = torch.stack([image(*fate) for fate in fates]), torch.zeros(5, dtype=torch.int64)
    net = Reader()
    shares = known.ROBUST_ACCURACY.reference(net, attack, iter([(x[:4], y[:4]), (x[4:], y[4:])]))
    assert shares == (3 / 5, 2 / 5)
    assert net.training


def test_robust_accuracy_without_an_attack_is_the_accuracy_of_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy

    with seeded(0):
        net = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, K, dtype=torch.float64))
    batches = [images(seed) for seed in range(4)]
    x, y = (torch.cat(part) for part in zip(*batches))
    told = []

    def harmless(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        assert torch.is_grad_enabled()
        assert not net.training
        told.append(y)
        return x

    shares = known.ROBUST_ACCURACY.reference(net.eval(), harmless, batches)
    assert torch.equal(torch.cat(told), y)
    assert not net.training
    expected = multiclass_accuracy(net(x).detach(), y, num_classes=K, average="micro").item()
    assert shares == pytest.approx((expected, expected))
