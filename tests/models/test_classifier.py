"""The classifier: shapes at several sizes, named activations, what the mean over places promises."""

from __future__ import annotations

import pytest
import torch

from coursekit.errors import InputError
from coursekit.models.classifier import Classifier
from coursekit.runtime import generator, seeded

NAMES = ("eye", "bus", "ostrich")


def small(seed: int = 0, **options: object) -> Classifier:
    with seeded(seed):
        return Classifier(NAMES, **{"widths": (4, 6, 8), "depths": (1, 2, 1), **options})


def pictures(n: int, h: int, w: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, h, w, generator=generator(1)) * 2 - 1


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 96)])
def test_features_are_named_in_order_and_logits_are_the_last(size: tuple[int, int]) -> None:
    net = small().eval()
    x = pictures(2, *size)
    named = net.features(x)
    assert list(named) == ["block1", "block2", "block3", "code", "logits"]
    for b, width in enumerate((4, 6, 8)):
        assert named[f"block{b + 1}"].shape == (2, width, size[0] // 2**b, size[1] // 2**b)
        assert named[f"block{b + 1}"].min() >= 0  # ReLU
    assert named["code"].shape == (2, 8) and named["logits"].shape == (2, 3)
    assert torch.equal(net(x), named["logits"])
    assert net.classes == NAMES


def test_logits_are_the_head_of_the_mean_over_places() -> None:
    net = small().eval()
    named = net.features(pictures(2, 40, 40))
    each_place = torch.nn.functional.conv2d(named["block3"], net.head.weight[:, :, None, None], net.head.bias)
    torch.testing.assert_close(each_place.mean((2, 3)), named["logits"])


def test_a_block_is_convolution_norm_relu() -> None:
    net, x = small().eval(), pictures(2, 32, 32)
    block = net.blocks[0]
    y = torch.nn.functional.conv2d(x, block.convs[0].weight, padding=1)
    torch.testing.assert_close(
        net.features(x)["block1"], (y / (1 + 1e-5) ** 0.5).clamp(min=0)
    )  # fresh statistics: 0 and 1


def test_every_weight_and_every_pixel_receives_a_gradient() -> None:
    net, x = small().train(), pictures(4, 32, 32).requires_grad_()
    net(x).square().sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in net.parameters())
    assert x.grad is not None and (x.grad.abs().sum(1) > 0).double().mean() > 0.95


def test_read_is_argmax_in_eval_mode_and_leaves_the_mode() -> None:
    net, x = small().train(), pictures(5, 32, 32)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    ids = net.read(x, batch=2)
    assert net.training and all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(ids, net.eval()(x).argmax(1)) and ids.dtype == torch.int64
    assert net.read(x[:0]).shape == (0,)


def test_one_channel_and_two_blocks_work_too() -> None:
    net = small(channels=1, widths=(4, 8), depths=None)
    assert net(pictures(2, 32, 32, channels=1)).shape == (2, 3)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 31, 64)])
def test_pictures_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="Classifier"):
        small()(torch.zeros(shape))


@pytest.mark.parametrize("options", [{"widths": ()}, {"depths": (1, 1)}, {"widths": (4, 0, 8)}])
def test_networks_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Classifier"):
        small(**options)
