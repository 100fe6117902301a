"""torchvision's classifiers of the thousand classes of ImageNet, where their weights are at hand.

    net = load_pretrained("resnet18")
    net(x)                                   # logits (N, 1000) of pictures in [-1, 1]; 224 x 224 is what they learnt on
    net.classes.index("ostrich")             # 9
    net.features(x)["layer3"]                # activations, to dream with

The weights (Russakovsky et al. 2015 for the data; the networks' authors for the rest) are not shipped. A checkpoint is
looked for under torchvision's own file name in ``data/real/pretrained/`` of the course (or ``$COURSEKIT_DATA/pretrained/``),
then among those that torch.hub has fetched before.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from coursekit.datasets.real.places import data_folder
from coursekit.errors import DataAbsent, DataFileError, InputError

# Name -> torchvision's name of the weights. The first version throughout: what the literature dreamt with and fooled.
_WEIGHTS = {
    "alexnet": "AlexNet_Weights",
    "vgg16": "VGG16_Weights",
    "googlenet": "GoogLeNet_Weights",
    "inception_v3": "Inception_V3_Weights",
    "resnet18": "ResNet18_Weights",
    "resnet50": "ResNet50_Weights",
    "squeezenet1_1": "SqueezeNet1_1_Weights",
    "mobilenet_v3_small": "MobileNet_V3_Small_Weights",
    "efficientnet_b0": "EfficientNet_B0_Weights",
    "convnext_tiny": "ConvNeXt_Tiny_Weights",
}
NAMES = tuple(_WEIGHTS)
_OPTIONS = {
    # torchvision's own for the published weights: helpers of training come with them, and are not used here.
    "googlenet": {"transform_input": True, "aux_logits": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "aux_logits": True, "init_weights": False},
}
_HASH = re.compile(r"-([0-9a-f]{8,64})\.")  # torch.hub's convention: the name ends in the first digits of the SHA-256


class Pretrained(nn.Module):
    """Pictures (N, 3, H, W) in [-1, 1] -> logits (N, K). Eval mode; the weights take no gradient, the pictures may."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, classes: Iterable[str], *, mean: Iterable[float], std: Iterable[float]) -> None:
        super().__init__()
        self.net, self.classes = net, tuple(classes)
        self.register_buffer("mean", torch.tensor(list(mean)).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(3, 1, 1), persistent=False)
        for module in net.modules():
            if getattr(module, "inplace", False):
                # It would overwrite the activation that features() has just noted.
                module.inplace = False  # type: ignore[assignment]
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != 3:
            raise InputError.of(
                "pictures for a pretrained network", got=tuple(x.shape), expected="(N, 3, H, W) in [-1, 1]",
                do="Add a batch dimension with x[None].",
            )  # fmt: skip
        logits: Tensor = self.net(((x + 1) / 2 - self.mean) / self.std)
        return logits

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by name, in order: every map (N, C, h, w) between the network's stages, then "logits" (N, K)."""
        named: dict[str, Tensor] = {}

        def note(name: str) -> torch.utils.hooks.RemovableHandle:
            def hook(module: nn.Module, ins: object, out: object) -> None:
                if isinstance(out, Tensor) and out.dim() == 4:
                    named[name] = out

            return stages[name].register_forward_hook(hook)

        stages = self._stages()
        handles = [note(name) for name in stages]
        try:
            logits = self(x)
        finally:
            for handle in handles:
                handle.remove()
        return named | {"logits": logits}

    def _stages(self) -> dict[str, nn.Module]:
        """The network's parts by name; where its body is one sequence called `features`, that sequence's parts."""
        stages: dict[str, nn.Module] = {}
        for name, part in self.net.named_children():
            if name == "features" and isinstance(part, nn.Sequential):
                stages |= {f"{name}.{k}": layer for k, layer in part.named_children()}
            else:
                stages[name] = part
        return stages


def load_pretrained(
    name: str = "resnet18", *, file: str | Path | None = None, download: bool = False, root: str | Path | None = None
) -> Pretrained:
    """The classifier `name` with torchvision's first weights for ImageNet.

    `file` is another checkpoint of the same architecture (.pth, or .safetensors). `root` holds the folder `pretrained`
    (default: see above). `download` lets torch.hub fetch a missing checkpoint, the only way that a connection is opened.

    Raises DataAbsent where there is no checkpoint; DataFileError where it is corrupt, does not fit, or does not have the hash
    that its name promises; InputError for a name that is not in NAMES.
    """
    if name not in _WEIGHTS:
        raise InputError.of(
            "`name` of a pretrained network", got=name, expected=f"one of {', '.join(NAMES)}", do="Pick one."
        )
    from torchvision.models import get_model, get_weight  # seconds to import, and nothing else here needs it

    weights = get_weight(f"{_WEIGHTS[name]}.IMAGENET1K_V1")
    path = Path(file) if file is not None else _checkpoint(name, weights.url, download, root)
    state = _read(path)
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        net = get_model(name, weights=None, **_OPTIONS.get(name, {}))
    try:
        net.load_state_dict(state, assign=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise DataFileError.of(
            path, got=f"other tensors ({_short(error)})", expected=f"those of {name}",
            do="Pass the name of the network that this checkpoint belongs to.",
        ) from error  # fmt: skip
    transform = weights.transforms()
    return Pretrained(net, weights.meta["categories"], mean=transform.mean, std=transform.std)


def _checkpoint(name: str, url: str, download: bool, root: str | Path | None) -> Path:
    """Where the checkpoint of that address lies: in the folder of the course, or in torch.hub's."""
    folder, shown = data_folder(root)
    here, file = folder / "pretrained", url.rpartition("/")[2]
    for path in (here / file, Path(torch.hub.get_dir()) / "checkpoints" / file):
        if path.is_file():
            return path
    why = "no weights on this machine"
    if download:
        try:
            # Reading is left to _read, so that whatever was fetched passes the same checks as a file put there by hand.
            here.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(here / file), hash_prefix=_HASH.findall(file)[-1])
            return here / file
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            why = f"{url} could not be fetched ({error})"
    raise DataAbsent(
        f"{name}: {why}. Looked for {file} in {shown}/pretrained/ and among torch.hub's checkpoints. Put it there by hand "
        f"(from {url}), or pass download=True on a machine with a network. The kit's stand-in needs no file: "
        "coursekit.models.dreamnet.load_dreamnet()."
    )


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, whose hash is checked where its name promises one. No code in it is run."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataAbsent(f"{path}: cannot be read ({error}). Pass `file` the path of a checkpoint.") from error
    promised = _HASH.findall(path.name)
    got = hashlib.sha256(content).hexdigest()
    if promised and not got.startswith(promised[-1]):
        raise DataFileError.of(
            path, got=f"SHA-256 {got[:12]}… ({len(content)} bytes)", expected=f"{promised[-1]}…, as in its name"
        )
    try:
        if path.suffix == ".safetensors":
            state: dict[str, Tensor] = read_tensors(content)
            return state
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return state
    except Exception as error:  # what a corrupt file raises depends on where it is corrupt
        raise DataFileError.of(
            path, got=f"{type(error).__name__} ({_short(error)})", expected="a checkpoint of tensors only"
        ) from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:240]
