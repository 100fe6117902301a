"""Answer keys to section 5, first half: a discriminator that sees the batch, critics in bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s5_critics as asked

# minibatch_features


def minibatch_features(h: Tensor, T: Tensor) -> Tensor:
    """Features (N, A), followed by the closeness to the others of the batch (N, B); T is (A, B, C)."""
    ### BEGIN SOLUTION
    rows = torch.einsum("na,abc->nbc", h, T)
    apart = (rows[:, None] - rows[None]).abs().sum(dim=3)
    closeness = torch.exp(-apart).sum(dim=1) - 1
    return torch.cat([h, closeness], dim=1)
    ### END SOLUTION


def _minibatch_by_pairs(h: Tensor, T: Tensor) -> Tensor:
    """Pair by pair, as in the equation."""
    N, (A, B, _) = len(h), T.shape
    M = [[sum(h[i, a] * T[a, b] for a in range(A)) for b in range(B)] for i in range(N)]
    rows = []
    for i in range(N):
        closeness = [torch.zeros((), dtype=h.dtype) for _ in range(B)]
        for b in range(B):
            for j in range(N):
                if j != i:
                    closeness[b] = closeness[b] + torch.exp(-(M[i][b] - M[j][b]).abs().sum())
        rows.append(torch.cat([h[i], torch.stack(closeness)]))
    return torch.stack(rows)


def _minibatch_masked(h: Tensor, T: Tensor) -> Tensor:
    A, B, C = T.shape
    M = (h @ T.reshape(A, B * C)).reshape(-1, B, C)
    near = torch.exp(
        -F.l1_loss(
            M.unsqueeze(1).expand(-1, len(M), -1, -1), M.unsqueeze(0).expand(len(M), -1, -1, -1), reduction="none"
        ).sum(-1)
    )
    others = 1 - torch.eye(len(h), dtype=h.dtype)
    return torch.cat((h, (near * others.unsqueeze(-1)).sum(0)), -1)


def _minibatch_rolled(h: Tensor, T: Tensor) -> Tensor:
    """The batch against itself, rolled on by 1, 2, ... N - 1 places."""
    M = torch.tensordot(h, T, dims=1)
    o = torch.zeros_like(M[..., 0])
    for shift in range(1, len(h)):
        o = o + torch.exp(-torch.sum(torch.abs(M - M.roll(shift, 0)), -1))
    return torch.hstack([h, o])


def _minibatch_by_kernel(h: Tensor, T: Tensor) -> Tensor:
    """One of the B kernels at a time, with the others picked out by an index."""
    N = len(h)
    others = torch.tensor([[j for j in range(N) if j != i] for i in range(N)], dtype=torch.int64).reshape(N, N - 1)
    columns = [h]
    for kernel in T.unbind(1):
        m = h @ kernel
        columns.append((-(m[:, None] - m[others]).abs().sum(2)).exp().sum(1, keepdim=True))
    return torch.cat(columns, 1)


def _minibatch_wrong(
    *,
    distance: Callable[[Tensor], Tensor] = lambda d: d.abs().sum(3),
    near: Callable[[Tensor], Tensor] = lambda d: torch.exp(-d),
    others: Callable[[Tensor], Tensor] = lambda n: n * (1 - torch.eye(len(n), dtype=n.dtype))[..., None],
    pool: Callable[[Tensor], Tensor] = lambda n: n.sum(1),
    join: Callable[[Tensor, Tensor], Tensor] = lambda h, o: torch.cat([h, o], 1),
    project: Callable[[Tensor, Tensor], Tensor] = lambda h, T: torch.einsum("na,abc->nbc", h, T),
    given: Callable[[Tensor], Tensor] = lambda h: h,
) -> Callable[[Tensor, Tensor], Tensor]:
    """The layer with one thing changed."""

    def answer(h: Tensor, T: Tensor) -> Tensor:
        M = project(given(h), T)
        return join(h, pool(others(near(distance(M[:, None] - M[None])))))

    return answer


MINIBATCH_FEATURES = Key(
    question=asked.MINIBATCH_FEATURES,
    solution=(minibatch_features,),
    reference=_minibatch_by_pairs,
    source="Salimans et al. 2016, arXiv:1606.03498, section 3.2 (without the comparison of an example with itself)",
    mistakes=(
        Mistake(
            "compared with itself",
            "Each example is at distance 0 from itself, which adds 1. Leave j = i out.",
            _minibatch_wrong(others=lambda n: n),
        ),
        Mistake(
            "squared differences",
            "The distance is the sum of the *absolute* differences.",
            _minibatch_wrong(distance=lambda d: d.square().sum(3)),
        ),
        Mistake(
            "mean of the absolute differences",
            "The distance is a sum over the C numbers, not their mean.",
            _minibatch_wrong(distance=lambda d: d.abs().mean(3)),
        ),
        Mistake(
            "signed differences",
            "Without absolute values differences cancel, and far can look near.",
            _minibatch_wrong(distance=lambda d: d.sum(3)),
        ),
        Mistake(
            "distances, not closeness",
            "You sum the distances. Closeness is the exponential of minus the distance.",
            _minibatch_wrong(near=lambda d: d),
        ),
        Mistake(
            "minus sign missing",
            "Closeness falls with the distance: exp of *minus* the distance.",
            _minibatch_wrong(near=torch.exp),
        ),
        Mistake(
            "mean over the others",
            "Closeness is summed over the others, not averaged.",
            _minibatch_wrong(pool=lambda n: n.sum(1) / max(len(n) - 1, 1)),
        ),
        Mistake(
            "each pair counted once",
            "A pair concerns both of its examples: you compare each example with later ones only.",
            _minibatch_wrong(others=lambda n: n * torch.ones(len(n), len(n), dtype=n.dtype).triu(1)[..., None]),
        ),
        Mistake(
            "axes of T swapped",
            "T is (A, B, C). A `reshape` to (A, C, B) mixes the numbers of different rows: no error, other features.",
            _minibatch_wrong(
                project=lambda h, T: (h @ T.flatten(1)).reshape(len(h), T.shape[2], T.shape[1]).transpose(1, 2)
            ),
        ),
        Mistake(
            "one closeness for all rows",
            "Each of the B rows has a closeness of its own. You sum over B, too.",
            _minibatch_wrong(distance=lambda d: d.abs().sum((2, 3))[..., None].expand(d.shape[:3])),
        ),
        Mistake(
            "closeness alone",
            "The features go on: return h with o behind it.",
            _minibatch_wrong(join=lambda h, o: o),
        ),
        Mistake(
            "closeness first",
            "The features h come first, the closeness after them.",
            _minibatch_wrong(join=lambda h, o: torch.cat([o, h], 1)),
        ),
        Mistake(
            "closeness is detached",
            "No gradient reaches h through the closeness, so that the generator never learns to spread out.",
            _minibatch_wrong(given=lambda h: h.detach()),
        ),
    ),
    alternatives={
        "a mask": _minibatch_masked,
        "rolled batches": _minibatch_rolled,
        "kernel by kernel": _minibatch_by_kernel,
    },
)

# clipped_critic_step


def clipped_critic_step(critic: nn.Module, generator: nn.Module, optimizer, x: Tensor, z: Tensor, c: float) -> float:
    """One update of the critic on data x (N, D) and noise z (M, Z), clipped to [-c, c] -> the estimate W."""
    ### BEGIN SOLUTION
    gap = critic(x).mean() - critic(generator(z).detach()).mean()
    optimizer.zero_grad()
    (-gap).backward()
    optimizer.step()
    with torch.no_grad():
        for weight in critic.parameters():
            weight.clamp_(-c, c)
    return gap.item()
    ### END SOLUTION


def _clipped_by_hand(critic: nn.Module, generator: nn.Module, optimizer: Any, x: Tensor, z: Tensor, c: float) -> float:
    """Example by example; every number of a weight looked at on its own."""
    with torch.no_grad():
        fake = generator(z)
    total = torch.zeros((), dtype=x.dtype)
    for row in x:
        total = total + critic(row[None])[0] / len(x)
    for row in fake:
        total = total - critic(row[None])[0] / len(fake)
    optimizer.zero_grad()
    torch.neg(total).backward()
    optimizer.step()
    for p in critic.parameters():
        p.data.copy_(
            torch.tensor([max(-c, min(c, v)) for v in p.data.flatten().tolist()], dtype=p.dtype).reshape(p.shape)
        )
    return float(total.detach())


def _clipped_two_backwards(
    critic: nn.Module, generator: nn.Module, optimizer: Any, x: Tensor, z: Tensor, c: float
) -> float:
    optimizer.zero_grad(set_to_none=False)
    on_real = critic(x).mean()
    on_real.backward(torch.tensor(-1.0, dtype=x.dtype))
    with torch.no_grad():
        fake = generator(z)
    on_fake = critic(fake).mean()
    on_fake.backward()
    optimizer.step()
    for p in critic.parameters():
        p.data.clamp_(min=-c).clamp_(max=c)
    return on_real.item() - on_fake.item()


def _clipped_one_pass(critic: nn.Module, generator: nn.Module, optimizer: Any, x: Tensor, z: Tensor, c: float) -> float:
    with torch.no_grad():
        batch = torch.cat([x, generator(z)])
    signs = torch.cat([torch.full((len(x),), 1 / len(x)), torch.full((len(z),), -1 / len(z))]).to(x.dtype)
    W = signs @ critic(batch)
    optimizer.zero_grad()
    for p, g in zip(critic.parameters(), torch.autograd.grad(-W, list(critic.parameters()))):
        p.grad = g
    optimizer.step()
    with torch.no_grad():
        for p in critic.parameters():
            p.copy_(torch.minimum(torch.maximum(p, torch.tensor(-c, dtype=p.dtype)), torch.tensor(c, dtype=p.dtype)))
    return W.detach().item()


def _clipped_closure(critic: nn.Module, generator: nn.Module, optimizer: Any, x: Tensor, z: Tensor, c: float) -> float:
    fake = generator(z).detach()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = critic(fake).mean() - critic(x).mean()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    for p in critic.parameters():
        p.data = p.data.clip(-c, c)
    return -loss.item()


def _clip(critic: nn.Module, c: float) -> None:
    for p in critic.parameters():
        p.data.clamp_(-c, c)


def _clip_gradients(critic: nn.Module, c: float) -> None:
    for p in critic.parameters():
        if p.grad is not None:
            p.grad.clamp_(-c, c)


def _clip_lengths(critic: nn.Module, c: float) -> None:
    for p in critic.parameters():
        p.data.mul_(min(1.0, c / float(p.data.norm())))


def _clip_matrices(critic: nn.Module, c: float) -> None:
    for p in critic.parameters():
        if p.dim() > 1:
            p.data.clamp_(-c, c)


def _clip_above(critic: nn.Module, c: float) -> None:
    for p in critic.parameters():
        p.data.clamp_(max=c)


def _clip_to_positive(critic: nn.Module, c: float) -> None:
    for p in critic.parameters():
        p.data.clamp_(0, c)


def _clip_all_tensors(critic: nn.Module, c: float) -> None:
    for tensor in critic.state_dict().values():
        tensor.clamp_(-c, c)


def _clipped_wrong(
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = lambda real, fake: fake.mean() - real.mean(),
    before: Callable[[nn.Module, float], None] | None = None,
    between: Callable[[nn.Module, float], None] | None = None,
    after: Callable[[nn.Module, float], None] | None = _clip,
    zero: bool = True,
    step: bool = True,
    detach: bool = True,
    report: Callable[[Tensor, Tensor], Any] = lambda real, fake: (real.mean() - fake.mean()).item(),
    late: bool = False,
    clip_generator: bool = False,
) -> Callable[..., Any]:
    """The step with one thing changed."""

    def answer(critic: nn.Module, generator: nn.Module, optimizer: Any, x: Tensor, z: Tensor, c: float) -> Any:
        if before:
            before(critic, c)
        fake = generator(z)
        fake = fake.detach() if detach else fake
        real_scores, fake_scores = critic(x), critic(fake)
        if zero:
            optimizer.zero_grad()
        value = report(real_scores, fake_scores)
        loss(real_scores, fake_scores).backward()
        if between:
            between(critic, c)
        if step:
            optimizer.step()
        if after:
            after(critic, c)
        if clip_generator:
            after(generator, c)  # type: ignore[misc]
        return report(critic(x), critic(fake)) if late else value

    return answer


CLIPPED_CRITIC_STEP = Key(
    question=asked.CLIPPED_CRITIC_STEP,
    solution=(clipped_critic_step,),
    reference=_clipped_by_hand,
    source="Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, algorithm 1, lines 5 to 7",
    mistakes=(
        Mistake(
            "descends the estimate",
            "The critic wants the estimate W to be large, and the optimiser descends: differentiate −W.",
            _clipped_wrong(loss=lambda real, fake: real.mean() - fake.mean()),
        ),
        Mistake(
            "a discriminator's loss",
            "That is the cross entropy of a discriminator. A critic's scores are averaged as they are.",
            _clipped_wrong(loss=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean()),
        ),
        Mistake(
            "sums over the batch",
            "Both expectations are means, and the batches differ in size.",
            _clipped_wrong(
                loss=lambda real, fake: fake.sum() - real.sum(), report=lambda r, f: (r.sum() - f.sum()).item()
            ),
        ),
        Mistake(
            "not clipped",
            "The weights are not within [−c, c] afterwards. `p = p.clamp(...)` makes a new tensor and leaves "
            "the weight as it was; "
            "in place it is `p.clamp_(...)`.",
            _clipped_wrong(after=None),
        ),
        Mistake(
            "clips the gradients",
            "The *weights* are clipped, after the step. Clipped gradients bound the step, not the slope.",
            _clipped_wrong(between=_clip_gradients, after=None),
        ),
        Mistake(
            "clips before the step",
            "The step leads out of the bounds again: clip after it.",
            _clipped_wrong(before=_clip, after=None),
        ),
        Mistake(
            "clips the lengths",
            "Each *number* is clipped to [−c, c]. You scale whole tensors down to the length c.",
            _clipped_wrong(after=_clip_lengths),
        ),
        Mistake(
            "matrices only",
            "Biases are parameters, too: clip all of `critic.parameters()`.",
            _clipped_wrong(after=_clip_matrices),
        ),
        Mistake(
            "clipped from above only",
            "There is a lower bound, too: −c.",
            _clipped_wrong(after=_clip_above),
        ),
        Mistake(
            "clipped to [0, c]",
            "The lower bound is −c: weights may be negative.",
            _clipped_wrong(after=_clip_to_positive),
        ),
        Mistake(
            "clips the buffers",
            "`state_dict()` holds buffers, too. Only `parameters()` are weights.",
            _clipped_wrong(after=_clip_all_tensors),
        ),
        Mistake(
            "clips the generator",
            "Only the critic must not be steep. The generator is free.",
            _clipped_wrong(clip_generator=True),
        ),
        Mistake(
            "old gradients kept",
            "A gradient from before is still there and is added: `optimizer.zero_grad()` first.",
            _clipped_wrong(zero=False),
        ),
        Mistake(
            "no update",
            "The gradient is there, `optimizer.step()` is missing.",
            _clipped_wrong(step=False),
        ),
        Mistake(
            "gradient for the generator",
            "The backward pass goes on into the generator. `detach()` what it made.",
            _clipped_wrong(detach=False),
        ),
        Mistake(
            "loss returned",
            "You return what is descended, −W. Asked for is the estimate W.",
            _clipped_wrong(report=lambda r, f: (f.mean() - r.mean()).item()),
        ),
        Mistake(
            "estimate after the update",
            "The estimate is the one before the update, which you have already.",
            _clipped_wrong(late=True),
        ),
        Mistake(
            "estimate with its graph",
            "You return a tensor that keeps the whole graph alive: `.item()`.",
            _clipped_wrong(report=lambda r, f: r.mean() - f.mean()),
        ),
    ),
    alternatives={
        "two backward passes": _clipped_two_backwards,
        "one pass, gradients set by hand": _clipped_one_pass,
        "closure": _clipped_closure,
    },
)

# one_sided_penalty


def one_sided_penalty(critic, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """Mean of max(0, slope - 1)^2 at mixtures of x and fake (N, C, H, W), with weights eps (N,)."""
    ### BEGIN SOLUTION
    share = eps[:, None, None, None]
    mixture = (share * x + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixture).sum(), mixture, create_graph=True)
    steepness = slope.flatten(1).norm(dim=1)
    return (steepness - 1).clamp(min=0).square().mean()
    ### END SOLUTION


def _penalty_by_example(critic: Any, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """One example at a time; the square root is taken only where the slope exceeds 1."""
    total = torch.zeros((), dtype=x.dtype)
    for n in range(len(x)):
        point = (eps[n] * x[n] + (1 - eps[n]) * fake[n]).detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(point[None])[0], point, create_graph=True)
        squared = (slope * slope).sum()
        if float(squared.detach()) > 1:
            total = total + (torch.sqrt(squared) - 1) ** 2 / len(x)
        else:
            total = total + 0 * critic(point[None])[0]
    return total


def _penalty_lerp(critic: Any, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    N = len(x)
    at = torch.lerp(fake.detach(), x.detach(), eps.view(N, 1, 1, 1)).requires_grad_(True)
    scores = critic(at)
    slope = torch.autograd.grad(scores, at, torch.ones_like(scores), create_graph=True, retain_graph=True)[0]
    steep = torch.linalg.vector_norm(slope.reshape(N, -1), dim=-1)
    return torch.relu(steep - 1).pow(2).sum() / N


def _penalty_guarded(critic: Any, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """A square root kept away from 0 by a floor under it."""
    with torch.no_grad():
        at = fake + eps.reshape(-1, 1, 1, 1) * (x - fake)
    at.requires_grad_()
    slope = torch.autograd.grad(critic(at).mean(), at, create_graph=True)[0] * len(at)
    size = slope.pow(2).sum(dim=(1, 2, 3)).clamp(min=1.0).sqrt()
    return F.mse_loss(size, torch.ones_like(size))


def _penalty_selected(critic: Any, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """Only the steep ones are looked at; the others are counted."""
    at = torch.stack([w * a + (1 - w) * b for w, a, b in zip(eps, x, fake.detach())]).requires_grad_()
    (slope,) = torch.autograd.grad(critic(at).sum(), [at], create_graph=True)
    squares = torch.einsum("nchw,nchw->n", slope, slope)
    excess = torch.where(squares > 1, squares, 1.0) ** 0.5 - 1
    return excess @ excess / excess.numel()


def _penalty_wrong(
    *,
    weigh: Callable[[Tensor], Tensor] = lambda eps: eps,
    at: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda w, x, fake: w * x + (1 - w) * fake,
    detach: bool = True,
    graph: bool = True,
    size: Callable[[Tensor], Tensor] = lambda s: s.flatten(1).norm(dim=1),
    penalty: Callable[[Tensor], Tensor] = lambda n: (n - 1).clamp(min=0).square().mean(),
    reduce: Callable[[Tensor], Tensor] = torch.sum,
    backward: bool = False,
) -> Callable[..., Tensor]:
    """The penalty with one thing changed."""

    def answer(critic: Any, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
        point = at(weigh(eps).reshape(-1, 1, 1, 1), x, fake)
        point = point.detach().requires_grad_() if detach or not point.requires_grad else point
        (slope,) = torch.autograd.grad(reduce(critic(point)), point, create_graph=graph)
        value = penalty(size(slope))
        if backward:
            value.backward(retain_graph=True)
        return value

    return answer


def _data_flagged(critic: Any, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    return _penalty_wrong(at=lambda w, x, fake: w * x.requires_grad_() + (1 - w) * fake.detach(), detach=False)(
        critic, x, fake, eps
    )


ONE_SIDED_PENALTY = Key(
    question=asked.ONE_SIDED_PENALTY,
    solution=(one_sided_penalty,),
    reference=_penalty_by_example,
    source="Gulrajani et al. 2017, arXiv:1704.00028, section 4 and algorithm 1; one-sided: Petzka, Fischer and Lukovnikov 2018, "
    "arXiv:1709.08894, equation 8",
    mistakes=(
        Mistake(
            "two-sided",
            "Slopes below 1 are punished, too. One-sided: max(0, slope − 1), then the square.",
            _penalty_wrong(penalty=lambda n: (n - 1).square().mean()),
        ),
        Mistake(
            "nothing to train",
            "The penalty has no path to the critic's weights: it is a number that trains nothing. `create_graph=True`.",
            _penalty_wrong(graph=False),
        ),
        Mistake(
            "one weight for the batch",
            "Each example has a weight of its own: `eps[:, None, None, None]`.",
            _penalty_wrong(weigh=lambda eps: eps[:1].expand(len(eps))),
        ),
        Mistake(
            "weights swapped",
            "`eps` is the share of the data, 1 − eps that of the fakes.",
            _penalty_wrong(weigh=lambda eps: 1 - eps),
        ),
        Mistake(
            "at the data",
            "You take the slope at the data. Take it at the mixtures.",
            _penalty_wrong(at=lambda w, x, fake: x + 0 * fake),
        ),
        Mistake(
            "at the fakes",
            "You take the slope at the fakes. Take it at the mixtures.",
            _penalty_wrong(at=lambda w, x, fake: fake + 0 * x),
        ),
        Mistake(
            "gradient for the generator",
            "The penalty's gradient goes on into the generator. `detach()` the mixture.",
            _penalty_wrong(detach=False),
        ),
        Mistake(
            "data require a gradient",
            "You set `requires_grad` on the data that you were given. Set it on the mixture, detached.",
            _data_flagged,
        ),
        Mistake(
            "one norm for the batch",
            "Each example has a norm of its own: flatten from dimension 1 on.",
            _penalty_wrong(size=lambda s: s.norm()),
        ),
        Mistake(
            "norm over the channels",
            "The norm is that of an example's whole gradient, over C, H and W. `norm(dim=1)` before flattening "
            "gives one per pixel.",
            _penalty_wrong(size=lambda s: s.norm(dim=1)),
        ),
        Mistake(
            "squared slope",
            "1 is taken from the norm, not from its square.",
            _penalty_wrong(size=lambda s: s.square().sum(dim=(1, 2, 3))),
        ),
        Mistake(
            "sum of absolute values",
            "The norm is the Euclidean one.",
            _penalty_wrong(size=lambda s: s.abs().sum(dim=(1, 2, 3))),
        ),
        Mistake(
            "not squared",
            "The excess over 1 is squared.",
            _penalty_wrong(penalty=lambda n: (n - 1).clamp(min=0).mean()),
        ),
        Mistake(
            "mean before the maximum",
            "Flat examples make up for steep ones. Compare each with 1, then take the mean.",
            _penalty_wrong(penalty=lambda n: (n.mean() - 1).clamp(min=0).square()),
        ),
        Mistake(
            "sum over the batch",
            "P is the mean over the examples.",
            _penalty_wrong(penalty=lambda n: (n - 1).clamp(min=0).square().sum()),
        ),
        Mistake(
            "times 10",
            "The factor λ is the caller's business: return P alone.",
            _penalty_wrong(penalty=lambda n: 10 * (n - 1).clamp(min=0).square().mean()),
        ),
        Mistake(
            "slope of the mean score",
            "The gradient of the batch's *mean* score is N times too small for each example. Take the sum.",
            _penalty_wrong(reduce=torch.mean),
        ),
        Mistake(
            "square root of 0",
            "Where the critic is flat, the derivative of a square root at 0 is infinite, and 0 times that is "
            "NaN. Use `norm`, or keep "
            "away from 0.",
            _penalty_wrong(size=lambda s: s.square().sum(dim=(1, 2, 3)).sqrt()),
        ),
        Mistake(
            "calls backward itself",
            "You call `backward` within the function, so that the penalty counts before the caller has asked. Return it.",
            _penalty_wrong(backward=True),
        ),
    ),
    alternatives={
        "lerp and vector norm": _penalty_lerp,
        "square root with a floor": _penalty_guarded,
        "only the steep ones": _penalty_selected,
    },
)
