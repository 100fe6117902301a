"""## 4. Style

What a caption leaves open is style. It comes from the noise, and a picture's style can be read back: the noise from which G
would have made it.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.checks.protocol import flat_weights
from coursekit.exercises.u08_text_to_image.nets import (
    StyleS,
    TextG,
    draw_texts,
    flat_gradients,
    leaf,
    made,
    modes,
)

# style_loss


def _draw_style(rng: Rng) -> Inputs:
    return {"phi": draw_texts(rng, 5), "z": rng.normal(5, 3) * 1.2, "net": rng.integer(0, 1_000_000)}


def _style_nets(inputs: Inputs) -> tuple[Any, Any]:
    dtype = inputs["phi"].dtype
    G, S = made(TextG, inputs["net"], dtype), made(StyleS, inputs["net"] + 1, dtype)
    G.norm.eval()  # mixed modes on purpose: the network's own mode says train, one of its modules does not
    return S, G


def _style_value(answer: Any, inputs: Inputs) -> Findings:
    S, G = _style_nets(inputs)
    G.train()
    return {"loss": answer(S, G, inputs["phi"], inputs["z"])}


def _style_learner(answer: Any, inputs: Inputs) -> Findings:
    """Who learns: all weights are handed over with gradients on."""
    S, G = _style_nets(inputs)
    phi, z = leaf(inputs["phi"]), leaf(inputs["z"])
    loss = answer(S, G, phi, z)
    if loss.requires_grad:
        loss.backward()
    return {
        "gradients of S": flat_gradients(S.parameters()),
        "gradients of G": flat_gradients(G.parameters()),
        "gradient of phi": None if phi.grad is None else phi.grad.clone(),
        "running mean in S moved": not torch.equal(S.norm.running_mean, _style_nets(inputs)[0].norm.running_mean),
    }


def _style_untouched(answer: Any, inputs: Inputs) -> Findings:
    S, G = _style_nets(inputs)
    answer(S, G, inputs["phi"], inputs["z"])
    return {
        **network_state(G),
        "modes of G": modes(G),
        "modes of S": modes(S),
        "weights of S": flat_weights(S.parameters()),
    }


STYLE_LOSS = Question(
    unit="08",
    name="style_loss",
    title="Read the style back",
    difficulty=3,
    minutes=20,
    task="""
The decks show a grid: captions down, pictures across, each cell drawn as $s \\leftarrow S(x)$, $\\hat x \\leftarrow G(s,
\\varphi(t))$, the content from the caption and the style from the picture. They do not say where S comes from. It is trained
on G's own pictures, whose style is known, because it was put in (Reed et al. 2016, section 4.4, equation 6):

$$\\mathcal L(S) = \\mathbb E_{t,\\,z \\sim N(0, I)} \\lVert z - S(G(z, \\varphi(t))) \\rVert^2$$

Only S may learn. If G learns along, it will write z into a corner of the picture where S finds it at once, and the loss falls
to nothing.

`style_loss(S, G, phi, z)` takes both networks, texts `phi` (N, D) and noise `z` (N, Z), and returns the scalar loss: the
squared length of a difference is a **sum** over Z, the expectation a **mean** over N.

- G draws in **eval** mode, all of its modules, as it will when it is used. Afterwards the mode of each module is what it was
  (they may differ from one to the next), and buffers, weights and their `.grad` are untouched. `G.train()` at the end is not
  enough.
- Gradients reach the weights of S and nothing else: not G's weights, not `phi`, not `z`. S runs in the mode in which it is.
""",
    answers=("style_loss",),
    draw=_draw_style,
    parts=(
        Part(name="value", points=1.0, tests="the loss", probe=_style_value),
        Part(name="learner", points=1.0, tests="gradients reach S, and S alone", probe=_style_learner),
        Part(
            name="untouched",
            points=0.5,
            tests="G afterwards: weights, gradients, buffers, modes",
            probe=_style_untouched,
        ),
    ),
    hints=(
        "Which part of the chain needs a graph, and which must not have one?",
        "`with torch.no_grad(): x = G(z, phi)`, between noting `module.training` of each module and putting it back. S "
        "comes after "
        "that, outside.",
        "`before = [(m, m.training) for m in G.modules()]`, `G.eval()`, draw, `for m, was in before: m.training = was`; "
        "then `(S(x) - "
        "z.detach()).square().sum(1).mean()`.",
    ),
)

# verification_auc


def _draw_auc(rng: Rng) -> Inputs:
    return {
        "same": rng.normal(9) + 1.2,
        "other": rng.normal(14) - 0.6,
        "same_tied": torch.cat([rng.integers(2, 5, 4), torch.tensor([2, 3, 4, 4])]).to(rng.dtype),
        "other_tied": torch.cat([rng.integers(0, 4, 7), torch.tensor([0, 0, 1, 2, 3])]).to(rng.dtype),
        "level": torch.full((5,), rng.number(0, 1), dtype=rng.dtype),
    }


def _auc_smooth(answer: Any, inputs: Inputs) -> Findings:
    return {"area": float(answer(inputs["same"], inputs["other"]))}


def _auc_tied(answer: Any, inputs: Inputs) -> Findings:
    return {"area": float(answer(inputs["same_tied"], inputs["other_tied"]))}


def _auc_edges(answer: Any, inputs: Inputs) -> Findings:
    low, high = inputs["other"] - 10, inputs["same"] + 10
    return {
        "all alike": float(answer(inputs["level"], inputs["level"][:3])),
        "apart": float(answer(high, low)),
        "apart, the wrong way": float(answer(low, high)),
    }


_CHANCE = Law(
    "one score for all",
    "An encoder that gives every pair the same similarity knows nothing: its area is ½. Ties count one half.",
    lambda inputs, found: abs(found["all alike"] - 0.5) < 1e-6,
)

VERIFICATION_AUC = Question(
    unit="08",
    name="verification_auc",
    title="Is it the same style?",
    difficulty=2,
    minutes=10,
    task="""
Does the style encoder work? Reed et al. (2016, section 5.1 and figure 5) test it like a passport control: pairs of pictures
that share a style should be more similar than pairs that do not. A threshold would have to be chosen, so every one is tried:
the area under the ROC curve. It has a meaning that needs no curve. It is the probability that a pair of one style, picked at
random, gets a **higher** similarity than a pair of two styles, a tie counting one half.

`verification_auc(same, other)` takes the similarities of the pairs of one style, (n,), and of the pairs of two styles, (m,),
and returns that area over all n × m comparisons: a number from 0 to 1, plain or as a tensor of one element.
""",
    answers=("verification_auc",),
    draw=_draw_auc,
    parts=(
        Part(name="smooth", points=0.5, tests="9 and 14 similarities, all different", probe=_auc_smooth),
        Part(name="ties", points=0.5, tests="similarities with ties", probe=_auc_tied),
        Part(name="edges", points=0.5, tests="all alike; perfectly apart", probe=_auc_edges, laws=(_CHANCE,)),
    ),
    hints=(
        "n × m comparisons fit into one table.",
        "`same[:, None] > other` is that table; `==` finds the ties.",
        "Mean of the one plus half the mean of the other, in a floating dtype.",
    ),
)
