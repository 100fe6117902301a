"""Answer keys to section 6: generators that grow, and generators that are styled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u05_dcgan.asked import s6_larger as asked

# faded_logits


def faded_logits(x: Tensor, alpha: float, from_small, from_large, block, rest) -> Tensor:
    """Pictures (N, C, H, W) -> logits (N,) of a discriminator whose newest layers count by alpha."""
    ### BEGIN SOLUTION
    old_way = from_small(F.avg_pool2d(x, 2))
    new_way = block(from_large(x))
    return rest(alpha * new_way + (1 - alpha) * old_way)
    ### END SOLUTION


def _four_pixels(x: Tensor) -> Tensor:
    """The mean of each 2 x 2 pixels, written out."""
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def _faded_by_formula(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    large = block(from_large(x))
    small = from_small(_four_pixels(x))
    mixed = torch.zeros_like(small)
    for m in range(small.shape[1]):
        mixed[:, m] = alpha * large[:, m] + (1 - alpha) * small[:, m]
    return rest(mixed)


def _faded_lerp(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    half = F.interpolate(x, scale_factor=0.5, mode="area")
    return rest(torch.lerp(from_small(half), block(from_large(x)), alpha))


def _faded_with_cases(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    """Nothing is computed that does not count."""
    if alpha >= 1:
        return rest(block(from_large(x)))
    old = from_small(x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5)))
    if alpha <= 0:
        return rest(old)
    return rest(old + alpha * (block(from_large(x)) - old))


def _faded_stacked(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    C = x.shape[1]
    half = F.conv2d(x, torch.full((C, 1, 2, 2), 0.25, dtype=x.dtype), stride=2, groups=C)
    ways = torch.stack([from_small(half), block(from_large(x))])
    return rest(torch.einsum("w,wnchv->nchv", x.new_tensor([1 - alpha, alpha]), ways))


def _faded_wrong(
    *,
    half: Callable[[Tensor], Tensor] = lambda x: F.avg_pool2d(x, 2),
    mix: Callable[[Tensor, Tensor, float], Tensor] = lambda old, new, alpha: alpha * new + (1 - alpha) * old,
) -> Callable[..., Tensor]:
    """Fading in with one thing wrong."""

    def answer(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
        return rest(mix(from_small(half(x)), block(from_large(x)), alpha))

    return answer


def _logits_mixed(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    return alpha * rest(block(from_large(x))) + (1 - alpha) * rest(from_small(F.avg_pool2d(x, 2)))


def _read_before_halving(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    return rest(alpha * block(from_large(x)) + (1 - alpha) * F.avg_pool2d(from_small(x), 2))


def _picture_mixed(x: Tensor, alpha: float, from_small: Any, from_large: Any, block: Any, rest: Any) -> Tensor:
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="nearest")
    return rest(block(from_large(alpha * x + (1 - alpha) * coarse)))


FADED_LOGITS = Key(
    question=asked.FADED_LOGITS,
    solution=(faded_logits,),
    reference=_faded_by_formula,
    source="Karras, Aila, Laine & Lehtinen 2018, arXiv:1710.10196, section 2 and figure 2",
    mistakes=(
        Mistake(
            "alpha on the old way",
            "alpha is the share of the new layers: at 0 they are silent.",
            _faded_wrong(mix=lambda old, new, alpha: (1 - alpha) * new + alpha * old),
        ),
        Mistake(
            "logits mixed",
            "You run `rest` twice and mix logits. Mix the features, then run `rest` once.",
            _logits_mixed,
        ),
        Mistake(
            "pictures mixed",
            "That is what the real pictures go through, or the generator's side. Here two readings are mixed, features.",
            _picture_mixed,
        ),
        Mistake(
            "read, then halved",
            "The old input layer reads the small picture: halve the picture first.",
            _read_before_halving,
        ),
        Mistake(
            "every second pixel",
            "half is the mean of 2 x 2 pixels, not one of them.",
            _faded_wrong(half=lambda x: x[:, :, ::2, ::2]),
        ),
        Mistake(
            "largest of the pixels",
            "half is the mean of 2 x 2 pixels, not their maximum.",
            _faded_wrong(half=lambda x: F.max_pool2d(x, 2)),
        ),
        Mistake(
            "sum of the pixels",
            "half is the mean: divide by 4.",
            _faded_wrong(half=lambda x: 4 * F.avg_pool2d(x, 2)),
        ),
        Mistake(
            "new features added in full",
            "The old way has to fade out as the new one comes in: (1 − alpha).",
            _faded_wrong(mix=lambda old, new, alpha: old + alpha * new),
        ),
        Mistake(
            "old way only",
            "The new layers are missing.",
            lambda x, alpha, from_small, from_large, block, rest: rest(from_small(F.avg_pool2d(x, 2))),
        ),
        Mistake(
            "new way only",
            "The old way is missing: nothing is faded.",
            lambda x, alpha, from_small, from_large, block, rest: rest(block(from_large(x))),
        ),
        Mistake(
            "switched at one half",
            "You switch from one way to the other at 1/2. It is a mixture.",
            _faded_wrong(mix=lambda old, new, alpha: new if alpha >= 0.5 else old),
        ),
        Mistake(
            "old way held fixed",
            "The old way gets no gradient: its input layer goes on learning while it fades. Do not detach it.",
            _faded_wrong(mix=lambda old, new, alpha: alpha * new + (1 - alpha) * old.detach()),
        ),
    ),
    alternatives={
        "lerp, area interpolation": _faded_lerp,
        "cases at 0 and 1": _faded_with_cases,
        "grouped convolution, weighted stack": _faded_stacked,
    },
)

# adain


def adain(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
    """content (N, C, H, W) with means and deviations of style (N, C, H', W'), mixed with itself by strength."""
    ### BEGIN SOLUTION
    c_mean, s_mean = (x.mean(dim=(2, 3), keepdim=True) for x in (content, style))
    c_std, s_std = ((x.var(dim=(2, 3), keepdim=True, correction=0) + eps).sqrt() for x in (content, style))
    styled = s_std * (content - c_mean) / c_std + s_mean
    return (1 - strength) * content + strength * styled
    ### END SOLUTION


def _adain_map_by_map(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
    """Every map on its own, its statistics as sums over its pixels."""
    rows = []
    for c, s in zip(content.flatten(0, 1), style.flatten(0, 1)):
        mean_c, mean_s = c.sum() / c.numel(), s.sum() / s.numel()
        std_c = (((c - mean_c) ** 2).sum() / c.numel() + eps) ** 0.5
        std_s = (((s - mean_s) ** 2).sum() / s.numel() + eps) ** 0.5
        rows.append((1 - strength) * c + strength * (std_s / std_c * (c - mean_c) + mean_s))
    return torch.stack(rows).reshape(content.shape)


def _adain_instance_norm(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
    variance, mean = torch.var_mean(style, (2, 3), unbiased=False, keepdim=True)
    styled = F.instance_norm(content, eps=eps) * (variance + eps).sqrt() + mean
    return torch.lerp(content, styled, strength)


def _adain_group_norm(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
    """One group for each map; the style's deviation from its mean of squares."""
    mean = F.adaptive_avg_pool2d(style, 1)
    deviation = (F.adaptive_avg_pool2d(style.square(), 1) - mean**2 + eps) ** 0.5
    normed = F.group_norm(content, content.shape[1], eps=eps)
    return content + strength * (normed * deviation + mean - content)


def _adain_affine(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
    """One scale and one shift for each map, (N, C), in float64."""
    c, s = content.double().flatten(2), style.double().flatten(2)
    scale = ((s - s.mean(2, keepdim=True)).pow(2).mean(2) + eps).sqrt() / (
        (c - c.mean(2, keepdim=True)).pow(2).mean(2) + eps
    ).sqrt()
    shift = s.mean(2) - scale * c.mean(2)
    scale, shift = 1 + strength * (scale - 1), strength * shift
    return torch.einsum("ncp,nc->ncp", c, scale).add(shift[..., None]).reshape(content.shape).to(content.dtype)


def _statistics(x: Tensor, axes: tuple[int, ...] = (2, 3)) -> tuple[Tensor, Tensor]:
    return x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=0)


def _adain_wrong(
    *,
    axes: tuple[int, ...] = (2, 3),
    deviation: Callable[[Tensor, float], Tensor] = lambda variance, eps: (variance + eps).sqrt(),
    style_deviation: Callable[[Tensor, float], Tensor] | None = None,
    correct: bool = False,
    style_of: Callable[[Tensor], Tensor] = lambda style: style,
    form: Callable[..., Tensor] = lambda c, mc, dc, ms, ds: ds * (c - mc) / dc + ms,
    mix: Callable[[Tensor, Tensor, float], Tensor] = lambda c, out, k: (1 - k) * c + k * out,
) -> Callable[..., Tensor]:
    """AdaIN with one thing wrong."""

    def answer(content: Tensor, style: Tensor, eps: float, strength: float) -> Tensor:
        style = style_of(style)
        (mc, vc), (ms, vs) = _statistics(content, axes), _statistics(style, axes)
        if correct:
            vc, vs = (v * n / (n - 1) for v, n in ((vc, content[0, 0].numel()), (vs, style[0, 0].numel())))
        ds = (style_deviation or deviation)(vs, eps)
        return mix(content, form(content, mc, deviation(vc, eps), ms, ds), strength)

    return answer


ADAIN = Key(
    question=asked.ADAIN,
    solution=(adain,),
    reference=_adain_map_by_map,
    source="Huang & Belongie 2017, arXiv:1703.06868, equations 5 to 8 and 14",
    mistakes=(
        Mistake(
            "variance divided by HW − 1",
            "`var` divides by HW − 1 unless told otherwise: `correction=0`.",
            _adain_wrong(correct=True),
        ),
        Mistake(
            "statistics of the batch",
            "That is batch norm: each picture has its own statistics, axes 2 and 3.",
            _adain_wrong(axes=(0, 2, 3)),
        ),
        Mistake(
            "statistics of all maps",
            "That is layer norm: each map has its own statistics, axes 2 and 3.",
            _adain_wrong(axes=(1, 2, 3)),
        ),
        Mistake(
            "variance instead of deviation",
            "σ is the square root.",
            _adain_wrong(deviation=lambda variance, eps: variance + eps),
        ),
        Mistake(
            "eps beside the root",
            "eps stands under the root, as in every norm of torch: sqrt(variance + eps).",
            _adain_wrong(deviation=lambda variance, eps: variance.sqrt() + eps),
        ),
        Mistake(
            "no eps",
            "eps is missing: content without contrast gives 0/0.",
            _adain_wrong(deviation=lambda variance, eps: variance.sqrt()),
        ),
        Mistake(
            "eps for the content only",
            "σ(s) has its eps, too.",
            _adain_wrong(style_deviation=lambda variance, eps: variance.sqrt()),
        ),
        Mistake(
            "style's mean forgotten",
            "Add the style's mean, μ(s).",
            _adain_wrong(form=lambda c, mc, dc, ms, ds: ds * (c - mc) / dc),
        ),
        Mistake(
            "content's mean kept",
            "The style's mean takes the place of the content's.",
            _adain_wrong(form=lambda c, mc, dc, ms, ds: ds * (c - mc) / dc + mc),
        ),
        Mistake(
            "deviations exchanged",
            "Divide by the content's deviation, multiply by the style's.",
            _adain_wrong(form=lambda c, mc, dc, ms, ds: dc * (c - mc) / ds + ms),
        ),
        Mistake(
            "content not normalised",
            "Normalise the content first: subtract its mean, divide by its deviation.",
            _adain_wrong(form=lambda c, mc, dc, ms, ds: ds * c + ms),
        ),
        Mistake(
            "strength on the content",
            "strength is the style's share: at 0 the content comes out as it is.",
            _adain_wrong(mix=lambda c, out, k: k * c + (1 - k) * out),
        ),
        Mistake(
            "strength ignored",
            "The result is to be mixed with the content, by `strength`.",
            _adain_wrong(mix=lambda c, out, k: out),
        ),
        Mistake(
            "style held fixed",
            "No gradient reaches the style: do not detach it.",
            _adain_wrong(style_of=lambda style: style.detach()),
        ),
    ),
    alternatives={
        "instance norm": _adain_instance_norm,
        "group norm, mean of squares": _adain_group_norm,
        "one scale and shift for each map": _adain_affine,
    },
)

# truncate_w


def follow_mean(mean: Tensor, w: Tensor, beta: float) -> Tensor:
    """The running mean (Z,) after another batch w (n, Z)."""
    ### BEGIN SOLUTION
    return beta * mean + (1 - beta) * w.mean(dim=0)
    ### END SOLUTION


def truncate_w(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
    """w (N, Z) -> (N, layers, Z): pulled to the mean by psi in the first `cutoff` layers."""
    ### BEGIN SOLUTION
    pulled = mean + psi * (w - mean)
    return torch.stack([pulled if layer < cutoff else w for layer in range(layers)], dim=1)
    ### END SOLUTION


def _follow_by_coordinates(mean: Tensor, w: Tensor, beta: float) -> Tensor:
    means = [sum(column) / len(column) for column in w.T.tolist()]
    return torch.tensor([beta * m + (1 - beta) * v for m, v in zip(mean.tolist(), means)], dtype=mean.dtype)


def _truncate_one_by_one(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
    out = torch.zeros(len(w), layers, w.shape[1], dtype=w.dtype)
    for n in range(len(w)):
        for layer in range(layers):
            for k in range(w.shape[1]):
                away = w[n, k] - mean[k]
                out[n, layer, k] = mean[k] + (psi * away if layer < cutoff else away)
    return out


def _truncate_by_psis(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
    psis = torch.ones(layers, 1, dtype=w.dtype)
    psis[:cutoff] = psi
    return torch.lerp(mean, w[:, None], psis)


def _truncate_in_place(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
    out = w.unsqueeze(1).repeat(1, layers, 1)
    out[:, :cutoff] -= (1 - psi) * (w - mean).unsqueeze(1)
    return out


def _truncate_joined(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
    pulled = psi * w + (1 - psi) * mean
    return torch.cat([pulled[:, None].expand(-1, cutoff, -1), w[:, None].expand(-1, layers - cutoff, -1)], dim=1)


def _truncated_wrong(
    follow: Callable[..., Any] = follow_mean,
    pull: Callable[[Tensor, Tensor, float], Tensor] = lambda w, mean, psi: mean + psi * (w - mean),
    counts: Callable[[int, int, int], bool] = lambda layer, cutoff, layers: layer < cutoff,
    axis: int = 1,
) -> dict[str, Any]:
    """Both functions, with one thing wrong."""

    def truncate(w: Tensor, mean: Tensor, psi: float, cutoff: int, layers: int) -> Tensor:
        pulled = pull(w, mean, psi)
        return torch.stack([pulled if counts(k, cutoff, layers) else w for k in range(layers)], dim=axis)

    return {"follow_mean": follow, "truncate_w": truncate}


TRUNCATE_W = Key(
    question=asked.TRUNCATE_W,
    solution=(follow_mean, truncate_w),
    reference={"follow_mean": _follow_by_coordinates, "truncate_w": _truncate_one_by_one},
    source="Karras, Laine & Aila 2019, arXiv:1812.04948, appendix B and figure 8; the running mean: the authors' code",
    mistakes=(
        Mistake(
            "shrunk towards 0",
            "w is pulled towards its mean, not towards the origin.",
            _truncated_wrong(pull=lambda w, mean, psi: psi * w),
        ),
        Mistake(
            "mean of the batch",
            "The mean is given: that of these few w is another one, and makes each picture depend on its batch.",
            _truncated_wrong(pull=lambda w, mean, psi: w.mean(0) + psi * (w - w.mean(0))),
        ),
        Mistake(
            "mean not added back",
            "The mean is subtracted and has to come back: m + ψ (w − m).",
            _truncated_wrong(pull=lambda w, mean, psi: psi * (w - mean)),
        ),
        Mistake(
            "psi exchanged",
            "ψ = 1 leaves w alone; yours leaves it alone at ψ = 0.",
            _truncated_wrong(pull=lambda w, mean, psi: w + psi * (mean - w)),
        ),
        Mistake(
            "clamped",
            "You cut each coordinate off at ψ. w is pulled towards the mean, all of it by the same factor.",
            _truncated_wrong(pull=lambda w, mean, psi: mean + (w - mean).clamp(-psi, psi)),
        ),
        Mistake(
            "all layers truncated",
            "Layers from `cutoff` on keep w.",
            _truncated_wrong(counts=lambda layer, cutoff, layers: True),
        ),
        Mistake(
            "late layers truncated",
            "The first `cutoff` layers are truncated, the others keep w.",
            _truncated_wrong(counts=lambda layer, cutoff, layers: layer >= cutoff),
        ),
        Mistake(
            "last layers truncated",
            "You truncate `cutoff` layers from the end: the coarse ones come first.",
            _truncated_wrong(counts=lambda layer, cutoff, layers: layer >= layers - cutoff),
        ),
        Mistake(
            "one layer too many",
            "Layers 0 to cutoff − 1 are truncated; layer `cutoff` is not.",
            _truncated_wrong(counts=lambda layer, cutoff, layers: layer <= cutoff),
        ),
        Mistake(
            "layers before the batch",
            "The shape is (N, layers, Z).",
            _truncated_wrong(axis=0),
        ),
        Mistake(
            "weights of the mean exchanged",
            "β near 1 belongs to the old mean, 1 − β to the new batch.",
            _truncated_wrong(follow=lambda mean, w, beta: (1 - beta) * mean + beta * w.mean(0)),
        ),
        Mistake(
            "sum of the batch",
            "The new batch comes in by its mean, not by its sum.",
            _truncated_wrong(follow=lambda mean, w, beta: beta * mean + (1 - beta) * w.sum(0)),
        ),
        Mistake(
            "one step for each w",
            "One step for each batch: you follow every w in it.",
            _truncated_wrong(follow=lambda mean, w, beta: _each_in_turn(mean, w, beta)),
        ),
        Mistake(
            "old mean forgotten",
            "You return the mean of the batch: mix it with the old one.",
            _truncated_wrong(follow=lambda mean, w, beta: w.mean(0)),
        ),
    ),
    alternatives={
        "one psi for each layer": {
            "follow_mean": lambda mean, w, beta: torch.lerp(w.mean(0), mean, beta),
            "truncate_w": _truncate_by_psis,
        },
        "in place": {
            "follow_mean": lambda mean, w, beta: mean - (1 - beta) * (mean - w.sum(0) / len(w)),
            "truncate_w": _truncate_in_place,
        },
        "joined halves": {
            "follow_mean": lambda mean, w, beta: torch.einsum(
                "n,nz->z", w.new_full((len(w),), (1 - beta) / len(w)), w
            ).add(mean, alpha=beta),
            "truncate_w": _truncate_joined,
        },
    },
)


def _each_in_turn(mean: Tensor, w: Tensor, beta: float) -> Tensor:
    for row in w:
        mean = beta * mean + (1 - beta) * row
    return mean
