"""Strings to padded batches of ids, and back.

Shapes: N texts, T time (the longest text of the batch), V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch

from coursekit.errors import InputError

Level = Literal["word", "char"]

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
_WORD = re.compile(r"\w+(?:['-]\w+)*|[^\w\s]")


class Batch(NamedTuple):
    """Padded texts: ids (N, T) int64, lengths (N,) int64, mask (N, T) bool, True where there is a token."""

    ids: torch.Tensor
    lengths: torch.Tensor
    mask: torch.Tensor


class Vocabulary:
    """A fixed list of tokens. Ids 0, 1, 2, 3 are padding, begin, end and unknown; the tokens follow.

    Words are lower-cased, and punctuation marks are words of their own. Characters are taken as they are.
    """

    pad, bos, eos, unk = 0, 1, 2, 3

    def __init__(self, tokens: Iterable[str], *, level: Level = "word") -> None:
        if level not in ("word", "char"):
            raise InputError.of("`level`", got=level, expected='"word" or "char"', do='Pass level="word".')
        tokens = list(tokens)
        repeated = sorted({token for token in tokens if tokens.count(token) > 1})
        if repeated or set(tokens) & {PAD, BOS, EOS, UNK}:
            raise InputError.of(
                "`tokens`",
                got=repeated or sorted(set(tokens) & {PAD, BOS, EOS, UNK}),
                expected="each token once, and none of the four special ones",
                do="Use Vocabulary.of(texts) to collect them from texts.",
            )
        self.level: Level = level
        self.tokens: tuple[str, ...] = (PAD, BOS, EOS, UNK, *tokens)
        self._ids = {token: index for index, token in enumerate(self.tokens)}

    @classmethod
    def of(cls, texts: Iterable[str], level: Level = "word") -> Vocabulary:
        """The vocabulary of all tokens in the texts, in alphabetical order."""
        if isinstance(texts, str):
            raise InputError.of("`texts`", got=texts, expected="a list of strings", do="Wrap it in [ ].")
        return cls(sorted({token for text in texts for token in tokenise(text, level)}), level=level)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} ({self.level}s)"

    def id(self, token: str) -> int:
        """The id of one token; that of <unk> where it is not in the vocabulary."""
        return self._ids.get(token, self.unk)

    def encode(self, text: str) -> list[int]:
        """The ids of a text's tokens, without begin and end."""
        return [self.id(token) for token in tokenise(text, self.level)]

    def decode(self, ids: Sequence[int] | torch.Tensor) -> str:
        """The text of ids: reads up to the first end token, and leaves out padding and begin."""
        words = []
        for index in ids.tolist() if isinstance(ids, torch.Tensor) else ids:
            if not 0 <= index < len(self):
                raise InputError.of(
                    "`ids`",
                    got=index,
                    expected=f"ids from 0 to {len(self) - 1}",
                    do="Decode with the vocabulary that encoded the text.",
                )
            if index == self.eos:
                break
            if index not in (self.pad, self.bos):
                words.append(self.tokens[index])
        return (" " if self.level == "word" else "").join(words)

    def batch(self, texts: Sequence[str], bos: bool = False, eos: bool = False) -> Batch:
        """Texts as one padded block; lengths and mask count the begin and end tokens that were asked for."""
        if isinstance(texts, str) or not texts:
            raise InputError.of(
                "`texts`", got=texts, expected="a list of at least one string", do="Wrap a string in [ ]."
            )
        rows = [[self.bos] * bos + self.encode(text) + [self.eos] * eos for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.full((len(rows), int(lengths.max())), self.pad)
        for row, line in zip(rows, ids, strict=True):
            line[: len(row)] = torch.tensor(row, dtype=torch.int64)
        return Batch(ids, lengths, torch.arange(ids.shape[1]) < lengths.unsqueeze(1))


def tokenise(text: str, level: Level = "word") -> list[str]:
    """A text's tokens: lower-case words and punctuation marks, or its characters."""
    if not isinstance(text, str):
        raise InputError.of("`text`", got=text, expected="a string", do="Pass one text at a time.")
    return _WORD.findall(text.lower()) if level == "word" else list(text)
