"""## 2. Two networks to a specification

How the weights begin, and both networks for pictures that are not square. The check does not care how you write a network: it
looks at what goes into and comes out of each layer.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.exercises.u05_dcgan.nets import Call, buffers, calls, fill

# init_weights


class _Nest(nn.Module):
    """Layers at several depths, each with enough weights that their mean and spread are known to a few per cent."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = nn.Linear(64, 64)
        inner = nn.ModuleDict({"a": nn.Sequential(nn.Conv2d(32, 32, 2), nn.BatchNorm2d(1024))})
        self.deep = nn.Sequential(
            nn.ModuleList([inner, nn.BatchNorm1d(1024)]), nn.ConvTranspose2d(64, 16, 2, bias=False)
        )
        self.other = nn.ModuleList([nn.Conv1d(64, 32, 2), nn.ConvTranspose3d(16, 32, 2), nn.Linear(1024, 4)])
        self.plain = nn.BatchNorm2d(3, affine=False)
        self.left_alone = nn.ModuleList([nn.Embedding(5, 4), nn.LayerNorm(6), nn.GroupNorm(2, 4)])
        self.free = nn.Parameter(torch.linspace(-1, 1, 5))


_WEIGHED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def _draw_init(rng: Rng) -> Inputs:
    return {"std": rng.number(0.008, 0.03), "seed": rng.integer(1, 10**6)}


def _nest(init_weights: Any, inputs: Inputs) -> tuple[_Nest, torch.Generator]:
    net, own = _Nest(), torch.Generator().manual_seed(inputs["seed"])
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.fill_(0.7)
    init_weights(net, inputs["std"], own)
    return net, own


def _named(net: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[tuple[str, Any]]:
    return [(f"{name} ({type(m).__name__})", m) for name, m in net.named_modules() if isinstance(m, kinds)]


def _init_weights(init_weights: Any, inputs: Inputs) -> Findings:
    net, _ = _nest(init_weights, inputs)
    found: Findings = {}
    for name, layer in _named(net, _WEIGHED):
        w = layer.weight.detach().double() / inputs["std"]
        found |= {f"mean / std of {name}": float(w.mean()), f"spread / std of {name}": float(w.std())}
        # 10 times the share beyond two standard deviations: 0.46 for a normal distribution, 0 for a uniform one.
        found[f"tails of {name}"] = 10 * float((w.abs() > 2).double().mean())
    return found


def _init_gains(init_weights: Any, inputs: Inputs) -> Findings:
    net, _ = _nest(init_weights, inputs)
    found: Findings = {}
    for name, layer in _named(net, _NORMS):
        if layer.weight is not None:
            w = layer.weight.detach().double()
            found[f"(mean - 1) / std of the gain of {name}"] = float((w - 1).mean()) / inputs["std"]
            found[f"spread / std of the gain of {name}"] = float(w.std()) / inputs["std"]
            found[f"bias of {name} is zero"] = not bool(layer.bias.any())
    return found


def _init_rest(init_weights: Any, inputs: Inputs) -> Findings:
    fresh = _Nest()
    before = {id(p) for p in fresh.parameters()}
    flags = [p.requires_grad for p in fresh.parameters()]
    init_weights(fresh, inputs["std"], torch.Generator().manual_seed(inputs["seed"]))
    net, _ = _nest(init_weights, inputs)
    return {
        "biases of convolutions and linear layers are zero": [
            layer.bias is None or not bool(layer.bias.any()) for _, layer in _named(net, _WEIGHED)
        ],
        "free parameter": net.free,
        "layers left alone": [
            bool((p == (0.7 if name.endswith("bias") else 1.0)).all())
            for name, p in net.left_alone.named_parameters()
            if not name.startswith("0.")
        ],
        # An embedding drawn anew would have a spread of a few per cent.
        "embedding left alone": bool(net.left_alone[0].weight.std() > 0.2),  # type: ignore[union-attr, operator]
        "buffers": [*buffers(net.plain), net.deep[0][1].running_var],  # type: ignore[index, union-attr]
        "parameters are the same objects": before == {id(p) for p in fresh.parameters()},
        "requires_grad as before": flags == [p.requires_grad for p in fresh.parameters()],
    }


def _init_generator(init_weights: Any, inputs: Inputs) -> Findings:
    shared = torch.default_generator.get_state()
    nets = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng([]):
            net = _Nest()
        own = torch.Generator().manual_seed(inputs["seed"] + seed)
        init_weights(net, inputs["std"], own)
        nets.append(torch.cat([net.flat.weight.flatten(), net.other[2].weight.flatten()]))  # type: ignore[operator, union-attr]
    return {
        "equal generators, equal weights": torch.equal(nets[0], nets[1]),
        "another generator, other weights": not torch.equal(nets[0], nets[2]),
        "torch's global generator untouched": torch.equal(shared, torch.default_generator.get_state()),
        "two layers of one net are alike": torch.equal(nets[0][:1024], nets[0][4096 : 4096 + 1024]),
    }


# Of 1,024 numbers, the mean varies by 0.031 standard deviations, the spread by 0.022 and ten times the share beyond two
# standard deviations (of the 4,096 of a weight) by 0.033. Between two draws that is 0.044, 0.031 and 0.046: 0.3 is over 6.5
# times that, so a right answer fails once in 1e10.

INIT_WEIGHTS = Question(
    unit="05",
    name="init_weights",
    title="How the weights begin",
    difficulty=3,
    minutes=15,
    task="""
Radford et al. (2016, section 4) draw all weights from a normal distribution around 0 with standard deviation 0.02. The gain of
a batch norm is another matter: around 0 it would switch its layer off, so it is drawn around **1**. (Published course code
does it.)

`init_weights(net, std, generator)` sets the weights of `net` **in place**, wherever in it they are nested:

- the `weight` of every convolution and transposed convolution (of 1, 2 or 3 dimensions) and of every linear layer:
  normal, mean 0, standard deviation `std`; their `bias`, if there is one, 0;
- the `weight` of every batch norm (again 1, 2 or 3 dimensions): normal, mean 1, standard deviation `std`; its `bias` 0. A
  batch norm with `affine=False` has neither;
- nothing else changes: not embeddings, not other norms, not running statistics, not which objects the parameters are.

All numbers come from the `torch.Generator` called `generator`, none from torch's global one. The order in which layers are
drawn is up to you. Means and spreads are compared with a tolerance of 0.3 `std`, and the shape of the distribution is looked
at.
""",
    answers=("init_weights",),
    draw=_draw_init,
    draws=1,
    parts=(
        Part(
            name="weights",
            points=1.0,
            tests="mean, spread and tails of six layers at several depths",
            probe=_init_weights,
            rtol=0.0,
            atol=0.3,
        ),
        Part(name="gains", points=1.0, tests="gains and biases of batch norm", probe=_init_gains, rtol=0.0, atol=0.3),
        Part(name="rest", points=0.5, tests="biases; everything else as it was", probe=_init_rest),
        Part(name="generator", points=0.5, tests="where the numbers come from", probe=_init_generator),
    ),
    hints=(
        "`net.children()` stops after one level. What does not?",
        "`for layer in net.modules():` reaches all of them. `nn.modules.batchnorm._BatchNorm` and `nn.modules.conv._ConvNd` are "
        "the base classes of all dimensions.",
        "`layer.weight.normal_(mean, std, generator=generator)` under `torch.no_grad()` writes in place; so does `zero_()`. The "
        "mean is 1 for batch norm, 0 for the others.",
    ),
)

# PictureGenerator


def _draw_net(rng: Rng) -> Inputs:
    return {
        "seed": rng.integer(1, 10**6),
        "z": rng.normal(6, 5),
        "z_wide": rng.normal(3, 4),
        "x": rng.uniform(6, 2, 24, 32, low=-1.0),
        "x_grey": rng.uniform(3, 1, 24, 32, low=-1.0),
    }


_UP, _DOWN, _NORM = (nn.ConvTranspose2d,), (nn.Conv2d,), (nn.BatchNorm2d,)


def _run(net: nn.Module, x: Tensor, kind: tuple[type[nn.Module], ...]) -> tuple[Tensor, list[Call], list[Call]]:
    """The output; the calls of convolutions of this kind; the calls of batch norms."""
    with calls(net, kind) as through, calls(net, _NORM) as normed:
        out = net(x)
    return out, through, normed


def _sizes_of(name: str, net: nn.Module, x: Tensor, kind: tuple[type[nn.Module], ...]) -> Findings:
    out, through, _ = _run(net, x, kind)
    return {
        f"shape that comes out, {name}": list(out.shape),
        f"maps, rows and columns after each convolution, {name}": [list(call.outlet.shape[1:]) for call in through],
    }


def _strangers(net: nn.Module, kind: tuple[type[nn.Module], ...]) -> int:
    """Parameters that belong to neither a convolution of this kind nor a batch norm."""
    own = {id(p) for module in net.modules() if isinstance(module, kind + _NORM) for p in module.parameters()}
    return sum(id(p) not in own for p in net.parameters())


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def _slopes(before: Tensor, after: Tensor) -> list[float]:
    """The typical ratio of what comes out of an activation to what went in, below and above 0, to two places."""
    if before.shape != after.shape:
        return []
    ratio = after / before
    return [round(float(ratio[side].median()), 2) + 0.0 for side in (before < 0, before > 0)]


def _blocks(out: Tensor, through: list[Call], normed: list[Call], rectify: Any, last: Any) -> Findings:
    """What lies between the convolutions: whether it is a batch norm of what came out, and then the rectifier."""
    taken: set[int] = set()
    norms, rectified, slopes = [], [], []
    for k, call in enumerate(through):
        after = call.outlet
        found = next((n for n, norm in enumerate(normed) if n not in taken and _close(norm.inlet, after)), None)
        norms.append(found is not None)
        if found is not None:
            taken.add(found)
            after = normed[found].outlet
        if k + 1 < len(through):
            rectified.append(_close(through[k + 1].inlet, rectify(after)))
            slopes.append(_slopes(after, through[k + 1].inlet))
        else:
            rectified.append(_close(out.flatten(), last(after).flatten()))
    return {
        "batch norm right after each convolution": norms,
        "other batch norms": len(normed) - len(taken),
        "activation after each": rectified,
        "slopes below and above 0": slopes,
        "bias in each convolution": [call.module.bias is not None for call in through],
    }


def _separate(net: nn.Module, kind: tuple[type[nn.Module], ...]) -> Findings:
    return {
        "parameters outside convolutions and batch norms": _strangers(net, kind),
        "parameters without a gradient": sum(p.grad is None or not bool(p.grad.any()) for p in net.parameters()),
    }


def _in_modes(net: nn.Module, x: Tensor) -> Findings:
    """Whether an example depends on its batch and whether statistics are followed, in either mode."""
    before = buffers(net)
    net.eval()
    alone = _close(net(x)[:2], net(x[:2]))
    still = all(torch.equal(a, b) for a, b in zip(before, buffers(net)))
    single = list(net(x[:1]).shape)
    net.train()
    first = net(x)
    apart = _close(first[:2], net(x[:2]))
    moved = [not torch.equal(a, b) for a, b in zip(before, buffers(net))]
    return {
        "eval: an example depends on its batch": not alone,
        "eval: statistics stay": still,
        "eval: shape for a batch of one": single,
        "train: an example depends on its batch": not apart,
        "train: buffers that move": moved,
        "train: two passes agree": _close(first, net(x)),
    }


def _generator_sizes(answer: Any, inputs: Inputs) -> Findings:
    small = _sizes_of("Z = 5, C = 1, width = 2", answer(5, 1, 2), inputs["z"], _UP)
    return small | _sizes_of("Z = 4, C = 3, width = 3", answer(4, 3, 3), inputs["z_wide"], _UP)


def _generator_blocks(answer: Any, inputs: Inputs) -> Findings:
    net = fill(answer(5, 2, 2), inputs["seed"])
    out, through, normed = _run(net, inputs["z"], _UP)
    (out.square().sum() + out.sum()).backward()
    found = _blocks(out.detach(), through, normed, torch.relu, torch.tanh) | _separate(net, _UP)
    # Of the thousands of values before the last activation some are within 0.01 of -1 and of 1.
    before, after = through[-1].outlet.flatten(), out.detach().flatten()
    at = [round(float(after[(before - v).abs().argmin()]), 1) for v in (-1, 1)] if len(before) == len(after) else []
    return found | {"output where the last convolution gives -1 and 1": at}


def _generator_modes(answer: Any, inputs: Inputs) -> Findings:
    net = fill(answer(5, 2, 2), inputs["seed"])
    return _in_modes(net, inputs["z"]) | {"range": bool(net(40 * inputs["z"]).abs().max() <= 1)}


PICTURE_GENERATOR = Question(
    unit="05",
    name="PictureGenerator",
    title="A generator for pictures that are not square",
    difficulty=3,
    minutes=25,
    task="""
Build the generator of DCGAN for pictures of 24 x 32 pixels. `PictureGenerator(Z, C, width)` makes an `nn.Module` that maps
noise (N, Z) to pictures (N, C, 24, 32) in (−1, 1). It has exactly four `nn.ConvTranspose2d`, after which the maps are, in
this order:

| layer | maps | rows x columns |
|---|---|---|
| 1 | 4 · width | 3 x 4 |
| 2 | 2 · width | 6 x 8 |
| 3 | width | 12 x 16 |
| 4 | C | 24 x 32 |

- Between two of them: an `nn.BatchNorm2d` of its own, directly on what the convolution gives, then ReLU. The convolutions
  before a batch norm have **no bias**: it would be subtracted again at once.
- The last one has a bias, **no** batch norm, and tanh after it.
- No linear layer, no other weights, nothing random.

Kernels are yours to choose, as long as the sizes come out; each layer after the first has a stride of 2 in both axes. The
check looks through the layers with hooks, so call each convolution and batch norm as a module.
""",
    answers=("PictureGenerator",),
    draw=_draw_net,
    draws=1,
    parts=(
        Part(name="sizes", points=1.0, tests="every size on the way, at two widths", probe=_generator_sizes),
        Part(name="blocks", points=1.0, tests="what lies between the convolutions", probe=_generator_blocks),
        Part(name="modes", points=1.0, tests="range; train and eval mode; a batch of one", probe=_generator_modes),
    ),
    hints=(
        "A vector of Z numbers is a picture of Z maps and 1 x 1 pixels. Which kernel makes 3 x 4 of it?",
        "`nn.Unflatten(1, (Z, 1, 1))` or `z[:, :, None, None]`, then a kernel of (3, 4). From there on kernel 4, stride 2, "
        "padding 1 doubles.",
        "`nn.Sequential` of: transposed convolution `(Z, 4 * width, (3, 4), bias=False)`, batch norm, ReLU; twice "
        "transposed convolution `(…, 4, 2, 1, bias=False)`, batch norm, ReLU; the last one with its bias; tanh.",
    ),
)

# PictureDiscriminator


def _discriminator_sizes(answer: Any, inputs: Inputs) -> Findings:
    small = _sizes_of("C = 2, width = 2", answer(2, 2), inputs["x"], _DOWN)
    return small | _sizes_of("C = 1, width = 3", answer(1, 3), inputs["x_grey"], _DOWN)


def _discriminator_blocks(answer: Any, inputs: Inputs) -> Findings:
    for k in range(20):  # until the logits have both signs: among positive ones a rectifier does not show
        net = fill(answer(2, 2), inputs["seed"] + k)
        out, through, normed = _run(net, inputs["x"], _DOWN)
        if len(through) and through[-1].outlet.min() < 0 < through[-1].outlet.max():
            break
    (out.square().sum() + out.sum()).backward()
    found = _blocks(out.detach(), through, normed, lambda a: F.leaky_relu(a, 0.2), lambda a: a) | _separate(net, _DOWN)
    before, after = through[-1].outlet.flatten(), out.detach().flatten()
    ratio = after / before if len(before) == len(after) else torch.zeros(1)
    # 1 and 1 where logits come out as they are.
    return found | {"output to last convolution": [round(float(v), 2) for v in (ratio.min(), ratio.max())]}


def _discriminator_modes(answer: Any, inputs: Inputs) -> Findings:
    return _in_modes(fill(answer(2, 2), inputs["seed"]), inputs["x"])


PICTURE_DISCRIMINATOR = Question(
    unit="05",
    name="PictureDiscriminator",
    title="Batch norm after each layer?",
    slip=True,
    difficulty=3,
    minutes=25,
    task="""
A lecture's slide gives these rules for DCGAN: strided convolutions instead of pooling; batch normalisation after **each**
layer; no fully connected hidden layers; ReLU in the generator, tanh at its end. Its discriminator has a batch norm too many
at either end, and an activation that the slide does not name.
Radford et al. (2016, section 3) have two more things: batch norm is applied neither to the **input layer of the
discriminator** nor to its output, and the discriminator's activation is **LeakyReLU** with a slope of 0.2, in all layers but
the last.

Build it as the paper has it. `PictureDiscriminator(C, width)` makes an `nn.Module` that maps pictures (N, C, 24, 32) to one
logit each, shape (N,), for every N from 1 (in eval mode). It has exactly four `nn.Conv2d`:

| layer | maps | rows x columns | bias | batch norm | activation |
|---|---|---|---|---|---|
| 1 | width | 12 x 16 | yes | none | LeakyReLU 0.2 |
| 2 | 2 · width | 6 x 8 | no | yes | LeakyReLU 0.2 |
| 3 | 4 · width | 3 x 4 | no | yes | LeakyReLU 0.2 |
| 4 | 1 | 1 x 1 | yes | none | none: logits |

Sizes are halved by strides. Batch norm (`nn.BatchNorm2d`, one for each layer) works directly on what the convolution gives. No
linear layer, no other weights, nothing random. Call each convolution and batch norm as a module: the check looks through them
with hooks.
""",
    answers=("PictureDiscriminator",),
    draw=_draw_net,
    draws=1,
    parts=(
        Part(name="sizes", points=1.0, tests="every size on the way, at two widths", probe=_discriminator_sizes),
        Part(name="blocks", points=1.0, tests="what lies between the convolutions", probe=_discriminator_blocks),
        Part(name="modes", points=1.0, tests="train and eval mode; a batch of one", probe=_discriminator_modes),
    ),
    hints=(
        "Which of the four layers may have a batch norm? Why not the last: what would it do to a batch that is all real?",
        "Kernel 4, stride 2, padding 1 halves. A kernel of (3, 4) without padding turns the last 3 x 4 cells into one number.",
        "`nn.Sequential`: convolution, `nn.LeakyReLU(0.2)`; twice convolution without bias, batch norm, LeakyReLU; convolution "
        "`(4 * width, 1, (3, 4))`; `nn.Flatten(0)`, which gives (N,) for N = 1, too (`squeeze()` does not).",
    ),
)
