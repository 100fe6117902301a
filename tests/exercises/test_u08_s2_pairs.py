"""The references of section 2 against the kit's captions, gradients of the value, and torch's cross-entropy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.datasets import birds
from coursekit.exercises.u08_text_to_image.known import s2_pairs as known
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


PAIRINGS = [known.WRONG_CAPTIONS.reference, {"is_true_of": known.is_true_of, "wrong_captions": known.wrong_captions}]
TABLES = [known.BEST_ANSWERS.reference, known.best_answers]
LOSSES = [
    known.MATCHING_AWARE.reference,
    {"matching_loss_D": known.matching_loss_D, "matching_loss_G": known.matching_loss_G},
]


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_wrong_captions_of_birds_are_wrong(pairing) -> None:
    """Real captions, read by the kit's parser: what it reads decides."""
    own = generator(0)
    flock = birds.sample(40, generator=own)
    told = [birds.parse(text) for text in birds.caption(flock, generator=own)]
    most = max(len(values) for values in birds.NAMES.values())
    fits = torch.ones(40, len(birds.NAMES), most, dtype=torch.bool)
    for m, facts in enumerate(told):
        for a, (name, values) in enumerate(birds.NAMES.items()):
            if name in facts:
                fits[m, a] = torch.arange(most) == values.index(facts[name])
    true = pairing["is_true_of"](fits, flock.stack())
    pictures = flock.names()
    for n, picture in enumerate(pictures):
        for m, facts in enumerate(told):
            assert bool(true[n, m]) == (facts.items() <= picture.items())
    assert true.diagonal().all() and true.sum() > 45  # accidental matches do happen
    for seed in range(5):
        partner = pairing["wrong_captions"](fits, flock.stack(), generator(seed))
        assert not any(told[int(m)].items() <= picture.items() for m, picture in zip(partner, pictures))


def values(tables, p: Tensor, g: Tensor) -> list[Tensor]:
    """The three values of the task, cell by cell as sums over tables."""
    slide, conditional, matching = tables
    t, x = p.sum(0), p.sum(1, keepdim=True)
    fake = g * t
    return [
        (p * slide.log()).sum() + (fake * (1 - slide).log()).sum(),
        (p * conditional.log()).sum() + (fake * (1 - conditional).log()).sum(),
        (p * matching.log()).sum() + 0.5 * ((x * t + fake) * (1 - matching).log()).sum(),
    ]


def test_a_vague_caption_leaves_two_values_open_in_every_draw() -> None:
    """Whoever takes vague words for wrong must fail on the picture that has no wrong caption, whatever its values are."""
    vague = next(m for m in known.WRONG_CAPTIONS.mistakes if m.name == "vague words are false")
    question = known.WRONG_CAPTIONS.question
    [refused] = [part for part in question.parts if part.name == "refused"]
    for seed in range(60):
        for inputs in question.inputs(seed):
            found = refused.probe(known.WRONG_CAPTIONS.bundle(vague.answer), inputs)
            assert found["one of three pictures has none"] == "no error"


@pytest.mark.parametrize("best", TABLES)
def test_best_answers_cannot_be_bettered(best) -> None:
    """The gradient of each value is 0 there (for the slide's: along answers that do not read the text)."""
    p = torch.rand(4, 3, generator=generator(1), dtype=torch.float64)
    g = torch.rand(4, 3, generator=generator(2), dtype=torch.float64)
    p, g = p / p.sum(), g / g.sum(0)
    tables = [table.clone().requires_grad_() for table in best(p, g)]
    slopes = torch.autograd.grad(sum(values(tables, p, g)), tables)
    torch.testing.assert_close(slopes[0].sum(1), torch.zeros(4, dtype=torch.float64))
    for slope in slopes[1:]:
        torch.testing.assert_close(slope, torch.zeros(4, 3, dtype=torch.float64))
    assert float(best(p, g)[0].std(1).max()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("best", TABLES)
def test_a_deaf_generator_fools_the_slide_only(best) -> None:
    p = torch.tensor([[0.3, 0.1], [0.1, 0.5]], dtype=torch.float64)
    slide, conditional, matching = best(p, p.sum(1, keepdim=True).expand(2, 2))
    assert bool((slide == 0.5).all())
    assert float((conditional - 0.5).abs().min()) > 0.05 and float((matching - 0.5).abs().min()) > 0.05
    torch.testing.assert_close(conditional, matching)  # its pairs are as the wrong ones, p(x) p(t)


@pytest.mark.parametrize("losses", LOSSES)
def test_matching_losses_are_weighted_cross_entropies(losses) -> None:
    right, wrong, fake = normal(4, seed=3), normal(2, seed=4), normal(6, seed=5)
    logits = torch.cat([right, wrong, fake])
    target = torch.cat([torch.ones(4), torch.zeros(8)]).double()
    weight = torch.cat([torch.full((4,), 1 / 4), torch.full((2,), 0.5 / 2), torch.full((6,), 0.5 / 6)]).double()
    expected = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    torch.testing.assert_close(losses["matching_loss_D"](right, wrong, fake), expected)
    torch.testing.assert_close(
        losses["matching_loss_G"](fake), F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    )
    zero = torch.zeros(3, dtype=torch.float64)
    assert float(losses["matching_loss_D"](zero, zero, zero)) == pytest.approx(1.3862943611)
    far = torch.tensor([-250.0])
    assert float(losses["matching_loss_D"](far, -far, -far)) == pytest.approx(500)
