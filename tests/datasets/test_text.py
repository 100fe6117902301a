"""Vocabulary: what is encoded comes back, and a batch hides nothing but its padding."""

from __future__ import annotations

import pytest
import torch

from coursekit.datasets.text import Vocabulary, tokenise
from coursekit.errors import InputError

TEXTS = ["What is your name", "the food was good , not bad at all", "name"]


@pytest.mark.parametrize("level", ["word", "char"])
def test_decode_undoes_encode(level) -> None:
    vocabulary = Vocabulary.of(TEXTS, level=level)
    for text in TEXTS:
        assert vocabulary.decode(vocabulary.encode(text)) == (text.lower() if level == "word" else text)


def test_special_ids_come_first_and_tokens_follow_in_order() -> None:
    vocabulary = Vocabulary(["b", "a"])
    assert (vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.unk) == (0, 1, 2, 3)
    assert vocabulary.encode("b a c") == [4, 5, 3]
    assert len(vocabulary) == 6 and "a" in vocabulary and "c" not in vocabulary
    assert Vocabulary.of(["e b", "d a c"]).tokens[4:] == ("a", "b", "c", "d", "e")


def test_words_are_lower_case_and_punctuation_stands_alone() -> None:
    assert tokenise("Good, isn't it?") == ["good", ",", "isn't", "it", "?"]


def test_decode_stops_at_the_end_and_leaves_out_padding() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.decode([1, 4, 0, 3, 2, 5]) == "a <unk>"
    assert vocabulary.decode(torch.tensor([4, 5])) == "a b"


@pytest.mark.parametrize(("bos", "eos"), [(False, False), (True, False), (False, True), (True, True)])
def test_batch_pads_and_counts(bos: bool, eos: bool) -> None:
    vocabulary = Vocabulary.of(TEXTS)
    batch = vocabulary.batch(TEXTS, bos=bos, eos=eos)
    lengths = [len(vocabulary.encode(text)) + bos + eos for text in TEXTS]
    assert batch.lengths.tolist() == lengths and batch.ids.shape == (3, max(lengths))
    assert batch.ids.dtype == torch.int64 and batch.mask.dtype == torch.bool
    assert torch.equal(batch.mask, batch.ids != vocabulary.pad)
    assert batch.mask.sum(1).tolist() == lengths
    assert (batch.ids[:, 0] == vocabulary.bos).all() == bos
    last = batch.ids[torch.arange(3), batch.lengths - 1]
    assert (last == vocabulary.eos).all() == eos


@pytest.mark.parametrize(
    "call",
    [
        lambda: Vocabulary(["a", "a"]),
        lambda: Vocabulary(["<pad>"]),
        lambda: Vocabulary(["a"], level="letter"),
        lambda: Vocabulary.of("a string"),
        lambda: Vocabulary(["a"]).batch([]),
        lambda: Vocabulary(["a"]).batch("a"),
        lambda: Vocabulary(["a"]).decode([9]),
        lambda: Vocabulary(["a"]).encode(7),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call) -> None:
    with pytest.raises(InputError, match=r"^`\w+`: got .*, expected .*\. [A-Z].*\.$"):
        call()
