"""Measures of attributes, as an oracle reads them from pictures. N pictures, A attributes, K values of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.errors import InputError


def attribute_accuracy(read: Tensor, asked: Tensor) -> Tensor:
    """(A,) float64: for each attribute the share of pictures where the value read is the one asked for.

    read, asked: (N, A) int64. The mean accuracy is `.mean()` of it. An oracle that errs itself lowers it: its own accuracy
    on renders is the ceiling.
    """
    if read.dim() != 2 or read.shape != asked.shape or not len(read):
        raise InputError.of(
            "`read` and `asked`", got=(tuple(read.shape), tuple(asked.shape)), expected="two tensors (N, A), N at least 1",
            do="Pass oracle.read(pictures) and the labels that the pictures were made from.",
        )  # fmt: skip
    return (read == asked).double().mean(0)


class CaptionAccuracy(NamedTuple):
    """How far pictures agree with their captions."""

    facts: float
    """Share of all facts told in all captions that the pictures satisfy."""
    captions: float
    """Share of the captions that the picture satisfies in every fact; of those that tell a fact."""


def caption_accuracy(
    captions: Sequence[str], read: Tensor, names: Mapping[str, Sequence[str]], parse: Callable[[str], Mapping[str, str]]
) -> CaptionAccuracy:
    """Parse each caption into facts, and look whether the attributes read from its picture satisfy them.

    read: (N, A) int64, the columns in the order of `names` (a world's `names`); parse: "a red bird" -> {"body": "red"}.
    What a caption leaves unsaid is not counted. A caption that tells nothing counts nowhere.
    """
    if len(captions) != len(read) or read.dim() != 2 or read.shape[1] != len(names):
        raise InputError.of(
            "`captions` and `read`", got=(len(captions), tuple(read.shape)), expected=f"N captions and (N, {len(names)})",
            do="Pass a caption for each row of oracle.read(pictures).",
        )  # fmt: skip
    seen = ({name: values[k] for (name, values), k in zip(names.items(), row)} for row in read.tolist())
    held = [[shown[name] == value for name, value in parse(text).items()] for text, shown in zip(captions, seen)]
    told = [facts for facts in held if facts]
    if not told:
        raise InputError.of(
            "`captions`", got=list(captions[:3]), expected="some that tell a fact", do="Pass its parser."
        )
    return CaptionAccuracy(sum(map(sum, told)) / sum(map(len, told)), sum(map(all, told)) / len(told))


def attribute_entropy(read: Tensor, values: Sequence[int]) -> Tensor:
    """(A,) float64, nats: Shannon entropy of each attribute's values among the pictures; the total is `.sum()`.

    read: (N, A) int64; values: K of each attribute. At most ln K, reached when every value is as frequent; 0 when a
    generator shows one value only. On average too low by (K - 1) / 2N (Miller 1955). It looks at one attribute at a time:
    a generator that makes only red birds with red wings, and blue with blue, is not found out.
    """
    if read.dim() != 2 or read.shape[1] != len(values) or not len(read):
        raise InputError.of(
            "`read`",
            got=tuple(read.shape),
            expected=f"(N, {len(values)}), N at least 1",
            do="Pass oracle.read(pictures).",
        )
    shares = [torch.bincount(column, minlength=k).double() / len(read) for column, k in zip(read.unbind(1), values)]
    return torch.stack([-torch.special.xlogy(p, p).sum() for p in shares])
