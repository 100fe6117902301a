"""Answer key to section 5: attention over words."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s5_words as asked

# word_context


def word_context(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """h (N, C, H, W), words (N, T, D), U (C, D), mask (N, T) -> context (N, C, H, W), weights (N, T, H, W)."""
    ### BEGIN SOLUTION
    spoken = words @ U.T
    affinity = torch.einsum("nchw,ntc->nthw", h, spoken)
    affinity = affinity.masked_fill(~mask[:, :, None, None], -math.inf)
    silence = torch.zeros_like(affinity[:, :1])
    shares = torch.cat([silence, affinity], dim=1).softmax(dim=1)[:, 1:]
    return torch.einsum("nthw,ntc->nchw", shares, spoken), shares
    ### END SOLUTION


def _words_by_places(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Place by place over the real words, the largest score taken out of the exponentials."""
    N, C, H, W = h.shape
    T = words.shape[1]
    contexts, tables = [], []
    for n in range(N):
        real = [i for i in range(T) if mask[n, i]]
        carried = {i: U.mv(words[n, i]) for i in real}
        for y in range(H):
            for x in range(W):
                scores = {i: (h[n, :, y, x] * carried[i]).sum() for i in real}
                top = max([0.0, *(float(s.detach()) for s in scores.values())])
                powers = {i: torch.exp(s - top) for i, s in scores.items()}
                total = math.exp(-top) + sum(powers.values())
                context, row = h.new_zeros(C), [h.new_zeros(()) for _ in range(T)]
                for i in real:
                    row[i] = powers[i] / total
                    context = context + row[i] * carried[i]
                contexts.append(context)
                tables.append(torch.stack(row))
    context = torch.stack(contexts).view(N, H, W, C).permute(0, 3, 1, 2)
    return context, torch.stack(tables).view(N, H, W, T).permute(0, 3, 1, 2)


def _words_flat(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Places in one axis, products of matrices, log-sum-exp."""
    N, C, H, W = h.shape
    carried = F.linear(words, U)
    scores = torch.bmm(carried, h.flatten(2))
    scores = torch.where(mask[..., None], scores, torch.finfo(scores.dtype).min)
    top = torch.logaddexp(scores.logsumexp(1, keepdim=True), scores.new_zeros(()))
    weights = torch.exp(scores - top) * mask[..., None]
    return torch.bmm(carried.mT, weights).view(N, C, H, W), weights.view(N, -1, H, W)


def _words_padded(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Silence as a word whose vector is 0: then its score is 0 by itself."""
    N, C, H, W = h.shape
    carried = F.pad(torch.einsum("ntd,cd->ntc", words, U), (0, 0, 1, 0))
    bias = torch.zeros(N, carried.shape[1], dtype=h.dtype).masked_fill(~F.pad(mask, (1, 0), value=True), -math.inf)
    places = h.permute(0, 2, 3, 1).reshape(N, H * W, C)
    weights = (places @ carried.transpose(1, 2) + bias[:, None]).softmax(-1)
    context = (weights @ carried).transpose(1, 2).reshape(N, C, H, W)
    return context, weights[..., 1:].transpose(1, 2).reshape(N, -1, H, W)


def _words_gated(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A softmax over the words, times the probability that there is anything to say, sigma(log-sum-exp)."""
    carried = torch.matmul(words, U.t())
    scores = (carried[..., None, None] * h[:, None]).sum(2)
    keep = mask[:, :, None, None]
    low = scores.masked_fill(~keep, -1e30)
    gate = torch.sigmoid(torch.logsumexp(low, 1, keepdim=True))
    weights = gate * torch.softmax(low, 1) * keep
    return (weights[:, :, None] * carried[..., None, None]).sum(1), weights


def _words_wrong(
    *,
    carry: Callable[[Tensor, Tensor], Tensor] = lambda words, U: words @ U.T,
    scale: Callable[[int], float] = lambda C: 1.0,
    hide: Callable[[Tensor, Tensor], Tensor] = lambda scores, keep: scores.masked_fill(~keep, -math.inf),
    share: Callable[[Tensor], Tensor] = lambda scores: torch.cat([torch.zeros_like(scores[:, :1]), scores], 1).softmax(
        1
    )[:, 1:],
    after: Callable[[Tensor, Tensor], Tensor] = lambda weights, keep: weights,
    mixed: Callable[[Tensor], Tensor] = lambda weights: weights,
    add: float = 0.0,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """The attention with one thing wrong."""

    def answer(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        carried, keep = carry(words, U), mask[:, :, None, None]
        scores = torch.einsum("nchw,ntc->nthw", h, carried) * scale(h.shape[1])
        weights = after(share(hide(scores, keep)), keep)
        return torch.einsum("nthw,ntc->nchw", mixed(weights), carried) + add * h, weights

    return answer


def _over_places(scores: Tensor) -> Tensor:
    flat = scores.nan_to_num(neginf=-1e30).flatten(2)
    row = torch.cat([torch.zeros_like(flat[..., :1]), flat], 2).softmax(2)[..., 1:]
    return row.view(scores.shape)


def _by_exponentials(scores: Tensor) -> Tensor:
    return scores.exp() / (1 + scores.exp().sum(1, keepdim=True))


def _places_transposed(h: Tensor, words: Tensor, U: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    context, weights = _words_flat(h, words, U, mask)
    mixed = [t.flatten(2).view(*t.shape[:2], t.shape[3], t.shape[2]).transpose(2, 3) for t in (context, weights)]
    return mixed[0], mixed[1]


WORD_CONTEXT = Key(
    question=asked.WORD_CONTEXT,
    solution=(word_context,),
    reference=_words_by_places,
    source="Xu et al. 2018, arXiv:1711.10485, section 3.1, equations 1 and 2; the extra 1 in the denominator: Miller 2023, "
    "“Attention is off by one”; Bondarenko et al. 2023, arXiv:2306.12929, section 4 (why heads need to do nothing)",
    mistakes=(
        Mistake(
            "no silence",
            "That is the plain softmax: the weights sum to 1 and every place must pick a word. Add the 1 to the denominator.",
            _words_wrong(share=lambda scores: scores.softmax(1)),
        ),
        Mistake(
            "no silence, NaN taken out",
            "Empty captions are mended afterwards, but every other place still has to pick a word: the 1 in the denominator is "
            "missing.",
            _words_wrong(share=lambda scores: scores.softmax(1).nan_to_num(nan=0.0)),
        ),
        Mistake(
            "no mask",
            "Padding takes part. Set its scores to −∞ before the softmax.",
            _words_wrong(hide=lambda scores, keep: scores),
        ),
        Mistake(
            "mask after the softmax",
            "Zeroing the weights afterwards comes too late: padding already stands in the denominator.",
            _words_wrong(
                hide=lambda scores, keep: scores,
                after=lambda weights, keep: weights * keep,
            ),
        ),
        Mistake(
            "mask inverted",
            "`mask` is True for words; `masked_fill` fills where its mask is True. Give it `~mask`.",
            _words_wrong(hide=lambda scores, keep: scores.masked_fill(keep, -math.inf)),
        ),
        Mistake(
            "padding scored 0",
            "A score of 0 earns as much as silence. Padding needs −∞.",
            _words_wrong(hide=lambda scores, keep: scores * keep),
        ),
        Mistake(
            "softmax over the places",
            "Each **place** spreads its attention over the words. You spread each word over the places.",
            _words_wrong(share=_over_places),
        ),
        Mistake(
            "exponential without care",
            "exp of several thousand is infinite, and ∞/∞ is NaN. Let `softmax` do it, with a score of 0 for silence.",
            _words_wrong(share=_by_exponentials),
        ),
        Mistake(
            "scaled by the square root of the width",
            "That is the transformer's score. Here there is no scaling.",
            _words_wrong(scale=lambda C: C**-0.5),
        ),
        Mistake(
            "silence twice",
            "The score of silence is 0 and it stands once: your denominator has 2 in place of 1.",
            _words_wrong(
                share=lambda scores: torch.cat([torch.zeros_like(scores[:, :1])] * 2 + [scores], 1).softmax(1)[:, 2:]
            ),
        ),
        Mistake(
            "rescaled to one",
            "Afterwards you divide by the sum again, which takes silence away.",
            _words_wrong(after=lambda weights, keep: weights / weights.sum(1, keepdim=True).clamp(min=1e-12)),
        ),
        Mistake(
            "maps added",
            "The context holds words only; AttnGAN joins it to the maps afterwards.",
            _words_wrong(add=1.0),
        ),
        Mistake(
            "rows and columns exchanged",
            "Height and width were mixed up when the places were put back. With `einsum` they need not be flattened.",
            _places_transposed,
        ),
        Mistake(
            "weights detached",
            "The values are right, but no gradient reaches the weights: nothing learns where to look.",
            _words_wrong(mixed=lambda weights: weights.detach()),
        ),
    ),
    alternatives={
        "products of matrices, log-sum-exp": _words_flat,
        "silence as a word of zeros": _words_padded,
        "a softmax and a gate": _words_gated,
    },
)
