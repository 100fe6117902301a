"""The matching-aware loop and its lessons: what is true, what is false, and who learns from what."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.models.joint_embedding import TextEncoder
from coursekit.models.text_to_image import load_text_generator
from coursekit.runtime import generator, seeded
from coursekit.training.captioned import SEEN_FORMS, Lesson, held_out, next_false, sample_birds
from coursekit.training.gan import within
from coursekit.training.joint_embedding import also_true
from coursekit.training.penalties import r1, slopes
from coursekit.training.text_measures import accuracy, variety
from coursekit.training.text_to_image import INGREDIENTS, Recipe, _flatten, matching_hinge, start, train_text_gan

TINY = Recipe(latent=6, text=8, g_width=4, d_width=4, fine=3, twins=True, r1=1.0, fast=False)


class Facts:
    """Stands in for an encoder: the code of a caption is what it tells."""

    def embed(self, texts: list[str]) -> torch.Tensor:
        return birds.facts(texts).float()


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return Lesson.of(Facts(), renders=300, size=16, seed=0, twins=True)  # type: ignore[arg-type]


def test_captions_are_true_and_nearly_true_ones_differ_in_one_told_fact(lesson: Lesson) -> None:
    for told, codes, nearly in zip(lesson.told, lesson.codes, lesson.nearly):
        assert torch.equal(told.float(), codes) and also_true(told, lesson.labels).diagonal().all()
        differs = codes != nearly
        assert (differs.sum(1) == 1).float().mean() > 0.97  # "completely red" tells four at once
        assert ((codes >= 0) & differs).any(1).all() and not also_true(nearly.long(), lesson.labels).diagonal().any()
    assert (lesson.told[1] >= 0).all()  # the second caption tells everything


def test_no_wrong_caption_of_a_batch_is_true(lesson: Lesson) -> None:
    batches = lesson.batches(24, seed=1)
    pool, labels = torch.cat([lesson.x, *lesson.twins]), torch.cat([lesson.labels, *lesson.twin_labels])
    kinds = []
    for k in range(20):
        x, t, w = batches(k)
        rows = [int((pool == one).flatten(1).all(1).nonzero()[0]) for one in x]
        fits = also_true(w.long(), labels[rows]).diagonal()
        assert not fits.any() and also_true(t.long(), labels[rows]).diagonal().all()
        assert torch.equal(t[:12], t[12:]) and not torch.equal(x[:12], x[12:])
        kinds.append(((t != w).sum(1) == 1).float().mean().item())
    # Half of the wrong captions are nearly true: 240 coins, five standard deviations; a few others are so by accident.
    assert sum(kinds) / len(kinds) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(240) + 0.03)
    again = lesson.batches(24, seed=1)(3)
    assert all(torch.equal(a, b) for a, b in zip(again, batches(3)))


def test_twins_agree_in_what_is_told_and_in_no_more_than_chance_beyond(lesson: Lesson) -> None:
    for told, twin in zip(lesson.told, lesson.twin_labels):
        assert also_true(told, twin).diagonal().all() and not held_out(twin).any()
    free, unsaid = lesson.twin_labels[0], lesson.told[0] < 0
    same = (free == lesson.labels)[unsaid]
    # Of seven attributes four have nine values, three have two: by chance 0.28 agree; a ninth are put back for their colours.
    assert 0.15 < same.float().mean() < 0.5
    for batch in (2, 7):
        with pytest.raises(InputError, match="batch"):
            lesson.batches(batch, seed=0)


def test_without_twins_every_picture_has_a_caption_of_its_own(lesson: Lesson) -> None:
    single = Lesson.of(Facts(), renders=300, size=16, seed=0)  # type: ignore[arg-type]
    assert torch.equal(single.x, lesson.x) and torch.equal(single.codes, lesson.codes) and single.twins is None
    x, t, w = single.batches(24, seed=1)(0)
    rows = [int((single.x == one).flatten(1).all(1).nonzero()[0]) for one in x]
    fits = [also_true(codes.long(), single.labels[rows]).diagonal() for codes in (t, w)]
    assert fits[0].all() and not fits[1].any() and len(set(rows)) > 20
    with pytest.raises(InputError, match="batch"):
        single.batches(1, seed=0)


def test_the_next_false_caption_by_hand() -> None:
    labels = torch.tensor([[0, 0], [0, 1], [1, 1]])
    told = torch.tensor([[0, -1], [0, 1], [-1, 1]])
    # "0": true of birds 0 and 1. "0 1": of bird 1. "? 1": of birds 1 and 2.
    assert next_false(told, labels).tolist() == [1, 1, 0]  # bird 1 fits all: its own


def test_unseen_combinations_and_forms_stay_out_of_lessons(lesson: Lesson) -> None:
    assert not held_out(lesson.labels).any() and set(SEEN_FORMS) < set(birds.FORMS)
    own = generator(0)
    unseen = sample_birds(200, generator=own, unseen=True).stack()
    assert held_out(unseen).all()
    assert held_out(birds.sample(9000, generator=own).stack()).float().mean().item() == pytest.approx(1 / 9, abs=0.02)
    assert len({tuple(row) for row in unseen[:, :2].tolist()}) == 9


def test_the_hinge_with_its_halves_by_hand() -> None:
    right, wrong, fake = torch.tensor([0.5, 2.0]), torch.tensor([-2.0, 0.0]), torch.tensor([1.0, -0.5])
    assert matching_hinge(right, wrong, fake).item() == pytest.approx(0.25 + (0.5 + (2.0 + 0.5) / 2) / 2)


@pytest.mark.parametrize("part", INGREDIENTS)
def test_each_ingredient_can_be_left_out(part: str, lesson: Lesson) -> None:
    recipe = TINY.without(part)
    assert recipe != TINY
    gan = start(Recipe(**{**vars(recipe), "text": 7}), size=16, steps=2, seed=0, on="cpu")
    records = list(train_text_gan(gan, lesson.batches(8, seed=0), matching=recipe.matching, r1=recipe.r1))
    assert [r.step for r in records] == [0, 1] and all(math.isfinite(r.d_loss + r.g_loss) for r in records)
    assert (gan.average is None) == (part == "averaged weights")


@pytest.mark.parametrize("matching", [True, False])
def test_whether_wrong_captions_teach_d(matching: bool, lesson: Lesson) -> None:
    """With other wrong captions D moves otherwise; without the term it does not notice."""

    def weights(shift: int) -> torch.Tensor:
        gan = start(Recipe(**{**vars(TINY), "text": 7}), size=16, steps=1, seed=0, on="cpu")

        def batches(k: int) -> tuple[torch.Tensor, ...]:
            x, t, w = lesson.batches(8, seed=0)(k)
            return x, t, w.roll(shift, 0)

        list(train_text_gan(gan, batches, matching=matching))
        return torch.cat([p.detach().flatten() for p in gan.discriminator.parameters()])

    assert torch.equal(weights(0), weights(3)) is not matching


def test_interpolated_captions_teach_g(lesson: Lesson) -> None:
    def weights(interpolated: float) -> torch.Tensor:
        gan = start(Recipe(**{**vars(TINY), "text": 7}), size=16, steps=1, seed=0, on="cpu")
        list(train_text_gan(gan, lesson.batches(8, seed=0), interpolated=interpolated))
        return torch.cat([p.detach().flatten() for p in gan.generator.parameters()])

    assert not torch.equal(weights(0.0), weights(1.0))


def test_the_penalty_is_taken_at_renders_in_every_eighth_step(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = start(Recipe(**{**vars(TINY), "text": 7}), size=16, steps=17, seed=0, on="cpu")
    data, seen = lesson.batches(8, seed=0), []

    def noted(gamma: float):
        def penalty(D, real, fake, *conditions):
            seen.append((gamma, real.clone(), *conditions))
            return r1(gamma)(D, real, fake, *conditions)

        return penalty

    monkeypatch.setattr("coursekit.training.text_to_image.penalties.r1", noted)
    records = list(train_text_gan(gan, data, r1=0.25))
    assert len(records) == 17 and [gamma for gamma, *_ in seen] == [2.0] * 3  # steps 0, 8 and 16, eight times as strong
    for k, (_, x, t) in zip((0, 8, 16), seen):
        assert torch.equal(x, data(k)[0]) and torch.equal(t, data(k)[1])


def test_the_penalty_moves_d_down_its_own_slope(lesson: Lesson) -> None:
    """Nothing but the penalty: steps of D's optimiser along it make D flatter at the renders."""
    gan = start(Recipe(**{**vars(TINY), "text": 7}), size=16, steps=1, seed=0, on="cpu")
    x, t, _ = lesson.batches(8, seed=0)(0)
    slope = lambda: slopes(gan.discriminator, x, t).square().mean().item()  # noqa: E731
    before = slope()
    for _ in range(20):
        _flatten(gan, x, t, 1.0, label="a test")
    assert slope() < 0.9 * before


def test_a_budget_of_seconds_sets_the_number_of_steps(monkeypatch: pytest.MonkeyPatch, lesson: Lesson) -> None:
    """A clock that ticks once at each look: two looks a step around the timing."""
    now = iter(range(10**6))
    monkeypatch.setattr("coursekit.training.gan.time.process_time", lambda: float(next(now)))
    gan = start(Recipe(**{**vars(TINY), "text": 7}), size=16, steps=10**6, seed=0, on="cpu")
    records = list(within(gan, train_text_gan(gan, lesson.batches(4, seed=0)), 90.0))
    # 90 ticks: 50 steps with one look each, two more looks for the timing; each step took a tick.
    assert len(records) == pytest.approx(88, abs=3) and gan.config.steps == pytest.approx(89, abs=4)


def test_accuracy_is_that_of_renders_for_a_draw_that_renders() -> None:
    """The oracle reads renders without fault, so a perfect painter scores 1, and one that paints one bird scores by luck."""
    drawn: list[torch.Tensor] = []

    def perfect(n: int, t: torch.Tensor, *, seed: int) -> torch.Tensor:
        told = t.long()
        some = birds.sample(n, generator=generator(seed)).stack()
        drawn.append(told)
        return birds.render(birds.Attributes(*torch.where(told < 0, some, told).unbind(1)), generator=generator(seed))

    def always_red(n: int, t: torch.Tensor, *, seed: int) -> torch.Tensor:
        return birds.render(birds.Attributes(*torch.zeros(7, n, dtype=torch.long)), generator=generator(seed))

    found = accuracy(perfect, Facts(), n=200)  # type: ignore[arg-type]
    assert found.facts > 0.995 and found.captions > 0.98
    assert accuracy(always_red, Facts(), n=200).facts < 0.4  # type: ignore[arg-type]
    drawn.clear()
    accuracy(perfect, Facts(), n=100, unseen=True)  # type: ignore[arg-type]
    told = torch.cat(drawn)
    assert held_out(told).all() and ((told >= 0).sum(1) == 3).all()


def test_the_shipped_model_reads_its_captions() -> None:
    """The figure of the manifest, on fewer captions: within four standard deviations of a share of 200 times three facts."""
    from coursekit import shipped
    from coursekit.models.joint_embedding import load_text_encoder

    G = load_text_generator()

    def draw(n: int, t: torch.Tensor, *, seed: int) -> torch.Tensor:
        with torch.no_grad():
            return G(torch.randn(n, G.latent, generator=generator(seed)), t)

    said = shipped.row("text/birds64")["figures"]["caption_accuracy"]
    assert accuracy(draw, load_text_encoder(), n=200).facts > said - 4 * math.sqrt(said * (1 - said) / 600)


def test_variety_is_one_for_renders_and_nothing_for_copies() -> None:
    def renders(n: int, t: torch.Tensor, *, seed: int) -> torch.Tensor:
        told = t.long()
        return birds.render(birds.Attributes(*told.unbind(1)), generator=generator(seed))

    def copies(n: int, t: torch.Tensor, *, seed: int) -> torch.Tensor:
        return renders(1, t[:1], seed=seed).expand(n, -1, -1, -1)

    found = variety(renders, Facts())  # type: ignore[arg-type]
    assert found.spread == pytest.approx(1, abs=0.15) and found.styles > 0.9
    found = variety(copies, Facts())  # type: ignore[arg-type]
    assert found.spread < 1e-5 and found.styles == pytest.approx(1 / 15)


def test_a_text_encoder_may_be_untrained() -> None:
    with seeded(0):
        encoder = TextEncoder(features=8, width=4)
    assert accuracy(lambda n, t, *, seed: torch.zeros(n, 3, 32, 32), encoder, n=20).facts < 0.6
