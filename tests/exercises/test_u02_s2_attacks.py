"""The references of section 2, first half, against closed forms, enumeration and steps by hand."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u02_input_optimization.known import s2_attacks as known
from coursekit.runtime import generator, seeded

SEEDS = range(3)
N, C, H, W, K = 3, 2, 4, 5, 4


def linear(seed: int, classes: int = K) -> tuple[nn.Module, Tensor]:
    """A linear network and its matrix (K, C H W)."""
    weights = torch.randn(classes, C * H * W, generator=generator(seed), dtype=torch.float64) / 4
    head = nn.Linear(C * H * W, classes, bias=False, dtype=torch.float64)
    head.weight.data.copy_(weights)
    return nn.Sequential(nn.Flatten(), head), weights


def images(seed: int, low: float = -1.0) -> tuple[Tensor, Tensor]:
    rng = generator(seed + 100)
    x = low + (1 - low) * torch.rand(N, C, H, W, generator=rng, dtype=torch.float64)
    return x, torch.randint(0, K, (N,), generator=rng)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_corner_of_the_ball_is_worse_than_fgsm_on_a_linear_network(seed: int) -> None:
    """Two classes and three pixels: of all corners of the ball the signed step has the largest loss, by enumeration."""
    weights = torch.randn(2, 3, generator=generator(seed), dtype=torch.float64)

    def net(z: Tensor) -> Tensor:
        return z.flatten(1) @ weights.T

    x, y, eps = torch.tensor([[[[0.1, -0.3, 0.2]]]], dtype=torch.float64), torch.tensor([1]), torch.tensor([0.25])
    found = F.cross_entropy(net(known.FGSM.reference(net, x, y, eps)), y)
    corners = [x + 0.25 * torch.tensor(c, dtype=x.dtype) for c in itertools.product((-1, 0, 1), repeat=3)]
    torch.testing.assert_close(found, max(F.cross_entropy(net(corner), y) for corner in corners))


@pytest.mark.parametrize("seed", SEEDS)
def test_fgsm_of_a_linear_network_follows_the_signs_of_weights_times_errors(seed: int) -> None:
    (net, weights), (x, y) = linear(seed), images(seed)
    eps = torch.tensor([0.1, 0.2, 0.3], dtype=x.dtype)
    errors = (x.flatten(1) @ weights.T).softmax(1) - F.one_hot(y, K)
    expected = (x.flatten(1) + eps[:, None] * torch.sign(errors @ weights)).clamp(-1, 1)
    torch.testing.assert_close(known.FGSM.reference(net, x, y, eps).flatten(1), expected)


def test_a_pixel_that_nobody_looks_at_stays() -> None:
    (net, _), (x, y) = linear(1), images(1, low=-0.5)
    net[1].weight.data[:, 7] = 0
    image = known.FGSM.reference(net, x, y, torch.full((N,), 0.2, dtype=x.dtype))
    assert torch.equal(image.flatten(1)[:, 7], x.flatten(1)[:, 7])


def test_references_leave_network_and_image_alone() -> None:
    (net, _), (x, y) = linear(1), images(1)
    net[1].weight.grad = torch.ones_like(net[1].weight)
    eps = torch.full((H, W), 0.2, dtype=x.dtype)
    results = [known.FGSM.reference(net, x, y, eps[0, :N]), known.PGD.reference(net, x, y, 0 * x, eps, 0.1, 2)]
    assert (net[1].weight.grad == 1).all()
    assert net[1].weight.requires_grad
    assert not any(t.requires_grad for t in (x, *results))
    assert torch.equal(x, images(1)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_pgd_on_two_classes_ends_in_the_corner_that_the_weights_name(seed: int) -> None:
    """The loss rises along one fixed direction, so enough steps reach the far corner of ball and range, from any start."""
    (net, weights), (x, _) = linear(seed, classes=2), images(seed)
    y = torch.tensor([0, 1, 0])
    eps = 0.3 * torch.rand(H, W, generator=generator(seed), dtype=x.dtype)
    eps[1] = 0
    start = eps * (2 * torch.rand(x.shape, generator=generator(seed + 1), dtype=x.dtype) - 1)
    uphill = torch.stack([(weights[1 - k] - weights[k]).reshape(C, H, W).sign() for k in y.tolist()])
    expected = (x + eps * uphill).clamp(-1, 1)
    torch.testing.assert_close(known.PGD.reference(net, x, y, start, eps, 0.1, 7), expected)


def test_pgd_of_many_steps_is_one_signed_step_after_the_other() -> None:
    """A curved network, so that each step's gradient is another one; no step at all is the projected start."""
    with seeded(3):
        net = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, 6), nn.Tanh(), nn.Linear(6, K)).double()
    for weight in net.parameters():
        weight.data.mul_(4)
    x, y = images(3)
    eps = torch.full((H, W), 0.3, dtype=x.dtype)
    start = 0.3 * (2 * torch.rand(x.shape, generator=generator(4), dtype=x.dtype) - 1)
    z = known.PGD.reference(net, x, y, start, eps, 0.2, 0)
    torch.testing.assert_close(z, (x + start).clamp(-1, 1))
    for steps in range(1, 5):
        leaf = z.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(net(leaf), y), leaf)
        one_more = torch.maximum(torch.minimum(z + 0.2 * slope.sign(), (x + eps).clamp(max=1)), (x - eps).clamp(min=-1))
        z = known.PGD.reference(net, x, y, start, eps, 0.2, steps)
        torch.testing.assert_close(z, one_more)
        assert ((z - x).abs() <= eps + 1e-12).all()


def test_pgd_with_a_full_step_from_the_image_is_fgsm() -> None:
    (net, _), (x, y) = linear(5), images(5)
    eps = torch.full((H, W), 0.2, dtype=x.dtype)
    once = known.PGD.reference(net, x, y, torch.zeros_like(x), eps, 0.2, 1)
    torch.testing.assert_close(once, known.FGSM.reference(net, x, y, torch.full((N,), 0.2, dtype=x.dtype)))


@pytest.mark.parametrize("seed", SEEDS)
def test_l2_step_is_the_nearest_point_of_the_ball(seed: int) -> None:
    """Grey images, so that the range does not matter: no point of the ball is nearer to the free step."""
    rng = generator(seed)
    x = 0.2 * torch.randn(N, C, H, W, generator=rng, dtype=torch.float64).clamp(-2, 2)
    gradient = torch.randn(x.shape, generator=rng, dtype=x.dtype)
    free = x + 0.5 * gradient / torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
    found = known.L2_STEP.reference(x, x, gradient, 0.5, 0.3)
    torch.testing.assert_close((found - x).flatten(1).norm(dim=1), torch.full((N,), 0.3, dtype=x.dtype))
    others = torch.randn(200, *x.shape, generator=rng, dtype=x.dtype)
    others = x + 0.3 * others / torch.linalg.vector_norm(others, dim=(2, 3, 4), keepdim=True)
    nearest = (others - free).flatten(2).norm(dim=2).amin(0)
    assert ((found - free).flatten(1).norm(dim=1) <= nearest).all()
    torch.testing.assert_close(known.L2_STEP.reference(x, x, gradient, 0.2, 0.3) - x, 0.4 * (free - x))


def test_l2_step_cuts_at_the_range_last() -> None:
    x = torch.tensor([[[[1.0, 0.0]]]], dtype=torch.float64)
    gradient = torch.tensor([[[[3.0, 4.0]]]], dtype=torch.float64)
    found = known.L2_STEP.reference(x, x, gradient, 1.0, 0.5)
    torch.testing.assert_close(found, torch.tensor([[[[1.0, 0.4]]]], dtype=torch.float64))
    torch.testing.assert_close(known.L2_STEP.reference(x, x, 1e-9 * gradient, 1.0, 0.5), found)
    torch.testing.assert_close(known.L2_STEP.reference(x, x, 0 * gradient, 1.0, 0.5), x)
