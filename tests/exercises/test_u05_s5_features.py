"""The references of section 5 against torch's pooling, autograd, scikit-learn's machine and a network cut in two."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u05_dcgan.known import s5_features as known
from coursekit.exercises.u05_dcgan.nets import TinyG, TinyStack, hooks_left, made
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


SVMS = [known.SVM_GRADIENT.reference, known.svm_gradient]


@pytest.mark.parametrize("stacks", [known.DOUBLING_STACKS.reference, known.doubling_stacks])
def test_stacks_of_the_slide(stacks) -> None:
    assert stacks(28_672, 4) == [[256, 512, 1024]]
    assert stacks(15_360, 4) == [[320, 640], [64, 128, 256, 512]]
    assert stacks(28_673, 4) == stacks(32, 4) == []
    assert all(max(stack) != 512 for stack in stacks(28_672, 4))


def test_stacks_agree_for_many_totals() -> None:
    for total in range(1, 400):
        for grid in (1, 2, 3):
            found = known.doubling_stacks(total, grid)
            assert found == known.DOUBLING_STACKS.reference(total, grid)
            assert all(sum(stack) * grid**2 == total for stack in found)


@pytest.mark.parametrize("features", [known.POOLED_FEATURES.reference, known.pooled_features])
def test_features_are_those_of_the_layers_run_by_hand(features) -> None:
    D, x = made(TinyStack, 3, torch.float64).train(), normal(3, 2, 8, 16, seed=1)
    a = F.leaky_relu(D.convs[0](x), 0.2)
    b = D.norm.weight * (D.convs[1](a).movedim(1, -1) - D.norm.running_mean)
    b = b / (D.norm.running_var + D.norm.eps).sqrt() + D.norm.bias
    b = F.leaky_relu(b.movedim(-1, 1), 0.2)
    c = F.leaky_relu(D.convs[2](b), 0.2)
    expected = [F.max_pool2d(h, (h.shape[2] // 2, h.shape[3] // 2)).reshape(3, -1) for h in (a, b, c)]
    found = features(D, x, 2)
    torch.testing.assert_close(found, torch.cat(expected, 1).detach())
    assert found.shape == (3, (2 + 3 + 4) * 4)
    assert hooks_left(D) == 0


@pytest.mark.parametrize("svm", SVMS)
def test_svm_gradient_is_autograds(svm) -> None:
    W, b, f = normal(4, 5, seed=1), normal(4, seed=2), normal(7, 5, seed=3)
    y = torch.tensor([0, 3, 2, 1, 1, 0, 2])
    V, v = W.clone().requires_grad_(), b.clone().requires_grad_()
    signs = torch.full((7, 4), -1.0, dtype=torch.float64)
    signs[torch.arange(7), y] = 1
    objective = V.pow(2).sum() / 2 + 0.7 * F.relu(1 - signs * F.linear(f, V, v)).pow(2).sum()
    expected = torch.autograd.grad(objective, (V, v))
    loss, d_W, d_b = svm(W, b, f, y, 0.7)
    assert float(loss) == pytest.approx(objective.item())
    torch.testing.assert_close((d_W, d_b), expected)


@pytest.mark.parametrize("svm", SVMS)
def test_svm_gradient_vanishes_at_scikit_learns_solution(svm) -> None:
    """LinearSVC with squared hinge, one versus the rest, without offsets, solves this problem."""
    from sklearn.svm import LinearSVC

    f = normal(60, 4, seed=1)
    y = (f @ normal(4, 3, seed=2) + 0.5 * normal(60, 3, seed=3)).argmax(1)
    machine = LinearSVC(C=0.3, loss="squared_hinge", dual=False, fit_intercept=False, tol=1e-10, max_iter=10_000)
    machine.fit(f.numpy(), y.numpy())
    W, zeros = torch.from_numpy(machine.coef_), torch.zeros(3, dtype=torch.float64)
    loss, d_W, _ = svm(W, zeros, f, y, 0.3)
    assert float(d_W.abs().max()) < 1e-5 < float(svm(1.01 * W, zeros, f, y, 0.3)[1].abs().max())
    assert float(loss) < min(float(svm(k * W, zeros, f, y, 0.3)[0]) for k in (0.99, 1.01))


@pytest.mark.parametrize("drop", [known.DROP_MAPS.reference, known.drop_maps])
def test_dropped_maps_are_a_network_cut_in_two(drop) -> None:
    G = made(TinyG, 3, torch.float64).train()
    twin, z = copy.deepcopy(G).eval(), normal(4, 3, seed=1)
    inner = twin.norm(twin.up(z[:, :, None, None])) * torch.tensor([0.0, 1, 0], dtype=z.dtype)[:, None, None]
    expected = torch.tanh(twin.out(torch.tanh(inner)))
    torch.testing.assert_close(drop(G, G.norm, [2, 0], z), expected.detach())
    assert hooks_left(G) == 0
    assert all(module.training for module in G.modules())
    torch.testing.assert_close(drop(G, G.norm, [], z), twin(z).detach())
