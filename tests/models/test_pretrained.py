"""torchvision's classifiers: their weights are random here, the rest is as it will be with the published ones."""

from __future__ import annotations

import hashlib
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from coursekit.errors import DataAbsent, DataFileError, InputError
from coursekit.models import pretrained
from coursekit.models.pretrained import load_pretrained
from coursekit.runtime import generator, seeded

FILE = "resnet18-f37072fd.pth"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the network nor this user's own checkpoints."""

    def refuse(*anything: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "real"))


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """A small network of torchvision's with random weights."""
    with seeded(0):
        return models.squeezenet1_1(weights=None).eval()


@pytest.fixture(scope="module")
def weights(theirs: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(theirs.state_dict(), path)
    return path


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=generator(0)) * 2 - 1


def test_it_is_torchvisions_network_with_torchvisions_preparation(
    theirs: nn.Module, weights: Path, pictures: Tensor
) -> None:
    net = load_pretrained("squeezenet1_1", file=weights)
    transform = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms(crop_size=64, resize_size=64)
    expected = theirs(transform((pictures + 1) / 2))
    torch.testing.assert_close(net(pictures), expected)
    assert len(net.classes) == 1000 == net(pictures).shape[1] and net.classes[9] == "ostrich"
    assert not net.training and not any(weight.requires_grad for weight in net.parameters())
    assert not any(value.is_meta for value in (*net.parameters(), *net.buffers()))


def test_pictures_take_a_gradient_and_the_global_generator_stays(weights: Path, pictures: Tensor) -> None:
    before = torch.get_rng_state()
    net = load_pretrained("squeezenet1_1", file=weights)
    assert torch.equal(before, torch.get_rng_state())
    x = pictures.requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    assert gradient.abs().sum() > 0


def test_features_are_the_activations_in_order(theirs: nn.Module, weights: Path, pictures: Tensor) -> None:
    net = load_pretrained("squeezenet1_1", file=weights)
    features = net.features(pictures)
    x = ((pictures + 1) / 2 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    first = theirs.features[0](x)
    torch.testing.assert_close(features["features.0"], first)  # the ReLU after it no longer works in place
    torch.testing.assert_close(features["features.1"], first.relu())
    assert (features["features.0"] < 0).any()
    assert list(features)[-1] == "logits" and torch.equal(features["logits"], net(pictures))
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(InputError, match=r"expected \(N, 3, H, W\)"):
        net(pictures[0])


@pytest.mark.parametrize("name", pretrained.NAMES)
def test_every_checkpoint_has_a_name_with_its_hash_and_a_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataAbsent) as caught:
        load_pretrained(name)
    url = models.get_weight(f"{pretrained._WEIGHTS[name]}.IMAGENET1K_V1").url
    for part in (url, url.rpartition("/")[2], "$COURSEKIT_DATA/pretrained/", "download=True", "load_dreamnet"):
        assert part in str(caught.value)
    assert pretrained._HASH.findall(url)
    with torch.device("meta"):
        net = models.get_model(name, weights=None, **pretrained._OPTIONS.get(name, {}))
        assert net.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def resnet(path: Path, *, features: int = 1000) -> str:
    """Write a random ResNet-18; its SHA-256."""
    with torch.device("meta"):
        shapes = models.resnet18(num_classes=features).state_dict()
    draw = generator(0)
    state = {
        key: torch.rand(value.shape, generator=draw)
        if value.is_floating_point()
        else torch.zeros(value.shape, dtype=value.dtype)
        for key, value in shapes.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    path = tmp_path_factory.mktemp("resnet") / "resnet18.pth"
    return SimpleNamespace(path=path, sha=resnet(path))


@pytest.fixture
def published(checkpoint: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> str:
    """The random checkpoint's own name, as if torchvision had published it."""
    file = f"resnet18-{checkpoint.sha[:8]}.pth"
    real = models.get_weight

    def get_weight(name: str) -> SimpleNamespace:
        weights = real(name)
        return SimpleNamespace(url=f"https://example.org/{file}", meta=weights.meta, transforms=weights.transforms)

    monkeypatch.setattr(models, "get_weight", get_weight)
    return file


@pytest.mark.parametrize("folder", ["real/pretrained", "torch/hub/checkpoints"])
def test_it_is_found_in_the_course_and_among_torch_hubs(
    tmp_path: Path, checkpoint: SimpleNamespace, published: str, folder: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    shutil.copy(checkpoint.path, tmp_path / folder / published)
    net = load_pretrained()
    assert torch.equal(net.net.fc.weight, torch.load(checkpoint.path, weights_only=True)["fc.weight"])
    maps = net.features(torch.zeros(1, 3, 64, 64))
    assert [name for name in maps if name.startswith("layer")] == ["layer1", "layer2", "layer3", "layer4"]
    assert maps["layer4"].shape == (1, 512, 2, 2)


def test_a_hash_that_does_not_fit_the_name_is_refused(tmp_path: Path, checkpoint: SimpleNamespace) -> None:
    (tmp_path / "real" / "pretrained").mkdir(parents=True)
    shutil.copy(checkpoint.path, tmp_path / "real" / "pretrained" / FILE)
    with pytest.raises(DataFileError, match=rf"{FILE}: got SHA-256 {checkpoint.sha[:12]}.*expected f37072fd"):
        load_pretrained("resnet18")


def test_a_download_on_request_goes_to_the_course(
    tmp_path: Path, checkpoint: SimpleNamespace, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    asked = []

    def transfer(url: str, path: str, hash_prefix: str) -> None:
        asked.append((url, path, hash_prefix))
        if len(asked) > 1:
            raise OSError("no route to host")
        shutil.copy(checkpoint.path, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", transfer)
    target = tmp_path / "real" / "pretrained" / published
    assert load_pretrained("resnet18", download=True).classes[9] == "ostrich"
    assert asked == [(f"https://example.org/{published}", str(target), checkpoint.sha[:8])]
    load_pretrained("resnet18", download=True)
    assert len(asked) == 1
    target.unlink()
    with pytest.raises(DataAbsent, match=r"could not be fetched \(no route to host\)"):
        load_pretrained("resnet18", download=True)


class Evil:
    """Its unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("evil"),))


def test_broken_checkpoints_are_named(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "broken.pth"
    whole = weights.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"<html>404</html>"):
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"broken\.pth: got .*expected a checkpoint of tensors only"):
            load_pretrained("squeezenet1_1", file=path)
    torch.save({"weight": Evil()}, path)
    with pytest.raises(DataFileError, match=r"broken\.pth: got UnpicklingError"):
        load_pretrained("squeezenet1_1", file=path)
    assert not (tmp_path / "evil").exists()
    with pytest.raises(DataFileError, match=r"mine\.pth: got other tensors .*expected those of alexnet"):
        load_pretrained("alexnet", file=weights)
    torch.save([1, 2], path)
    with pytest.raises(DataFileError, match=r"broken\.pth: got other tensors"):
        load_pretrained("squeezenet1_1", file=path)


def test_safetensors_and_wrong_names(tmp_path: Path, theirs: nn.Module, pictures: Tensor) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(theirs.state_dict(), path)
    expected = load_pretrained("squeezenet1_1", file=path)(pictures)
    assert expected.shape == (2, 1000)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataFileError, match=r"mine\.safetensors: got SafetensorError"):
        load_pretrained("squeezenet1_1", file=path)
    with pytest.raises(DataAbsent, match=r"nothing\.pth"):
        load_pretrained("squeezenet1_1", file=tmp_path / "nothing.pth")
    with pytest.raises(InputError, match="expected one of alexnet, vgg16"):
        load_pretrained("resnet17")
