"""The text and the picture encoder: what a code depends on, what is refused, and what the shipped pair knows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.models.joint_embedding import (
    ALPHABET,
    PictureEncoder,
    TextEncoder,
    characters,
    load_picture_encoder,
    load_text_encoder,
)  # fmt: skip
from coursekit.oracles import oracle
from coursekit.runtime import generator, seeded
from coursekit.training.captioned import UNSEEN_FORMS, held_out, sample_birds
from coursekit.training.joint_embedding import also_true

TEXTS = ["x", "ab", "a red bird", "a small red bird with black wings, facing left", "the bird has a grey head"]


def small() -> TextEncoder:
    with seeded(0):
        return TextEncoder(features=7, width=4)


@pytest.fixture(scope="module")
def shipped() -> tuple[TextEncoder, PictureEncoder]:
    return load_text_encoder(), load_picture_encoder()


@pytest.fixture(scope="module")
def hundred() -> tuple[birds.Attributes, torch.Tensor]:
    flock = birds.sample(100, generator=generator(71))
    return flock, oracle("birds").features(birds.render(flock, generator=generator(72)))


def test_codes_have_length_one() -> None:
    codes = small().embed(TEXTS)
    assert codes.shape == (5, 7) and codes.dtype == torch.float32
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(5))
    with seeded(0):
        see = PictureEncoder(inputs=3, features=7, width=5)
    seen = see(torch.randn(4, 3, generator=generator(1)))
    assert seen.shape == (4, 7)
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(4))


def test_a_text_s_code_does_not_depend_on_its_batch_or_its_padding() -> None:
    net = small()
    with torch.no_grad():  # a bias makes what lies behind the end more than zero, unless it is masked
        for layer in net.pieces:
            layer.bias.fill_(0.5)
        alone = torch.cat([net.embed([text]) for text in TEXTS])
        batch = characters(TEXTS)
        wider = nn.functional.pad(batch.ids, (0, 13))
        torch.testing.assert_close(net.embed(TEXTS), alone)
        torch.testing.assert_close(net(wider, batch.lengths), alone)
        torch.testing.assert_close(net.embed(TEXTS[::-1]).flip(0), alone)
        # Nor on what stands in the padding.
        torch.testing.assert_close(net(wider.where(wider > 0, 9), batch.lengths), alone)


def test_a_code_is_what_the_layers_give_one_text_without_any_mask() -> None:
    net, ids = small(), characters(["a small red bird"]).ids  # 16 letters: poolings leave nothing over
    with torch.no_grad():
        h = net.letters.weight[ids[0]].T
        for layer in net.pieces:
            h = torch.relu(nn.functional.conv1d(h, layer.weight, layer.bias, padding=2))
            h = torch.maximum(h[:, 0::2], h[:, 1::2])
        states = net.order(h.T.unsqueeze(0))[0][0]
        code = net.code(torch.cat([h.T.mean(0), states.mean(0)]))
        torch.testing.assert_close(net.embed(["a small red bird"])[0], code / code.norm())


def test_the_order_of_words_matters_and_capitals_do_not() -> None:
    one, other, loud = small().embed(
        ["a red bird with white wings", "a white bird with red wings", "A RED bird with White wings"]
    )
    assert not torch.allclose(one, other, atol=1e-3)
    torch.testing.assert_close(one, loud)


def test_every_letter_reaches_the_code_and_every_weight_learns() -> None:
    net, batch = small(), characters(TEXTS[2:])
    letters = net.letters(batch.ids).detach().requires_grad_()
    hook = net.letters.register_forward_hook(lambda *_: letters)
    net(batch.ids, batch.lengths)[:, 0].sum().backward()
    hook.remove()
    reached = letters.grad.abs().sum(2) > 0
    assert torch.equal(reached, batch.mask)
    net = small()
    net(batch.ids, batch.lengths)[:, 0].sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in net.parameters())


def test_many_texts_are_embedded_in_parts_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small()
    whole = net.embed(TEXTS)
    monkeypatch.setattr("coursekit.models.joint_embedding._CHUNK", 2)
    torch.testing.assert_close(net.embed(TEXTS), whole)
    assert net.embed([]).shape == (0, 7)


def test_what_cannot_be_spelt_is_the_unknown_sign() -> None:
    ids = characters(["a1é?", "A-b'"]).ids
    assert ids[0, 1:].tolist() == [ALPHABET.unk] * 3
    assert ALPHABET.unk not in ids[1].tolist()


@pytest.mark.parametrize("texts", ["a red bird", [""], ["a red bird", "  "], [3], [None]])
def test_bad_texts_are_named_with_what_to_do(texts: object) -> None:
    with pytest.raises(
        InputError, match=r"^`texts`: got .*, expected a list of strings, none of them empty\. Pass \[text\]"
    ):
        small().embed(texts)  # type: ignore[arg-type]


# ---------------------------------------------------------------- what is shipped


def test_the_shipped_pair_is_frozen_and_in_eval_mode(shipped: tuple[TextEncoder, PictureEncoder]) -> None:
    for net in shipped:
        assert not net.training and not any(w.requires_grad for w in net.parameters())


def test_the_shipped_encoder_finds_a_picture_among_a_hundred_both_ways(
    shipped: tuple[TextEncoder, PictureEncoder], hundred: tuple[birds.Attributes, torch.Tensor]
) -> None:
    """In the wording kept from training. Measured on ten sets of 100: 1.00 both ways; the issue asks for 0.8."""
    (text, see), (flock, seen) = shipped, hundred
    full = text.embed(birds.caption(flock, facts=list(birds.NAMES), forms=UNSEEN_FORMS, generator=generator(73)))
    table = full @ see(seen).T
    assert (table.argmax(1) == torch.arange(100)).float().mean() >= 0.97
    assert (table.argmax(0) == torch.arange(100)).float().mean() >= 0.97


def test_a_free_caption_finds_a_picture_that_it_is_true_of(
    shipped: tuple[TextEncoder, PictureEncoder], hundred: tuple[birds.Attributes, torch.Tensor]
) -> None:
    """Measured on ten sets of 100: 0.99; its own picture 0.66, since several fit."""
    (text, see), (flock, seen) = shipped, hundred
    said = birds.caption(flock, forms=UNSEEN_FORMS, generator=generator(74))
    nearest = (text.embed(said) @ see(seen).T).argmax(1)
    assert also_true(birds.facts(said), flock.stack())[torch.arange(100), nearest].float().mean() >= 0.93


def test_which_part_has_which_colour_is_known_also_for_combinations_never_seen(
    shipped: tuple[TextEncoder, PictureEncoder],
) -> None:
    """Each caption against its bird and the bird with the colours of body and wing exchanged: no bag of words beats 0.5."""
    text, see = shipped
    flock = sample_birds(120, generator=generator(75), unseen=True)
    assert bool(held_out(flock.stack()).all())
    labels = flock.stack()
    exchanged = birds.Attributes(*labels[:, [1, 0, 2, 3, 4, 5, 6]].unbind(1))
    told = text.embed(birds.caption(flock, facts=["body", "wing"], forms=UNSEEN_FORMS, generator=generator(76)))
    true, false = (
        (told * see(oracle("birds").features(birds.render(some, generator=generator(77))))).sum(1)
        for some in (flock, exchanged)
    )
    assert (true > false).float().mean() >= 0.97
