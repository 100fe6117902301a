"""Answer key to section 1, second half: from noise to data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s1_noise as asked

Pair = tuple[Tensor, Tensor]
Prior = Callable[[Tensor], Tensor]

# push_forward


def push_forward(G: nn.Module, log_prior: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """Data x = G(z) (N,) and the logarithm of G's density there (N,), for noise z (N,) with log density log_prior."""
    ### BEGIN SOLUTION
    u = z.detach().requires_grad_()
    x = G(u)
    (stretch,) = torch.autograd.grad(x.sum(), u)
    return x.detach(), log_prior(u.detach()) - stretch.abs().log()
    ### END SOLUTION


def _push_one_by_one(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    """Entry by entry: the slope of one output with respect to one input."""
    places, densities = [], []
    for n in range(len(z)):
        u = z[n : n + 1].detach().clone().requires_grad_()
        x = G(u)[0]
        (slope,) = torch.autograd.grad(x, u)
        places.append(x.detach())
        densities.append(log_prior(u.detach())[0] - torch.log(torch.abs(slope[0])))
    return torch.stack(places), torch.stack(densities)


def _push_jvp(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    """Forward mode: the change of x along a change of 1 in every entry of z."""
    u = z.detach()
    x, slopes = torch.func.jvp(G, (u,), (torch.ones_like(u),))
    return x.detach(), (log_prior(u) - 0.5 * slopes.square().log()).detach()


def _push_inverse(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    """The slopes of the inverse are the reciprocals: log p_z + log |dz/dx|."""
    u = z.detach().clone()
    jacobian = torch.autograd.functional.jacobian(G, u)
    return G(u).detach(), log_prior(u) + torch.log(jacobian.diagonal().abs().reciprocal())


def _push_with_ones(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    leaf = nn.Parameter(z.detach().clone())
    x = G(leaf)
    x.backward(gradient=torch.ones_like(x), inputs=[leaf])
    assert leaf.grad is not None
    log_slope = torch.where(leaf.grad < 0, -leaf.grad, leaf.grad).log()
    return x.data, (log_prior(leaf.data) - log_slope).data


def _slopes(G: nn.Module, z: Tensor) -> Pair:
    u = z.detach().clone().requires_grad_()
    x = G(u)
    (slopes,) = torch.autograd.grad(x.sum(), u)
    return x.detach(), slopes


def _push_wrong(density: Callable[[Prior, Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Pair]:
    """x and `density(log_prior, z, x, slopes)`."""

    def answer(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
        x, slopes = _slopes(G, z)
        return x, density(log_prior, z.detach(), x, slopes)

    return answer


def _push_backward(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    u = z.detach().clone().requires_grad_()
    x = G(u)
    x.sum().backward()
    assert u.grad is not None
    return x.detach(), log_prior(u.detach()) - u.grad.abs().log()


def _push_callers_leaf(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    """Works on the noise that was handed in."""
    z.requires_grad_()
    z.grad = None
    x = G(z)
    x.sum().backward(inputs=[z])
    assert z.grad is not None
    return x.detach(), log_prior(z.detach()) - z.grad.abs().log()


def _push_with_graph(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    u = z.detach().clone().requires_grad_()
    x = G(u)
    (slopes,) = torch.autograd.grad(x.sum(), u, create_graph=True)
    return x, log_prior(u) - slopes.abs().log()


def _push_mean(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    x, slopes = _slopes(G, z)
    return x, log_prior(z.detach()) - (slopes / len(z)).abs().log()


def _push_trace(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    x, slopes = _slopes(G, z)
    return x, log_prior(z.detach()) - slopes.abs().log().sum()


def _push_z(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    x, slopes = _slopes(G, z)
    return z.detach().clone(), log_prior(z.detach()) - slopes.abs().log()


def _push_frozen(G: nn.Module, log_prior: Prior, z: Tensor) -> Pair:
    """Spares the weights their gradients, and forgets which of them had been frozen before."""
    G.requires_grad_(False)
    x, slopes = _slopes(G, z)
    G.requires_grad_(True)
    return x, log_prior(z.detach()) - slopes.abs().log()


PUSH_FORWARD = Key(
    question=asked.PUSH_FORWARD,
    solution=(push_forward,),
    reference=_push_one_by_one,
    source=(
        "change of variables: Bishop 2006, Pattern Recognition and Machine Learning, eq. 1.27; p_g: Goodfellow et al. "
        "2014, section 4"
    ),
    mistakes=(
        Mistake(
            "the prior alone",
            "Where G stretches, the same mass lies on a longer piece: log |G'(z)| is missing.",
            _push_wrong(lambda prior, z, x, slopes: prior(z)),
        ),
        Mistake(
            "density multiplied by the slope",
            "Stretching makes the density smaller: the logarithm of the slope is subtracted.",
            _push_wrong(lambda prior, z, x, slopes: prior(z) + slopes.abs().log()),
        ),
        Mistake(
            "the slope itself subtracted",
            "In logarithms a division becomes a difference of *logarithms*: take that of the slope too.",
            _push_wrong(lambda prior, z, x, slopes: prior(z) - slopes.abs()),
        ),
        Mistake(
            "no absolute value",
            "A falling G has negative slopes, whose logarithm is NaN. Lengths are positive: take the absolute value.",
            _push_wrong(lambda prior, z, x, slopes: prior(z) - slopes.log()),
        ),
        Mistake(
            "prior at x",
            "You look up the prior at x. It is a density of the noise: `log_prior(z)`.",
            _push_wrong(lambda prior, z, x, slopes: prior(x) - slopes.abs().log()),
        ),
        Mistake(
            "slope squared",
            "In one dimension the density is divided by |G'| once, not by its square.",
            _push_wrong(lambda prior, z, x, slopes: prior(z) - slopes.square().log()),
        ),
        Mistake(
            "density instead of its logarithm",
            "The logarithm of the density is asked for, not the density.",
            _push_wrong(lambda prior, z, x, slopes: (prior(z) - slopes.abs().log()).exp()),
        ),
        Mistake(
            "by way of the density",
            "exp(−1500) is 0, and its logarithm infinite. Stay in logarithms.",
            _push_wrong(lambda prior, z, x, slopes: (prior(z).exp() / slopes.abs()).log()),
        ),
        Mistake(
            "gradient of the mean",
            "The slope of a mean is N times too small. Differentiate the sum of x.",
            _push_mean,
        ),
        Mistake(
            "one determinant for the batch",
            "You subtract the sum over the batch. Each of the N numbers has a slope of its own.",
            _push_trace,
        ),
        Mistake(
            "returns the noise",
            "The first result is x = G(z), not z.",
            _push_z,
        ),
        Mistake(
            "gradients left in the weights",
            "The values are right, but `backward` filled the `.grad` of G's weights. Use `torch.autograd.grad`.",
            _push_backward,
        ),
        Mistake(
            "gradient left in the noise",
            "The values are right, but the z that was handed in has another `.grad` now. Use a leaf of your own.",
            _push_callers_leaf,
        ),
        Mistake(
            "weights thawed",
            "Some weights were frozen before, and now they are not. `torch.autograd.grad` needs no freezing.",
            _push_frozen,
        ),
        Mistake(
            "results hold a graph",
            "What you return is still part of a graph: detach both.",
            _push_with_graph,
        ),
    ),
    alternatives={
        "forward mode": _push_jvp,
        "slopes of the inverse, whole Jacobian": _push_inverse,
        "backward of ones into a leaf": _push_with_ones,
    },
)
