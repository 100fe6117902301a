"""Answer keys to section 1: the image is the variable."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s1_inputs as asked

Net = Callable[[Tensor], Tensor]
Score = Callable[[Tensor, Tensor], Tensor]
"""From logits (N, K) and classes (N,) to one number each (N,)."""


def _log_p(a: Tensor, y: Tensor) -> Tensor:
    return a.log_softmax(1).gather(1, y[:, None])[:, 0]


def _p(a: Tensor, y: Tensor) -> Tensor:
    return a.softmax(1).gather(1, y[:, None])[:, 0]


def _logit(a: Tensor, y: Tensor) -> Tensor:
    return a.gather(1, y[:, None])[:, 0]


def _others(a: Tensor, y: Tensor) -> Tensor:
    return a.scatter(1, y[:, None], -math.inf)


def _gradient(net: Net, x: Tensor, y: Tensor, score: Score, *, mean: bool = False) -> Tensor:
    """The gradient of each image's score (N, C, H, W), with nothing else touched; `mean` divides it by N."""
    z = x.detach().clone().requires_grad_()
    scores = score(net(z), y)
    return torch.autograd.grad(scores.mean() if mean else scores.sum(), z)[0]


# What an answer can do to a borrowed network and image, whatever it returns.


def _backward_through_weights(net: Any, x: Tensor, y: Tensor) -> None:
    F.cross_entropy(net(x.detach()), y, reduction="sum").backward()


def _clear_gradients(net: nn.Module, x: Tensor, y: Tensor) -> None:
    net.zero_grad()


def _freeze(net: nn.Module, x: Tensor, y: Tensor) -> None:
    net.requires_grad_(False)


def _unfreeze_all(net: nn.Module, x: Tensor, y: Tensor) -> None:
    net.requires_grad_(True)


def _eval_mode(net: nn.Module, x: Tensor, y: Tensor) -> None:
    net.eval()


def _flag_image(net: nn.Module, x: Tensor, y: Tensor) -> None:
    x.requires_grad_()


def _harm(effect: Callable[..., None], answer: Callable[..., Any]) -> Callable[..., Any]:
    """A right answer with a side effect on its first three arguments."""

    def harmful(net: Any, x: Tensor, y: Any, *rest: Any) -> Any:
        result = answer(net, x, y, *rest)
        effect(net, x, y)
        return result

    return harmful


# input_gradient


def input_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of each image's own loss: images x (N, C, H, W), labels y (N,) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    z = x.detach().clone().requires_grad_()
    loss = F.cross_entropy(net(z), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, z)
    return gradient
    ### END SOLUTION


def _gradient_by_logits(net: Net, x: Tensor, y: Tensor) -> Tensor:
    """Image by image: the gradient of -log p_y is the sum over classes of (p_k - [k = y]) times that of a_k."""
    rows = []
    for n in range(len(x)):
        z = x[n : n + 1].detach().clone().requires_grad_()
        a = net(z)[0]
        total = torch.zeros_like(x[n : n + 1])
        p = torch.exp(a.detach()) / torch.exp(a.detach()).sum()
        for k in range(len(a)):
            (slope,) = torch.autograd.grad(a[k], z, retain_graph=True)
            total = total + (p[k] - float(k == int(y[n]))) * slope
        rows.append(total)
    return torch.cat(rows)


def _gradient_backward(net: Net, x: Tensor, y: Tensor) -> Tensor:
    z = x.detach().clone().requires_grad_()
    F.nll_loss(net(z).log_softmax(1), y, reduction="none").sum().backward(inputs=[z])
    assert z.grad is not None
    return z.grad


def _gradient_frozen(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    flags = [p.requires_grad for p in net.parameters()]
    net.requires_grad_(False)
    z = torch.empty_like(x, requires_grad=False).copy_(x.detach()).requires_grad_()
    (-_log_p(net(z), y)).sum().backward()
    for p, flag in zip(net.parameters(), flags):
        p.requires_grad_(flag)
    assert z.grad is not None
    return z.grad


def _gradient_functional(net: Net, x: Tensor, y: Tensor) -> Tensor:
    def losses(z: Tensor) -> Tensor:
        return F.cross_entropy(net(z), y, reduction="none")

    return torch.autograd.functional.vjp(losses, x.detach(), torch.ones(len(x), dtype=x.dtype))[1]


def _gradient_in_place(net: Net, x: Tensor, y: Tensor) -> Tensor:
    """The first thing that one writes: everything is asked for its gradient, the caller's image too."""
    x.requires_grad_()
    F.cross_entropy(net(x), y, reduction="sum").backward()
    assert x.grad is not None
    return x.grad


def _gradient_with_graph(net: Net, x: Tensor, y: Tensor) -> Tensor:
    z = x.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(z), y, reduction="sum"), z, create_graph=True)[0]


INPUT_GRADIENT = Key(
    question=asked.INPUT_GRADIENT,
    solution=(input_gradient,),
    reference=_gradient_by_logits,
    source=(
        "Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034, section 3; the softmax's gradient: Bishop 2006, Pattern "
        "Recognition and Machine Learning, eq. 4.109"
    ),
    mistakes=(
        Mistake(
            "mean over the batch",
            "Your gradient shrinks when the batch grows: each image is divided by N. Sum the losses "
            "(`reduction='sum'`).",
            lambda net, x, y: _gradient(net, x, y, lambda a, y: -_log_p(a, y), mean=True),
        ),
        Mistake(
            "gradient of the logit",
            "You differentiate the class score itself. The loss is -log softmax: other classes and the sign matter.",
            lambda net, x, y: _gradient(net, x, y, _logit),
        ),
        Mistake(
            "gradient of log p, not of the loss",
            "The sign is turned: the loss is minus log p.",
            lambda net, x, y: _gradient(net, x, y, _log_p),
        ),
        Mistake(
            "softmax taken twice",
            "`F.cross_entropy` takes logits and applies the softmax itself.",
            lambda net, x, y: _gradient(net, x, y, lambda a, y: -_log_p(a.softmax(1), y)),
        ),
        Mistake(
            "the network's own opinion for a label",
            "You take the loss of the predicted class. The labels are in `y`.",
            lambda net, x, y: _gradient(net, x, y, lambda a, y: -_log_p(a, a.argmax(1))),
        ),
        Mistake(
            "absolute value",
            "That is a saliency map. Keep the sign: it says which way to move a pixel.",
            lambda net, x, y: _gradient(net, x, y, lambda a, y: -_log_p(a, y)).abs(),
        ),
        Mistake(
            "gradients left in the weights",
            "The values are right, but `backward` wrote into the weights' `.grad`. `torch.autograd.grad(loss, z)` asks "
            "for one gradient and writes none.",
            _harm(_backward_through_weights, input_gradient),
        ),
        Mistake(
            "gradients of the weights cleared",
            "You tidied up with `zero_grad`, and threw away a gradient that somebody still needs. Leave `.grad` alone.",
            _harm(_clear_gradients, input_gradient),
        ),
        Mistake(
            "weights left frozen",
            "After your function no weight can be trained any more: put the `requires_grad` flags back, or leave them "
            "alone.",
            _harm(_freeze, input_gradient),
        ),
        Mistake(
            "frozen weights thawed",
            "One weight was frozen before and is not now. Put back each flag as it was, or better, touch none.",
            _harm(_unfreeze_all, input_gradient),
        ),
        Mistake(
            "mode switched",
            "You leave the network in eval mode: nobody asked for that.",
            _harm(_eval_mode, input_gradient),
        ),
        Mistake(
            "flag left on the image",
            "The image that was handed in requires a gradient now. Make a leaf of your own: `x.detach().clone()`.",
            _harm(_flag_image, input_gradient),
        ),
        Mistake(
            "backward on everything",
            "`x.requires_grad_()` and `loss.backward()` leave traces in the image and in every weight, and add to what "
            "was in `.grad` before. Work on a copy of `x`, with `torch.autograd.grad`.",
            _gradient_in_place,
        ),
        Mistake(
            "result holds a graph",
            "With `create_graph=True` the gradient drags the whole network's graph along. Leave it out, or detach.",
            _gradient_with_graph,
        ),
    ),
    alternatives={
        "backward into the copy only": _gradient_backward,
        "flags frozen and put back": _gradient_frozen,
        "vector-Jacobian product": _gradient_functional,
    },
)

# targeted_attack


def targeted_attack(net: nn.Module, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """Plain gradient steps towards target (N,) from images x: the images (N, C, H, W) and their p (N,)."""
    ### BEGIN SOLUTION
    z = x.detach().clone()
    for _ in range(steps):
        z.requires_grad_()
        loss = F.cross_entropy(net(z), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, z)
        z = (z.detach() - lr * gradient).clamp(-1, 1)
    with torch.no_grad():
        p = net(z).softmax(dim=1).gather(1, target[:, None]).squeeze(1)
    return z, p
    ### END SOLUTION


def _targeted_one_by_one(net: Net, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """Each image on its own, pixels through Python's min and max, the gradient from the reference above."""
    images, probabilities = [], []
    for n in range(len(x)):
        z, t = x[n : n + 1].detach().clone(), target[n : n + 1]
        for _ in range(steps):
            moved = z - lr * _gradient_by_logits(net, z, t)
            z = torch.tensor([min(max(v, -1.0), 1.0) for v in moved.flatten().tolist()], dtype=x.dtype).reshape(z.shape)
        with torch.no_grad():
            powers = torch.exp(net(z)[0])
        images.append(z)
        probabilities.append(powers[int(t)] / powers.sum())
    return torch.cat(images), torch.stack(probabilities)


def _targeted_by_data(net: Net, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    z = x.detach().clone().requires_grad_()
    for _ in range(steps):
        z.grad = None
        _log_p(net(z), target).sum().backward(inputs=[z])
        assert z.grad is not None
        z.data.add_(z.grad, alpha=lr).clamp_(-1, 1)
    p = torch.softmax(net(z).detach(), 1)[torch.arange(len(x)), target]
    return z.detach(), p


def _targeted_recursive(net: Net, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    if steps == 0:
        with torch.no_grad():
            return x.detach().clone(), (-F.cross_entropy(net(x), target, reduction="none")).exp()
    g = _gradient_functional(net, x, target)
    return _targeted_recursive(net, torch.clip(x.detach() - lr * g, -1.0, 1.0), target, steps - 1, lr)


def _targeted_by_list(net: Net, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    z = x.detach()
    one_hot = F.one_hot(target, net(z).shape[1]).to(x.dtype)
    for _ in range(steps):
        leaf = z.clone().requires_grad_()
        slope = torch.autograd.grad((net(leaf).log_softmax(1) * one_hot).sum(), [leaf])[0]
        z = torch.minimum(torch.maximum(z + lr * slope, -torch.ones_like(z)), torch.ones_like(z))
    return z.clone(), (net(z).softmax(1) * one_hot).sum(1).detach()


def _targeted_wrong(
    *,
    score: Score = _log_p,
    mean: bool = False,
    turn: Callable[[Tensor], Tensor] = lambda g: g,
    clip: tuple[float, float] | None = (-1.0, 1.0),
    clip_last: bool = False,
    pile_up: bool = False,
    report: str = "right",
    graph: bool = False,
) -> Callable[..., Any]:
    """A targeted attack with one thing wrong."""

    def answer(net: Net, x: Tensor, target: Tensor, steps: int, lr: float) -> Any:
        z, total = x.detach().clone(), torch.zeros_like(x)
        for k in range(steps):
            before = z
            g = turn(_gradient(net, z, target, score, mean=mean))
            total = total + g if pile_up else g
            z = z + lr * total
            if clip and (not clip_last or k == steps - 1):
                z = z.clamp(*clip)
        with torch.no_grad():
            a = net(before if report == "before" else z)
        p = a.softmax(1).max(1).values if report == "winner" else a.log_softmax(1) if report == "all" else _p(a, target)
        return (z.requires_grad_() if graph else z), p[:, 0] if report == "all" else p

    return answer


def _targeted_clips_whole_run(net: Net, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """Writes into the caller's image."""
    z, p = targeted_attack(net, x, target, steps, lr)  # type: ignore[arg-type]
    with torch.no_grad():
        x.copy_(z)
    return x, p


def _targeted_trains(net: nn.Module, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """w <- w - lr dL/dw: the slide before."""
    weights = [w for w in net.parameters() if w.requires_grad]
    for _ in range(steps):
        grads = torch.autograd.grad(F.cross_entropy(net(x), target, reduction="sum"), weights)
        with torch.no_grad():
            for w, g in zip(weights, grads):
                w -= lr * g
    return x.clone(), _p(net(x), target).detach()


TARGETED_ATTACK = Key(
    question=asked.TARGETED_ATTACK,
    solution=(targeted_attack,),
    reference=_targeted_one_by_one,
    source=(
        "Szegedy et al. 2014, Intriguing properties of neural networks, section 4.1 (target label, pixels in a box), "
        "with the plain gradient step of Kurakin, Goodfellow & Bengio 2017, Adversarial examples in the physical "
        "world, section 2.3, without its sign"
    ),
    mistakes=(
        Mistake(
            "away from the target",
            "Your steps lower the target's probability. The loss of the *target* is to fall: subtract its gradient.",
            _targeted_wrong(turn=torch.neg),
        ),
        Mistake(
            "away from the present opinion",
            "You climb the loss of the class that the network sees now. That leads away from one class, not towards "
            "`target`.",
            _targeted_wrong(score=lambda a, t: -_log_p(a, a.argmax(1))),
        ),
        Mistake(
            "mean over the batch",
            "Each image's step is N times too short: the loss is a sum over the images.",
            _targeted_wrong(mean=True),
        ),
        Mistake(
            "sign of the gradient",
            "That is the fast gradient sign method. Here the step is the plain gradient.",
            _targeted_wrong(turn=torch.sign),
        ),
        Mistake(
            "normalised gradient",
            "You divide by the gradient's length. Here the step is the plain gradient times `lr`.",
            _targeted_wrong(turn=lambda g: g / g.flatten(1).norm(dim=1)[:, None, None, None]),
        ),
        Mistake(
            "no range",
            "Some pixels are outside [-1, 1]: no image has such pixels. Clamp after every step.",
            _targeted_wrong(clip=None),
        ),
        Mistake(
            "range of other images",
            "You clamp to [0, 1]; images are in [-1, 1] here.",
            _targeted_wrong(clip=(0.0, 1.0)),
        ),
        Mistake(
            "range only at the end",
            "One step is right, five are not: in between, your gradients are taken at pictures that do not exist. "
            "Clamp after every step.",
            _targeted_wrong(clip_last=True),
        ),
        Mistake(
            "gradients pile up",
            "One step is right, five are not: `.grad` is added to, so each step repeats the earlier ones. Start every "
            "step from a fresh leaf, or clear it.",
            _targeted_wrong(pile_up=True),
        ),
        Mistake(
            "probability of the picture before",
            "The image is right; p belongs to the one before the last step. Look once more after the loop.",
            _targeted_wrong(report="before"),
        ),
        Mistake(
            "probability of the winner",
            "The image is right; p is that of the most likely class. Pick the target's column.",
            _targeted_wrong(report="winner"),
        ),
        Mistake(
            "a logarithm for a probability",
            "You return column 0 of the log-softmax. p is the softmax in the target's column.",
            _targeted_wrong(report="all"),
        ),
        Mistake(
            "weights trained instead",
            "That is the slide before: the weights moved, the image did not.",
            _targeted_trains,
        ),
        Mistake(
            "caller's image overwritten",
            "The image that was handed in is attacked, too: `x` itself was written to. Begin with a copy.",
            _targeted_clips_whole_run,
        ),
        Mistake(
            "gradients left in the weights",
            "Image and p are right, but `backward` filled the weights' `.grad`. Use `torch.autograd.grad(loss, z)`.",
            _harm(_backward_through_weights, targeted_attack),
        ),
        Mistake(
            "weights left frozen",
            "The network's weights have lost their `requires_grad`.",
            _harm(_freeze, targeted_attack),
        ),
        Mistake(
            "image still a leaf",
            "The returned image requires a gradient. Detach it.",
            _targeted_wrong(graph=True),
        ),
    ),
    alternatives={
        "one leaf, its data written": _targeted_by_data,
        "recursion": _targeted_recursive,
        "one-hot target, minimum and maximum": _targeted_by_list,
    },
)

# log_odds_gradient


def log_odds_gradient(net: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """The gradient of log(p / (1 - p)) of target (N,) for images x (N, C, H, W) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    z = x.detach().clone().requires_grad_()
    a = net(z)
    others = a.scatter(1, target[:, None], -math.inf)
    odds = a.gather(1, target[:, None]).squeeze(1) - others.logsumexp(dim=1)
    return torch.autograd.grad(odds.sum(), z)[0]
    ### END SOLUTION


def _odds_by_logits(net: Net, x: Tensor, target: Tensor) -> Tensor:
    """Image by image: the target's slope minus those of the others, each weighted by its share among the others."""
    rows = []
    for n in range(len(x)):
        z, t = x[n : n + 1].detach().clone().requires_grad_(), int(target[n])
        a = net(z)[0]
        slopes = [torch.autograd.grad(a[k], z, retain_graph=True)[0] for k in range(len(a))]
        rest = [k for k in range(len(a)) if k != t]
        powers = {k: torch.exp(a[k].detach() - max(float(a[j].detach()) for j in rest)) for k in rest}
        total = slopes[t]
        for k in rest:
            total = total - powers[k] / sum(powers.values()) * slopes[k]
        rows.append(total)
    return torch.cat(rows)


def _odds_pushed(net: Net, x: Tensor, target: Tensor) -> Tensor:
    """The gradient at the logits by hand, pushed back through the network."""
    z = x.detach().clone().requires_grad_()
    a = net(z)
    at_logits = F.one_hot(target, a.shape[1]).to(a.dtype) - _others(a.detach(), target).softmax(1)
    return torch.autograd.grad(a, z, grad_outputs=at_logits)[0]


def _odds_cut_out(net: Net, x: Tensor, target: Tensor) -> Tensor:
    z = x.detach().clone().requires_grad_()
    total = torch.zeros((), dtype=x.dtype)
    for row, t in zip(net(z), target.tolist()):
        total = total + row[t] - torch.cat([row[:t], row[t + 1 :]]).logsumexp(0)
    total.backward(inputs=[z])
    assert z.grad is not None
    return z.grad


def _odds_shares(net: Net, x: Tensor, target: Tensor) -> Tensor:
    """Minus the log of the sum of exp(a_k - a_t) over the others, with the largest difference taken out."""
    z = x.detach().clone().requires_grad_()
    a = net(z)
    keep = torch.arange(a.shape[1])[None] != target[:, None]
    gaps = (a - a.gather(1, target[:, None]))[keep].reshape(len(x), -1)
    top = gaps.detach().max(1, keepdim=True).values
    odds = -((gaps - top).exp().sum(1).log() + top[:, 0])
    return torch.autograd.grad(odds.sum(), z)[0]


def _odds_wrong(score: Score, *, mean: bool = False) -> Callable[..., Tensor]:
    return lambda net, x, target: _gradient(net, x, target, score, mean=mean)


def _odds(a: Tensor, t: Tensor) -> Tensor:
    return _logit(a, t) - _others(a, t).logsumexp(1)


LOG_ODDS_GRADIENT = Key(
    question=asked.LOG_ODDS_GRADIENT,
    solution=(log_odds_gradient,),
    reference=_odds_by_logits,
    source=(
        "p / (1 - p) = exp(a_t) / sum over k != t of exp(a_k), from the softmax (Bishop 2006, Pattern Recognition and "
        "Machine Learning, eq. 4.104); ascent of p: Nguyen, Yosinski & Clune 2015, arXiv:1412.1897, figure 13"
    ),
    mistakes=(
        Mistake(
            "the softmax itself",
            "The slide taken literally: the gradient of p is 0 wherever p is 0 or 1. Differentiate the log-odds.",
            _odds_wrong(_p),
        ),
        Mistake(
            "the log-loss",
            "The gradient of log p is right where p is small and fades as p nears 1: its factor is 1 − p. The "
            "log-odds have none.",
            _odds_wrong(_log_p),
        ),
        Mistake(
            "log-odds by way of p",
            "Right in the middle, and NaN or infinite at both ends: log(p / (1 − p)) cannot be had from a p that is 0 "
            "or 1. Use logits.",
            _odds_wrong(lambda a, t: torch.log(_p(a, t) / (1 - _p(a, t)))),
        ),
        Mistake(
            "p kept away from 0 and 1",
            "A clamp (or a small constant) removes the NaN together with the gradient: at both ends nothing moves. "
            "Use logits.",
            _odds_wrong(lambda a, t: torch.logit(_p(a, t), eps=1e-6)),
        ),
        Mistake(
            "the target's logit alone",
            "The other classes are missing: the logit may rise while theirs rise faster.",
            _odds_wrong(_logit),
        ),
        Mistake(
            "margin to the best other class",
            "The sum over the other classes is a logsumexp, not a maximum.",
            _odds_wrong(lambda a, t: _logit(a, t) - _others(a, t).max(1).values),
        ),
        Mistake(
            "margin to the mean of the others",
            "Every other class weighs the same with you. In the log-odds it weighs by its share, a logsumexp.",
            _odds_wrong(lambda a, t: _logit(a, t) - (a.sum(1) - _logit(a, t)) / (a.shape[1] - 1)),
        ),
        Mistake(
            "downhill",
            "The sign is turned: the log-odds of the target are to rise along your result.",
            _odds_wrong(lambda a, t: -_odds(a, t)),
        ),
        Mistake(
            "mean over the batch",
            "Each image's gradient is divided by N: sum the log-odds, or go image by image.",
            _odds_wrong(_odds, mean=True),
        ),
        Mistake(
            "gradients left in the weights",
            "The values are right, but `backward` filled the weights' `.grad`. Use `torch.autograd.grad`.",
            _harm(_backward_through_weights, log_odds_gradient),
        ),
        Mistake(
            "flag left on the image",
            "The image that was handed in requires a gradient now. Work on a copy of it.",
            _harm(_flag_image, log_odds_gradient),
        ),
    ),
    alternatives={
        "gradient at the logits by hand": _odds_pushed,
        "target's column cut out": _odds_cut_out,
        "differences to the target": _odds_shares,
    },
)

# fooling_image


def fooling_image(
    net: nn.Module, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int
) -> tuple[Tensor, int]:
    """From mean + noise (C, H, W) until the network is confident: the image (C, H, W) and the number of steps."""
    ### BEGIN SOLUTION
    z = (mean + noise).detach()
    for taken in range(steps):
        z.requires_grad_()
        log_p = net(z[None]).log_softmax(dim=1)[0, target]
        if log_p >= math.log(confidence):
            return z.detach(), taken
        (gradient,) = torch.autograd.grad(log_p, z)
        z = z.detach() + length * gradient / gradient.norm()
    return z, steps
    ### END SOLUTION


def _fooling_plain(
    net: Net, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int
) -> tuple[Tensor, int]:
    """Look, then step; p as a fraction of exponentials, the gradient from the first exercise's reference."""
    z, taken = mean + noise, 0
    while taken < steps:
        powers = torch.exp(net(z[None])[0].detach())
        if float(powers[target] / powers.sum()) >= confidence:
            break
        g = _gradient_by_logits(net, z[None], torch.tensor([target]))[0]
        z = z - length * g / math.sqrt(sum(v * v for v in g.flatten().tolist()))
        taken += 1
    return z, taken


def _fooling_batch(
    net: Net, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int
) -> tuple[Tensor, int]:
    z, t = (mean + noise).unsqueeze(0), torch.tensor([target])
    for taken in range(steps + 1):
        with torch.no_grad():
            sure = net(z).softmax(1)[0, target].item() >= confidence
        if sure or taken == steps:
            return z[0], taken
        z = z - length * F.normalize(_gradient_functional(net, z, t).flatten(), dim=0).view_as(z)
    raise AssertionError("the loop returns")


def _fooling_recursive(
    net: Net, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int
) -> tuple[Tensor, int]:
    z = (mean + noise).detach().requires_grad_()
    loss = F.cross_entropy(net(z.unsqueeze(0)), torch.tensor([target]))
    if steps == 0 or torch.exp(-loss) >= confidence:
        return z.detach(), 0
    (g,) = torch.autograd.grad(loss, z)
    moved = -length * g / torch.linalg.vector_norm(g)
    image, taken = _fooling_recursive(net, z.detach(), moved, target, length, confidence, steps - 1)
    return image, taken + 1


def _fooling_leaf(
    net: Net, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int
) -> tuple[Tensor, int]:
    z = nn.Parameter(mean.clone() + noise)
    taken = 0
    while taken < steps and _p(net(z[None]), torch.tensor([target])).item() < confidence:
        z.grad = None
        _p(net(z[None]), torch.tensor([target])).sum().backward(inputs=[z])  # p and log p rise in the same direction
        with torch.no_grad():
            assert z.grad is not None
            z += length / z.grad.square().sum().sqrt() * z.grad
        taken += 1
    return z.data, taken


def _fooling_wrong(
    *,
    start: Callable[[Tensor, Tensor], Tensor] = torch.add,
    score: Score = _log_p,
    scale: Callable[[Tensor], Tensor] = lambda g: g / g.norm(),
    done: Callable[[Tensor, int, float], bool] = lambda p, t, c: bool(p[t] >= c),
    look_first: bool = True,
    one_more: bool = False,
    limit: bool = True,
    count: int = 0,
    clip: bool = False,
) -> Callable[..., Any]:
    """A fooling image with one thing wrong."""

    def answer(net: Net, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int) -> Any:
        z, taken = start(mean, noise).detach().clone(), 0
        t = torch.tensor([target])
        while taken < (steps if limit else 50):
            sure = done(net(z[None])[0].softmax(0).detach(), target, confidence)
            if sure and (look_first or taken > 0):
                if one_more:
                    z = z + length * scale(_gradient(net, z[None], t, score)[0])
                break
            z = z + length * scale(_gradient(net, z[None], t, score)[0])
            z = z.clamp(-1, 1) if clip else z
            taken += 1
        return z, taken + count

    return answer


def _fooling_writes(net: nn.Module, mean: Tensor, noise: Tensor, *rest: Any) -> Any:
    image, taken = fooling_image(net, mean, noise, *rest)
    mean += noise
    return image, taken


FOOLING_IMAGE = Key(
    question=asked.FOOLING_IMAGE,
    solution=(fooling_image,),
    reference=_fooling_plain,
    source="Nguyen, Yosinski & Clune 2015, Deep neural networks are easily fooled, arXiv:1412.1897, figure 13",
    mistakes=(
        Mistake(
            "no noise",
            "Every run of yours starts at the mean and ends at the same image. Start at `mean + noise`.",
            _fooling_wrong(start=lambda mean, noise: mean),
        ),
        Mistake(
            "noise without the mean",
            "You start at the noise. The start is the sum of `mean` and `noise`.",
            _fooling_wrong(start=lambda mean, noise: noise),
        ),
        Mistake(
            "plain gradient",
            "Your steps get shorter and shorter as p nears 1: divide the gradient by its norm, so that each has "
            "length `length`.",
            _fooling_wrong(scale=lambda g: g),
        ),
        Mistake(
            "sign of the gradient",
            "You move every pixel by the same amount. Here the step is the gradient, scaled to length `length`.",
            _fooling_wrong(scale=torch.sign),
        ),
        Mistake(
            "scaled by its largest entry",
            "The norm is the Euclidean one, the root of the sum of squares, not the largest entry.",
            _fooling_wrong(scale=lambda g: g / g.abs().max()),
        ),
        Mistake(
            "ascends the logit",
            "The target's logit is not its probability: the others may rise as well. Descend −log p.",
            _fooling_wrong(score=_logit),
        ),
        Mistake(
            "away from the target",
            "The target's probability falls with every step: the sign is turned.",
            _fooling_wrong(score=lambda a, t: -_log_p(a, t)),
        ),
        Mistake(
            "stops when the class wins",
            "You stop as soon as `target` is the most likely class. Go on until p reaches `confidence`.",
            _fooling_wrong(done=lambda p, t, c: int(p.argmax()) == t),
        ),
        Mistake(
            "never looks",
            "You make all the steps that are allowed. Stop where p reaches `confidence`.",
            _fooling_wrong(done=lambda p, t, c: False),
        ),
        Mistake(
            "steps before it looks",
            "Where p suffices at once no step is to be made. Test first, then step.",
            _fooling_wrong(look_first=False),
        ),
        Mistake(
            "one step too many",
            "The count is right, but you move the image once more after p sufficed: test, and return before the "
            "update.",
            _fooling_wrong(one_more=True),
        ),
        Mistake(
            "count from one",
            "The image is right, the count is one too high: no step counts as 0.",
            _fooling_wrong(count=1),
        ),
        Mistake(
            "no limit",
            "`steps` is the most that may be made, however unsure the network still is.",
            _fooling_wrong(limit=False),
        ),
        Mistake(
            "pixels clipped",
            "You clamp the pixels. The task does not.",
            _fooling_wrong(clip=True),
        ),
        Mistake(
            "mean overwritten",
            "`mean += noise` writes into the caller's image: the next start would have the old noise in it.",
            _fooling_writes,
        ),
        Mistake(
            "gradients left in the weights",
            "The image is right, but `backward` filled the weights' `.grad`. Use `torch.autograd.grad`.",
            _harm(
                lambda net, mean, noise: _backward_through_weights(net, mean[None], torch.tensor([0])), fooling_image
            ),
        ),
    ),
    alternatives={
        "batch of one": _fooling_batch,
        "recursion": _fooling_recursive,
        "a parameter that ascends p itself": _fooling_leaf,
    },
)
