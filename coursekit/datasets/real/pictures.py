"""Pictures: bytes to [-1, 1], and files to squares of a size."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from coursekit.errors import DataFileError

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, right and bottom excluded; may reach beyond the picture."""


def scaled(pixels: Tensor, size: int) -> Tensor:
    """Bytes (N, C, H, W) as float32 (N, C, size, size) in [-1, 1]; resized, where need be, linearly and antialiased."""
    x = pixels.float()
    if x.shape[-2:] != (size, size):
        x = interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return x.div_(127.5).sub_(1)


def decode(path: Path, stream: IO[bytes] | None = None) -> Image.Image:
    """The picture in a file as RGB. `stream` is read instead where the file lies in an archive."""
    try:
        with Image.open(stream or path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise DataFileError.of(path, got="no such file", expected="a picture, as the set's list says") from error
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataFileError.of(
            path, got=f"{type(error).__name__} ({error})", expected="a complete picture that can be decoded"
        ) from error


def cut(image: Image.Image, box: Box, size: int) -> np.ndarray[Any, Any]:
    """The box of a picture as bytes (size, size, 3), resized bicubically and antialiased.

    Where the box reaches beyond the picture, the picture's edge goes on: nothing is stretched, and nothing cut off.
    """
    left, top, right, bottom = box
    inner = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
    pixels = np.asarray(image.crop(inner))
    if inner != box:
        beyond = ((inner[1] - top, bottom - inner[3]), (inner[0] - left, right - inner[2]), (0, 0))
        pixels = np.pad(pixels, beyond, mode="edge")
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))


def stacked(pictures: list[np.ndarray[Any, Any]]) -> Tensor:
    """Bytes (H, W, 3) of N pictures as float32 (N, 3, H, W) in [-1, 1]."""
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return scaled(x.contiguous(), x.shape[-1])


def middle(width: int, height: int) -> Box:
    """The largest square in the middle."""
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    return left, top, left + edge, top + edge


def around(box: Sequence[float], width: int, height: int) -> Box:
    """The square around x, y, width, height in a picture of that width and height.

    The box's longer side takes three quarters of it (as in StackGAN, Zhang et al. 2017), more where the picture has no
    room. It is moved into the picture, and reaches beyond it only where the box itself is longer than the picture's shorter
    side.
    """
    x, y, w, h = box
    longer = max(1, math.ceil(max(w, h)))
    edge = min(round(longer / 0.75), max(longer, min(width, height)))

    def start(middle: float, room: int) -> int:
        return (room - edge) // 2 if edge > room else min(max(round(middle - edge / 2), 0), room - edge)

    left, top = start(x + w / 2, width), start(y + h / 2, height)
    return left, top, left + edge, top + edge
