"""Answer keys to section 1: the layer that makes pictures larger."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u05_dcgan.asked import s1_layer as asked

# stamp_conv


def stamp_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """x (N, C, H, W), weight (C, D, K, L), bias (D,) -> (N, D, (H - 1)s - 2p + K, (W - 1)s - 2p + L)."""
    ### BEGIN SOLUTION
    (N, _, H, W), (_, D, K, L) = x.shape, weight.shape
    canvas = x.new_zeros(N, D, (H - 1) * stride + K, (W - 1) * stride + L)
    stamps = torch.einsum("nchw,cdij->nhwdij", x, weight)
    for h in range(H):
        for w in range(W):
            top, left = h * stride, w * stride
            canvas[:, :, top : top + K, left : left + L] += stamps[:, h, w]
    rows, columns = canvas.shape[2:]
    return canvas[:, :, padding : rows - padding, padding : columns - padding] + bias[:, None, None]
    ### END SOLUTION


def _entry_by_entry(x: Tensor, weight: Tensor, stride: int, padding: int, extra: int) -> Tensor:
    """The layer's definition without bias: each product of a pixel and a tap goes to its place, if that is in the picture."""
    (N, _, H, W), (_, D, K, L) = x.shape, weight.shape
    rows, columns = ((n - 1) * stride - 2 * padding + k + extra for n, k in ((H, K), (W, L)))
    cells = [[torch.zeros(N, D, dtype=x.dtype) for _ in range(columns)] for _ in range(rows)]
    for h in range(H):
        for w in range(W):
            for i in range(K):
                for j in range(L):
                    u, v = h * stride + i - padding, w * stride + j - padding
                    if 0 <= u < rows and 0 <= v < columns:
                        cells[u][v] = cells[u][v] + x[:, :, h, w] @ weight[:, :, i, j]
    return torch.stack([torch.stack(row, 2) for row in cells], 2)


def _stamps_by_definition(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    return _entry_by_entry(x, weight, stride, padding, 0) + bias.reshape(1, -1, 1, 1)


def _stamps_tap_by_tap(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """For each tap of the kernel, all pixels at once."""
    (N, _, H, W), (_, D, K, L) = x.shape, weight.shape
    canvas = torch.zeros(N, D, (H - 1) * stride + K, (W - 1) * stride + L, dtype=x.dtype)
    for i in range(K):
        for j in range(L):
            reached = canvas[:, :, i : i + (H - 1) * stride + 1 : stride, j : j + (W - 1) * stride + 1 : stride]
            reached += torch.tensordot(x, weight[:, :, i, j], dims=([1], [0])).movedim(-1, 1)
    inner = canvas.narrow(2, padding, canvas.shape[2] - 2 * padding).narrow(3, padding, canvas.shape[3] - 2 * padding)
    return inner + bias.view(1, D, 1, 1)


def _stamps_folded(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    (N, C, H, W), (K, L) = x.shape, weight.shape[2:]
    columns = weight.reshape(C, -1).T @ x.reshape(N, C, -1)
    size = ((H - 1) * stride - 2 * padding + K, (W - 1) * stride - 2 * padding + L)
    return F.fold(columns, size, (K, L), padding=padding, stride=stride) + bias[None, :, None, None]


def _placement(n: int, k: int, stride: int, padding: int, like: Tensor) -> Tensor:
    """(n, k, m): 1 where tap k of pixel n lands."""
    m = (n - 1) * stride - 2 * padding + k
    where = torch.arange(n)[:, None] * stride + torch.arange(k)[None] - padding
    return (where[..., None] == torch.arange(m)).to(like.dtype)


def _stamps_as_matrices(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    down = _placement(x.shape[2], weight.shape[2], stride, padding, x)
    across = _placement(x.shape[3], weight.shape[3], stride, padding, x)
    return torch.einsum("nchw,cdij,hiu,wjv->nduv", x, weight, down, across) + bias[:, None, None]


def _stamps_wrong(
    *,
    turn: Callable[[Tensor], Tensor] = lambda weight: weight,
    step: Callable[[int], int] = lambda stride: stride,
    put: str = "add",
    cut: Callable[[Tensor, int], Tensor] = lambda canvas, p: canvas[
        :, :, p : canvas.shape[2] - p, p : canvas.shape[3] - p
    ],
    bias_in: str = "once",
) -> Callable[..., Tensor]:
    """The layer with one thing wrong."""

    def answer(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
        (N, _, H, W), (_, D, K, L) = x.shape, weight.shape
        s, kernel = step(stride), turn(weight)
        shift = bias[:, None, None]
        canvas = x.new_zeros(N, D, (H - 1) * stride + K, (W - 1) * stride + L)
        count = torch.zeros_like(canvas)
        if bias_in == "before the cut":
            canvas = canvas + shift
        for h in range(H):
            for w in range(W):
                stamp = torch.einsum("nc,cdij->ndij", x[:, :, h, w], kernel)
                if bias_in == "each stamp":
                    stamp = stamp + shift
                place = (..., slice(h * s, h * s + K), slice(w * s, w * s + L))
                canvas[place] = stamp + (canvas[place] if put != "replace" else 0)
                count[place] += 1
        if put == "average":
            canvas = canvas / count.clamp(min=1)
        out = cut(canvas, padding)
        return out + shift if bias_in == "once" else out

    return answer


STAMP_CONV = Key(
    question=asked.STAMP_CONV,
    solution=(stamp_conv,),
    reference=_stamps_by_definition,
    source="Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4",
    mistakes=(
        Mistake(
            "stamps overwrite each other",
            "A later stamp replaces an earlier one where they overlap. They add up: `+=`.",
            _stamps_wrong(put="replace"),
        ),
        Mistake(
            "stamps averaged",
            "You divide by the number of stamps that reach a pixel. They add up, undivided: that is why checkerboards exist.",
            _stamps_wrong(put="average"),
        ),
        Mistake(
            "kernel turned round",
            "The kernel is turned by 180 degrees. As a stamp it is set down as it is; turning belongs to the other view.",
            _stamps_wrong(turn=lambda weight: weight.flip(2, 3)),
        ),
        Mistake(
            "bias in every stamp",
            "The bias is added by each stamp, so overlaps get it several times and gaps never. Add it once, at the end.",
            _stamps_wrong(bias_in="each stamp"),
        ),
        Mistake(
            "no bias",
            "The bias is missing: `bias[:, None, None]`, once for each pixel.",
            _stamps_wrong(bias_in="never"),
        ),
        Mistake(
            "stride ignored",
            "Your stamps lie one pixel apart. Pixel (h, w) stamps at (h s, w s).",
            _stamps_wrong(step=lambda stride: 1),
        ),
        Mistake(
            "edge not cut",
            "Padding makes a transposed convolution *smaller*: cut `padding` rows and columns off each side.",
            _stamps_wrong(cut=lambda canvas, p: canvas),
        ),
        Mistake(
            "padding added instead of cut",
            "You add a border of zeros. In the transpose, padding takes pixels away.",
            _stamps_wrong(cut=lambda canvas, p: F.pad(canvas, (p, p, p, p))),
        ),
        Mistake(
            "cut at the bottom and right only",
            "Cut `padding` off all four sides: yours takes both shares at the end.",
            _stamps_wrong(cut=lambda canvas, p: canvas[:, :, : canvas.shape[2] - 2 * p, : canvas.shape[3] - 2 * p]),
        ),
        Mistake(
            "slice up to minus zero",
            "With padding 0, `[p:-p]` is `[0:0]`, which is empty. Count from the front: `[p : rows - p]`.",
            _stamps_wrong(cut=lambda canvas, p: canvas[:, :, p:-p, p:-p]),
        ),
        Mistake(
            "torch's own layer",
            "The values are right, but torch computed them. Set the stamps down yourself.",
            lambda x, weight, bias, stride, padding: F.conv_transpose2d(x, weight, bias, stride, padding),
        ),
        Mistake(
            "graph cut",
            "The values are right, but no gradient comes back: build the canvas from `x` and `weight`, not from `.data` or "
            "`detach()`.",
            lambda x, weight, bias, stride, padding: (
                _stamps_wrong()(x.detach(), weight.detach(), bias.detach(), stride, padding)
                + 0 * (x.sum() + weight.sum() + bias.sum())
            ),
        ),
    ),
    alternatives={
        "tap by tap": _stamps_tap_by_tap,
        "fold": _stamps_folded,
        "matrices of places": _stamps_as_matrices,
    },
)

# stretched_conv


def stretched_conv(x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
    """x (N, C, H, W), weight (C, D, K, L) -> what F.conv_transpose2d returns, without bias."""
    ### BEGIN SOLUTION
    (N, C, H, W), (K, L) = x.shape, weight.shape[2:]
    stretched = x.new_zeros(N, C, (H - 1) * stride + 1, (W - 1) * stride + 1)
    stretched[:, :, ::stride, ::stride] = x
    above, before = K - 1 - padding, L - 1 - padding
    bordered = F.pad(stretched, (before, before + output_padding, above, above + output_padding))
    return F.conv2d(bordered, weight.flip(2, 3).transpose(0, 1))
    ### END SOLUTION


def _stretched_by_blocks(x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
    """Every pixel becomes a block with zeros; what is too much at the end is a border already."""
    N, C, H, W = x.shape
    blocks = F.pad(x.reshape(N, C, H, 1, W, 1), (0, stride - 1, 0, 0, 0, stride - 1))
    wide = blocks.reshape(N, C, H * stride, W * stride)
    above, before = (k - 1 - padding for k in weight.shape[2:])
    ends = (before, before + output_padding - stride + 1, above, above + output_padding - stride + 1)
    kernel = torch.rot90(weight, 2, (2, 3)).permute(1, 0, 2, 3)
    return F.conv2d(F.pad(wide, ends), kernel)


def _stretched_by_kron(x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
    impulse = torch.zeros(stride, stride, dtype=x.dtype)
    impulse[-1, -1] = 1
    wide = torch.kron(x, impulse)[:, :, stride - 1 :, stride - 1 :]
    K, L = weight.shape[2:]
    full = F.conv2d(
        F.pad(wide, (L - 1, L - 1 + output_padding, K - 1, K - 1 + output_padding)),
        weight.flip(-1, -2).mT.mT.swapaxes(0, 1),
    )
    rows, columns = full.shape[2:]
    return full[:, :, padding : rows - padding, padding : columns - padding]


def _stretched_by_matrices(x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
    """Stretching and border as one matrix for each axis, windows by unfold."""
    H, W = x.shape[2:]
    K, L = weight.shape[2:]

    def placed(n: int, k: int) -> Tensor:
        rows = (n - 1) * stride + 1 + 2 * (k - 1 - padding) + output_padding
        return F.one_hot(torch.arange(n) * stride + k - 1 - padding, rows).to(x.dtype)

    bordered = placed(H, K).T @ x @ placed(W, L)
    windows = bordered.unfold(2, K, 1).unfold(3, L, 1)
    return torch.einsum("ncuvij,cdij->nduv", windows, weight.flip((2, 3)))


def _stretched_wrong(
    *,
    stretch: Callable[[Tensor, int], Tensor] | None = None,
    kernel: Callable[[Tensor], Tensor] = lambda weight: weight.flip(2, 3).transpose(0, 1),
    border: Callable[[int, int], int] = lambda k, p: k - 1 - p,
    extra: str = "end",
    stride_again: bool = False,
) -> Callable[..., Tensor]:
    """The stretched convolution with one thing wrong."""

    def answer(x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
        (N, C, H, W), (K, L) = x.shape, weight.shape[2:]
        if stretch is None:
            wide = x.new_zeros(N, C, (H - 1) * stride + 1, (W - 1) * stride + 1)
            wide[:, :, ::stride, ::stride] = x
        else:
            wide = stretch(x, stride)
        b, a, o = border(L, padding), border(K, padding), output_padding
        pads = {"end": (b, b + o, a, a + o), "start": (b + o, b, a + o, a), "both": (b + o, b + o, a + o, a + o)}
        inside = F.pad(wide, pads.get(extra, (b, b, a, a)))
        out = F.conv2d(inside, kernel(weight), stride=stride if stride_again else 1)
        return F.pad(out, (0, o, 0, o)) if extra == "afterwards" else out

    return answer


def _with_trailing_zeros(x: Tensor, stride: int) -> Tensor:
    wide = x.new_zeros(*x.shape[:2], x.shape[2] * stride, x.shape[3] * stride)
    wide[:, :, ::stride, ::stride] = x
    return wide


def _one_zero_too_many(x: Tensor, stride: int) -> Tensor:
    wide = x.new_zeros(*x.shape[:2], *((n - 1) * (stride + 1) + 1 for n in x.shape[2:]))
    wide[:, :, :: stride + 1, :: stride + 1] = x
    return wide


def _repeated(x: Tensor, stride: int) -> Tensor:
    wide = x.repeat_interleave(stride, 2).repeat_interleave(stride, 3)
    return wide[:, :, : (x.shape[2] - 1) * stride + 1, : (x.shape[3] - 1) * stride + 1]


STRETCHED_CONV = Key(
    question=asked.STRETCHED_CONV,
    solution=(stretched_conv,),
    reference=lambda x, weight, stride, padding, output_padding: _entry_by_entry(
        x, weight, stride, padding, output_padding
    ),
    source="Dumoulin & Visin 2016, arXiv:1603.07285, relationships 13 and 14 (chapter 4)",
    mistakes=(
        Mistake(
            "kernel not turned",
            "`F.conv2d` does not turn the kernel. Its transpose reads it backwards: flip both spatial axes.",
            _stretched_wrong(kernel=lambda weight: weight.transpose(0, 1)),
        ),
        Mistake(
            "kernel turned in one axis",
            "Flip both spatial axes of the kernel, rows *and* columns.",
            _stretched_wrong(kernel=lambda weight: weight.flip(3).transpose(0, 1)),
        ),
        Mistake(
            "channels turned, too",
            "Flip the spatial axes only: axis 1 after the exchange holds the input channels, and their order stays.",
            _stretched_wrong(kernel=lambda weight: weight.flip(2, 3).transpose(0, 1).flip(1)),
        ),
        Mistake(
            "channels not exchanged",
            "`F.conv2d` wants (output, input) channels, the layer's weight is (input, output): `transpose(0, 1)`.",
            _stretched_wrong(kernel=lambda weight: weight.flip(2, 3)),
        ),
        Mistake(
            "border of p",
            "The border is K − 1 − p: the more padding, the smaller the output of the transpose.",
            _stretched_wrong(border=lambda k, p: p),
        ),
        Mistake(
            "border of K − 1",
            "The padding is missing from the border: K − 1 − p.",
            _stretched_wrong(border=lambda k, p: k - 1),
        ),
        Mistake(
            "zeros after the last pixel, too",
            "There are zeros *between* pixels, none after the last: the stretched size is (H − 1)s + 1.",
            _stretched_wrong(stretch=_with_trailing_zeros),
        ),
        Mistake(
            "s zeros between pixels",
            "Between neighbours lie s − 1 zeros, so that pixels lie s apart.",
            _stretched_wrong(stretch=_one_zero_too_many),
        ),
        Mistake(
            "pixels repeated",
            "You repeat pixels (nearest-neighbour upsampling). Here zeros stand between them.",
            _stretched_wrong(stretch=_repeated),
        ),
        Mistake(
            "output padding at the top and left",
            "The additional rows and columns are at the bottom and right.",
            _stretched_wrong(extra="start"),
        ),
        Mistake(
            "output padding on both sides",
            "Output padding adds o rows in all, at the bottom.",
            _stretched_wrong(extra="both"),
        ),
        Mistake(
            "output padding of zeros",
            "You append zeros to the result. Widen the border *before* the convolution: kernels reach into it.",
            _stretched_wrong(extra="afterwards"),
        ),
        Mistake(
            "output padding forgotten",
            "`output_padding` is not used: the border is wider by it at the bottom and right.",
            _stretched_wrong(extra="never"),
        ),
        Mistake(
            "stride in the convolution as well",
            "The zeros are the stride already: the convolution has stride 1.",
            _stretched_wrong(stride_again=True),
        ),
        Mistake(
            "torch's transposed convolution",
            "The values are right, but that is the layer itself. Use an ordinary convolution of the stretched picture.",
            lambda x, weight, stride, padding, output_padding: F.conv_transpose2d(
                x, weight, None, stride, padding, output_padding
            ),
        ),
    ),
    alternatives={
        "every pixel a block": _stretched_by_blocks,
        "Kronecker product, cut afterwards": _stretched_by_kron,
        "matrices and windows": _stretched_by_matrices,
    },
)

# size_rules


def transposed_size(n: int, k: int, s: int, p: int, o: int, d: int) -> int:
    """Pixels along one axis after a transposed convolution."""
    ### BEGIN SOLUTION
    return (n - 1) * s - 2 * p + d * (k - 1) + o + 1
    ### END SOLUTION


def scale_settings(k: int, s: int, d: int) -> tuple[int, int]:
    """The padding and the smallest output padding with which n pixels become s n."""
    ### BEGIN SOLUTION
    gap = d * (k - 1) + 1 - s
    p = max(0, (gap + 1) // 2)
    return p, 2 * p - gap
    ### END SOLUTION


def _size_by_marking(n: int, k: int, s: int, p: int, o: int, d: int) -> int:
    """Marks every place that some tap reaches, from the first to the last, then cuts and adds."""
    places = [i * s + j * d for i in range(n) for j in range(k)]
    return max(places) - min(places) + 1 - p - p + o


def _settings_by_search(k: int, s: int, d: int) -> tuple[int, int]:
    """The first output padding for which some padding gives s n, at two sizes n."""
    for o in range(s + k * d):
        for p in range(k * d + 1):
            if all(_size_by_marking(n, k, s, p, o, d) == s * n for n in (5, 8)):
                return p, o
    raise ValueError((k, s, d))


def _size_by_torch(n: int, k: int, s: int, p: int, o: int, d: int) -> int:
    # torch refuses some settings (output padding not below stride and dilation), so its layer is asked for the rest.
    layer = torch.nn.ConvTranspose1d(1, 1, k, s, 0, 0, dilation=d, bias=False, device="meta")
    return layer(torch.empty(1, 1, n, device="meta")).shape[-1] + o - 2 * p


def _settings_by_cases(k: int, s: int, d: int) -> tuple[int, int]:
    reach = d * (k - 1) + 1
    if reach <= s:
        return 0, s - reach
    odd = (reach - s) % 2
    return (reach - s + odd) // 2, odd


def _settings_by_ceiling(k: int, s: int, d: int) -> tuple[int, int]:
    gap = 1 + d * (k - 1) - s
    p = math.ceil(gap / 2) if gap > 0 else 0
    return p, -gap + p + p


def _sizes_wrong(
    size: Callable[..., Any] = transposed_size, settings: Callable[..., Any] = scale_settings
) -> dict[str, Any]:
    return {"transposed_size": size, "scale_settings": settings}


SIZE_RULES = Key(
    question=asked.SIZE_RULES,
    solution=(transposed_size, scale_settings),
    reference={"transposed_size": _size_by_marking, "scale_settings": _settings_by_search},
    source="Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4; torch.nn.ConvTranspose2d, section Shape",
    mistakes=(
        Mistake(
            "rule of the ordinary convolution",
            "That is how a convolution shrinks: (n + 2p − d(k − 1) − 1) / s + 1. The transpose solves it for n.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n + 2 * p - d * (k - 1) - 1) // s + 1),
        ),
        Mistake(
            "n strides instead of n − 1",
            "Between n pixels there are n − 1 steps: (n − 1)s.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: n * s - 2 * p + d * (k - 1) + o + 1),
        ),
        Mistake(
            "padding on one side",
            "The padding is cut off on both sides: −2p.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n - 1) * s - p + d * (k - 1) + o + 1),
        ),
        Mistake(
            "padding added",
            "In the transpose padding takes pixels away: −2p.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n - 1) * s + 2 * p + d * (k - 1) + o + 1),
        ),
        Mistake(
            "dilation ignored in the size",
            "k taps that lie d apart reach over d(k − 1) + 1 pixels.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n - 1) * s - 2 * p + k + o),
        ),
        Mistake(
            "kernel of d k",
            "k taps that lie d apart reach over d(k − 1) + 1 pixels, not over d k.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n - 1) * s - 2 * p + d * k + o),
        ),
        Mistake(
            "output padding ignored",
            "The output padding o is missing from the size.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n - 1) * s - 2 * p + d * (k - 1) + 1),
        ),
        Mistake(
            "output padding on both sides",
            "The output padding is on one side: + o, not + 2o.",
            _sizes_wrong(size=lambda n, k, s, p, o, d: (n - 1) * s - 2 * p + d * (k - 1) + 2 * o + 1),
        ),
        Mistake(
            "odd gap rounded down",
            "Where the gap is odd you lose nothing, so the output is one pixel too large: round the padding up, then give one "
            "pixel back as output padding.",
            _sizes_wrong(settings=lambda k, s, d: (max(0, d * (k - 1) + 1 - s) // 2, max(0, s - d * (k - 1) - 1))),
        ),
        Mistake(
            "odd gap without output padding",
            "Rounding the padding up cuts one pixel too many: output padding 1 gives it back.",
            _sizes_wrong(settings=lambda k, s, d: (max(0, (d * (k - 1) + 2 - s) // 2), max(0, s - d * (k - 1) - 1))),
        ),
        Mistake(
            "negative padding",
            "Where the kernel is smaller than the stride your padding is negative. It is 0, and output padding fills the gap.",
            _sizes_wrong(settings=lambda k, s, d: ((d * (k - 1) + 2 - s) // 2, (d * (k - 1) + 1 - s) % 2)),
        ),
        Mistake(
            "dilation ignored in the settings",
            "A dilated kernel reaches over d(k − 1) + 1 pixels: the padding must follow.",
            _sizes_wrong(settings=lambda k, s, d: scale_settings(k, s, 1)),
        ),
        Mistake(
            "padding that keeps the size",
            "That is the padding with which a stride of 1 changes nothing. Here m must be s n: the stride matters.",
            _sizes_wrong(settings=lambda k, s, d: (d * (k - 1) // 2, s - 1)),
        ),
        Mistake(
            "output padding larger than needed",
            "m is right, but with a smaller padding a smaller output padding does it, too.",
            _sizes_wrong(settings=lambda k, s, d: tuple(v + e for v, e in zip(scale_settings(k, s, d), (1, 2)))),
        ),
        Mistake(
            "fractions",
            "You return fractions, such as 1.5 or 1.0, expected whole numbers: `//` instead of `/`.",
            _sizes_wrong(
                settings=lambda k, s, d: (max(0.0, (d * (k - 1) + 1 - s) / 2), max(0.0, float(s - d * (k - 1) - 1)))
            ),
        ),
    ),
    alternatives={
        "torch's own size; cases": {"transposed_size": _size_by_torch, "scale_settings": _settings_by_cases},
        "rearranged; ceiling": {
            "transposed_size": lambda n, k, s, p, o, d: s * n + (d * k - d + 1 - s) + o - p - p,
            "scale_settings": _settings_by_ceiling,
        },
        "by steps; parity": {
            "transposed_size": lambda n, k, s, p, o, d: len(range(-p + p, (n - 1) * s + (k - 1) * d + 1 + o)) - 2 * p,
            "scale_settings": lambda k, s, d: next(
                (p, 2 * p + s - 1 - d * (k - 1)) for p in range(k * d + s) if 2 * p + s - 1 - d * (k - 1) >= 0
            ),
        },
    },
)

# overlap_map


def overlap_map(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """How many taps reach each output pixel, int64."""
    ### BEGIN SOLUTION
    (H, W), (K, L), (s, t) = size, kernel, stride
    counts = torch.zeros((H - 1) * s + K, (W - 1) * t + L, dtype=torch.int64)
    for h in range(H):
        for w in range(W):
            counts[h * s : h * s + K, w * t : w * t + L] += 1
    return counts
    ### END SOLUTION


def is_even(kernel: tuple[int, int], stride: tuple[int, int]) -> bool:
    """Whether all pixels far from the edge are reached equally often."""
    ### BEGIN SOLUTION
    return all(k % s == 0 for k, s in zip(kernel, stride))
    ### END SOLUTION


def _map_by_pixels(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """For every output pixel, counts the pairs of input pixel and tap that lead there."""
    rows, columns = ((n - 1) * s + k for n, k, s in zip(size, kernel, stride))

    def ways(place: int, axis: int) -> int:
        return sum(i * stride[axis] + j == place for i in range(size[axis]) for j in range(kernel[axis]))

    return torch.tensor([[ways(u, 0) * ways(v, 1) for v in range(columns)] for u in range(rows)])


def _even_by_looking(kernel: tuple[int, int], stride: tuple[int, int]) -> bool:
    """Whether the middle of a large map has one value."""
    return all(
        len({sum((u - j) % s == 0 for j in range(k)) for u in range(5 * s * k, 6 * s * k)}) == 1
        for k, s in zip(kernel, stride)
    )


def _map_by_layer(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    out = F.conv_transpose2d(torch.ones(1, 1, *size), torch.ones(1, 1, *kernel), stride=stride)
    return out[0, 0].round().long()


def _axis(n: int, k: int, s: int) -> Tensor:
    places = torch.arange(n)[:, None] * s + torch.arange(k)
    return torch.bincount(places.flatten(), minlength=(n - 1) * s + k)


def _map_by_axes(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    rows, columns = (_axis(*three) for three in zip(size, kernel, stride))
    return torch.outer(rows, columns)


def _map_by_formula(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    counts = []
    for n, k, s in zip(size, kernel, stride):
        u = torch.arange((n - 1) * s + k)
        last, first = (u // s).clamp(max=n - 1), ((u - k) // s + 1).clamp(min=0)
        counts.append((last - first + 1).clamp(min=0))
    return counts[0][:, None] * counts[1][None]


def _overlap_wrong(counts: Callable[..., Any] = overlap_map, even: Callable[..., Any] = is_even) -> dict[str, Any]:
    return {"overlap_map": counts, "is_even": even}


OVERLAP_MAP = Key(
    question=asked.OVERLAP_MAP,
    solution=(overlap_map, is_even),
    reference={"overlap_map": _map_by_pixels, "is_even": _even_by_looking},
    source="Odena, Dumoulin & Olah 2016, Deconvolution and checkerboard artifacts, Distill, doi:10.23915/distill.00003",
    mistakes=(
        Mistake(
            "marked instead of counted",
            "Every reached pixel has a 1: add up, so that overlaps count twice.",
            _overlap_wrong(counts=lambda size, k, s: overlap_map(size, k, s).clamp(max=1)),
        ),
        Mistake(
            "counts of the axes added",
            "A pixel is reached by every pair of a row and a column: multiply the counts of both axes.",
            _overlap_wrong(
                counts=lambda size, k, s: _axis(size[0], k[0], s[0])[:, None] + _axis(size[1], k[1], s[1])[None]
            ),
        ),
        Mistake(
            "edges count like the middle",
            "Near the edge fewer input pixels exist: the map must thin out there.",
            _overlap_wrong(
                counts=lambda size, k, s: overlap_map((size[0] + 40, size[1] + 40), k, s)[
                    20 * s[0] : 20 * s[0] + (size[0] - 1) * s[0] + k[0],
                    20 * s[1] : 20 * s[1] + (size[1] - 1) * s[1] + k[1],
                ]
            ),
        ),
        Mistake(
            "map of the input",
            "The map belongs to the output, ((H − 1)s + K, (W − 1)t + L): yours has the input's size.",
            _overlap_wrong(counts=lambda size, k, s: torch.full(size, k[0] * k[1])),
        ),
        Mistake(
            "rows and columns exchanged",
            "The first of each pair belongs to the rows.",
            _overlap_wrong(counts=lambda size, k, s: overlap_map(size[::-1], k[::-1], s[::-1])),
        ),
        Mistake(
            "one stride for both axes",
            "The stride of the columns is the second of the pair.",
            _overlap_wrong(counts=lambda size, k, s: overlap_map(size, k, (s[0], s[0]))),
        ),
        Mistake(
            "floating point",
            "The counts are right, but the dtype is not int64.",
            _overlap_wrong(counts=lambda size, k, s: overlap_map(size, k, s).float()),
        ),
        Mistake(
            "division the wrong way round",
            "Even means: the stride divides the kernel, k % s == 0.",
            _overlap_wrong(even=lambda k, s: s[0] % k[0] == 0 and s[1] % k[1] == 0),
        ),
        Mistake(
            "odd kernels blamed",
            "An odd kernel is not the problem (3 with stride 3 is even). What counts is whether the stride divides it.",
            _overlap_wrong(even=lambda k, s: k[0] % 2 == 0 and k[1] % 2 == 0),
        ),
        Mistake(
            "no overlap counted as the only even case",
            "Overlap is harmless as long as it is the same everywhere: kernel 4, stride 2 reaches each pixel twice in each axis.",
            _overlap_wrong(even=lambda k, s: k[0] == s[0] and k[1] == s[1]),
        ),
        Mistake(
            "one axis suffices",
            "Both axes must be even.",
            _overlap_wrong(even=lambda k, s: k[0] % s[0] == 0 or k[1] % s[1] == 0),
        ),
        Mistake(
            "kernel as wide as the stride is enough",
            "No gaps is not the same as even: kernel 3, stride 2 has no gaps and a checkerboard.",
            _overlap_wrong(even=lambda k, s: k[0] >= s[0] and k[1] >= s[1]),
        ),
    ),
    alternatives={
        "ones through the layer": {
            "overlap_map": _map_by_layer,
            "is_even": lambda k, s: not (k[0] % s[0] or k[1] % s[1]),
        },
        "outer product of two counts": {
            "overlap_map": _map_by_axes,
            "is_even": lambda k, s: [-(-k // s) - k // s for k, s in zip(k, s)] == [0, 0],
        },
        "closed form": {
            "overlap_map": _map_by_formula,
            "is_even": lambda k, s: math.gcd(k[0], s[0]) == s[0] and math.gcd(k[1], s[1]) == s[1],
        },
    },
)
