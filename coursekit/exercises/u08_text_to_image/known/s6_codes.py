"""Answer keys to section 6: codes, gradients through them, what they cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s6_codes as asked

# residual_codes


def residual_codes(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """z (N, D, H, W), codebook (K, D) -> codes (N, R, H, W) and the sum of their vectors (N, D, H, W)."""
    ### BEGIN SOLUTION
    rest, picked = z.movedim(1, -1), []
    for _ in range(depth):
        gaps = (rest[..., None, :] - codebook).square().sum(dim=-1)
        picked.append(gaps.argmin(dim=-1))
        rest = rest - codebook[picked[-1]]
    return torch.stack(picked, dim=1), z - rest.movedim(-1, 1)
    ### END SOLUTION


def _codes_by_places(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Place by place, code by code."""
    N, D, H, W = z.shape
    codes = torch.zeros(N, depth, H, W, dtype=torch.int64)
    total = torch.zeros_like(z)
    for n in range(N):
        for y in range(H):
            for x in range(W):
                rest = z[n, :, y, x].tolist()
                for d in range(depth):
                    distances = [sum((a - b) ** 2 for a, b in zip(rest, e)) for e in codebook.tolist()]
                    k = distances.index(min(distances))
                    codes[n, d, y, x] = k
                    total[n, :, y, x] += codebook[k]
                    rest = [a - b for a, b in zip(rest, codebook[k].tolist())]
    return codes, total


def _codes_cdist(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    N, D, H, W = z.shape
    rows = z.permute(0, 2, 3, 1).reshape(-1, D)
    found, columns = torch.zeros_like(rows), []
    for _ in range(depth):
        distance = torch.cdist(rows - found, codebook, compute_mode="donot_use_mm_for_euclid_dist")
        columns.append(distance.min(1, keepdim=True).indices)
        found = found + codebook[columns[-1][:, 0]]
    return (
        torch.cat(columns, 1).view(N, H, W, depth).permute(0, 3, 1, 2),
        found.view(N, H, W, D).permute(0, 3, 1, 2),
    )


def _codes_by_products(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """|r - e|^2 = |r|^2 - 2 r e + |e|^2, of which |r|^2 is common to all codes; in float64, so that ties stay ties."""
    rest, book, codes = z.double(), codebook.double(), []
    half = book.square().sum(1) / 2
    for _ in range(depth):
        score = torch.einsum("ndhw,kd->nkhw", rest, book) - half[:, None, None]
        best = score == score.amax(1, keepdim=True)
        codes.append(best.to(torch.int8).argmax(1))
        rest = rest - F.embedding(codes[-1], book).permute(0, 3, 1, 2)
    return torch.stack(codes, 1), (z.double() - rest).to(z.dtype)


def _codes_recursive(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    gaps = (z[:, None] - codebook[None, :, :, None, None]).pow(2).sum(2)
    first = gaps.argmin(1)
    chosen = codebook.index_select(0, first.flatten()).view(*first.shape, -1).permute(0, 3, 1, 2)
    if depth == 1:
        return first.unsqueeze(1), chosen
    codes, more = _codes_recursive(z - chosen, codebook, depth - 1)
    return torch.cat([first[:, None], codes], 1), chosen + more


def _codes_wrong(
    *,
    choose: Callable[[Tensor, Tensor], Tensor] = lambda rest, book: (
        (rest[..., None, :] - book).square().sum(-1).argmin(-1)
    ),
    follow: Callable[..., Tensor] = lambda rest, e, z: rest - e,
    order: Callable[[Tensor], Tensor] = lambda codes: codes,
    total: Callable[..., Tensor] = lambda parts, rest: sum(parts),
) -> Callable[..., tuple[Tensor, Tensor]]:
    """The codes with one thing wrong."""

    def answer(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        rest, codes, parts = z.movedim(1, -1), [], []
        for _ in range(depth):
            codes.append(choose(rest, codebook))
            parts.append(codebook[codes[-1]])
            rest = follow(rest, parts[-1], z.movedim(1, -1))
        return order(torch.stack(codes, 1)), total(parts, rest).movedim(-1, 1)

    return answer


def _last_of_ties(rest: Tensor, book: Tensor) -> Tensor:
    gaps = (rest[..., None, :] - book).square().sum(-1)
    return len(book) - 1 - gaps.flip(-1).argmin(-1)


def _rows_as_they_lie(z: Tensor, codebook: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """The features are reshaped without bringing the channels to the back."""
    N, D, H, W = z.shape
    codes, found = _codes_recursive(z.reshape(N, H, W, D).permute(0, 3, 1, 2), codebook, depth)
    return codes, found.permute(0, 2, 3, 1).reshape(N, D, H, W)


RESIDUAL_CODES = Key(
    question=asked.RESIDUAL_CODES,
    solution=(residual_codes,),
    reference=_codes_by_places,
    source="van den Oord et al. 2017, arXiv:1711.00937, equations 1 and 2; Lee et al. 2022, arXiv:2203.01941, section 3.1",
    mistakes=(
        Mistake(
            "reshaped without moving the axes",
            "`reshape` to (N, H, W, D) mixes features of different places: the D features of a place do not lie side by "
            "side. Move "
            "the axis first.",
            _rows_as_they_lie,
        ),
        Mistake(
            "farthest code",
            "You take the largest distance.",
            _codes_wrong(choose=lambda rest, book: (rest[..., None, :] - book).square().sum(-1).argmax(-1)),
        ),
        Mistake(
            "largest product",
            "The largest inner product is not the nearest code unless all codes have one length: half of |e|² is missing.",
            _codes_wrong(choose=lambda rest, book: (rest @ book.T).argmax(-1)),
        ),
        Mistake(
            "nearest direction",
            "Cosine similarity forgets the lengths. The nearest code is the one with the smallest distance.",
            _codes_wrong(choose=lambda rest, book: (F.normalize(rest, dim=-1) @ F.normalize(book, dim=1).T).argmax(-1)),
        ),
        Mistake(
            "half of the length forgotten",
            "|r − e|² = |r|² − 2 r·e + |e|²: the factor 2 is missing in your product.",
            _codes_wrong(choose=lambda rest, book: (rest @ book.T - book.square().sum(1)).argmax(-1)),
        ),
        Mistake(
            "sum of absolute differences",
            "Distances are Euclidean: squares, not absolute values.",
            _codes_wrong(choose=lambda rest, book: (rest[..., None, :] - book).abs().sum(-1).argmin(-1)),
        ),
        Mistake(
            "the same question again",
            "At each depth you look for the code nearest to z itself. It is what is left over that counts.",
            _codes_wrong(follow=lambda rest, e, z: rest),
        ),
        Mistake(
            "left over from z only",
            "What is left at depth d is z less **all** codes so far; you take off the last only.",
            _codes_wrong(follow=lambda rest, e, z: z - e),
        ),
        Mistake(
            "added instead of taken off",
            "r_d = r_{d−1} − e. You add it.",
            _codes_wrong(follow=lambda rest, e, z: rest + e),
        ),
        Mistake(
            "last code only",
            "The reconstruction is the sum of all R vectors; you return the last.",
            _codes_wrong(total=lambda parts, rest: parts[-1]),
        ),
        Mistake(
            "first code only",
            "The reconstruction is the sum of all R vectors; you return the first.",
            _codes_wrong(total=lambda parts, rest: parts[0]),
        ),
        Mistake(
            "what is left returned",
            "You return the remainder, z less the codes. Asked for is the sum of the codes.",
            _codes_wrong(total=lambda parts, rest: rest),
        ),
        Mistake(
            "depth last",
            "The codes are (N, R, H, W), the depth second.",
            _codes_wrong(order=lambda codes: codes.movedim(1, -1)),
        ),
        Mistake(
            "last of equals",
            "Of codes that are equally near the one with the smallest index is taken: `argmin` on the distances does so.",
            _codes_wrong(choose=_last_of_ties),
        ),
    ),
    alternatives={
        "cdist on rows": _codes_cdist,
        "products, float64": _codes_by_products,
        "recursion": _codes_recursive,
    },
)

# quantise


def quantise(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """z (N, D, H, W), codes (N, H, W) -> quantised features with a straight-through gradient, losses (N,)."""
    ### BEGIN SOLUTION
    chosen = codebook[codes].movedim(-1, 1)
    pulls_codes = (z.detach() - chosen).square()
    pulls_features = (z - chosen.detach()).square()
    losses = (pulls_codes + beta * pulls_features).sum(dim=1).mean(dim=(1, 2))
    return z + (chosen - z).detach(), losses
    ### END SOLUTION


class _Copy(torch.autograd.Function):
    """Forward: the second argument; backward: everything to the first."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, e: Tensor) -> Tensor:
        return e.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        return upstream[0], None


def _quantise_by_places(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Place by place; the choice as a function with a gradient of its own."""
    N, D, H, W = z.shape
    losses, e = [], torch.empty_like(z).detach()
    for n in range(N):
        total = z.new_zeros(())
        for y in range(H):
            for x in range(W):
                vector, feature = codebook[int(codes[n, y, x])], z[n, :, y, x]
                e[n, :, y, x] = vector.detach()
                total = (
                    total + ((feature.detach() - vector) ** 2).sum() + beta * ((feature - vector.detach()) ** 2).sum()
                )
        losses.append(total / (H * W))
    return _Copy.apply(z, e), torch.stack(losses)  # type: ignore[no-untyped-call]


def _quantise_one_hot(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    e = torch.einsum("nhwk,kd->ndhw", F.one_hot(codes, len(codebook)).to(z.dtype), codebook)
    q = e.detach() + (z - z.detach())
    terms = [
        F.mse_loss(a, b, reduction="none").flatten(2).sum(1).mean(1) for a, b in ((e, z.detach()), (z, e.detach()))
    ]
    return q, terms[0] + beta * terms[1]


def _quantise_embedding(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Channels last, frozen copies, means over D times D."""
    rows, e = z.permute(0, 2, 3, 1), F.embedding(codes, codebook)
    frozen_rows, frozen_e = rows.clone().detach(), e.clone().detach()
    per_place = (e - frozen_rows).pow(2).mean(-1) + beta * (rows - frozen_e).pow(2).mean(-1)
    q = rows - (rows - frozen_e).detach()
    return q.permute(0, 3, 1, 2), per_place.flatten(1).mean(1) * z.shape[1]


def _quantise_hook(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """0 times z joins the graph; the hook puts the gradient in its place."""
    e = codebook.index_select(0, codes.flatten()).view(*codes.shape, -1).permute(0, 3, 1, 2)
    gap_e, gap_z = e - z.detach(), z - e.detach()
    loss = torch.linalg.vector_norm(gap_e, dim=1).pow(2) + beta * torch.einsum("ndhw,ndhw->nhw", gap_z, gap_z)
    return torch.where(torch.ones_like(z, dtype=torch.bool), e.detach() - z.detach(), 0.0) + z, loss.mean((-1, -2))


def _quantise_wrong(
    *,
    through: Callable[[Tensor, Tensor], Tensor] = lambda z, e: z + (e - z).detach(),
    codes_loss: Callable[[Tensor, Tensor], Tensor] = lambda z, e: (z.detach() - e).square(),
    commit: Callable[[Tensor, Tensor], Tensor] = lambda z, e: (z - e.detach()).square(),
    weights: Callable[[float], tuple[float, float]] = lambda beta: (1.0, beta),
    pool: Callable[[Tensor], Tensor] = lambda terms: terms.sum(1).mean((1, 2)),
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Quantised features and losses with one thing wrong."""

    def answer(z: Tensor, codebook: Tensor, codes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        e = codebook[codes].movedim(-1, 1)
        first, second = weights(beta)
        return through(z, e), pool(first * codes_loss(z, e) + second * commit(z, e))

    return answer


QUANTISE = Key(
    question=asked.QUANTISE,
    solution=(quantise,),
    reference=_quantise_by_places,
    source="van den Oord et al. 2017, arXiv:1711.00937, section 3.2, equation 3; Bengio et al. 2013, arXiv:1308.3432",
    mistakes=(
        Mistake(
            "the codes as they are",
            "The gradient ends at the choice: it reaches the codebook and never z. Copy it past: z + sg[e − z].",
            _quantise_wrong(through=lambda z, e: e),
        ),
        Mistake(
            "codes detached",
            "Detached codes carry no gradient at all: the encoder learns nothing from the decoder.",
            _quantise_wrong(through=lambda z, e: e.detach() + 0 * z.detach()),
        ),
        Mistake(
            "features not quantised",
            "The value must be that of the codes. You pass z on as it is.",
            _quantise_wrong(through=lambda z, e: z),
        ),
        Mistake(
            "gradient to both",
            "The gradient reaches z, and the codebook, too: the decoder should not move the codes here.",
            _quantise_wrong(through=lambda z, e: e + (z - z.detach())),
        ),
        Mistake(
            "e + sg[z − e]",
            "Value and gradient are exchanged: the value is z's and the gradient goes to the codes.",
            _quantise_wrong(through=lambda z, e: e + (z - e).detach()),
        ),
        Mistake(
            "no stop-gradients in the loss",
            "Without sg both terms pull at both: 1 + β times each. The value is right and the gradients are not.",
            _quantise_wrong(codes_loss=lambda z, e: (z - e).square(), commit=lambda z, e: (z - e).square()),
        ),
        Mistake(
            "codes not taught",
            "The loss of the codebook is missing: after your losses no code ever moves.",
            _quantise_wrong(weights=lambda beta: (0.0, beta)),
        ),
        Mistake(
            "no commitment",
            "The commitment, β times the second term, is missing: features can run away from their codes.",
            _quantise_wrong(weights=lambda beta: (1.0, 0.0)),
        ),
        Mistake(
            "stop-gradients exchanged",
            "The first term, with weight 1, moves the **codes**: there z stands under sg. β weighs the commitment. "
            "Yours are exchanged.",
            _quantise_wrong(weights=lambda beta: (beta, 1.0)),
        ),
        Mistake(
            "mean over the features",
            "‖·‖² is a sum over the D features; the mean is over places.",
            _quantise_wrong(pool=lambda terms: terms.mean((1, 2, 3))),
        ),
        Mistake(
            "sum over the places",
            "Over the H × W places a mean is taken.",
            _quantise_wrong(pool=lambda terms: terms.sum((1, 2, 3))),
        ),
        Mistake(
            "one loss for the batch",
            "Each picture has a loss of its own, (N,).",
            _quantise_wrong(pool=lambda terms: terms.sum(1).mean()),
        ),
        Mistake(
            "features not moved to the front",
            "`codebook[codes]` has the features last. View them as (N, D, H, W) and they are mixed up: move the axis.",
            lambda z, codebook, codes, beta: (
                z + (codebook[codes].reshape(z.shape) - z).detach(),
                (
                    (z.detach() - codebook[codes].reshape(z.shape)).square()
                    + beta * (z - codebook[codes].reshape(z.shape).detach()).square()
                )
                .sum(1)
                .mean((1, 2)),
            ),
        ),
    ),
    alternatives={
        "one-hot codes": _quantise_one_hot,
        "channels last": _quantise_embedding,
        "index_select and norms": _quantise_hook,
    },
)

# code_nll


def code_nll(net: nn.Module, text: Tensor, codes: Tensor, start: int) -> Tensor:
    """text (N, T), codes (N, L) -> what each code costs in nats, (N, L)."""
    ### BEGIN SOLUTION
    T = text.shape[1]
    said = torch.cat([text, F.pad(codes[:, :-1], (1, 0), value=start)], dim=1)
    closed = torch.ones(said.shape[1], said.shape[1], dtype=torch.bool).triu(1)
    closed[:T, :T] = False
    guesses = net(said, closed)[:, T:]
    return F.cross_entropy(guesses.transpose(1, 2), codes, reduction="none")
    ### END SOLUTION


def _nll_by_places(net: Any, text: Tensor, codes: Tensor, start: int) -> Tensor:
    """Sequence and mask written out entry by entry."""
    T, L = text.shape[1], codes.shape[1]
    tokens = torch.tensor([[*t, start, *c[:-1]] for t, c in zip(text.tolist(), codes.tolist())])
    hidden = torch.tensor([[(t >= T if s < T else t > s) for t in range(T + L)] for s in range(T + L)])
    logits = net(tokens, hidden)
    rows = [
        torch.stack([-torch.log_softmax(logits[n, T + place], 0)[int(codes[n, place])] for place in range(L)])
        for n in range(len(text))
    ]
    return torch.stack(rows)


def _nll_compared(net: Any, text: Tensor, codes: Tensor, start: int) -> Tensor:
    (N, T), L = text.shape, codes.shape[1]
    place = torch.arange(T + L)
    # Words count as one moment, the first.
    moment = (place - T + 1).clamp(min=0)
    hidden = moment[None, :] > moment[:, None]
    tokens = torch.hstack([text, torch.full((N, 1), start), codes[:, : L - 1]])
    scores = net(tokens, hidden).log_softmax(-1)[:, -L:]
    return -scores.gather(2, codes.unsqueeze(-1)).squeeze(-1)


def _nll_lse(net: Any, text: Tensor, codes: Tensor, start: int) -> Tensor:
    """One sequence too long, less its end; a mask of four blocks."""
    T, L = text.shape[1], codes.shape[1]
    tokens = torch.cat([text, torch.full_like(codes[:, :1], start), codes], 1)[:, :-1]
    no, yes = torch.zeros(T, T, dtype=torch.bool), torch.ones(T, L, dtype=torch.bool)
    hidden = torch.cat([torch.cat([no, yes], 1), torch.cat([yes.T & False, ~torch.ones(L, L).tril().bool()], 1)])
    logits = net(tokens, hidden).narrow(1, T, L)
    return logits.logsumexp(-1) - torch.take_along_dim(logits, codes[..., None], -1)[..., 0]


def _nll_flat(net: Any, text: Tensor, codes: Tensor, start: int) -> Tensor:
    T, (N, L) = text.shape[1], codes.shape
    tokens = torch.cat([text, codes.roll(1, 1).index_fill(1, torch.tensor([0]), start)], 1)
    may = torch.tril(torch.ones(T + L, T + L)) > 0
    may[:T, :T] = True
    logits = net(tokens, may.logical_not())
    return F.nll_loss(F.log_softmax(logits[:, T:].flatten(0, 1), 1), codes.flatten(), reduction="none").view(N, L)


def _nll_wrong(
    *,
    shifted: Callable[[Tensor, int], Tensor] = lambda codes, start: F.pad(codes[:, :-1], (1, 0), value=start),
    mask: Callable[[int, int], Tensor] | None = None,
    cut: Callable[[Tensor, int, int], Tensor] = lambda logits, T, L: logits[:, T:],
    cost: Callable[[Tensor, Tensor], Tensor] = lambda logits, codes: F.cross_entropy(
        logits.transpose(1, 2), codes, reduction="none"
    ),
    words: Callable[[Tensor], Tensor] = lambda text: text,
) -> Callable[..., Tensor]:
    """The cost with one thing wrong."""

    def answer(net: Any, text: Tensor, codes: Tensor, start: int) -> Tensor:
        (_, T), L = text.shape, codes.shape[1]
        hidden = _hidden(T, L) if mask is None else mask(T, L)
        logits = net(torch.cat([words(text), shifted(codes, start)], 1), hidden)
        return cost(cut(logits, T, L), codes)

    return answer


def _hidden(T: int, L: int) -> Tensor:
    hidden = torch.ones(T + L, T + L, dtype=torch.bool).triu(1)
    hidden[:T, :T] = False
    return hidden


def _shows_codes_to_words(T: int, L: int) -> Tensor:
    hidden = _hidden(T, L)
    hidden[:T] = False
    return hidden


def _one_ahead(T: int, L: int) -> Tensor:
    hidden = torch.ones(T + L, T + L, dtype=torch.bool).triu(2)
    hidden[:T, :T] = False
    return hidden


def _not_itself(T: int, L: int) -> Tensor:
    hidden = torch.ones(T + L, T + L, dtype=torch.bool).triu(0)
    hidden[:T, :T] = False
    return hidden


CODE_NLL = Key(
    question=asked.CODE_NLL,
    solution=(code_nll,),
    reference=_nll_by_places,
    source="Esser, Rombach & Ommer 2021, arXiv:2012.09841, section 3.2, equation 9; the text in front: Ramesh et al. 2021, "
    "arXiv:2102.12092, section 2.2",
    mistakes=(
        Mistake(
            "not shifted",
            "Place T + l is given code l and is to predict code l: it copies. Put `start` in front and leave the last "
            "code out.",
            _nll_wrong(shifted=lambda codes, start: codes),
        ),
        Mistake(
            "shifted the wrong way",
            "Each place is given the code **after** the one that it predicts. Shift to the right.",
            _nll_wrong(shifted=lambda codes, start: F.pad(codes[:, 1:], (0, 1), value=start)),
        ),
        Mistake(
            "rolled round",
            "`roll` puts the last code in front, where `start` belongs: the first place sees the end of the picture.",
            _nll_wrong(shifted=lambda codes, start: codes.roll(1, 1)),
        ),
        Mistake(
            "start is 0",
            "The token in front is `start`. You pad with 0, which is a code.",
            _nll_wrong(shifted=lambda codes, start: F.pad(codes[:, :-1], (1, 0), value=0)),
        ),
        Mistake(
            "no mask",
            "Every place sees every other one: the future is in full view.",
            _nll_wrong(mask=lambda T, L: torch.zeros(T + L, T + L, dtype=torch.bool)),
        ),
        Mistake(
            "mask the wrong way round",
            "True means *hidden* here, as in `nn.MultiheadAttention`. Your mask says who may look.",
            _nll_wrong(mask=lambda T, L: ~_hidden(T, L)),
        ),
        Mistake(
            "sees one code ahead",
            "`triu(2)` leaves the next place in view. With the shift done, a place sees itself and what is before: `triu(1)`.",
            _nll_wrong(mask=_one_ahead),
        ),
        Mistake(
            "does not see itself",
            "After the shift, what stands at a place is the code before: the place must see it. `triu(1)`, not `triu(0)`.",
            _nll_wrong(mask=_not_itself),
        ),
        Mistake(
            "words in order only",
            "The words are all given: each sees all of them, also those that come later.",
            _nll_wrong(mask=lambda T, L: torch.ones(T + L, T + L, dtype=torch.bool).triu(1)),
        ),
        Mistake(
            "words see the codes",
            "Words that see codes carry them to every place that sees the words.",
            _nll_wrong(mask=_shows_codes_to_words),
        ),
        Mistake(
            "logits one place early",
            "You read the logits at the places T − 1 to T + L − 2, as if there were no `start`.",
            _nll_wrong(cut=lambda logits, T, L: logits[:, T - 1 : -1]),
        ),
        Mistake(
            "logits of the words",
            "Those are the first L places, where the words are. The codes' logits begin at place T.",
            _nll_wrong(cut=lambda logits, T, L: logits[:, :L]),
        ),
        Mistake(
            "codes alone in the softmax",
            "p is over all V tokens; you left those of the words and `start` out.",
            _nll_wrong(cut=lambda logits, T, L: logits[:, T:, :5]),
        ),
        Mistake(
            "bits",
            "Nats: natural logarithms.",
            _nll_wrong(
                cost=lambda logits, codes: (
                    F.cross_entropy(logits.transpose(1, 2), codes, reduction="none") * 1.4426950408889634
                )
            ),
        ),
        Mistake(
            "sum over the codes",
            "The cost of each code was asked for, (N, L): `reduction='none'`.",
            _nll_wrong(
                cost=lambda logits, codes: F.cross_entropy(logits.transpose(1, 2), codes, reduction="none").sum(
                    1, keepdim=True
                )
            ),
        ),
        Mistake(
            "log-probabilities",
            "A cost is positive: minus the logarithm.",
            _nll_wrong(cost=lambda logits, codes: -F.cross_entropy(logits.transpose(1, 2), codes, reduction="none")),
        ),
    ),
    alternatives={
        "moments compared": _nll_compared,
        "four blocks, log-sum-exp": _nll_lse,
        "rolled and filled": _nll_flat,
    },
)
