"""Answer keys to section 5, second half: targets, labels, and a bound on the slope of each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s5_targets as asked

# least_squares_game


def least_squares_losses(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> tuple[Tensor, Tensor]:
    """D's and G's loss for scores real (N,), fake (M,) and the targets a (fakes), b (data), c (what G wants)."""
    ### BEGIN SOLUTION
    for_d = ((real - b).square().mean() + (fake - a).square().mean()) / 2
    for_g = (fake - c).square().mean() / 2
    return for_d, for_g
    ### END SOLUTION


def best_score(p_data: Tensor, p_g: Tensor, a: float, b: float) -> Tensor:
    """The score (K,) that minimises D's loss where the densities are p_data and p_g (K,)."""
    ### BEGIN SOLUTION
    return (b * p_data + a * p_g) / (p_data + p_g)
    ### END SOLUTION


Losses = tuple[Tensor, Tensor]


def _losses_by_score(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> Losses:
    """Score by score."""
    d_loss = sum((s - b) ** 2 for s in real) / len(real) / 2 + sum((s - a) ** 2 for s in fake) / len(fake) / 2
    g_loss = sum((s - c) ** 2 for s in fake) / len(fake) / 2
    return d_loss, g_loss  # type: ignore[return-value]


def _best_by_newton(p_data: Tensor, p_g: Tensor, a: float, b: float) -> Tensor:
    """One Newton step from 0, which is exact for a parabola."""
    slope = p_data * (0.0 - b) + p_g * (0.0 - a)
    curvature = p_data + p_g
    return 0.0 - slope / curvature


def _losses_torch(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> Losses:
    towards = lambda scores, target: 0.5 * F.mse_loss(scores, torch.full_like(scores, target))
    return towards(real, b) + towards(fake, a), towards(fake, c)


def _best_as_mixture(p_data: Tensor, p_g: Tensor, a: float, b: float) -> Tensor:
    return a + (b - a) * p_data / (p_data + p_g)


def _losses_moments(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> Losses:
    """Mean square = variance + squared distance of the mean from the target."""
    spread = lambda s: (s - s.mean()).pow(2).mean()
    about = lambda s, t: 0.5 * (spread(s) + (s.mean() - t) ** 2)
    return about(real, b) + about(fake, a), about(fake, c)


def _best_by_lerp(p_data: Tensor, p_g: Tensor, a: float, b: float) -> Tensor:
    share = torch.nan_to_num(p_g / p_data, posinf=torch.inf)  # odds
    weight = torch.where(share.isinf(), torch.zeros_like(share), 1 / (1 + share))
    return torch.lerp(torch.full_like(weight, a), torch.full_like(weight, b), weight)


def _losses_norms(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> Losses:
    of = lambda s, t: torch.dot(s - t, s - t) / (2 * s.numel())
    return of(real, b).add(of(fake, a)), of(fake, c)


def _best_stacked(p_data: Tensor, p_g: Tensor, a: float, b: float) -> Tensor:
    densities = torch.stack([p_data, p_g])
    return torch.tensor([b, a], dtype=p_data.dtype) @ (densities / densities.sum(0))


def _least_squares_wrong(
    *,
    prepare: Callable[[Tensor], Tensor] = lambda s: s,
    targets: Callable[[float, float, float], tuple[float, float, float]] = lambda a, b, c: (a, b, c),
    error: Callable[[Tensor], Tensor] = lambda e: e.square().mean(),
    d: Callable[[Tensor, Tensor], Tensor] = lambda real, fake: (real + fake) / 2,
    g: Callable[..., Tensor] = lambda error, real, fake, a, b, c: error(fake - c) / 2,
    order: Callable[[Losses], Losses] = lambda pair: pair,
    best: Callable[..., Tensor] = _best_as_mixture,
) -> dict[str, object]:
    """Both functions with one thing changed."""

    def losses(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> Losses:
        a, b, c = targets(a, b, c)
        real, fake = prepare(real), prepare(fake)
        return order((d(error(real - b), error(fake - a)), g(error, real, fake, a, b, c)))

    return {"least_squares_losses": losses, "best_score": best}


LEAST_SQUARES_GAME = Key(
    question=asked.LEAST_SQUARES_GAME,
    solution=(least_squares_losses, best_score),
    reference={"least_squares_losses": _losses_by_score, "best_score": _best_by_newton},
    source="Mao et al. 2017, arXiv:1611.04076, equations 2, 5 and 9",
    mistakes=(
        Mistake(
            "the slide's value for both",
            "G descends what D descends, and so drives D(G(z)) to D's target for fakes: it learns to be recognised. G has a "
            "target of its own, c.",
            _least_squares_wrong(g=lambda error, real, fake, a, b, c: (error(real - b) + error(fake - a)) / 2),
        ),
        Mistake(
            "G aims at D's target for fakes",
            "G's target is c, what it wants D to say; a is what D wants to say of fakes.",
            _least_squares_wrong(g=lambda error, real, fake, a, b, c: error(fake - a) / 2),
        ),
        Mistake(
            "G ascends D's loss",
            "Away from a parabola's bottom there is no stopping: the scores run off to infinity. G descends a distance to c.",
            _least_squares_wrong(g=lambda error, real, fake, a, b, c: -error(fake - a) / 2),
        ),
        Mistake(
            "G aims at the target of data",
            "G's target is c. It often equals b, but need not.",
            _least_squares_wrong(g=lambda error, real, fake, a, b, c: error(fake - b) / 2),
        ),
        Mistake(
            "targets 0 and 1",
            "The targets are arguments: a for fakes, b for data, c for G. Yours are fixed.",
            _least_squares_wrong(targets=lambda a, b, c: (0.0, 1.0, 1.0)),
        ),
        Mistake(
            "targets of D swapped",
            "b is the target of data and a that of fakes. Yours are the other way round.",
            _least_squares_wrong(targets=lambda a, b, c: (b, a, c)),
        ),
        Mistake(
            "half missing",
            "Both losses have a factor of one half in front of each mean.",
            _least_squares_wrong(
                d=lambda real, fake: real + fake, g=lambda error, real, fake, a, b, c: error(fake - c)
            ),
        ),
        Mistake(
            "half missing for G",
            "G's loss has a factor of one half, too.",
            _least_squares_wrong(g=lambda error, real, fake, a, b, c: error(fake - c)),
        ),
        Mistake(
            "a quarter",
            "Each mean has a factor of one half. Averaging the two terms and halving again makes a quarter.",
            _least_squares_wrong(d=lambda real, fake: (real + fake) / 4),
        ),
        Mistake(
            "sigmoid before the squares",
            "Scores are compared with their targets as they are: a sigmoid would bring the saturation back.",
            _least_squares_wrong(prepare=torch.sigmoid),
        ),
        Mistake(
            "sums over the batch",
            "Expectations are means. The batches differ in size.",
            _least_squares_wrong(error=lambda e: e.square().sum()),
        ),
        Mistake(
            "absolute errors",
            "Least *squares*: the error is squared.",
            _least_squares_wrong(error=lambda e: e.abs().mean()),
        ),
        Mistake(
            "square of the mean",
            "Square each score's error, then take the mean. The mean's own error can be 0 while every score is wrong.",
            _least_squares_wrong(error=lambda e: e.mean().square()),
        ),
        Mistake(
            "losses swapped",
            "D's loss comes first.",
            _least_squares_wrong(order=lambda pair: (pair[1], pair[0])),
        ),
        Mistake(
            "D's probability as best score",
            "That is the best D of the logarithmic game. Here it is a mean of the targets b and a, weighted by "
            "the densities.",
            _least_squares_wrong(best=lambda p_data, p_g, a, b: p_data / (p_data + p_g)),
        ),
        Mistake(
            "best score of the other side",
            "Where there are only data, the best score is b. Yours is a there.",
            _least_squares_wrong(best=lambda p_data, p_g, a, b: (a * p_data + b * p_g) / (p_data + p_g)),
        ),
        Mistake(
            "best score not divided",
            "A weighted mean is divided by the sum of its weights, which is not 1 here.",
            _least_squares_wrong(best=lambda p_data, p_g, a, b: b * p_data + a * p_g),
        ),
    ),
    alternatives={
        "torch's mse_loss": {"least_squares_losses": _losses_torch, "best_score": _best_as_mixture},
        "variance and mean": {"least_squares_losses": _losses_moments, "best_score": _best_by_lerp},
        "dot products": {"least_squares_losses": _losses_norms, "best_score": _best_stacked},
    },
)

# labelled_discriminator


def labelled_d_loss(real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of logits real (N, K+1) with labels (N,), plus that of fake (M, K+1) with the class K."""
    ### BEGIN SOLUTION
    imitation = fake.new_full((len(fake),), fake.shape[1] - 1, dtype=torch.int64)
    return F.cross_entropy(real, labels) + F.cross_entropy(fake, imitation)
    ### END SOLUTION


def realness(logits: Tensor) -> Tensor:
    """The logit (N,) of P(real), from logits (N, K+1) of which the last is that of "fake"."""
    ### BEGIN SOLUTION
    return logits[:, :-1].logsumexp(dim=1) - logits[:, -1]
    ### END SOLUTION


def _log_sum(row: Tensor) -> Tensor:
    """log of the sum of exponentials, with the largest in front."""
    top = row.max().detach()
    return top + torch.log(sum(torch.exp(v - top) for v in row))  # type: ignore[arg-type]


def _labelled_by_row(real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
    """Row by row, -log of the softmax."""
    total = sum(_log_sum(row) - row[int(y)] for row, y in zip(real, labels)) / len(real)
    return total + sum(_log_sum(row) - row[-1] for row in fake) / len(fake)  # type: ignore[no-any-return]


def _realness_by_row(logits: Tensor) -> Tensor:
    return torch.stack([_log_sum(row[:-1]) - row[-1] for row in logits])


def _labelled_log_softmax(real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
    right = real.log_softmax(1).gather(1, labels[:, None]).mean()
    return -(right + fake.log_softmax(1)[:, -1].mean())


def _realness_of_differences(logits: Tensor) -> Tensor:
    return torch.logsumexp(logits[:, :-1] - logits[:, -1:], 1)


def _labelled_factored(real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
    """Real or fake first, then which class: the two decisions' losses add up."""
    which = F.cross_entropy(real[:, :-1], labels)
    return (
        F.softplus(-_realness_of_differences(real)).mean() + which + F.softplus(_realness_of_differences(fake)).mean()
    )


def _realness_log_softmax(logits: Tensor) -> Tensor:
    logs = F.log_softmax(logits, dim=-1)
    return torch.logsumexp(logs[..., :-1], -1) - logs[..., -1]


def _labelled_joined(real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
    """One batch with a weight for each example."""
    K = real.shape[1] - 1
    y = torch.cat([labels, torch.full((len(fake),), K)])
    losses = F.nll_loss(F.log_softmax(torch.cat([real, fake]), 1), y, reduction="none")
    return losses[: len(real)].mean() + losses[len(real) :].mean()


def _realness_accumulated(logits: Tensor) -> Tensor:
    total = logits[:, 0]
    for k in range(1, logits.shape[1] - 1):
        total = torch.logaddexp(total, logits[:, k])
    return total - logits[:, -1]


def _labelled_wrong(
    *,
    terms: Callable[[Tensor, Tensor], Tensor] = lambda real, fake: real.mean() + fake.mean(),
    on_real: Callable[[Tensor, Tensor], Tensor] = lambda real, y: F.cross_entropy(real, y, reduction="none"),
    on_fake: Callable[[Tensor], Tensor] = lambda fake: fake.logsumexp(1) - fake[:, -1],
    read: Callable[[Tensor], Tensor] = _realness_of_differences,
) -> dict[str, object]:
    """Both functions with one thing changed."""
    return {
        "labelled_d_loss": lambda real, labels, fake: terms(on_real(real, labels), on_fake(fake)),
        "realness": read,
    }


def _naive_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return -torch.softmax(logits, 1).gather(1, y[:, None])[:, 0].log()


LABELLED_DISCRIMINATOR = Key(
    question=asked.LABELLED_DISCRIMINATOR,
    solution=(labelled_d_loss, realness),
    reference={"labelled_d_loss": _labelled_by_row, "realness": _realness_by_row},
    source="Salimans et al. 2016, arXiv:1606.03498, section 5",
    mistakes=(
        Mistake(
            "fake is the first class",
            "The logit of “fake” is the last one, with index K. Index 0 is the first class of the data.",
            _labelled_wrong(on_fake=lambda f: f.logsumexp(1) - f[:, 0], read=lambda a: a[:, 1:].logsumexp(1) - a[:, 0]),
        ),
        Mistake(
            "labels moved by one",
            "Labels are used as they come, 0 to K − 1: “fake” is behind them, not in front.",
            _labelled_wrong(on_real=lambda real, y: F.cross_entropy(real, y + 1, reduction="none")),
        ),
        Mistake(
            "mean over all examples",
            "Each sum has a mean of its own. One mean over both batches lets the larger one weigh more.",
            _labelled_wrong(terms=lambda real, fake: torch.cat([real, fake]).mean()),
        ),
        Mistake(
            "half of the loss",
            "The two means are added, not averaged.",
            _labelled_wrong(terms=lambda real, fake: (real.mean() + fake.mean()) / 2),
        ),
        Mistake(
            "sums over the batch",
            "Both terms are means.",
            _labelled_wrong(terms=lambda real, fake: real.sum() + fake.sum()),
        ),
        Mistake(
            "classes only",
            "The softmax of data runs over K + 1 logits: it must also learn that they are not fake.",
            _labelled_wrong(on_real=lambda real, y: F.cross_entropy(real[:, :-1], y, reduction="none")),
        ),
        Mistake(
            "real or fake only",
            "The labels are not used: your loss for data only says that they are real.",
            _labelled_wrong(on_real=lambda real, y: F.softplus(-_realness_of_differences(real))),
        ),
        Mistake(
            "fakes missing",
            "There is no term for fakes.",
            _labelled_wrong(terms=lambda real, fake: real.mean()),
        ),
        Mistake(
            "fakes taught to be real",
            "D's loss for fakes is −log p(fake). Yours is what G wants.",
            _labelled_wrong(on_fake=lambda f: F.softplus(-_realness_of_differences(f))),
        ),
        Mistake(
            "a second softmax",
            "`F.cross_entropy` takes logits and has its softmax within.",
            _labelled_wrong(
                on_real=lambda real, y: F.cross_entropy(real.softmax(1), y, reduction="none"),
                on_fake=lambda f: f.softmax(1).logsumexp(1) - f.softmax(1)[:, -1],
            ),
        ),
        Mistake(
            "largest class against fake",
            "P(real) is the *sum* over the classes, not the largest of them: `logsumexp`, not `max`.",
            _labelled_wrong(read=lambda a: a[:, :-1].amax(1) - a[:, -1]),
        ),
        Mistake(
            "sum of the logits",
            "Probabilities add up, logits do not: a sum of exponentials is a `logsumexp`.",
            _labelled_wrong(read=lambda a: a[:, :-1].sum(1) - a[:, -1]),
        ),
        Mistake(
            "mean over the classes",
            "The probability of being real is the sum over the classes. A mean is too small by ln K.",
            _labelled_wrong(read=lambda a: a[:, :-1].exp().mean(1).log() - a[:, -1]),
        ),
        Mistake(
            "fake in its own counterpart",
            "The sum runs over the K classes of data, without “fake”.",
            _labelled_wrong(read=lambda a: a.logsumexp(1) - a[:, -1]),
        ),
        Mistake(
            "logit of being fake",
            "The sign: r is large where an example is surely real.",
            _labelled_wrong(read=lambda a: a[:, -1] - a[:, :-1].logsumexp(1)),
        ),
        Mistake(
            "probability, not its logit",
            "You return P(real), from 0 to 1. Asked for is its logit.",
            _labelled_wrong(read=lambda a: torch.sigmoid(_realness_of_differences(a))),
        ),
        Mistake(
            "realness by way of probabilities",
            "1 − p(fake) rounds to 0 or to 1, and the logarithm is infinite. In the ratio the softmax's denominator cancels.",
            _labelled_wrong(read=lambda a: torch.log((1 - a.softmax(1)[:, -1]) / a.softmax(1)[:, -1])),
        ),
        Mistake(
            "loss by way of probabilities",
            "The softmax rounds to 0, and its logarithm is infinite. `F.cross_entropy` takes the logits themselves.",
            _labelled_wrong(
                on_real=_naive_cross_entropy,
                on_fake=lambda f: _naive_cross_entropy(f, torch.full((len(f),), f.shape[1] - 1)),
            ),
        ),
    ),
    alternatives={
        "log softmax": {"labelled_d_loss": _labelled_log_softmax, "realness": _realness_log_softmax},
        "two decisions": {"labelled_d_loss": _labelled_factored, "realness": _realness_of_differences},
        "one batch, accumulated": {"labelled_d_loss": _labelled_joined, "realness": _realness_accumulated},
    },
)

# spectral_weight


def spectral_weight(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """W (O, ...) over its largest singular value, estimated by one power iteration from u (O,) -> W_bar, the new u."""
    ### BEGIN SOLUTION
    matrix = W.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    stretch = u @ matrix @ v
    return W / stretch, u
    ### END SOLUTION


def _spectral_by_rows(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Sum by sum, with numbers in place of vectors where nothing is to be differentiated."""
    rows = W.reshape(len(W), -1)
    A = rows.detach().double()
    v = sum(A[o] * u[o].double() for o in range(len(A)))
    v = v / (v * v).sum().sqrt()  # type: ignore[operator, union-attr]
    w = torch.stack([(row * v).sum() for row in A])
    w = w / (w * w).sum().sqrt()
    v, w = v.to(W.dtype), w.to(W.dtype)
    sigma = sum(w[o] * (rows[o] * v).sum() for o in range(len(rows)))
    return W / sigma, w


def _spectral_outer(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """sigma as the inner product of W with the constant matrix u v^T."""
    A = W.detach().reshape(W.shape[0], -1)
    v = torch.mv(A.t(), u)
    v /= torch.linalg.vector_norm(v)
    new = torch.mv(A, v)
    new /= torch.linalg.vector_norm(new)
    direction = torch.outer(new, v).reshape(W.shape)
    return W / (W * direction).sum(), new


def _spectral_detached(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    A = W.view(W.size(0), -1)
    v = (u[None] @ A)[0]
    v = (v / v.norm()).detach()
    Av = A @ v
    new = (Av / Av.norm()).detach()
    return W * torch.dot(new, Av).reciprocal(), new


class _Divided(torch.autograd.Function):
    """W / sigma with equation 12 of the paper as its gradient."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, sigma: Tensor, direction: Tensor) -> Tensor:
        ctx.save_for_backward(W / sigma, sigma, direction)
        return W / sigma

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        W_bar, sigma, direction = ctx.saved_tensors
        return (grad - (grad * W_bar).sum() * direction) / sigma, None, None


def _spectral_by_formula(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        A = W.flatten(1)
        v = A.T @ u / (A.T @ u).norm()
        sigma = (A @ v).norm()
        new = A @ v / sigma
        direction = torch.einsum("o,i->oi", new, v).view_as(W)
    return _Divided.apply(W, sigma, direction), new  # type: ignore[no-untyped-call]


def _spectral_wrong(
    *,
    matrix: Callable[[Tensor], Tensor] = lambda W: W.flatten(1),
    constants: bool = True,
    sigma: Callable[..., Tensor] = lambda A, u_old, u, v: u @ A @ v,
    divide: Callable[[Tensor, Tensor], Tensor] = lambda W, s: W / s,
    new: Callable[..., Tensor] = lambda u_old, u, v: u,
    iterations: int = 1,
    unit: bool = True,
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The iteration with one thing changed."""

    def answer(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        A, old = matrix(W), u
        fixed = A.detach() if constants else A
        for _ in range(iterations):
            v = F.normalize(fixed.T @ u, dim=0)
            u = F.normalize(fixed @ v, dim=0) if unit else fixed @ v
        return divide(W, sigma(A, old, u, v)), new(old, u, v)

    return answer


SPECTRAL_WEIGHT = Key(
    question=asked.SPECTRAL_WEIGHT,
    solution=(spectral_weight,),
    reference=_spectral_by_rows,
    source="Miyato et al. 2018, arXiv:1802.05957, algorithm 1 and equations 9 to 12",
    mistakes=(
        Mistake(
            "sigma without a gradient",
            "σ depends on W, and the gradient must know it: otherwise training scales W up without effect. Only "
            "u' and v are constants.",
            _spectral_wrong(sigma=lambda A, old, u, v: (u @ A @ v).detach()),
        ),
        Mistake(
            "gradient through the iteration",
            "u' and v count as constants: the iteration belongs under `torch.no_grad()`, σ outside of it.",
            _spectral_wrong(constants=False, new=lambda old, u, v: u.detach()),
        ),
        Mistake(
            "new u with its graph",
            "The new u is kept for the next step. With its graph, all steps so far would be kept, too.",
            _spectral_wrong(new=lambda old, u, v: u.requires_grad_()),
        ),
        Mistake(
            "u not renewed",
            "You return the old u: every step starts from the same place and never comes closer.",
            _spectral_wrong(new=lambda old, u, v: old),
        ),
        Mistake(
            "v in place of u",
            "You return v. The state of the iteration is u', of length O.",
            _spectral_wrong(new=lambda old, u, v: v),
        ),
        Mistake(
            "sigma with the old u",
            "σ is taken with the *new* u, which knows W better.",
            _spectral_wrong(sigma=lambda A, old, u, v: old @ A @ v),
        ),
        Mistake(
            "u without unit length",
            "u' is divided by its length; otherwise σ comes out squared, and u' grows from step to step.",
            _spectral_wrong(unit=False),
        ),
        Mistake(
            "Frobenius norm",
            "That is the root of the sum of all squared singular values. σ is the largest one.",
            _spectral_wrong(sigma=lambda A, old, u, v: A.norm()),
        ),
        Mistake(
            "exact singular value",
            "An exact decomposition in every step is dear, and asked for is one iteration from the given u.",
            _spectral_wrong(sigma=lambda A, old, u, v: torch.linalg.matrix_norm(A, 2)),
        ),
        Mistake(
            "two iterations",
            "One iteration for each call: v, then u'.",
            _spectral_wrong(iterations=2),
        ),
        Mistake(
            "only where sigma exceeds 1",
            "W is divided by σ whether that makes it smaller or larger.",
            _spectral_wrong(divide=lambda W, s: W / s.clamp(min=1)),
        ),
        Mistake(
            "root of sigma",
            "W is divided by σ itself.",
            _spectral_wrong(divide=lambda W, s: W / s.sqrt()),
        ),
        Mistake(
            "rows mixed up",
            "A kernel (O, I, h, w) is a matrix of O rows: `W.flatten(1)`. Another `reshape` to O rows takes "
            "other numbers into a row.",
            _spectral_wrong(matrix=lambda W: W.transpose(0, -1).reshape(len(W), -1) if W.dim() > 2 else W),
        ),
        Mistake(
            "a matrix returned for a kernel",
            "The normalised weight has the shape of `W`.",
            _spectral_wrong(divide=lambda W, s: W.flatten(1) / s),
        ),
    ),
    alternatives={
        "inner product with u v^T": _spectral_outer,
        "detached vectors": _spectral_detached,
        "gradient by formula": _spectral_by_formula,
    },
)
