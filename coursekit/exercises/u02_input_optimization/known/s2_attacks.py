"""Answer keys to section 2, first half: attacks with a bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s2_attacks as asked

Net = Callable[[Tensor], Tensor]
Turn = Callable[[Tensor], Tensor]


def _gradient(net: Net, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of each image's own cross entropy, with nothing else touched."""
    z = x.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(z), y, reduction="sum"), z)[0]


def _gradient_one_by_one(net: Net, x: Tensor, y: Tensor) -> Tensor:
    """The same, image by image, from -log of a fraction of exponentials."""
    rows = []
    for n in range(len(x)):
        z = x[n : n + 1].detach().clone().requires_grad_()
        powers = torch.exp(net(z)[0])
        rows.append(torch.autograd.grad(-torch.log(powers[int(y[n])] / powers.sum()), z)[0])
    return torch.cat(rows)


def _each(values: Tensor) -> Tensor:
    """One number for each image, with the axes of images."""
    return values.reshape(-1, 1, 1, 1)


def _norm(t: Tensor) -> Tensor:
    return _each(t.flatten(1).norm(dim=1))


def _sign_with_a_side(g: Tensor) -> Tensor:
    return torch.where(g >= 0, 1.0, -1.0).to(g.dtype)


# fgsm


def fgsm(net: nn.Module, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    """One signed step away from labels y (N,) with radii eps (N,): images x (N, C, H, W) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    z = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(net(z), y), z)
    return (x.detach() + eps[:, None, None, None] * gradient.sign()).clamp(-1, 1)
    ### END SOLUTION


def _fgsm_by_pixels(net: Net, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    """Pixel by pixel: up by eps where the loss rises with the pixel, down where it falls, else unmoved."""
    gradient, rows = _gradient_one_by_one(net, x, y), []
    for n in range(len(x)):
        moved = []
        for pixel, slope in zip(x[n].flatten().tolist(), gradient[n].flatten().tolist()):
            direction = (slope > 0) - (slope < 0)
            moved.append(min(max(pixel + float(eps[n]) * direction, -1.0), 1.0))
        rows.append(torch.tensor(moved, dtype=x.dtype).reshape(x[n].shape))
    return torch.stack(rows)


def _fgsm_backward(net: Net, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    z = x.detach().clone().requires_grad_()
    F.cross_entropy(net(z), y, reduction="sum").backward(inputs=[z])
    assert z.grad is not None
    step = eps.view(-1, 1, 1, 1).expand_as(x)
    return torch.where(z.grad > 0, x + step, torch.where(z.grad < 0, x - step, x)).clip(-1, 1)


def _fgsm_down(net: Net, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    """Down the log of the true label's probability."""
    z = x.detach().clone().requires_grad_()
    log_p = net(z).log_softmax(1)[torch.arange(len(y)), y]
    (g,) = torch.autograd.grad(log_p.sum(), z)
    return torch.stack([(i - e * s).clamp(-1, 1) for i, e, s in zip(x.detach(), eps, torch.sgn(g))])


def _fgsm_loop(net: Net, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    images = []
    for image, label, radius in zip(x.split(1), y.split(1), eps.tolist()):
        g = _gradient(net, image, label)
        images.append(torch.clamp(image + radius * ((g > 0).to(g.dtype) - (g < 0).to(g.dtype)), min=-1, max=1))
    return torch.cat(images)


def _fgsm_wrong(
    *,
    turn: Turn = torch.sign,
    radius: Callable[[Tensor], Tensor] = _each,
    clip: tuple[float, float] | None = (-1.0, 1.0),
    opinion: bool = False,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda image, x: image,
) -> Callable[..., Tensor]:
    """A fast gradient sign attack with one thing wrong."""

    def answer(net: Net, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
        step = radius(eps) * turn(_gradient(net, x, net(x).argmax(1) if opinion else y))
        image = x + step
        return finish(image if clip is None else image.clamp(*clip), x)

    return answer


def _fill_weights(net: Any, x: Tensor, y: Tensor) -> None:
    F.cross_entropy(net(x.detach()), y).backward()


def _fgsm_fills(net: nn.Module, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    _fill_weights(net, x, y)
    return fgsm(net, x, y, eps)


def _fgsm_flags(net: nn.Module, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    image = fgsm(net, x, y, eps)
    x.requires_grad_()
    return image


FGSM = Key(
    question=asked.FGSM,
    solution=(fgsm,),
    reference=_fgsm_by_pixels,
    source=(
        "Goodfellow, Shlens & Szegedy 2015, Explaining and harnessing adversarial examples, arXiv:1412.6572, section 4"
    ),
    mistakes=(
        Mistake(
            "the slide's step",
            "You move each pixel by eps times its gradient, however small that is. Keep only the gradient's sign.",
            _fgsm_wrong(turn=lambda g: g),
        ),
        Mistake(
            "towards the truth",
            "Minus belongs to a *target's* loss. The true label's loss is to grow: add.",
            _fgsm_wrong(turn=lambda g: -g.sign()),
        ),
        Mistake(
            "no range",
            "Some pixels are outside [-1, 1]. Clamp the image.",
            _fgsm_wrong(clip=None),
        ),
        Mistake(
            "range of other images",
            "You clamp to [0, 1]; images are in [-1, 1] here.",
            _fgsm_wrong(clip=(0.0, 1.0)),
        ),
        Mistake(
            "a radius for each column",
            "`eps` (N,) meets the last axis, the width, and it fits by chance. Give it three axes of length 1: "
            "`eps[:, None, None, None]`.",
            _fgsm_wrong(radius=lambda eps: eps if len(eps) > 1 else _each(eps)),
        ),
        Mistake(
            "one radius for all",
            "Every image of yours moves by the largest radius of the batch.",
            _fgsm_wrong(radius=lambda eps: eps.max()),
        ),
        Mistake(
            "radius doubled",
            "You rescaled `eps` to the range [-1, 1]; it is in those units already.",
            _fgsm_wrong(radius=lambda eps: 2 * _each(eps)),
        ),
        Mistake(
            "a side for zero",
            "A pixel that the network does not look at moves. The sign of 0 is 0: use `torch.sign`.",
            _fgsm_wrong(turn=_sign_with_a_side),
        ),
        Mistake(
            "away from the network's opinion",
            "You attack the predicted class. The task says the true label `y`, which may be another one.",
            _fgsm_wrong(opinion=True),
        ),
        Mistake(
            "a step of Euclidean length eps",
            "You scale the gradient to length eps: its pixels move by different, small amounts. The sign moves all "
            "alike.",
            _fgsm_wrong(turn=lambda g: g / _norm(g)),
        ),
        Mistake(
            "the perturbation alone",
            "You return the change. Return the changed image.",
            _fgsm_wrong(finish=lambda image, x: image - x),
        ),
        Mistake(
            "gradients left in the weights",
            "The image is right, but `backward` filled the weights' `.grad`. Use `torch.autograd.grad`.",
            _fgsm_fills,
        ),
        Mistake(
            "flag left on the image",
            "The image that was handed in requires a gradient now. Work on a copy.",
            _fgsm_flags,
        ),
        Mistake(
            "result holds a graph",
            "The returned image requires a gradient: add the step to `x.detach()`, not to your leaf.",
            _fgsm_wrong(finish=lambda image, x: image.requires_grad_()),
        ),
    ),
    alternatives={
        "up, down or not at all by where": _fgsm_backward,
        "down the log-probability": _fgsm_down,
        "image by image": _fgsm_loop,
    },
)

# pgd


def pgd(net: nn.Module, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
    """Signed steps away from y (N,), projected to radii eps (H, W) around x (N, C, H, W) and to [-1, 1]."""

    ### BEGIN SOLUTION
    def project(z: Tensor) -> Tensor:
        return (x + (z - x).clamp(-eps, eps)).clamp(-1, 1).detach()

    z = project(x + start)
    for _ in range(steps):
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(z), y), z)
        z = project(z + alpha * gradient.sign())
    return z
    ### END SOLUTION


def _pgd_by_pixels(net: Net, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
    """Each pixel on its own: the nearest number in the interval that ball and range have in common."""
    low = [max(p - r, -1.0) for p, r in zip(x.flatten().tolist(), eps.expand_as(x).flatten().tolist())]
    high = [min(p + r, 1.0) for p, r in zip(x.flatten().tolist(), eps.expand_as(x).flatten().tolist())]

    def nearest(z: Tensor) -> Tensor:
        pixels = [min(max(v, a), b) for v, a, b in zip(z.flatten().tolist(), low, high)]
        return torch.tensor(pixels, dtype=x.dtype).reshape(x.shape)

    z = nearest(x + start)
    for _ in range(steps):
        g = _gradient_one_by_one(net, z, y)
        z = nearest(z + alpha * ((g > 0).to(g.dtype) - (g < 0).to(g.dtype)))
    return z


def _pgd_limits(net: Net, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
    low, high = (x - eps).clamp_min(-1), (x + eps).clamp_max(1)
    z = torch.max(torch.min(x + start, high), low)
    for _ in range(steps):
        z = torch.max(torch.min(z + alpha * _gradient(net, z, y).sign(), high), low)
    return z


def _pgd_delta(net: Net, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
    """The perturbation is the variable; range before ball is the same, as both intervals hold the original."""
    radius = eps.expand_as(x)
    delta = ((x + start).clamp(-1, 1) - x).detach().requires_grad_()
    for _ in range(steps):
        delta.grad = None
        F.cross_entropy(net(x + delta), y, reduction="sum").backward(inputs=[delta])
        with torch.no_grad():
            assert delta.grad is not None
            delta += alpha * torch.sgn(delta.grad)
            delta.copy_((x + delta).clamp(-1, 1) - x)
            delta.copy_(delta.minimum(radius).maximum(-radius))
    return (x + delta).detach()


def _pgd_recursive(net: Net, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
    z = torch.clamp(torch.clamp(x + start, x - eps, x + eps), -1.0, 1.0)
    if steps == 0:
        return z
    return _pgd_recursive(net, x, y, z + alpha * _gradient(net, z, y).sign() - x, eps, alpha, steps - 1)


def _pgd_wrong(
    *,
    begin: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, start, eps: x + start,
    turn: Turn = torch.sign,
    ball: str = "original",
    clip: bool = True,
    at: str = "iterate",
    opinion: bool = False,
    project_start: bool = True,
    when: str = "every step",
    finish: Turn = lambda image: image,
    fill: bool = False,
) -> Callable[..., Tensor]:
    """Projected descent with one thing wrong."""

    def answer(net: Net, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
        def project(z: Tensor, centre: Tensor) -> Tensor:
            if ball == "rescaled":
                largest = (z - x).abs().amax((1, 2, 3), keepdim=True)
                z = x + (z - x) * (eps.max() / largest.clamp_min(1e-12)).clamp(max=1)
            elif ball == "largest radius":
                z = x + (z - x).clamp(-eps.max(), eps.max())
            elif ball != "none":
                z = centre + (z - centre).clamp(-eps, eps)
            return z.clamp(-1, 1) if clip else z

        label = net(x).argmax(1) if opinion else y
        z = begin(x, start, eps).detach().clone()
        if project_start:
            z = project(z, x)
        for k in range(steps):
            moved = z + alpha * turn(_gradient(net, x if at == "original" else z, label))
            last = k == steps - 1
            skip = (when == "at the end" and not last) or (when == "not at the end" and last)
            z = moved if skip else project(moved, z if ball == "previous" else x)
        if fill:
            _fill_weights(net, x, y)
        return finish(z)

    return answer


PGD = Key(
    question=asked.PGD,
    solution=(pgd,),
    reference=_pgd_by_pixels,
    source=(
        "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, arXiv:1706.06083, section "
        "2.1; the signed step: Kurakin, Goodfellow & Bengio 2017, arXiv:1607.02533, section 2.2"
    ),
    mistakes=(
        Mistake(
            "start ignored",
            "You begin at the original. The first image is the projection of `x + start`.",
            _pgd_wrong(begin=lambda x, start, eps: x),
        ),
        Mistake(
            "a start of its own",
            "You draw a start yourself. The perturbation to begin with is handed in, so that the result can be "
            "repeated.",
            _pgd_wrong(begin=lambda x, start, eps: x + eps * (2 * torch.rand(x.shape, dtype=x.dtype) - 1)),
        ),
        Mistake(
            "start not projected",
            "`x + start` may have pixels outside [-1, 1]: project it before the first step, too.",
            _pgd_wrong(project_start=False),
        ),
        Mistake(
            "ball around the last image",
            "You bound each step, not the sum of the steps: the ball's centre is the original `x`, always.",
            _pgd_wrong(ball="previous"),
        ),
        Mistake(
            "no ball",
            "The image drifts away from the original: nothing holds it within `eps`.",
            _pgd_wrong(ball="none"),
        ),
        Mistake(
            "one radius for all places",
            "You use the largest radius everywhere. `eps` is a map: places with radius 0 must not change.",
            _pgd_wrong(ball="largest radius"),
        ),
        Mistake(
            "scaled back instead of clamped",
            "You shrink the whole perturbation until its largest pixel fits. The projection moves each pixel on its "
            "own.",
            _pgd_wrong(ball="rescaled"),
        ),
        Mistake(
            "no range",
            "Some pixels are outside [-1, 1]: the projection has two conditions.",
            _pgd_wrong(clip=False),
        ),
        Mistake(
            "projected at the end only",
            "One step is right, six are not: in between, your gradients are taken at images out of bounds. Project "
            "after every step.",
            _pgd_wrong(when="at the end"),
        ),
        Mistake(
            "last step not projected",
            "Your image ends out of bounds: project after the step, not before it.",
            _pgd_wrong(when="not at the end"),
        ),
        Mistake(
            "gradient at the original",
            "Every step of yours uses the gradient at `x`. Take it at the present image.",
            _pgd_wrong(at="original"),
        ),
        Mistake(
            "towards the truth",
            "Your steps lower the loss of the true label. Add the signed gradient.",
            _pgd_wrong(turn=lambda g: -g.sign()),
        ),
        Mistake(
            "plain gradient",
            "You step by alpha times the gradient. The step is alpha times its sign.",
            _pgd_wrong(turn=lambda g: g),
        ),
        Mistake(
            "away from the network's opinion",
            "You attack the predicted class. The task says the true label `y`.",
            _pgd_wrong(opinion=True),
        ),
        Mistake(
            "gradients left in the weights",
            "The image is right, but `backward` filled the weights' `.grad`. Use `torch.autograd.grad`.",
            _pgd_wrong(fill=True),
        ),
        Mistake(
            "result holds a graph",
            "The returned image requires a gradient. Detach it.",
            _pgd_wrong(finish=lambda image: image.requires_grad_()),
        ),
    ),
    alternatives={
        "lower and upper limits": _pgd_limits,
        "the perturbation as the variable, range before ball": _pgd_delta,
        "recursion": _pgd_recursive,
    },
)

# l2_step


def l2_step(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
    """Uphill by alpha, back to distance eps from x, into [-1, 1]: all (N, C, H, W)."""

    ### BEGIN SOLUTION
    def norm(t: Tensor) -> Tensor:
        return t.flatten(1).norm(dim=1)[:, None, None, None]

    size = norm(gradient)
    step = alpha * gradient / torch.where(size > 0, size, 1)
    change = image + step - x
    change = change * (eps / norm(change)).clamp(max=1)
    return (x + change).clamp(-1, 1)
    ### END SOLUTION


def _l2_by_entries(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
    """Image by image, norms as roots of sums of squares."""
    rows = []
    for n in range(len(x)):
        g = gradient[n].flatten().tolist()
        size = math.sqrt(math.fsum(v * v for v in g))
        step = [alpha * v / size if size > 0 else 0.0 for v in g]
        change = [i + s - o for i, s, o in zip(image[n].flatten().tolist(), step, x[n].flatten().tolist())]
        distance = math.sqrt(math.fsum(v * v for v in change))
        if distance > eps:
            change = [v * eps / distance for v in change]
        pixels = [min(max(o + v, -1.0), 1.0) for o, v in zip(x[n].flatten().tolist(), change)]
        rows.append(torch.tensor(pixels, dtype=x.dtype).reshape(x[n].shape))
    return torch.stack(rows)


def _l2_normalize(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
    moved = (image + alpha * F.normalize(gradient.flatten(1), dim=1).view_as(x)).flatten(1)
    change = moved - x.flatten(1)
    return torch.clip(x + torch.renorm(change, 2, 0, eps).view_as(x), -1, 1)


def _l2_loop(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
    out = image.clone()
    for n in range(len(x)):
        if gradient[n].any():
            out[n] += alpha * gradient[n] / torch.linalg.vector_norm(gradient[n])
        far = torch.dist(out[n], x[n])
        if far > eps:
            out[n] = torch.lerp(x[n], out[n], float(eps / far))
    return out.clamp_(-1, 1)


def _l2_nan_to_num(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
    axes = (1, 2, 3)
    unit = torch.nan_to_num(gradient / gradient.square().sum(axes, keepdim=True).sqrt(), nan=0.0)
    change = image - x + alpha * unit
    return (x + change / (change.square().sum(axes, keepdim=True).sqrt() / eps).clamp_min(1)).clamp(-1, 1)


def _l2_wrong(
    *,
    size: Turn = _norm,
    guard: Callable[[Tensor], Tensor] = lambda n: torch.where(n > 0, n, torch.ones_like(n)),
    direction: Callable[[Tensor, Tensor], Tensor] = lambda g, n: g / n,
    pull: Callable[[Tensor, float], Tensor] = lambda d, eps: d * (eps / _norm(d)).clamp(max=1),
    around: str = "original",
    order: str = "ball, range",
) -> Callable[..., Tensor]:
    """A step in the Euclidean ball with one thing wrong."""

    def answer(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
        z = image + alpha * direction(gradient, guard(size(gradient)))
        centre = torch.zeros_like(x) if around == "zero" else x
        if order == "range, ball":
            return centre + pull(z.clamp(-1, 1) - centre, eps)
        z = centre + pull(z - centre, eps)
        return z if order == "ball" else z.clamp(-1, 1)

    return answer


L2_STEP = Key(
    question=asked.L2_STEP,
    solution=(l2_step,),
    reference=_l2_by_entries,
    source=(
        "Madry et al. 2018, arXiv:1706.06083, section 2.1 (projected gradient descent) with the Euclidean ball of "
        "section 5.3; the nearest point of a ball: Boyd & Vandenberghe 2004, Convex Optimization, section 8.1.1"
    ),
    mistakes=(
        Mistake(
            "one norm for the batch",
            "Alone each image is right, together they are not: your norms run over the whole batch. Flatten from axis "
            "1 on.",
            _l2_wrong(size=lambda g: g.norm()),
        ),
        Mistake(
            "one norm for each pixel",
            "Your gradient's norm runs over the channels only, so each pixel moves by `alpha`. One norm for each "
            "image.",
            _l2_wrong(size=lambda g: g.norm(dim=1, keepdim=True)),
        ),
        Mistake(
            "largest entry for a norm",
            "You divide by the largest entry of the gradient. The Euclidean norm is the root of the sum of squares.",
            _l2_wrong(size=lambda g: g.abs().amax((1, 2, 3), keepdim=True)),
        ),
        Mistake(
            "sum of absolute values for a norm",
            "You divide by the sum of absolute values: your step is too short. The Euclidean norm is meant.",
            _l2_wrong(size=lambda g: g.abs().sum((1, 2, 3), keepdim=True)),
        ),
        Mistake(
            "sign of the gradient",
            "The sign belongs to the largest-change ball. Here the step is the gradient, brought to length `alpha`.",
            _l2_wrong(direction=lambda g, n: g.sign()),
        ),
        Mistake(
            "plain gradient",
            "Your step is as long as the gradient happens to be: divide by its norm.",
            _l2_wrong(direction=lambda g, n: g),
        ),
        Mistake(
            "0 / 0",
            "An image without a gradient becomes NaN. Put something else in place of a norm of 0.",
            _l2_wrong(guard=lambda n: n),
        ),
        Mistake(
            "a constant beside the norm",
            "The constant that keeps you from dividing by 0 is larger than small gradients: a gradient of 1e-8 is to "
            "make a full step.",
            _l2_wrong(guard=lambda n: n + 1e-6),
        ),
        Mistake(
            "always on the sphere",
            "You bring every image to distance `eps`, those inside the ball, too. Pull back only what is farther away.",
            _l2_wrong(pull=lambda d, eps: d * (eps / _norm(d))),
        ),
        Mistake(
            "not pulled back",
            "Your image ends farther than `eps` from its original. What counts is the length of the whole change "
            "since `x`, not that of one step, nor that of single pixels.",
            _l2_wrong(pull=lambda d, eps: d),
        ),
        Mistake(
            "ball around black",
            "You bound the length of the image itself. The ball's centre is the original `x`.",
            _l2_wrong(around="zero"),
        ),
        Mistake(
            "no range",
            "Some pixels are outside [-1, 1]: clamp at the end.",
            _l2_wrong(order="ball"),
        ),
        Mistake(
            "range before ball",
            "Both conditions hold, but it is another image: the task says ball first, then range.",
            _l2_wrong(order="range, ball"),
        ),
        Mistake(
            "downhill",
            "The loss is to grow: add the step.",
            _l2_wrong(direction=lambda g, n: -g / n),
        ),
    ),
    alternatives={
        "normalize and renorm": _l2_normalize,
        "image by image, lerp": _l2_loop,
        "NaN replaced": _l2_nan_to_num,
    },
)
