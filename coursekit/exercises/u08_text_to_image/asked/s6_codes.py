"""## 6. Pictures in a language of their own

A VQ autoencoder turns a picture into a grid of signs, and a causal transformer learns to write them, after the words of a
caption: the other way from text to image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.exercises.u08_text_to_image.nets import gradient, leaf, made

# residual_codes


def _draw_residual(rng: Rng) -> Inputs:
    D, K = 3, 7
    codebook = rng.normal(K, D) * torch.linspace(0.3, 1.6, K, dtype=rng.dtype)[:, None]
    codebook = codebook[rng.permutation(K)]
    tied = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 1.0], [-2.0, 0.0]], dtype=rng.dtype)
    return {
        "z": 1.2 * rng.normal(2, D, 3, 4),
        "codebook": codebook,
        "tied": tied,
        "between": torch.tensor([[[[0.0, 0.0, 0.5]], [[0.0, 1.0, 0.0]]]], dtype=rng.dtype),
    }


def _residual_of(depth: int) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        codes, found = answer(inputs["z"], inputs["codebook"], depth)
        return {"codes": codes, "sum of the codes": found}

    return probe


def _residual_ties(answer: Any, inputs: Inputs) -> Findings:
    codes, found = answer(inputs["between"], inputs["tied"], 1)
    return {"codes": codes, "sum of the codes": found}


RESIDUAL_CODES = Question(
    unit="08",
    name="residual_codes",
    title="The nearest code, and the nearest to what is left",
    difficulty=3,
    minutes=20,
    task="""
The heart of every VQ model is one look-up: which vector of the codebook is nearest? One code out of K is coarse. Residual
quantisation (Lee et al. 2022, section 3.1) asks again with **what is left over**, in the same codebook: with depth R there
are $K^R$ combinations from K vectors. For the features $z$ at each place, starting from $r_0 = z$:

$$k_d = \\arg\\min_k \\lVert r_{d-1} - e_k \\rVert^2, \\qquad r_d = r_{d-1} - e_{k_d}, \\qquad d = 1, \\dots, R$$

`residual_codes(z, codebook, depth)` takes features `z` (N, D, H, W), `codebook` (K, D), and a whole number `depth` = R of at
least 1. It returns

- the codes $k_1, \\dots, k_R$, (N, R, H, W) int64; of several that are equally near the one with the smallest index;
- the sum of the chosen vectors, $\\sum_d e_{k_d}$, (N, D, H, W).

With depth 1 this is plain vector quantisation.
""",
    answers=("residual_codes",),
    draw=_draw_residual,
    parts=(
        Part(name="nearest", points=1.0, tests="depth 1: the nearest code", probe=_residual_of(1)),
        Part(name="residual", points=1.0, tests="depth 4", probe=_residual_of(4)),
        Part(name="ties", points=0.5, tests="places as near to several codes", probe=_residual_ties),
    ),
    hints=(
        "Distances need the D features last and the K codes beside them. Which axis do they go to, and how do they come back?",
        "`rest = z.movedim(1, -1)` is (N, H, W, D); `((rest[..., None, :] - codebook) ** 2).sum(-1)` are all distances, "
        "(N, H, W, K).",
        "`argmin(-1)` is the code, `codebook[code]` its vector, which is taken off the rest. In the end stack the codes "
        "along axis 1; the sum "
        "of the vectors is what is missing from z.",
    ),
)

# straight_through


def _draw_quantise(rng: Rng) -> Inputs:
    return {
        "z": rng.normal(2, 3, 2, 4),
        "codebook": rng.normal(6, 3),
        # Code 4 is chosen nowhere, code 1 most often.
        "codes": torch.tensor([0, 1, 1, 1, 2, 2, 3, 5])[rng.integers(0, 8, 2, 2, 4)],
        "beta": rng.number(0.2, 0.4),
    }


def _quantise(answer: Any, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    z, codebook = leaf(inputs["z"]), leaf(inputs["codebook"])
    q, loss = answer(z, codebook, inputs["codes"], inputs["beta"])
    return z, codebook, q, loss


def _quantise_values(answer: Any, inputs: Inputs) -> Findings:
    _, _, q, loss = _quantise(answer, inputs)
    return {"quantised": q, "loss of each picture": loss}


def _quantise_through(answer: Any, inputs: Inputs) -> Findings:
    z, codebook, q, _ = _quantise(answer, inputs)
    top = torch.linspace(-1, 2, q.numel(), dtype=q.dtype).view(q.shape)
    of_z, of_book = gradient((q * top).sum(), z, codebook)
    return {"gradient of z through the picture": of_z, "gradient of the codebook through the picture": of_book}


def _quantise_pulls(answer: Any, inputs: Inputs) -> Findings:
    z, codebook, _, loss = _quantise(answer, inputs)
    of_z, of_book = gradient((loss * torch.tensor([1.0, 3.0], dtype=loss.dtype)).sum(), z, codebook)
    return {"gradient of z by the loss": of_z, "gradient of the codebook by the loss": of_book}


_IDENTITY = Law(
    "the gradient does not pass",
    "What comes back to the quantised features must reach z unchanged: copied straight through.",
    lambda inputs, found: bool(
        torch.allclose(
            found["gradient of z through the picture"],
            torch.linspace(-1, 2, 48, dtype=inputs["z"].dtype).view(2, 3, 2, 4),
            atol=1e-5,
        )
    ),
)

QUANTISE = Question(
    unit="08",
    name="quantise",
    title="A gradient through a choice that has none",
    difficulty=4,
    minutes=25,
    task="""
The nearest code is a step function: its derivative is 0 wherever it exists, and the encoder would never learn. The
straight-through estimator copies the decoder's gradient past the choice as if nothing had happened. But then nobody teaches the
codebook, so two losses do, with the same value and opposite duties: one moves the codes to the features, the other keeps the
features at their codes (van den Oord et al. 2017, equation 3).

`quantise(z, codebook, codes, beta)` takes features `z` (N, D, H, W), `codebook` (K, D), the codes chosen for each place,
`codes` (N, H, W) int64, and a number `beta`. With $e$ the vectors of the chosen codes, laid out like z, and sg the
stop-gradient, it returns

- the quantised features (N, D, H, W): their **value** is $e$; their **gradient** goes to z unchanged, and to the codebook not
  at all;
- the loss of each picture, (N,): $\\lVert \\text{sg}[z] - e \\rVert^2 + \\beta\\, \\lVert z - \\text{sg}[e] \\rVert^2$, each a
  **sum** over the D features and a **mean** over the H × W places.
""",
    answers=("quantise",),
    draw=_draw_quantise,
    parts=(
        Part(name="values", points=1.0, tests="the quantised features and the losses", probe=_quantise_values),
        Part(
            name="through",
            points=1.0,
            tests="gradients of z and of the codebook through the quantised features",
            probe=_quantise_through,
            laws=(_IDENTITY,),
        ),
        Part(name="pulls", points=1.0, tests="gradients of z and of the codebook by the loss", probe=_quantise_pulls),
    ),
    hints=(
        "Which expression has the value of e and the derivative 1 with respect to z? `detach` takes the derivative away and "
        "leaves the value.",
        "`e = codebook[codes]` is (N, H, W, D): bring the features to the front with `movedim`. The quantised features "
        "are `z + (e - "
        "z).detach()`.",
        "`(z.detach() - e)` moves the codes, `(z - e.detach())` the features; squared, `.sum(1).mean((1, 2))`, the "
        "second times beta.",
    ),
)

# code_nll


class TinyWriter(nn.Module):
    """Tokens (N, S) int64, 0 to 8 -> logits (N, S, 9). Place s looks at place t only where `hidden[s, t]` is False."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(9, 8), nn.Parameter(torch.zeros(12, 8))
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 9)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        self.seen.append((tokens.clone(), hidden.clone()))
        e = self.embed(tokens) + self.place[: tokens.shape[1]]
        h = e + self.mix(e, e, e, attn_mask=hidden, need_weights=False)[0]
        return self.head(torch.tanh(h))


def _draw_writer(rng: Rng) -> Inputs:
    N, T, L = 3, 3, 5
    return {
        "text": rng.integers(6, 9, N, T),  # words are the tokens 6 to 8, codes 0 to 4, "begin" is 5
        "codes": torch.stack([rng.permutation(5) for _ in range(N)]),
        "start": 5,
        "net": rng.integer(0, 1_000_000),
        "place": rng.integer(1, L - 1),
    }


def _writer(inputs: Inputs, dtype: torch.dtype | None = None) -> Any:
    return made(TinyWriter, inputs["net"], dtype or torch.get_default_dtype())


def _nll_value(answer: Any, inputs: Inputs) -> Findings:
    return {"nats for each code": answer(_writer(inputs), inputs["text"], inputs["codes"], inputs["start"])}


def _nll_input(answer: Any, inputs: Inputs) -> Findings:
    net = _writer(inputs)
    answer(net, inputs["text"], inputs["codes"], inputs["start"])
    tokens, hidden = net.seen[0] if net.seen else (None, None)
    return {"passes": len(net.seen), "tokens": tokens, "hidden": hidden}


def _nll_causal(answer: Any, inputs: Inputs) -> Findings:
    """What a code costs must not depend on the codes after it; it must depend on those before, and on the text."""
    net, k = _writer(inputs), inputs["place"]
    nats = answer(net, inputs["text"], inputs["codes"], inputs["start"])
    later, words = inputs["codes"].clone(), inputs["text"].clone()
    later[:, k:] = (later[:, k:] + 1) % 5
    words[:, 0] = 6 + (words[:, 0] - 5) % 3
    other = answer(net, inputs["text"], later, inputs["start"])
    retold = answer(net, words, inputs["codes"], inputs["start"])
    return {
        "earlier codes cost the same": bool((nats[:, :k] - other[:, :k]).abs().max() < 1e-5),
        "the text matters to all": bool(((nats - retold).abs() > 1e-7).all()),
    }


def _nll_learns(answer: Any, inputs: Inputs) -> Findings:
    net = _writer(inputs)
    nats = answer(net, inputs["text"], inputs["codes"], inputs["start"])
    return {"gradient of the embeddings": gradient(nats.sum(), net.embed.weight)[0]}


_CAUSAL = Law(
    "looks ahead",
    "The cost of a code changes with the codes after it: somewhere the future leaks in. Look at the shift, then at the mask.",
    lambda inputs, found: found["earlier codes cost the same"],
)

CODE_NLL = Question(
    unit="08",
    name="code_nll",
    title="What does the next sign cost?",
    difficulty=4,
    minutes=25,
    task="""
The prior writes a picture code by code, each given the words and the codes before it. Training does all places at once, and
cheating is easy: a shift by one too little, or a mask the wrong way round, and the network copies the answer from its input.
The loss then falls to nothing and the samples are noise. That the loss looks *too* good is the only symptom.

`code_nll(net, text, codes, start)` takes the network, `text` (N, T) int64, `codes` (N, L) int64 and the token `start`. The
network reads **one** sequence of S = T + L tokens, in one call `net(tokens, hidden)`:

- `tokens` (N, S): the text, then `start`, then all codes **but the last**;
- `hidden` (S, S) bool, in the convention of `nn.MultiheadAttention`: **True where place s may *not* look at place t**. (In
  `F.scaled_dot_product_attention` True means the opposite.) The words see all words, but no code; `start` and the codes see
  all words, and of `start` and the codes those up to and including themselves.

It returns logits (N, S, V) for V tokens, of which those at place T + l are for code l, l = 0 to L − 1. Return the cost of each
code in nats, (N, L): $-\\log p(k_l \\mid \\text{text}, k_0, \\dots, k_{l-1})$, with p over **all** V tokens. A network that
knows nothing costs $\\log V$ for each.
""",
    answers=("code_nll",),
    given=(TinyWriter,),
    draw=_draw_writer,
    parts=(
        Part(name="value", points=1.0, tests="the cost of each code", probe=_nll_value),
        Part(
            name="input", points=1.0, tests="tokens and mask that the network was given, in one pass", probe=_nll_input
        ),
        Part(
            name="causal",
            points=0.5,
            tests="later codes do not matter, the text does",
            probe=_nll_causal,
            laws=(_CAUSAL,),
        ),
        Part(name="gradient", points=0.5, tests="the gradient of the embeddings", probe=_nll_learns),
    ),
    hints=(
        "Write the sequence for T = 2 and L = 3 on paper, and under each place what it is to predict. Which places predict "
        "nothing?",
        "`F.pad(codes[:, :-1], (1, 0), value=start)` shifts. `torch.ones(S, S, dtype=torch.bool).triu(1)` hides what "
        "comes later; the words "
        "among themselves are then shown again.",
        "`hidden[:T, :T] = False`; `logits = net(torch.cat([text, shifted], 1), hidden)[:, T:]`; the cost is "
        "`F.cross_entropy(logits.transpose(1, 2), codes, reduction='none')`.",
    ),
)
