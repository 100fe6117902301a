"""Answer keys to section 2: two networks to a specification."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u05_dcgan.asked import s2_networks as asked

# init_weights


def init_weights(net: nn.Module, std: float, generator: torch.Generator) -> None:
    """Convolutions and linear layers N(0, std), gains of batch norm N(1, std), their biases 0; in place."""
    ### BEGIN SOLUTION
    weighed = (nn.modules.conv._ConvNd, nn.Linear)
    with torch.no_grad():
        for piece in net.modules():
            normed = isinstance(piece, nn.modules.batchnorm._BatchNorm)
            if not (normed or isinstance(piece, weighed)) or piece.weight is None:
                continue
            piece.weight.normal_(1.0 if normed else 0.0, std, generator=generator)
            if piece.bias is not None:
                piece.bias.zero_()
    ### END SOLUTION


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _init_by_descent(net: nn.Module, std: float, generator: torch.Generator) -> None:
    """Module by module, child by child, number by number."""
    kinds = {**dict.fromkeys((*_CONVOLUTIONS, nn.Linear), 0.0), **dict.fromkeys(_BATCH_NORMS, 1.0)}
    if type(net) in kinds and net.weight is not None:
        drawn = kinds[type(net)] + std * torch.randn(net.weight.numel(), generator=generator, dtype=torch.float64)
        net.weight.data.copy_(drawn.reshape(net.weight.shape))
        if net.bias is not None:
            net.bias.data.fill_(0)
    for child in net.children():
        _init_by_descent(child, std, generator)


def _init_by_apply(net: nn.Module, std: float, generator: torch.Generator) -> None:
    def begin(layer: nn.Module) -> None:
        name = type(layer).__name__
        if "Conv" in name or name == "Linear":
            nn.init.normal_(layer.weight, 0.0, std, generator=generator)
        elif "BatchNorm" in name and layer.affine:
            nn.init.normal_(layer.weight, 1.0, std, generator=generator)
        else:
            return
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)

    net.apply(begin)


def _init_by_names(net: nn.Module, std: float, generator: torch.Generator) -> None:
    modules = dict(net.named_modules())
    for name, parameter in net.named_parameters():
        path, _, kind = name.rpartition(".")
        owner = modules[path]
        normed = isinstance(owner, _BATCH_NORMS)
        if not normed and not isinstance(owner, (*_CONVOLUTIONS, nn.Linear)):
            continue
        if kind == "bias":
            parameter.data = torch.zeros_like(parameter)
        else:
            noise = torch.empty_like(parameter.data).normal_(generator=generator)
            parameter.data = noise.mul_(std).add_(float(normed))


def _init_box_muller(net: nn.Module, std: float, generator: torch.Generator) -> None:
    """Normal numbers from uniform ones (Box and Muller 1958), backwards through the network."""
    for layer in reversed(list(net.modules())):
        normed = isinstance(layer, _BATCH_NORMS)
        if (normed and layer.affine) or isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
            u = torch.rand((2, *layer.weight.shape), generator=generator, dtype=torch.float64)
            drawn = (-2 * torch.log1p(-u[0])).sqrt() * torch.cos(2 * torch.pi * u[1])
            with torch.no_grad():
                layer.weight.copy_(std * drawn + (1 if normed else 0))
                if layer.bias is not None:
                    layer.bias.mul_(0)


def _init_wrong(
    *,
    layers: Callable[[nn.Module], Any] = lambda net: net.modules(),
    weighed: tuple[type[nn.Module], ...] = (*_CONVOLUTIONS, nn.Linear),
    norms: tuple[type[nn.Module], ...] = _BATCH_NORMS,
    gain: float = 1.0,
    spread: Callable[[float], float] = lambda std: std,
    gain_spread: Callable[[float], float] = lambda std: std,
    draw: Callable[..., Any] = lambda w, mean, std, own: w.normal_(mean, std, generator=own),
    bias: Callable[..., Any] = lambda b, std, own: b.zero_(),
    norm_bias: Callable[..., Any] = lambda b, std, own: b.zero_(),
    renew: bool = False,
) -> Callable[..., None]:
    """The initialisation with one thing wrong."""

    @torch.no_grad()
    def answer(net: nn.Module, std: float, generator: torch.Generator) -> None:
        for layer in layers(net):
            if renew and isinstance(layer, weighed):
                layer.weight = nn.Parameter(torch.empty_like(layer.weight))
            if isinstance(layer, norms) and layer.weight is not None:
                draw(layer.weight, gain, gain_spread(std), generator)
                norm_bias(layer.bias, std, generator)
            elif isinstance(layer, weighed):
                draw(layer.weight, 0.0, spread(std), generator)
                if getattr(layer, "bias", None) is not None:
                    bias(layer.bias, std, generator)

    return answer


def _everything_with_a_weight(net: nn.Module, std: float, generator: torch.Generator) -> None:
    _init_wrong(weighed=(*_CONVOLUTIONS, nn.Linear, nn.Embedding, nn.LayerNorm, nn.GroupNorm))(net, std, generator)


def _one_seed_for_all(w: Tensor, mean: float, std: float, own: torch.Generator) -> None:
    w.normal_(mean, std, generator=own.manual_seed(own.initial_seed()))


INIT_WEIGHTS = Key(
    question=asked.INIT_WEIGHTS,
    solution=(init_weights,),
    reference=_init_by_descent,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 4 (weights); gains around 1: the authors' code",
    mistakes=(
        Mistake(
            "gains around 0",
            "A batch norm with a gain near 0 puts out nothing: gains are drawn around 1.",
            _init_wrong(gain=0.0),
        ),
        Mistake(
            "gains exactly 1",
            "The gains are to be drawn, too: normal, mean 1, standard deviation `std`.",
            _init_wrong(gain_spread=lambda std: 0.0),
        ),
        Mistake(
            "batch norm left out",
            "The gains are untouched: batch norm has a `weight` as well.",
            _init_wrong(norms=()),
        ),
        Mistake(
            "one level deep",
            "`net.children()` does not reach nested layers. `net.modules()` does.",
            _init_wrong(layers=lambda net: net.children()),
        ),
        Mistake(
            "linear layers left out",
            "Linear layers are meant, too.",
            _init_wrong(weighed=_CONVOLUTIONS),
        ),
        Mistake(
            "transposed convolutions left out",
            "`nn.ConvTranspose2d` is not an `nn.Conv2d`: name it, too.",
            _init_wrong(weighed=(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)),
        ),
        Mistake(
            "two dimensions only",
            "Convolutions of 1 and 3 dimensions, and `nn.BatchNorm1d`, are meant, too.",
            _init_wrong(weighed=(nn.Conv2d, nn.ConvTranspose2d, nn.Linear), norms=(nn.BatchNorm2d,)),
        ),
        Mistake(
            "variance instead of standard deviation",
            "The spread is the square root of what it should be: `std` is the standard deviation, as `normal_` wants it.",
            _init_wrong(spread=lambda std: std**0.5, gain_spread=lambda std: std**0.5),
        ),
        Mistake(
            "fixed at 0.02",
            "The standard deviation is given as `std`: 0.02 is the paper's value for it.",
            _init_wrong(spread=lambda std: 0.05, gain_spread=lambda std: 0.05),
        ),
        Mistake(
            "uniform distribution",
            "The spread is right, but the numbers are uniform: no weight lies beyond two standard deviations. Use `normal_`.",
            _init_wrong(draw=lambda w, m, s, own: w.uniform_(m - 3**0.5 * s, m + 3**0.5 * s, generator=own)),
        ),
        Mistake(
            "biases left as they were",
            "The biases of convolutions and linear layers are to be 0.",
            _init_wrong(bias=lambda b, std, own: b),
        ),
        Mistake(
            "biases of batch norm drawn",
            "The biases of batch norm are 0, not random.",
            _init_wrong(norm_bias=lambda b, std, own: b.normal_(0, std, generator=own)),
        ),
        Mistake(
            "everything with a weight",
            "Embeddings and other norms have a `weight`, too, and are to stay as they are.",
            _everything_with_a_weight,
        ),
        Mistake(
            "torch's global generator",
            "The numbers come from torch's global generator: pass `generator=generator`.",
            _init_wrong(draw=lambda w, m, s, own: w.normal_(m, s)),
        ),
        Mistake(
            "each layer from the same seed",
            "The generator is set back for each layer, so layers begin with the same numbers. Let it run on.",
            _init_wrong(draw=_one_seed_for_all),
        ),
        Mistake(
            "new parameters",
            "You replace the parameters. An optimiser that was made before still holds the old ones: write in place.",
            _init_wrong(renew=True),
        ),
    ),
    alternatives={
        "net.apply": _init_by_apply,
        "by the parameters' names": _init_by_names,
        "Box-Muller, last layer first": _init_box_muller,
    },
)

# PictureGenerator


class PictureGenerator(nn.Module):
    """z (N, Z) -> pictures (N, C, 24, 32) in (-1, 1)."""

    def __init__(self, Z: int, C: int, width: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        maps, layers = [Z, 4 * width, 2 * width, width], [nn.Unflatten(1, (Z, 1, 1))]
        for k in range(3):
            shape = {"kernel_size": (3, 4)} if k == 0 else {"kernel_size": 4, "stride": 2, "padding": 1}
            layers += [
                nn.ConvTranspose2d(maps[k], maps[k + 1], bias=False, **shape),
                nn.BatchNorm2d(maps[k + 1]),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, C, 4, 2, 1), nn.Tanh())
        ### END SOLUTION

    def forward(self, z: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return self.layers(z)
        ### END SOLUTION


class _PlainGenerator(nn.Module):
    """Layer by layer."""

    def __init__(self, Z: int, C: int, width: int) -> None:
        super().__init__()
        self.up_1 = nn.ConvTranspose2d(Z, 4 * width, (3, 4), bias=False)
        self.up_2 = nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False)
        self.up_3 = nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False)
        self.up_4 = nn.ConvTranspose2d(width, C, 4, 2, 1)
        self.norm_1 = nn.BatchNorm2d(4 * width)
        self.norm_2 = nn.BatchNorm2d(2 * width)
        self.norm_3 = nn.BatchNorm2d(width)

    def forward(self, z: Tensor) -> Tensor:
        h = torch.relu(self.norm_1(self.up_1(z[:, :, None, None])))
        h = torch.relu(self.norm_2(self.up_2(h)))
        h = torch.relu(self.norm_3(self.up_3(h)))
        return torch.tanh(self.up_4(h))


def _generator_factory(Z: int, C: int, width: int) -> nn.Module:
    """A function that returns a network, with kernels of 2 that do not overlap."""

    def block(before: int, after: int, kernel: Any, stride: int) -> nn.Module:
        up = nn.ConvTranspose2d(before, after, kernel, stride, bias=False)
        return nn.Sequential(up, nn.BatchNorm2d(after), nn.ReLU(inplace=True))

    return nn.Sequential(
        nn.Unflatten(1, (Z, 1, 1)),
        block(Z, 4 * width, (3, 4), 1),
        block(4 * width, 2 * width, 2, 2),
        block(2 * width, width, 2, 2),
        nn.ConvTranspose2d(width, C, 2, 2),
        nn.Tanh(),
    )


class _ListGenerator(nn.Module):
    """Module lists, kernels of 6, F.relu; the first layer sees one cell with a stride that does not matter."""

    def __init__(self, Z: int, C: int, width: int) -> None:
        super().__init__()
        sizes = [Z, width << 2, width << 1, width]
        first = [nn.ConvTranspose2d(Z, sizes[1], kernel_size=(3, 4), stride=2, bias=False)]
        rest = [nn.ConvTranspose2d(a, b, 6, stride=2, padding=2, bias=False) for a, b in pairwise(sizes[1:])]
        self.ups, self.norms = nn.ModuleList(first + rest), nn.ModuleList(map(nn.BatchNorm2d, sizes[1:]))
        self.paint = nn.ConvTranspose2d(width, C, 3, 2, 1, output_padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = z.reshape(*z.shape, 1, 1)
        for up, norm in zip(self.ups, self.norms):
            h = F.relu(norm(up(h)))
        return self.paint(h).tanh()


class _NamedGenerator(nn.Sequential):
    """A Sequential with names."""

    def __init__(self, Z: int, C: int, width: int) -> None:
        super().__init__()
        before = Z
        for k, after in enumerate((4 * width, 2 * width, width)):
            kernel, stride, padding = ((3, 4), 1, 0) if k == 0 else ((4, 4), 2, 1)
            self.add_module(f"up {k}", nn.ConvTranspose2d(before, after, kernel, stride, padding, bias=False))
            self.add_module(f"norm {k}", nn.BatchNorm2d(after, momentum=0.2))
            self.add_module(f"relu {k}", nn.ReLU())
            before = after
        self.add_module("paint", nn.ConvTranspose2d(before, C, 4, stride=2, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(super().forward(z.unsqueeze(-1).unsqueeze(-1)))


class _WrongGenerator(nn.Module):
    """The generator with one thing wrong."""

    def __init__(self, Z: int, C: int, width: int, **wrong: Any) -> None:
        super().__init__()
        self.wrong, width = wrong, wrong.get("fixed width", width)
        maps = wrong.get("maps", lambda w: [4 * w, 2 * w, w])(width)
        start = wrong.get("start", (3, 4))
        bias, C = wrong.get("bias", False), wrong.get("fixed C", C)
        if wrong.get("linear"):
            self.inlet = nn.Linear(Z, maps[0] * 12, bias=False)
        else:
            self.inlet = nn.ConvTranspose2d(Z, maps[0], start, bias=bias)
        self.ups = nn.ModuleList([nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias) for a, b in pairwise(maps)])
        if wrong.get("upsample"):
            self.ups = nn.ModuleList(
                [
                    nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1, bias=False))
                    for a, b in pairwise(maps)
                ]
            )
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(m, track_running_stats=wrong.get("track", True)) for m in maps]
            if wrong.get("norm", True)
            else []
        )
        self.paint = nn.ConvTranspose2d(maps[-1], C, 4, 2, 1, bias=wrong.get("last bias", True))
        self.last_norm = nn.BatchNorm2d(C) if wrong.get("last norm") else nn.Identity()
        self.dropout = nn.Dropout2d(0.5 if wrong.get("dropout") else 0.0)

    def forward(self, z: Tensor) -> Tensor:
        act = self.wrong.get("act", torch.relu)
        h = self.inlet(z).unflatten(1, (-1, 3, 4)) if self.wrong.get("linear") else self.inlet(z[:, :, None, None])
        for k in range(3):
            h = self.ups[k - 1](h) if k else h
            norm = self.norms[k] if len(self.norms) else nn.Identity()
            h = self.dropout(norm(act(h)) if self.wrong.get("act first") else act(norm(h)))
        return self.wrong.get("last", torch.tanh)(self.last_norm(self.paint(h)))


def _wrong_generator(**wrong: Any) -> Callable[..., nn.Module]:
    def build(Z: int, C: int, width: int) -> nn.Module:
        return _WrongGenerator(Z, C, width, **wrong)

    return build


PICTURE_GENERATOR = Key(
    question=asked.PICTURE_GENERATOR,
    solution=(PictureGenerator,),
    reference=_PlainGenerator,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 3 (guidelines) and figure 1",
    mistakes=(
        Mistake(
            "batch norm at the output",
            "The output layer has no batch norm: it would force every batch to one mean and contrast.",
            _wrong_generator(**{"last norm": True}),
        ),
        Mistake(
            "no batch norm",
            "Batch norm is missing between the convolutions.",
            _wrong_generator(norm=False),
        ),
        Mistake(
            "biases before batch norm",
            "A bias right before a batch norm is subtracted again: `bias=False` there.",
            _wrong_generator(bias=True),
        ),
        Mistake(
            "no bias at the output",
            "The last convolution has no batch norm after it, so it needs its bias.",
            _wrong_generator(**{"last bias": False}),
        ),
        Mistake(
            "sigmoid at the output",
            "Data lie in [−1, 1]; a sigmoid never gets below 0. Use tanh.",
            _wrong_generator(last=torch.sigmoid),
        ),
        Mistake(
            "no activation at the output",
            "The output is not bounded: tanh is missing.",
            _wrong_generator(last=lambda a: a),
        ),
        Mistake(
            "clamp at the output",
            "A clamp has no gradient where it bites. Use tanh.",
            _wrong_generator(last=lambda a: a.clamp(-1, 1)),
        ),
        Mistake(
            "ReLU before batch norm",
            "Batch norm works on what the convolution gives; ReLU comes after it.",
            _wrong_generator(**{"act first": True}),
        ),
        Mistake(
            "LeakyReLU in the generator",
            "The generator has ReLU. LeakyReLU belongs into the discriminator.",
            _wrong_generator(act=lambda a: F.leaky_relu(a, 0.2)),
        ),
        Mistake(
            "no ReLU",
            "There is nothing between batch norm and the next convolution: ReLU is missing.",
            _wrong_generator(act=lambda a: a),
        ),
        Mistake(
            "linear layer at the start",
            "Noise is a picture of 1 x 1 cells here: the first layer is a transposed convolution with a kernel of (3, 4).",
            _wrong_generator(linear=True),
        ),
        Mistake(
            "upsampling and ordinary convolutions",
            "That avoids checkerboards, but here the picture grows by transposed convolutions.",
            _wrong_generator(upsample=True),
        ),
        Mistake(
            "square pictures",
            "Pictures are 24 x 32: begin with 3 x 4 cells, kernel (3, 4).",
            _wrong_generator(start=4),
        ),
        Mistake(
            "rows and columns exchanged",
            "Pictures are 24 rows by 32 columns: the first kernel is (3, 4).",
            _wrong_generator(start=(4, 3)),
        ),
        Mistake(
            "maps grow",
            "The number of maps falls towards the picture: 4, 2 and 1 times the width.",
            _wrong_generator(maps=lambda w: [w, 2 * w, 4 * w]),
        ),
        Mistake(
            "width ignored",
            "The number of maps does not follow `width`.",
            _wrong_generator(**{"fixed width": 2}),
        ),
        Mistake(
            "always three channels",
            "The number of channels is `C`.",
            _wrong_generator(**{"fixed C": 3}),
        ),
        Mistake(
            "no running statistics",
            "In eval mode a picture still depends on its batch: let batch norm follow its running statistics.",
            _wrong_generator(track=False),
        ),
        Mistake(
            "dropout",
            "Nothing random is asked for: the noise z is all.",
            _wrong_generator(dropout=True),
        ),
    ),
    alternatives={
        "a function, kernels of 2": _generator_factory,
        "module lists, kernels of 6": _ListGenerator,
        "a Sequential with names": _NamedGenerator,
    },
)

# PictureDiscriminator


class PictureDiscriminator(nn.Module):
    """Pictures (N, C, 24, 32) -> logits (N,)."""

    def __init__(self, C: int, width: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        layers = [nn.Conv2d(C, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for maps in (width, 2 * width):
            halving = nn.Conv2d(maps, 2 * maps, 4, 2, 1, bias=False)
            layers += [halving, nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, (3, 4)), nn.Flatten(0))
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return self.layers(x)
        ### END SOLUTION


class _PlainDiscriminator(nn.Module):
    """Layer by layer, the rectifier written out."""

    def __init__(self, C: int, width: int) -> None:
        super().__init__()
        self.down_1 = nn.Conv2d(C, width, 4, 2, 1)
        self.down_2 = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)
        self.down_3 = nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False)
        self.down_4 = nn.Conv2d(4 * width, 1, (3, 4))
        self.norm_2 = nn.BatchNorm2d(2 * width)
        self.norm_3 = nn.BatchNorm2d(4 * width)

    @staticmethod
    def leak(a: Tensor) -> Tensor:
        return torch.where(a > 0, a, 0.2 * a)

    def forward(self, x: Tensor) -> Tensor:
        h = self.leak(self.down_1(x))
        h = self.leak(self.norm_2(self.down_2(h)))
        h = self.leak(self.norm_3(self.down_3(h)))
        return self.down_4(h)[:, 0, 0, 0]


def _discriminator_factory(C: int, width: int) -> nn.Module:
    """Kernels of 2 that do not overlap, nested blocks."""
    blocks = [nn.Sequential(nn.Conv2d(C, width, 2, 2), nn.LeakyReLU(0.2, inplace=True))]
    for maps in (width, 2 * width):
        down = nn.Conv2d(maps, 2 * maps, 2, 2, bias=False)
        blocks.append(nn.Sequential(down, nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2, inplace=True)))
    return nn.Sequential(*blocks, nn.Conv2d(4 * width, 1, (3, 4), stride=2), nn.Flatten(start_dim=0))


class _ListDiscriminator(nn.Module):
    """Module lists, kernels of 3 and 5; the rectifier as a maximum."""

    def __init__(self, C: int, width: int) -> None:
        super().__init__()
        sizes = [C, width, 2 * width, 4 * width]
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3 if k else 5, 2, 1 if k else 2, bias=k == 0) for k, (a, b) in enumerate(pairwise(sizes))
        )
        self.norms = nn.ModuleList([nn.Identity(), nn.BatchNorm2d(2 * width), nn.BatchNorm2d(4 * width)])
        self.judge = nn.Conv2d(4 * width, 1, (3, 4))

    def forward(self, x: Tensor) -> Tensor:
        for down, norm in zip(self.downs, self.norms):
            h = norm(down(x))
            x = torch.maximum(h, 0.2 * h)
        return self.judge(x).view(len(x))


class _NamedDiscriminator(nn.Sequential):
    def __init__(self, C: int, width: int) -> None:
        super().__init__()
        for k, (a, b) in enumerate(((C, width), (width, 2 * width), (2 * width, 4 * width)), 1):
            self.add_module(f"conv{k}", nn.Conv2d(a, b, kernel_size=4, stride=2, padding=1, bias=k == 1))
            if k > 1:
                self.add_module(f"norm{k}", nn.BatchNorm2d(b))
            self.add_module(f"leak{k}", nn.LeakyReLU(negative_slope=0.2))
        self.add_module("conv4", nn.Conv2d(4 * width, 1, kernel_size=(3, 4)))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(1).squeeze(1)


class _WrongDiscriminator(nn.Module):
    """The discriminator with one thing wrong."""

    def __init__(self, C: int, width: int, **wrong: Any) -> None:
        super().__init__()
        self.wrong = wrong
        width = wrong.get("fixed width", width)
        maps = wrong.get("maps", lambda w: [w, 2 * w, 4 * w])(width)
        normed = wrong.get("norms", (False, True, True, False))
        self.inlet_norm = nn.BatchNorm2d(C) if wrong.get("inlet norm") else nn.Identity()
        stride = 1 if wrong.get("pool") else 2
        self.downs = nn.ModuleList()
        for k, (a, b) in enumerate(zip([C, *maps], maps)):
            bias = wrong.get("bias", (True, False, False))[k]
            self.downs.append(nn.Conv2d(a, b, 3 if stride == 1 else 4, stride, 1, bias=bias))
        self.norms = nn.ModuleList([nn.BatchNorm2d(m) if on else nn.Identity() for m, on in zip(maps, normed)])
        self.head = (
            nn.Linear(12 * maps[-1], 1) if wrong.get("linear") else nn.Conv2d(maps[-1], 1, wrong.get("head", (3, 4)))
        )
        self.last_norm = nn.BatchNorm2d(1) if normed[3] else nn.Identity()
        self.dropout = nn.Dropout2d(0.5 if wrong.get("dropout") else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        act = self.wrong.get("act", lambda a: F.leaky_relu(a, 0.2))
        x = self.inlet_norm(x)
        for down, norm in zip(self.downs, self.norms):
            x = down(x)
            if self.wrong.get("pool"):
                x = F.max_pool2d(x, 2)
            x = self.dropout(norm(act(x)) if self.wrong.get("act first") else act(norm(x)))
        x = self.head(x.flatten(1)) if self.wrong.get("linear") else self.last_norm(self.head(x))
        return self.wrong.get("last", lambda a: a.flatten(1).mean(1))(x)


def _wrong_discriminator(**wrong: Any) -> Callable[..., nn.Module]:
    def build(C: int, width: int) -> nn.Module:
        return _WrongDiscriminator(C, width, **wrong)

    return build


PICTURE_DISCRIMINATOR = Key(
    question=asked.PICTURE_DISCRIMINATOR,
    solution=(PictureDiscriminator,),
    reference=_PlainDiscriminator,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 3 (guidelines) and section 4 (slope 0.2)",
    mistakes=(
        Mistake(
            "batch norm after each layer",
            "That is the slide. The first and the last layer have no batch norm.",
            _wrong_discriminator(norms=(True, True, True, True)),
        ),
        Mistake(
            "batch norm after the first layer",
            "The input layer has no batch norm: it would wash out colour and contrast, which tell fakes apart.",
            _wrong_discriminator(norms=(True, True, True, False)),
        ),
        Mistake(
            "batch norm at the output",
            "A batch norm at the output makes the logits of every batch average 0, whether it is real or fake.",
            _wrong_discriminator(norms=(False, True, True, True)),
        ),
        Mistake(
            "batch norm of the pictures",
            "The pictures themselves go through a batch norm: the input has none.",
            _wrong_discriminator(**{"inlet norm": True}),
        ),
        Mistake(
            "no batch norm",
            "Layers 2 and 3 have a batch norm each.",
            _wrong_discriminator(norms=(False, False, False, False)),
        ),
        Mistake(
            "ReLU in the discriminator",
            "ReLU cuts off the gradient that the generator lives on: LeakyReLU with a slope of 0.2.",
            _wrong_discriminator(act=torch.relu),
        ),
        Mistake(
            "torch's default slope",
            "`nn.LeakyReLU()` has a slope of 0.01: the paper's is 0.2.",
            _wrong_discriminator(act=lambda a: F.leaky_relu(a)),
        ),
        Mistake(
            "LeakyReLU before batch norm",
            "Batch norm works directly on what the convolution gives; LeakyReLU comes after it.",
            _wrong_discriminator(**{"act first": True}),
        ),
        Mistake(
            "biases before batch norm",
            "A bias right before a batch norm is subtracted again: `bias=False` in layers 2 and 3.",
            _wrong_discriminator(bias=(True, True, True)),
        ),
        Mistake(
            "no bias in the first layer",
            "The first layer has no batch norm after it, so it needs its bias.",
            _wrong_discriminator(bias=(False, False, False)),
        ),
        Mistake(
            "sigmoid at the output",
            "Logits are asked for. The loss takes care of the sigmoid.",
            _wrong_discriminator(last=lambda a: torch.sigmoid(a.flatten())),
        ),
        Mistake(
            "rectified output",
            "The last layer has no activation.",
            _wrong_discriminator(last=lambda a: F.leaky_relu(a.flatten(), 0.2)),
        ),
        Mistake(
            "pooling instead of strides",
            "The halving is done by strides, not by pooling.",
            _wrong_discriminator(pool=True),
        ),
        Mistake(
            "linear layer at the end",
            "The last layer is a convolution with a kernel of (3, 4).",
            _wrong_discriminator(linear=True),
        ),
        Mistake(
            "logits averaged over places",
            "The last kernel covers all 3 x 4 cells. You average several logits of one picture.",
            _wrong_discriminator(head=2),
        ),
        Mistake(
            "shape (N, 1)",
            "One logit for each picture, shape (N,): flatten.",
            _wrong_discriminator(last=lambda a: a.flatten(1)),
        ),
        Mistake(
            "squeeze loses a batch of one",
            "`squeeze()` removes the batch axis, too, where N = 1: flatten instead.",
            _wrong_discriminator(last=lambda a: a.squeeze()),
        ),
        Mistake(
            "mean over the batch",
            "There is one logit for the whole batch, expected one for each picture.",
            _wrong_discriminator(last=lambda a: a.mean()),
        ),
        Mistake(
            "maps fall",
            "The number of maps grows as the picture shrinks: 1, 2 and 4 times the width.",
            _wrong_discriminator(maps=lambda w: [4 * w, 2 * w, w]),
        ),
        Mistake(
            "dropout",
            "Nothing random is asked for.",
            _wrong_discriminator(dropout=True),
        ),
    ),
    alternatives={
        "a function, kernels of 2": _discriminator_factory,
        "module lists, kernels of 3 and 5": _ListDiscriminator,
        "a Sequential with names": _NamedDiscriminator,
    },
)
