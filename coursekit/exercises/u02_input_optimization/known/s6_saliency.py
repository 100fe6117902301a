"""Answer keys to section 6: saliency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s6_saliency as asked

Activity = Callable[[Tensor], Tensor]

_IMAGE = (1, 2, 3)

# smooth_saliency


def smooth_saliency(net: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    """net (N, C, H, W) -> (N, K), x (N, C, H, W), y (N,), noise (S, N, C, H, W) -> maps (N, H, W)."""
    ### BEGIN SOLUTION
    sigma = level * (x.amax(dim=(1, 2, 3), keepdim=True) - x.amin(dim=(1, 2, 3), keepdim=True))
    total = torch.zeros_like(x)
    for z in noise:
        noisy = (x + sigma * z).detach().requires_grad_()
        (g,) = torch.autograd.grad(net(noisy).gather(1, y[:, None]).sum(), noisy)
        total = total + g
    return (total / len(noise)).abs().amax(dim=1)
    ### END SOLUTION


def _saliency_image_by_image(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    """One image and one copy after the other; the largest of the channels' absolute means, pixel by pixel."""
    S, N, C, H, W = noise.shape
    maps = torch.zeros(N, H, W, dtype=x.dtype)
    for n in range(N):
        pixels = x[n].flatten().tolist()
        sigma = level * (max(pixels) - min(pixels))
        gradients = []
        for s in range(S):
            copy = (x[n : n + 1] + sigma * noise[s, n : n + 1]).detach().clone().requires_grad_()
            net(copy)[0, int(y[n])].backward()
            gradients.append(copy.grad[0])  # type: ignore[index]
        for i in range(H):
            for j in range(W):
                means = [sum(float(g[c, i, j]) for g in gradients) / S for c in range(C)]
                maps[n, i, j] = max(abs(mean) for mean in means)
    return maps


def _saliency_one_batch(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    S, N = noise.shape[:2]
    flat = x.flatten(1)
    sigma = level * (flat.max(1).values - flat.min(1).values).reshape(1, N, 1, 1, 1)
    copies = (x[None] + sigma * noise).flatten(0, 1).detach().requires_grad_()
    logits = net(copies)
    picked = logits[torch.arange(S * N), y.repeat(S)]
    (g,) = torch.autograd.grad(picked.sum(), copies)
    return g.unflatten(0, (S, N)).mean(0).abs().max(dim=1).values


def _saliency_shared_leaf(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    """The gradient of the mean logit is the mean of the gradients."""
    leaf = x.detach().clone().requires_grad_()
    low, high = torch.aminmax(x.detach().flatten(1), dim=1)
    sigma = (level * (high - low))[:, None, None, None]
    onehot = F.one_hot(y, net(x.detach()).shape[1]).to(x.dtype)
    mean = sum((net(leaf + sigma * z) * onehot).sum() for z in noise) / noise.shape[0]
    mean.backward()
    return torch.linalg.vector_norm(leaf.grad, ord=float("inf"), dim=1)  # type: ignore[arg-type]


def _saliency_accumulated(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    maps = []
    for n in range(len(x)):
        leaf = x[n : n + 1].detach().clone().requires_grad_()
        spread = level * (leaf.max() - leaf.min()).item()
        for z in noise[:, n : n + 1]:
            net(leaf + spread * z)[:, y[n]].sum().div(len(noise)).backward()  # gradients add up in leaf.grad
        maps.append(leaf.grad[0].abs().amax(0))  # type: ignore[index]
    return torch.stack(maps)


def _range(x: Tensor) -> Tensor:
    return x.amax(_IMAGE, keepdim=True) - x.amin(_IMAGE, keepdim=True)


def _saliency_wrong(
    net: Activity,
    x: Tensor,
    y: Tensor,
    noise: Tensor,
    level: float,
    *,
    spread: Callable[[Tensor], Tensor] = _range,
    score: Callable[[Tensor, Tensor], Tensor] = lambda logits, y: logits.gather(1, y[:, None])[:, 0],
    gather: Callable[[Tensor], Tensor] = lambda g: g.mean(0).abs().amax(1),
    drift: bool = False,
) -> Tensor:
    """SmoothGrad with one part of it wrong; `gather` takes the gradients (S, N, C, H, W)."""
    gradients, start = [], x.detach()
    for z in noise:
        noisy = (start + level * spread(x) * z).detach().requires_grad_()
        (g,) = torch.autograd.grad(score(net(noisy), y).sum(), noisy)
        gradients.append(g)
        if drift:
            start = noisy.detach()
    return gather(torch.stack(gradients))


def _saliency_at_the_mean(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    leaf = (x + level * _range(x) * noise).mean(0).detach().requires_grad_()
    (g,) = torch.autograd.grad(net(leaf).gather(1, y[:, None]).sum(), leaf)
    return g.abs().amax(1)


def _saliency_top_class(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    return _saliency_wrong(net, x, net(x).argmax(1), noise, level)


def _saliency_with_graph(net: Activity, x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    gradients = []
    for z in noise:
        noisy = (x + level * _range(x) * z).detach().requires_grad_()
        logits = net(noisy).gather(1, y[:, None]).sum()
        gradients.append(torch.autograd.grad(logits, noisy, create_graph=True)[0])
    return torch.stack(gradients).mean(0).abs().amax(1)


SMOOTH_SALIENCY = Key(
    question=asked.SMOOTH_SALIENCY,
    solution=(smooth_saliency,),
    reference=_saliency_image_by_image,
    source=(
        "Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, arXiv:1706.03825, section 3; maximum over channels: "
        "Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034, section 3.1"
    ),
    mistakes=(
        Mistake(
            "absolute value before the mean",
            "Absolute values cannot cancel, so the flicker stays: average the signed gradients, then take the absolute value.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.abs().mean(0).amax(1)),
        ),
        Mistake(
            "map of each copy averaged",
            "You average finished maps. Average the gradients; absolute value and maximum come last, once.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.abs().amax(2).mean(0)),
        ),
        Mistake(
            "squares averaged",
            "The mean of squares is another method (and grows with the noise): average the signed gradients.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.square().mean(0).amax(1)),
        ),
        Mistake(
            "no absolute value",
            "Evidence against a class counts, too: take the absolute value before the maximum over channels.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.mean(0).amax(1)),
        ),
        Mistake(
            "absolute value of the maximum",
            "The channel with the largest *absolute* mean counts: absolute value first, maximum after.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.mean(0).amax(1).abs()),
        ),
        Mistake(
            "sum over the channels",
            "The map is the maximum over the channels, not their sum.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.mean(0).abs().sum(1)),
        ),
        Mistake(
            "channels kept",
            "A map is (N, H, W): take the maximum over the channels.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.mean(0).abs()),
        ),
        Mistake(
            "sum over the copies",
            "Divide by the number of copies.",
            lambda *a: _saliency_wrong(*a, gather=lambda g: g.sum(0).abs().amax(1)),
        ),
        Mistake(
            "noise not scaled by the image's range",
            "`level` is a share of the image's range: multiply it by maximum minus minimum.",
            lambda *a: _saliency_wrong(*a, spread=lambda x: torch.ones_like(x[:, :1, :1, :1])),
        ),
        Mistake(
            "range of the whole batch",
            "Each image has its own range: maximum and minimum over axes 1, 2 and 3.",
            lambda *a: _saliency_wrong(*a, spread=lambda x: x.max() - x.min()),
        ),
        Mistake(
            "range of each channel",
            "Maximum and minimum run over the channels, too: one sigma for each image.",
            lambda *a: _saliency_wrong(
                *a, spread=lambda x: x.amax((2, 3), keepdim=True) - x.amin((2, 3), keepdim=True)
            ),
        ),
        Mistake(
            "standard deviation instead of the range",
            "sigma is `level` times (maximum − minimum) of the image.",
            lambda *a: _saliency_wrong(*a, spread=lambda x: x.std(_IMAGE, keepdim=True)),
        ),
        Mistake(
            "noise piles up",
            "Every copy starts from the clean image; yours adds its noise to the copy before.",
            lambda *a: _saliency_wrong(*a, drift=True),
        ),
        Mistake(
            "gradient at the mean of the copies",
            "Averaging the images cancels the noise before the network sees it: average the gradients.",
            _saliency_at_the_mean,
        ),
        Mistake(
            "gradient of the probability",
            "Differentiate the logit: the softmax mixes in the other classes and saturates.",
            lambda *a: _saliency_wrong(*a, score=lambda logits, y: logits.softmax(1).gather(1, y[:, None])[:, 0]),
        ),
        Mistake(
            "gradient of the loss",
            "Differentiate the logit of class y, not the cross entropy.",
            lambda *a: _saliency_wrong(*a, score=lambda logits, y: F.cross_entropy(logits, y, reduction="none")),
        ),
        Mistake(
            "class that the network prefers",
            "The map is asked for class `y[n]`, whatever the network thinks of it.",
            _saliency_top_class,
        ),
        Mistake(
            "all logits at once",
            "You differentiate the sum of all logits: pick `y[n]` of each row.",
            lambda *a: _saliency_wrong(*a, score=lambda logits, y: logits),
        ),
        Mistake(
            "maps carry a graph",
            "The values are right, but the maps require a gradient: leave out `create_graph`.",
            _saliency_with_graph,
        ),
    ),
    alternatives={
        "all copies in one batch": _saliency_one_batch,
        "gradient of the mean logit": _saliency_shared_leaf,
        "gradients added up in leaf.grad": _saliency_accumulated,
    },
)


# guided_relu


def guided_relu(a: Tensor) -> Tensor:
    """max(0, a) of any shape; back through it goes the gradient where a and the gradient itself are positive."""
    ### BEGIN SOLUTION
    out = torch.relu(a)
    if out.requires_grad:
        out.register_hook(lambda grad: grad.clamp(min=0))
    return out
    ### END SOLUTION


class _ByEntries(torch.autograd.Function):
    """Both passes entry by entry."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.inputs = a.flatten().tolist()
        return a.new_tensor([entry if entry > 0 else 0.0 for entry in ctx.inputs]).reshape(a.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        pairs = zip(ctx.inputs, grad.flatten().tolist())
        return grad.new_tensor([g if a > 0 and g > 0 else 0.0 for a, g in pairs]).reshape(grad.shape)


def _guided_by_entries(a: Tensor) -> Tensor:
    """The rule as it is read aloud."""
    return _ByEntries.apply(a)


class _Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        return a.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (a,) = ctx.saved_tensors
        return grad * (a > 0) * (grad > 0)


def _guided_function(a: Tensor) -> Tensor:
    return _Guided.apply(a)


def _guided_input_hook(a: Tensor) -> Tensor:
    copy = a.view_as(a)
    if copy.requires_grad:
        copy.register_hook(lambda grad: torch.where(grad > 0, grad, torch.zeros_like(grad)))
    return torch.relu(copy)


class _ClampGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return F.relu(grad)


def _guided_two_stages(a: Tensor) -> Tensor:
    return _ClampGradient.apply(F.relu(a))


def _rectifier(rule: Callable[[Tensor, Tensor], Tensor], value: Callable[[Tensor], Tensor] = torch.relu) -> Any:
    """A function with this value whose backward pass returns rule(gradient, a)."""

    def answer(a: Tensor) -> Tensor:
        if not a.requires_grad:
            return value(a)
        inner, held = a.view_as(a), a.detach()
        inner.register_hook(lambda grad: rule(grad, held))
        # The value, with a slope of 1 towards `inner`: what arrives at the hook is the gradient of the output.
        return value(held) + (inner - inner.detach())

    return answer


GUIDED_RELU = Key(
    question=asked.GUIDED_RELU,
    solution=(guided_relu,),
    reference=_guided_by_entries,
    source="Springenberg et al. 2015, Striving for simplicity: the all convolutional net, arXiv:1412.6806, section 3.4, figure 1",
    mistakes=(
        Mistake(
            "plain rectifier",
            "Negative gradients still pass. They have to be cut off on the way back.",
            torch.relu,
        ),
        Mistake(
            "deconvolution rule",
            "You look at the gradient's sign only (Zeiler and Fergus 2014). It must be stopped where `a` was not positive, too.",
            _rectifier(lambda grad, a: grad.clamp(min=0)),
        ),
        Mistake(
            "straight through",
            "The gradient passes untouched: keep it only where `a` and the gradient are positive.",
            _rectifier(lambda grad, a: grad),
        ),
        Mistake(
            "negative gradients kept",
            "You keep what inhibits and cut off what excites: the gradient must be positive.",
            _rectifier(lambda grad, a: grad.clamp(max=0) * (a > 0)),
        ),
        Mistake(
            "mask the wrong way round",
            "The gradient passes where `a` was positive; you let it pass where the rectifier was off.",
            _rectifier(lambda grad, a: grad.clamp(min=0) * (a <= 0)),
        ),
        Mistake(
            "absolute value of the gradient",
            "Negative gradients are to vanish, not to change their sign.",
            _rectifier(lambda grad, a: grad.abs() * (a > 0)),
        ),
        Mistake(
            "mask instead of gradient",
            "You send on 1 where both are positive: multiply the arriving gradient by the masks.",
            _rectifier(lambda grad, a: ((a > 0) & (grad > 0)).to(grad.dtype)),
        ),
        Mistake(
            "multiplied by the activation",
            "The mask is 1 where `a` is positive, not `a` itself.",
            _rectifier(lambda grad, a: grad.clamp(min=0) * a.clamp(min=0)),
        ),
        Mistake(
            "gradient limited to 1",
            "A positive gradient passes in full: limit it from below only.",
            _rectifier(lambda grad, a: grad.clamp(0, 1) * (a > 0)),
        ),
        Mistake(
            "passes where either is positive",
            "Both conditions must hold: `a` positive *and* the gradient positive.",
            _rectifier(lambda grad, a: grad * ((a > 0) | (grad > 0))),
        ),
        Mistake(
            "forward pass not rectified",
            "The gradient is right, but the values are those of `a`: return max(0, a).",
            _rectifier(lambda grad, a: grad.clamp(min=0) * (a > 0), value=lambda a: a.clone()),
        ),
        Mistake(
            "leaky forward pass",
            "Negative inputs become exactly 0.",
            _rectifier(lambda grad, a: grad.clamp(min=0) * (a > 0), value=F.leaky_relu),
        ),
        Mistake(
            "graph cut",
            "No gradient comes back at all: do not detach, and do not compute under `no_grad`.",
            lambda a: torch.relu(a.detach()),
        ),
    ),
    alternatives={
        "autograd.Function": _guided_function,
        "hook on a copy of the input": _guided_input_hook,
        "rectifier, then a clamp of the gradient": _guided_two_stages,
    },
)
