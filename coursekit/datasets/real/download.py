"""Fetching the publishers' files. Only `fetch`, which runs for download=True alone, opens a connection.

A file is written beside its place, compared with the publishers' checksum, and only then moved there. The transfer itself
is torch.hub's, and torchvision's for files on Google Drive.
"""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from coursekit.datasets.real.places import Place

DRIVE = "drive:"


class Remote(NamedTuple):
    """One file of a publisher."""

    url: str
    """Or "drive:ID" for a file on Google Drive."""
    digest: str
    """MD5 (32 characters), or SHA-256 (64) where the publishers give no MD5."""
    file: str
    becomes: str = ""
    """What the kit makes of it, or takes instead: where that is there, the file is not fetched."""
    split: str = ""
    """The split that needs it; "" for all."""


def _idx(base: str, *digests: str) -> tuple[Remote, ...]:
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(
        Remote(f"{base}{stem}-ubyte.gz", digest, f"{stem}-ubyte.gz", becomes=f"{stem}-ubyte")
        for stem, digest in zip(stems, digests, strict=True)
    )


def _svhn(split: str, digest: str) -> Remote:
    file = f"{split}_32x32.mat"
    return Remote(f"http://ufldl.stanford.edu/housenumbers/{file}", digest, file, split=split)


_FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"

REMOTES: Mapping[str, tuple[Remote, ...]] = {
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "fashion_mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "cifar10": (
        Remote(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530",
            "cifar-10-binary.tar.gz", becomes="cifar-10-batches-bin",
        ),
    ),
    "svhn": (
        _svhn("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
        _svhn("test", "eb5a983be6a315427106f1b164d9cef3"),
        _svhn("extra", "a93ce644f1a588dc4d68dda5feec44a7"),
    ),
    "flowers102": (
        Remote(f"{_FLOWERS}102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", "102flowers.tgz", becomes="jpg"),
        Remote(f"{_FLOWERS}imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", "imagelabels.mat"),
        Remote(f"{_FLOWERS}setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", "setid.mat"),
    ),
    "cub": (
        Remote(
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz", "97eceeb196236b17998738112f37df78",
            "CUB_200_2011.tgz", becomes="CUB_200_2011",
        ),
    ),
    "celeba": (
        Remote(
            "drive:0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb", "img_align_celeba.zip",
            becomes="img_align_celeba",
        ),
        Remote("drive:0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c", "list_attr_celeba.txt"),
        Remote("drive:0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668", "list_eval_partition.txt"),
    ),
    "tiny_shakespeare": (
        Remote(_SHAKESPEARE, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", "input.txt"),
    ),
}  # fmt: skip
"""The captions of Reed et al. are missing: their publishers give no checksum."""


def needed(name: str, split: str) -> list[Remote]:
    """The files that a split of a set needs."""
    return [remote for remote in REMOTES[name] if remote.split in ("", split)]


def fetch(place: Place, split: str) -> None:
    """Fetch what this split needs and is not yet there; DataAbsent says why where that fails."""
    for remote in needed(place.name, split):
        if not (remote.becomes and (place.folder / remote.becomes).exists()):
            target = place.folder / remote.file
            if not (target.is_file() and _digest(target, remote.digest) == remote.digest):
                _transfer(place, remote, target)


def _transfer(place: Place, remote: Remote, target: Path) -> None:
    draft = target.with_name(f".{target.name}.part")
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        if remote.url.startswith(DRIVE):
            from torchvision.datasets.utils import download_file_from_google_drive  # seconds to import

            download_file_from_google_drive(remote.url.removeprefix(DRIVE), place.folder, draft.name)
        else:
            from torch.hub import download_url_to_file

            download_url_to_file(remote.url, str(draft))
        got = _digest(draft, remote.digest)
        if got != remote.digest:
            raise OSError(f"its checksum is {got}, expected {remote.digest}")
        draft.replace(target)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise place.absent(remote.file, why=f"{remote.url} could not be fetched ({error})") from error
    finally:
        draft.unlink(missing_ok=True)


def _digest(path: Path, like: str) -> str:
    """The checksum of a file, of the kind that `like` is."""
    with path.open("rb") as file:
        # No defence against forgery: it tells a whole file from a broken one, as its publishers intend.
        return hashlib.file_digest(file, "md5" if len(like) == 32 else "sha256").hexdigest()
