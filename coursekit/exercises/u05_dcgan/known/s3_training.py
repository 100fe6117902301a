"""Answer keys to section 3: one step of training, and a look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u05_dcgan.asked import s3_training as asked

# preview


def preview(G: nn.Module, z: Tensor, size: int) -> Tensor:
    """Pictures (N, H, W, C) in [0, 1] of noise z (N, Z), made in eval mode, `size` at a time."""
    ### BEGIN SOLUTION
    found_in = {module: module.training for module in G.modules()}
    G.eval()
    with torch.no_grad():
        pictures = torch.cat([G(part) for part in z.split(size)])
    for module, mode in found_in.items():
        module.training = mode
    return (pictures.permute(0, 2, 3, 1) + 1) / 2
    ### END SOLUTION


def _preview_one_by_one(G: nn.Module, z: Tensor, size: int) -> Tensor:
    """Each picture alone, its pixels put into place."""
    kept = [(module, module.training) for module in G.modules()]
    for module, _ in kept:
        module.training = False
    rows = []
    with torch.no_grad():
        for code in z:
            picture = G(code[None])[0]
            rows.append(torch.stack([0.5 + 0.5 * channel for channel in picture], dim=-1))
    for module, mode in kept:
        module.training = mode
    return torch.stack(rows)


def _preview_inference(G: nn.Module, z: Tensor, size: int) -> Tensor:
    flags = [module.training for module in G.modules()]
    out = []
    try:
        G.eval()
        with torch.inference_mode():
            for start in range(0, len(z), size):
                out.append(G(z[start : start + size]).movedim(1, -1))
            return torch.lerp(torch.full_like(out[0][:1], 0.5), torch.ones_like(out[0][:1]), torch.cat(out))
    finally:
        for module, flag in zip(G.modules(), flags):
            module.training = flag


def _preview_copy(G: nn.Module, z: Tensor, size: int) -> Tensor:
    """Looks at a copy, which may be left in any mode. The copy shares nothing but the diary of calls."""
    import copy

    twin = copy.deepcopy(G, {id(G.calls): G.calls} if hasattr(G, "calls") else None).eval()
    with torch.no_grad():
        pictures = torch.vstack([twin(part) for part in torch.split(z, size)])
    return pictures.add(1).div(2).permute(0, 2, 3, 1).contiguous()


def _preview_wrong(
    *,
    mode: bool = False,
    after: str = "each",
    grad: bool = False,
    detach: bool = False,
    parts: Callable[[Tensor, int], Any] = lambda z, size: z.split(size),
    scale: Callable[[Tensor], Tensor] = lambda x: (x + 1) / 2,
    order: tuple[int, ...] = (0, 2, 3, 1),
) -> Callable[..., Tensor]:
    """The look with one thing wrong."""

    def answer(G: nn.Module, z: Tensor, size: int) -> Tensor:
        kept, was = {m: m.training for m in G.modules()}, G.training
        if not mode:
            G.eval()
        with torch.set_grad_enabled(grad):
            x = torch.cat([G(part) for part in parts(z, size)])
        if after == "each":
            for module, flag in kept.items():
                module.training = flag
        elif after == "train":
            G.train()
        elif after == "top":
            G.train(was)
        x = scale(x.detach() if detach else x)
        return x.permute(order)

    return answer


PREVIEW = Key(
    question=asked.PREVIEW,
    solution=(preview,),
    reference=_preview_one_by_one,
    source="Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 2 (inference with population statistics); torch.nn.Module.train",
    mistakes=(
        Mistake(
            "samples made in train mode",
            "In train mode each picture depends on its batch, and looking moves the running statistics: `G.eval()` first.",
            _preview_wrong(mode=True),
        ),
        Mistake(
            "left in eval mode",
            "G is left in eval mode: the next training step would use the wrong statistics.",
            _preview_wrong(after="never"),
        ),
        Mistake(
            "always back to train mode",
            "`G.train()` at the end is wrong where G was found in eval mode.",
            _preview_wrong(after="train"),
        ),
        Mistake(
            "one mode for all modules",
            "`G.train(mode)` sets every module inside: the layer that was in eval mode on purpose is awake now. Remember each.",
            _preview_wrong(after="top"),
        ),
        Mistake(
            "gradients recorded",
            "The pictures carry the whole graph of G: run it under `torch.no_grad()`.",
            _preview_wrong(grad=True),
        ),
        Mistake(
            "recorded, then detached",
            "The pictures carry no graph in the end, but one was built, and the memory was needed: `torch.no_grad()`.",
            _preview_wrong(grad=True, detach=True),
        ),
        Mistake(
            "all at once",
            "G gets all the noise in one pass: at most `size` vectors at a time.",
            _preview_wrong(parts=lambda z, size: [z]),
        ),
        Mistake(
            "last part dropped",
            "N is not a multiple of `size`: the last, smaller part counts, too.",
            _preview_wrong(parts=lambda z, size: z[: len(z) // size * size].split(size)),
        ),
        Mistake(
            "size taken for the number of parts",
            "`chunk(size)` makes `size` parts; `split(size)` makes parts of `size`.",
            _preview_wrong(parts=lambda z, size: z.chunk(size)),
        ),
        Mistake(
            "not scaled",
            "The pictures are still in [−1, 1].",
            _preview_wrong(scale=lambda x: x),
        ),
        Mistake(
            "clamped instead of scaled",
            "A clamp to [0, 1] makes half of all pixels black: (x + 1) / 2.",
            _preview_wrong(scale=lambda x: x.clamp(0, 1)),
        ),
        Mistake(
            "stretched to the batch's range",
            "Brightness then depends on the other pictures. The range is known: −1 to 1.",
            _preview_wrong(scale=lambda x: (x - x.min()) / (x.max() - x.min())),
        ),
        Mistake(
            "channels first",
            "`imshow` wants channels last: (N, H, W, C).",
            _preview_wrong(order=(0, 1, 2, 3)),
        ),
        Mistake(
            "rows and columns exchanged",
            "(N, W, H, C) lies on its side: `permute(0, 2, 3, 1)`.",
            _preview_wrong(order=(0, 3, 2, 1)),
        ),
    ),
    alternatives={
        "inference mode, try and finally": _preview_inference,
        "a copy of G": _preview_copy,
        "detached after no_grad": _preview_wrong(detach=True),
    },
)

# dcgan_step


def dcgan_step(G, D, g_optimizer, d_optimizer, x: Tensor, z: Tensor, target: float) -> tuple[float, float]:
    """One update of D on x and G(z), one of G on the same fakes -> (L_D, L_G)."""
    ### BEGIN SOLUTION
    bce = F.binary_cross_entropy_with_logits
    fakes = G(z)
    on_real, on_fakes = D(x), D(fakes.detach())
    d_loss = bce(on_real, torch.full_like(on_real, target)) + bce(on_fakes, torch.zeros_like(on_fakes))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    verdict = D(fakes)
    g_loss = bce(verdict, torch.ones_like(verdict))
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
    ### END SOLUTION


def _step_by_logarithms(
    G: nn.Module, D: nn.Module, g_optimizer: Any, d_optimizer: Any, x: Tensor, z: Tensor, target: float
) -> tuple[float, float]:
    """Probabilities and logarithms, example by example; gradients by autograd.grad, put where the optimisers look."""

    def entropy(logits: Tensor, t: float) -> Tensor:
        p = 1 / (1 + torch.exp(-logits))
        return -sum(t * torch.log(q) + (1 - t) * torch.log(1 - q) for q in p) / len(p)

    fakes = G(z)
    d_loss = entropy(D(x), target) + entropy(D(fakes.detach()), 0.0)
    weights = list(D.parameters())
    d_optimizer.zero_grad()
    for parameter, gradient in zip(weights, torch.autograd.grad(d_loss, weights)):
        parameter.grad = gradient
    d_optimizer.step()
    g_loss = entropy(D(fakes), 1.0)
    weights = list(G.parameters())
    g_optimizer.zero_grad()
    # Backward rather than grad, so that the diary sees a pass reach G.
    torch.autograd.backward(g_loss, inputs=weights)
    g_optimizer.step()
    return float(d_loss.detach()), float(g_loss.detach())


def _step_softplus(
    G: nn.Module, D: nn.Module, g_optimizer: Any, d_optimizer: Any, x: Tensor, z: Tensor, target: float
) -> tuple[float, float]:
    """Two backward passes for D; -log sigmoid(a) is softplus(-a)."""
    fakes = G(z)
    d_optimizer.zero_grad()
    a = D(x)
    real = (F.softplus(a) - target * a).mean()
    real.backward()
    fake = F.softplus(D(fakes.detach())).mean()
    fake.backward()
    d_optimizer.step()
    for parameter in G.parameters():
        parameter.grad = None
    g_loss = F.softplus(-D(fakes)).mean()
    g_loss.backward()
    g_optimizer.step()
    return real.item() + fake.item(), g_loss.item()


def _step_frozen(
    G: nn.Module, D: nn.Module, g_optimizer: Any, d_optimizer: Any, x: Tensor, z: Tensor, target: float
) -> tuple[float, float]:
    """D's weights want no gradient while G learns; clears both at the end."""
    g_optimizer.zero_grad()
    d_optimizer.zero_grad()
    fakes = G(z)
    copies = fakes.detach().clone()
    loss = nn.BCEWithLogitsLoss()
    d_loss = loss(D(x), x.new_full((len(x),), target)) + loss(D(copies), x.new_zeros(len(z)))
    d_loss.backward()
    d_optimizer.step()
    D.requires_grad_(False)
    g_loss = loss(D(fakes), x.new_ones(len(z)))
    g_loss.backward()
    g_optimizer.step()
    D.requires_grad_(True)
    g_optimizer.zero_grad()
    d_optimizer.zero_grad()
    return d_loss.detach().item(), g_loss.detach().item()


def _step_by_probabilities(
    G: nn.Module, D: nn.Module, g_optimizer: Any, d_optimizer: Any, x: Tensor, z: Tensor, target: float
) -> tuple[float, float]:
    fakes = G(z)
    stand_in = fakes.detach().requires_grad_()
    p, q = D(x).sigmoid(), D(stand_in.detach()).sigmoid()
    d_loss = F.binary_cross_entropy(p, torch.full_like(p, target)) + F.binary_cross_entropy(q, 0 * q.detach())
    d_optimizer.zero_grad(set_to_none=False)
    d_loss.backward()
    d_optimizer.step()
    g_loss = -F.logsigmoid(D(stand_in)).mean()
    # The gradient stops at the pictures and is handed on to G.
    (slope,) = torch.autograd.grad(g_loss, stand_in)
    g_optimizer.zero_grad(set_to_none=False)
    fakes.backward(slope)
    g_optimizer.step()
    return d_loss.item(), g_loss.item()


def _bce(logits: Tensor, t: float, reduction: str = "mean") -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, t), reduction=reduction)


def _step_wrong(
    *,
    real: Callable[[float], float] = lambda target: target,
    fake: Callable[[float], float] = lambda target: 0.0,
    goal: Callable[[float], float] = lambda target: 1.0,
    g_loss_of: Callable[[Tensor], Tensor] | None = None,
    weight: float = 1.0,
    reduction: str = "mean",
    detach: bool = True,
    joint: bool = False,
    fakes_first: bool = False,
    fresh: str = "",
    clear_d: bool = True,
    clear_g: bool = True,
    d_eval: str = "",
    g_first: bool = False,
    report: Callable[[Tensor, Tensor], Any] = lambda d, g: (d.item(), g.item()),
    freeze: bool = False,
) -> Callable[..., Any]:
    """The step with one thing wrong."""

    def answer(
        G: nn.Module, D: nn.Module, g_optimizer: Any, d_optimizer: Any, x: Tensor, z: Tensor, target: float
    ) -> Any:
        fakes = G(z)

        def train_d() -> Tensor:
            seen = fakes.detach() if detach else fakes
            if d_eval == "fakes":
                on_real = D(x)
                on_fakes = D.eval()(seen)
                D.train()
            elif joint:
                on_real, on_fakes = D(torch.cat([x, seen])).split([len(x), len(z)])
            elif fakes_first:
                on_fakes = D(seen)
                on_real = D(x)
            else:
                on_real, on_fakes = D(x), D(seen)
            loss = weight * (_bce(on_real, real(target), reduction) + _bce(on_fakes, fake(target), reduction))
            if clear_d:
                d_optimizer.zero_grad()
            loss.backward(retain_graph=not detach)
            d_optimizer.step()
            return loss

        def train_g() -> Tensor:
            if freeze:
                D.requires_grad_(False)
            shown = G(z) if fresh == "same noise" else G(z.flip(0) * 0.9) if fresh == "other noise" else fakes
            if d_eval == "G's step":
                D.eval()
            logits = D(shown)
            D.train()
            loss = g_loss_of(logits) if g_loss_of else _bce(logits, goal(target), reduction)
            if clear_g:
                g_optimizer.zero_grad()
            loss.backward()
            g_optimizer.step()
            return loss

        if g_first:
            g_loss = train_g()
            d_loss = train_d()
        else:
            d_loss = train_d()
            g_loss = train_g()
        return report(d_loss, g_loss)

    return answer


DCGAN_STEP = Key(
    question=asked.DCGAN_STEP,
    solution=(dcgan_step,),
    reference=_step_by_logarithms,
    source=(
        "Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1 and section 3; smoothing: Salimans et al. 2016, arXiv:1606.03498, "
        "section 3.4; separate batches: Chintala et al. 2016, How to train a GAN, tip 4"
    ),
    mistakes=(
        Mistake(
            "real and fake in one batch",
            "Both go through D together, so batch norm mixes their statistics: two passes.",
            _step_wrong(joint=True),
        ),
        Mistake(
            "fakes before reals",
            "The losses are right, but D's running statistics end with the wrong batch: real first, then fake.",
            _step_wrong(fakes_first=True),
        ),
        Mistake(
            "fakes not detached",
            "D's backward pass runs on into G (and needs G's graph kept): `fakes.detach()` in D's step.",
            _step_wrong(detach=False),
        ),
        Mistake(
            "not detached and not cleared",
            "G's update holds the gradient of D's loss, too: detach the fakes, and clear G before its own backward.",
            _step_wrong(detach=False, clear_g=False),
        ),
        Mistake(
            "D's gradients never cleared",
            "From the second step on D's update holds what G's step left behind: `d_optimizer.zero_grad()` before D's backward.",
            _step_wrong(clear_d=False),
        ),
        Mistake(
            "G's gradients never cleared",
            "From the second step on G's update holds the old gradient, too: `g_optimizer.zero_grad()`.",
            _step_wrong(clear_g=False),
        ),
        Mistake(
            "G trained before D",
            "D comes first: G learns from the updated D.",
            _step_wrong(g_first=True),
        ),
        Mistake(
            "G runs twice",
            "The gradients are right, but G runs twice, so its running statistics move twice: keep the fakes.",
            _step_wrong(fresh="same noise"),
        ),
        Mistake(
            "other fakes for G",
            "G is to be trained on the same fakes that D saw.",
            _step_wrong(fresh="other noise"),
        ),
        Mistake(
            "no smoothing",
            "The target of the real batch is `target`, not 1.",
            _step_wrong(real=lambda target: 1.0),
        ),
        Mistake(
            "smoothing on both sides",
            "One-sided: the fakes keep their target of 0. Smoothing them would reinforce what G does now.",
            _step_wrong(fake=lambda target: 1 - target),
        ),
        Mistake(
            "smoothing in G's loss",
            "G's target is 1. Smoothing is D's business.",
            _step_wrong(goal=lambda target: target),
        ),
        Mistake(
            "real and fake exchanged",
            "Targets are exchanged in D's step: large logits mean real.",
            _step_wrong(real=lambda target: 0.0, fake=lambda target: target),
        ),
        Mistake(
            "G trained to be rejected",
            "G's target is 1: it wants its fakes to be taken for real.",
            _step_wrong(goal=lambda target: 0.0),
        ),
        Mistake(
            "saturating loss of G",
            "You minimise log(1 − D): its gradient fades where D is sure. Cross entropy with target 1 is asked for.",
            _step_wrong(g_loss_of=lambda a: -F.softplus(a).mean()),
        ),
        Mistake(
            "half of D's loss",
            "D's loss is the sum of the two means, without a factor of 1/2.",
            _step_wrong(weight=0.5),
        ),
        Mistake(
            "sums over the batch",
            "Both losses are means over the batch.",
            _step_wrong(reduction="sum"),
        ),
        Mistake(
            "D in eval mode for the fakes",
            "All passes are in train mode: the fakes are normalised by their own batch.",
            _step_wrong(d_eval="fakes"),
        ),
        Mistake(
            "D in eval mode while G learns",
            "In eval mode D uses running statistics of real and fake together: G's step is in train mode, too.",
            _step_wrong(d_eval="G's step"),
        ),
        Mistake(
            "D left frozen",
            "D's weights want no gradient any more: switch `requires_grad` back on after G's step.",
            _step_wrong(freeze=True),
        ),
        Mistake(
            "losses with their graphs",
            "The losses keep both graphs alive: return `loss.item()`.",
            _step_wrong(report=lambda d, g: (d, g)),
        ),
        Mistake(
            "losses exchanged",
            "D's loss comes first.",
            _step_wrong(report=lambda d, g: (g.item(), d.item())),
        ),
    ),
    alternatives={
        "softplus, two backward passes": _step_softplus,
        "D frozen in G's step": _step_frozen,
        "the gradient of the pictures handed on": _step_by_probabilities,
    },
)
