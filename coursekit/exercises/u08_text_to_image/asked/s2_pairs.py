"""## 2. Real, and of this text

A discriminator that never sees a good picture with a wrong text has no reason to read. Here are the third case and the texts
for it, and what a slide forgets.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.exercises.u08_text_to_image.nets import gradient, leaf

# wrong_captions

_REPEATS = 4000
"""Rows for each picture. The difference of two right samplers' shares is off by more than 0.07 with a probability of at most
2 exp(-4000 * 0.07**2) = 6e-9 (Hoeffding); for all shares of a check below 3e-7."""


def _draw_captions(rng: Rng) -> Inputs:
    A, V = 4, 4
    # Six captions of three pictures: one names three values, one is vague, one speaks of one thing only, one says nothing.
    # Picture 2 differs from picture 0 in attribute 1 alone, picture 1 from both in everything.
    labels = rng.integers(0, V, 3, A)
    labels[1] = (labels[0] + 1) % V
    labels[2] = labels[0]
    labels[2, 1] = (labels[0, 1] + 2) % V
    fits = torch.ones(6, A, V, dtype=torch.bool)

    def names(caption: int, attribute: int, *values: int) -> None:
        fits[caption, attribute] = False
        fits[caption, attribute, [v % V for v in values]] = True

    for a in range(3):
        names(0, a, int(labels[0, a]))
    for a in range(1, 4):
        names(1, a, int(labels[1, a]))
    names(2, 0, int(labels[0, 0]), int(labels[0, 0]) + 2)
    names(2, 1, int(labels[0, 1]), int(labels[0, 1]) + 1)
    names(3, 2, int(labels[2, 2]))
    names(5, 0, int(labels[1, 0]))
    names(5, 3, int(labels[1, 3]), int(labels[1, 3]) + 1)
    all_true = torch.ones(3, A, V, dtype=torch.bool)
    all_true[0, 0] = torch.arange(V) == labels[0, 0]
    all_true[2, 3] = (torch.arange(V) == labels[0, 3]) | (torch.arange(V) == (labels[0, 3] + 1) % V)
    return {
        "labels": labels,
        "fits": fits[rng.permutation(6)],
        "all_true": all_true,
        "seed": rng.integer(1, 1_000_000),
    }


def _says(answer: Any, inputs: Inputs) -> Findings:
    return {"true of, three pictures": answer.is_true_of(inputs["fits"], inputs["labels"])}


def _pairs(answer: Any, inputs: Inputs) -> Findings:
    generator = torch.Generator().manual_seed(inputs["seed"])
    labels = inputs["labels"].repeat(_REPEATS, 1)
    partner = answer.wrong_captions(inputs["fits"], labels, generator)
    shares = torch.nn.functional.one_hot(partner.view(_REPEATS, 3), len(inputs["fits"])).double().mean(0)
    fitting = inputs["fits"][partner].gather(2, labels[..., None])[..., 0]
    return {
        "dtype and shape": [str(partner.dtype), list(partner.shape)],
        "all of them wrong": not bool(fitting.all(1).any()),
        "shares of the captions for each picture": shares,
    }


def _pairs_generator(answer: Any, inputs: Inputs) -> Findings:
    labels = inputs["labels"].repeat(20, 1)
    first, again = (torch.Generator().manual_seed(inputs["seed"]) for _ in range(2))
    before = torch.random.get_rng_state()
    rounds = [answer.wrong_captions(inputs["fits"], labels, first) for _ in range(3)]
    replayed = answer.wrong_captions(inputs["fits"], labels, again)
    return {
        "one seed, one outcome": torch.equal(rounds[0], replayed),
        "later calls draw anew": not (torch.equal(rounds[0], rounds[1]) and torch.equal(rounds[0], rounds[2])),
        "global generator untouched": torch.equal(before, torch.random.get_rng_state()),
    }


def _pairs_refused(answer: Any, inputs: Inputs) -> Findings:
    found: Findings = {}
    for name, count in (("one of three pictures has none", 3), ("the only picture has none", 1)):
        rows, generator = inputs["labels"][:count], torch.Generator().manual_seed(inputs["seed"])
        try:
            answer.wrong_captions(inputs["all_true"], rows, generator)
            found[name] = "no error"
        except ValueError:
            found[name] = "ValueError"
    return found


_TRULY_WRONG = Law(
    "a caption that is true",
    "Some of your wrong captions are true of their picture. Look at the facts, not at the index.",
    lambda inputs, found: found["all of them wrong"],
)

WRONG_CAPTIONS = Question(
    unit="08",
    name="wrong_captions",
    title="A wrong caption that is really wrong",
    difficulty=4,
    minutes=25,
    task="""
The matching-aware discriminator is shown real pictures with wrong captions. The usual code takes the caption of the neighbour
in the batch, or a permutation without fixed points. But "a small bird" from the neighbour's picture is *true* of every other
small bird, so that D is punished for being right, the more often the shorter captions are.

People are vague, too: "a warm-coloured bird" is true of red and of yellow ones. So what a caption tells is given as `fits`
(M, A, V) bool: `fits[m, a, v]` says whether the value $v$ of attribute $a$ agrees with caption $m$. Where a caption does not
speak of an attribute, every value does. `labels` (N, A) int64 holds the true values of N pictures, 0 to V − 1. Captions and
pictures are not in the same order, and M and N may differ.

- `is_true_of(fits, labels)` returns (N, M) bool: whether caption $m$ is true of picture $n$, that is, whether the picture's
  value of **every** attribute agrees with it. A caption that speaks of nothing is true of all pictures.
- `wrong_captions(fits, labels, generator)` returns for each picture the index of a caption that is **not** true of it,
  (N,) int64, each such caption with the same probability, drawn independently for each picture. All randomness comes from
  `generator`, a `torch.Generator`. If there is a picture of which all captions are true, raise a `ValueError`.

Shares are counted over 4000 copies of each picture and may be off by 0.07. A right answer fails this less than once in a
million checks.
""",
    answers=("is_true_of", "wrong_captions"),
    draw=_draw_captions,
    parts=(
        Part(name="truth", points=1.0, tests="which captions are true of which pictures", probe=_says),
        Part(
            name="pairs",
            points=1.0,
            tests="wrong captions for 12000 pictures: all wrong, and evenly drawn",
            probe=_pairs,
            laws=(_TRULY_WRONG,),
            rtol=0.0,
            atol=0.07,
        ),
        Part(name="generator", points=0.5, tests="the given generator and no other", probe=_pairs_generator),
        Part(name="refused", points=0.5, tests="a picture of which every caption is true", probe=_pairs_refused),
    ),
    hints=(
        "For one attribute a and all pictures and captions: `fits[:, a]` is (M, V), and `labels[:, a]` picks N of its columns.",
        "`fits[:, torch.arange(A), labels]` picks them for all attributes at once: with `labels` (N, A) it has the "
        "shape (M, N, A). Then "
        "all attributes must agree; mind which axis is which.",
        "Give the false captions weight 1 and the true ones 0: `torch.multinomial(weights, 1, generator=generator)` "
        "draws a column "
        "(N, 1). Before that look for rows without any weight.",
    ),
)

# best_answers


def _draw_tables(rng: Rng) -> Inputs:
    X, T = 5, 3
    joint = rng.uniform(X, T, low=0.1) ** 2
    joint[rng.integer(0, X - 1), rng.integer(1, T)] = 0.0
    joint[X - 1] = 0.0  # a picture that does not exist
    joint = joint / joint.sum()
    made = rng.uniform(X, T, low=0.05) ** 2
    made[1:, 0] = 0.0
    made[X - 1] = 0.0
    odd = made.clone()
    odd[X - 1] = rng.uniform(T, low=0.2)  # here G makes it all the same
    return {"joint": joint, "made": made / made.sum(0), "odd": odd / odd.sum(0)}


def _answers_of(made: str) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        slide, conditional, matching = answer(inputs["joint"], inputs[made])
        return {"the slide's D": slide, "the conditional D": conditional, "the matching-aware D": matching}

    return probe


def _answers_deaf(answer: Any, inputs: Inputs) -> Findings:
    """A generator with the right pictures that does not listen, and a perfect one."""
    joint = inputs["joint"]
    deaf = joint.sum(1, keepdim=True).expand(-1, 3).contiguous()
    found = {}
    for name, made in (("deaf G", deaf), ("perfect G", joint / joint.sum(0))):
        slide, conditional, matching = answer(joint, made)
        found |= {
            f"{name}: the slide's D": slide,
            f"{name}: the conditional D": conditional,
            f"{name}: the third": matching,
        }
    return found


_FOOLED = Law(
    "the slide's D notices",
    "Without φ(t) D sees pictures only, and those of the deaf generator are as frequent as real ones: the slide's D must "
    "answer ½ everywhere.",
    lambda inputs, found: bool((found["deaf G: the slide's D"] - 0.5).abs().max() < 1e-4),
)

BEST_ANSWERS = Question(
    unit="08",
    name="best_answers",
    title="The value that forgot the text",
    difficulty=4,
    minutes=30,
    slip=True,
    task="""
A slide on text to image (HKUST, *Advanced Deep Learning Architectures: Generative Adversarial Networks*) defines the generator
as $\\hat x := G(z, \\varphi(t))$, and then gives the value of the unconditional game, $\\mathbb E \\log D(x) + \\mathbb E \\log
(1 - D(G(z)))$. The text has gone, and with it every reason for G to listen. How much does that cost? With few pictures and
few texts it can be computed.

There are X pictures and T texts. `joint` (X, T) holds $p(x, t)$, the real pairs; `made` (X, T) holds $p_G(x \\mid t)$, so that
each **column** sums to 1. Texts for the generator, and wrong texts, are drawn from $p(t) = \\sum_x p(x, t)$, whatever the
picture. Write `best_answers(joint, made)`: the best $D(x, t)$ for three values, three tables (X, T) in this order.

1. The slide's, taken literally: D sees $x$ alone (so the columns are equal), real pictures against made ones.
2. With the text put back: $\\mathbb E_{p(x,t)} \\log D(x, t) + \\mathbb E_{p(t)\\, p_G(x|t)} \\log (1 - D(x, t))$.
3. With wrong texts as well, matching-aware (Reed et al. 2016): $\\mathbb E_{p(x,t)} \\log D(x, t) + \\tfrac12\\,\\mathbb
   E_{p(x)\\,p(t)} \\log (1 - D(x, t)) + \\tfrac12\\,\\mathbb E_{p(t)\\,p_G(x|t)} \\log (1 - D(x, t))$.

Where nothing is ever shown to D, real or made, the answer is ½. It works if a generator that draws real pictures *without
listening*, $p_G(x \\mid t) = p(x)$, gets ½ everywhere from the slide's D, and is found out by the others. And look at
the third D of a **perfect** generator: it is not ½.
""",
    answers=("best_answers",),
    draw=_draw_tables,
    parts=(
        Part(name="tables", points=1.0, tests="the three tables", probe=_answers_of("made")),
        Part(name="odd", points=0.5, tests="a picture that only the generator makes", probe=_answers_of("odd")),
        Part(name="deaf", points=1.0, tests="a deaf generator and a perfect one", probe=_answers_deaf, laws=(_FOOLED,)),
    ),
    hints=(
        "For each cell: $a \\log D + b \\log(1 - D)$ is largest at $D = a / (a + b)$. What are a and b in each of the three?",
        "Sums over cells that D cannot tell apart belong together: the slide's D has $a = p(x)$ and $b = \\sum_t "
        "p(t)\\,p_G(x \\mid "
        "t)$.",
        "`text = joint.sum(0)`, `picture = joint.sum(1, keepdim=True)`, `shown = made * text`. In the third, b is "
        "`picture * text / 2 + "
        "shown / 2`. Where a + b is 0 use `torch.where`.",
    ),
)

# matching_aware


def _draw_logits(rng: Rng) -> Inputs:
    return {
        "right": 1.5 * rng.normal(5) + 0.7,
        "wrong": 1.5 * rng.normal(3) - 0.2,
        "fake": 1.5 * rng.normal(7) - 0.6,
        "far": rng.number(150, 250),
    }


_THREE = ("right", "wrong", "fake")


def _losses(answer: Any, inputs: Inputs) -> Findings:
    right, wrong, fake = (inputs[name] for name in _THREE)
    return {"D's loss": answer.matching_loss_D(right, wrong, fake), "G's loss": answer.matching_loss_G(fake)}


def _loss_gradients(answer: Any, inputs: Inputs) -> Findings:
    scores = [leaf(inputs[name]) for name in _THREE]
    found: Findings = dict(zip(_THREE, gradient(answer.matching_loss_D(*scores), *scores)))
    fake = leaf(inputs["fake"])
    found["fake, G's loss"] = gradient(answer.matching_loss_G(fake), fake)[0]
    return found


def _losses_far(answer: Any, inputs: Inputs) -> Findings:
    far = inputs["far"]
    found: Findings = {}
    for name, sign in (("sure and right", 1.0), ("sure and wrong", -1.0)):
        scores = [leaf(inputs[k] + s * sign * far) for k, s in zip(_THREE, (1.0, -1.0, -1.0))]
        loss = answer.matching_loss_D(*scores)
        found[f"D's loss, {name}"] = loss
        found[f"gradients, {name}"] = gradient(loss, *scores)
        found[f"G's loss, {name}"] = answer.matching_loss_G(scores[2])
    return found


MATCHING_AWARE = Question(
    unit="08",
    name="matching_aware",
    title="Three cases, and not the set {0, 1}",
    difficulty=3,
    minutes=20,
    slip=True,
    task="""
A slide (Shi, *A Brief Review on GANs*) gives the text-conditional discriminator as $D: \\mathbf R^D \\times \\mathbf R^T
\\to 0, 1$; another course says that D outputs a *likelihood in (0, 1)*. Taken literally, the first is a set of two decisions:
their logarithm is 0 or −∞, and there is no gradient anywhere. What is meant is the open interval, and what D gives in there
is a **probability**, not a likelihood (nothing sums to 1 over pictures). As a number it is best never computed: keep the logit.
And the value of the slide before lacks the third case, the real picture with a wrong text. From the paper (Reed et al. 2016,
*Generative adversarial text to image synthesis*, algorithm 1), with $s_r$ for the right pair, $s_w$ for a real picture with a
wrong text, and $s_f$ for a fake with the right text, D **ascends**

$$\\log s_r + \\tfrac12 \\big(\\log(1 - s_w) + \\log(1 - s_f)\\big)$$

and G ascends $\\log s_f$. Write both as losses to be **descended**, from logits, where $s = \\sigma(\\text{logit})$:

- `matching_loss_D(right, wrong, fake)` takes the logits of the three cases, (n,) each, where n **differs** from case to case.
  Each expectation is a mean over its own case. It returns a scalar.
- `matching_loss_G(fake)` returns G's loss, a scalar.

Both must be right, with finite gradients, for logits of ±250. The halves keep the two kinds of negatives together as heavy as
the positives: D at logits 0 costs $2 \\log 2 \\approx 1.386$.
""",
    answers=("matching_loss_D", "matching_loss_G"),
    draw=_draw_logits,
    parts=(
        Part(name="losses", points=1.0, tests="both losses, batches of 5, 3 and 7", probe=_losses),
        Part(name="gradients", points=0.5, tests="gradients of all logits", probe=_loss_gradients),
        Part(name="far", points=1.0, tests="logits around ±200", probe=_losses_far),
    ),
    hints=(
        "$-\\log \\sigma(a) = \\log(1 + e^{-a})$. Torch has a function for $\\log(1 + e^a)$ that neither overflows nor loses "
        "digits.",
        "`F.softplus(-right).mean()` is the first term. Of which sign is the argument for what D should reject?",
        "Mean each case by itself, then `positives + (wrong_term + fake_term) / 2`. G wants its fakes accepted: "
        "`F.softplus(-fake).mean()`.",
    ),
)
