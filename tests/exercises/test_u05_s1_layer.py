"""The references of section 1 against torch's transposed convolution, autograd and its own arithmetic."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u05_dcgan.known import s1_layer as known
from coursekit.exercises.u05_dcgan.nets import OperationDiary
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("answer", [known.STAMP_CONV.reference, known.stamp_conv])
@pytest.mark.parametrize("stride, padding", [(1, 0), (2, 1), (3, 0), (3, 2)])
def test_stamps_are_torchs_transposed_convolution(answer, stride: int, padding: int) -> None:
    x, weight, bias = normal(2, 3, 3, 4, seed=1), normal(3, 2, 5, 4, seed=2), normal(2, seed=3)
    expected = F.conv_transpose2d(x, weight, bias, stride, padding)
    torch.testing.assert_close(answer(x, weight, bias, stride, padding), expected)


def test_stamps_are_the_gradient_of_an_ordinary_convolution() -> None:
    """<y, conv(v)> differentiated by v: what gave the layer its name."""
    y, weight = normal(2, 3, 3, 4, seed=1), normal(3, 2, 4, 4, seed=2)
    v = normal(2, 2, 6, 8, seed=3).requires_grad_()
    (gradient,) = torch.autograd.grad(F.conv2d(v, weight, stride=2, padding=1), v, y)
    zeros = torch.zeros(2, dtype=y.dtype)
    torch.testing.assert_close(known.STAMP_CONV.reference(y, weight, zeros, 2, 1), gradient)


def test_stamps_gradients_by_differences() -> None:
    leaves = [normal(1, 2, 2, 3, seed=1), normal(2, 2, 3, 2, seed=2), normal(2, seed=3)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(lambda *a: known.STAMP_CONV.reference(*a, 2, 1), leaves)
    assert torch.autograd.gradcheck(lambda *a: known.stamp_conv(*a, 2, 1), leaves)


@pytest.mark.parametrize("answer", [known.STRETCHED_CONV.reference, known.stretched_conv])
@pytest.mark.parametrize("stride, padding, extra", [(1, 0, 0), (1, 2, 0), (2, 1, 0), (2, 0, 1), (3, 2, 2)])
def test_stretched_is_torchs_transposed_convolution(answer, stride: int, padding: int, extra: int) -> None:
    x, weight = normal(2, 3, 3, 4, seed=1), normal(3, 2, 4, 3, seed=2)
    expected = F.conv_transpose2d(x, weight, None, stride, padding, extra)
    torch.testing.assert_close(answer(x, weight, stride, padding, extra), expected)


def test_sizes_are_those_of_torchs_layer() -> None:
    for k, s, p, o, d in [(3, 1, 0, 0, 1), (4, 2, 1, 0, 1), (3, 2, 1, 1, 2), (5, 3, 2, 2, 1), (2, 4, 0, 3, 3)]:
        for n in (4, 7):
            out = F.conv_transpose1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), None, s, p, o, 1, d)
            assert known.SIZE_RULES.reference["transposed_size"](n, k, s, p, o, d) == out.shape[-1]
            assert known.transposed_size(n, k, s, p, o, d) == out.shape[-1]


def test_settings_multiply_the_size_with_torchs_layer() -> None:
    for k in range(1, 8):
        for s in range(1, 5):
            for d in (1, 2, 3):
                p, o = known.SIZE_RULES.reference["scale_settings"](k, s, d)
                assert (p, o) == known.scale_settings(k, s, d)
                assert min(p, o) >= 0
                if o < max(s, d):  # torch allows no more
                    for n in (5, 6):
                        out = F.conv_transpose1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), None, s, p, o, 1, d)
                        assert out.shape[-1] == s * n
                # Two less output padding would do with one padding less; one less has the wrong parity.
                assert o in (0, 1) or p == 0


def test_the_usual_settings() -> None:
    """Kernel 4, stride 2: padding 1; kernel 3: one more pixel at the end."""
    assert known.scale_settings(4, 2, 1) == (1, 0)
    assert known.scale_settings(3, 2, 1) == (1, 1)


@pytest.mark.parametrize(
    "size, kernel, stride", [((4, 5), (3, 4), (2, 2)), ((2, 3), (2, 5), (3, 3)), ((3, 1), (4, 2), (1, 2))]
)
def test_overlap_is_a_transposed_convolution_of_ones(size, kernel, stride) -> None:
    ones = F.conv_transpose2d(torch.ones(1, 1, *size), torch.ones(1, 1, *kernel), stride=stride)[0, 0]
    for answer in (known.OVERLAP_MAP.reference["overlap_map"], known.overlap_map):
        counts = answer(size, kernel, stride)
        assert counts.dtype == torch.int64
        assert torch.equal(counts.float(), ones)


def test_evenness_is_seen_in_the_middle_of_a_large_map() -> None:
    for k in range(1, 7):
        for s in range(1, 5):
            middle = F.conv_transpose1d(torch.ones(1, 1, 40), torch.ones(1, 1, k), stride=s)[0, 0, 12:-12]
            even = bool((middle == middle[0]).all())
            assert known.OVERLAP_MAP.reference["is_even"]((k, 4), (s, 2)) == even
            assert known.is_even((k, 4), (s, 2)) == even


def test_diary_tells_convolutions_from_transposed_ones() -> None:
    x, weight = normal(1, 2, 5, 5, seed=1), normal(2, 2, 3, 3, seed=2)
    for run, counts in (
        (lambda: torch.einsum("nchw,cdij->nd", x, weight), (0, 0)),
        (lambda: F.fold(x.reshape(1, 2, 25)[:, :, :4].repeat(1, 2, 1), (3, 3), (2, 2)), (0, 0)),
        (lambda: F.conv2d(x, weight), (1, 0)),
        (lambda: F.conv_transpose2d(x, weight), (1, 1)),
        (lambda: torch.nn.grad.conv2d_input((1, 2, 7, 7), weight, x), (1, 1)),
    ):
        with OperationDiary() as diary:
            run()
        assert (diary.convolutions, diary.transposed) == counts
