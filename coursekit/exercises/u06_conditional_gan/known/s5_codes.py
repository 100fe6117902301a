"""Answer keys to section 5: the code of a picture that exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u06_conditional_gan.asked import s5_codes as asked

# identity_code


def identity_code(
    G: nn.Module, features: nn.Module, x: Tensor, y: Tensor, z: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor]:
    """Codes (N, Z) whose pictures have the features of x, and what is left of the distances (N,)."""
    ### BEGIN SOLUTION
    found_in = {module: module.training for net in (G, features) for module in net.modules()}
    G.eval()
    features.eval()
    person = features(x).detach()
    for step in range(steps + 1):
        z = z.detach().clone().requires_grad_()
        apart = (person - features(G(z, y))).square().sum(dim=1)
        if step < steps:
            z = z - rate * torch.autograd.grad(apart.sum(), z)[0]
    for module, mode in found_in.items():
        module.training = mode
    return z.detach(), apart.detach()
    ### END SOLUTION


def _in_eval(*nets: nn.Module) -> list[tuple[nn.Module, bool]]:
    modes = [(module, module.training) for net in nets for module in net.modules()]
    for module, _ in modes:
        module.training = False
    return modes


def _set_back(modes: list[tuple[nn.Module, bool]]) -> None:
    for module, mode in modes:
        module.training = mode


def _identity_one_by_one(
    G: Any, features: Any, x: Tensor, y: Tensor, z: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor]:
    """Each picture alone, its loss as a sum over features."""
    modes = _in_eval(G, features)
    codes, distances = [], []

    def distance(n: int, code: Tensor) -> Tensor:
        target, own = features(x[n : n + 1])[0], features(G(code[None], y[n : n + 1]))[0]
        return sum((a - b) ** 2 for a, b in zip(target, own))  # type: ignore[return-value]

    for n in range(len(x)):
        code = z[n].clone()
        for _ in range(steps):
            leaf = code.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(distance(n, leaf), [leaf])
            code = code - rate * slope
        codes.append(code.detach())
        distances.append(distance(n, code).detach())
    _set_back(modes)
    return torch.stack(codes), torch.stack(distances)


def _identity_backward(
    G: Any, features: Any, x: Tensor, y: Tensor, z: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor]:
    """backward() into the codes alone."""
    modes = _in_eval(G, features)
    code = z.clone().requires_grad_()
    with torch.no_grad():
        target = features(x)

    def left() -> Tensor:
        return F.mse_loss(features(G(code, y)), target, reduction="none").sum(1)

    for _ in range(steps):
        code.grad = None
        left().sum().backward(inputs=[code])
        with torch.no_grad():
            assert code.grad is not None
            code.sub_(code.grad, alpha=rate)
    with torch.no_grad():
        distance = left()
    _set_back(modes)
    return code.detach(), distance


def _identity_frozen(
    G: Any, features: Any, x: Tensor, y: Tensor, z: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor]:
    """All weights want no gradient for a while."""
    weights = [p for net in (G, features) for p in net.parameters()]
    flags, modes = [p.requires_grad for p in weights], _in_eval(G, features)
    for p in weights:
        p.requires_grad_(False)
    codes = nn.Parameter(z.clone())
    target = features(x)
    for _ in range(steps):
        codes.grad = None
        (features(G(codes, y)) - target).pow(2).sum().backward()
        with torch.no_grad():
            codes -= rate * codes.grad
    distance = torch.linalg.vector_norm(features(G(codes, y)) - target, dim=1).square()
    for p, flag in zip(weights, flags):
        p.requires_grad_(flag)
    _set_back(modes)
    return codes.data, distance.detach()


def _identity_copies(
    G: Any, features: Any, x: Tensor, y: Tensor, z: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor]:
    """Copies of both networks may be left in any state; their diaries are shared."""
    import copy

    kept = {id(net.calls): net.calls for net in (G, features) if hasattr(net, "calls")}
    twin, phi = copy.deepcopy(G, dict(kept)).eval(), copy.deepcopy(features, dict(kept)).eval()
    target, code = phi(x).detach(), z

    def apart(code: Tensor) -> Tensor:
        gap = phi(twin(code, y)) - target
        return torch.einsum("nf,nf->n", gap, gap)

    for _ in range(steps):
        code = code.detach().requires_grad_()
        code = torch.sub(code, torch.autograd.grad(apart(code).sum(), code)[0], alpha=rate)
    return code.detach(), apart(code).detach()


def _identity_wrong(
    *,
    loss_of: Callable[[Tensor], Tensor] = lambda gap: gap.square().sum(),
    distance_of: Callable[[Tensor], Tensor] = lambda gap: gap.square().sum(1),
    see: Callable[[Any, Tensor], Tensor] = lambda features, x: features(x),
    step: Callable[[Tensor, Tensor, float], Tensor] = lambda z, slope, rate: z - rate * slope,
    count: Callable[[int], int] = lambda steps: steps,
    old_distance: bool = False,
    mode: str = "eval",
    after: str = "as found",
    into_weights: bool = False,
    freeze: bool = False,
    graph: bool = False,
    gather: bool = False,
    in_place: bool = False,
) -> Callable[..., Any]:
    """The descent with one thing wrong."""

    def answer(G: Any, features: Any, x: Tensor, y: Tensor, z: Tensor, steps: int, rate: float) -> Any:
        modes = (
            _in_eval(G, features) if mode == "eval" else [(m, m.training) for m in (*G.modules(), *features.modules())]
        )
        if freeze:
            G.requires_grad_(False)
            features.requires_grad_(False)
        code, total = z, torch.zeros_like(z)

        def gap(code: Tensor) -> Tensor:
            return see(features, x).detach() - see(features, G(code, y))

        before = gap(code)
        for _ in range(count(steps)):
            leaf = code.detach().clone().requires_grad_()
            before = gap(leaf)
            loss = loss_of(before)
            if into_weights:
                loss.backward()
                slope = leaf.grad
            else:
                (slope,) = torch.autograd.grad(loss, leaf, retain_graph=True)
            total = total + slope if gather else slope
            code = step(leaf if graph else leaf.detach(), total, rate)
            if in_place:
                z.copy_(code)
        distance = distance_of(before if old_distance else gap(code))
        if after == "as found":
            _set_back(modes)
        return (code, distance) if graph else (code.detach(), distance.detach())

    return answer


IDENTITY_CODE = Key(
    question=asked.IDENTITY_CODE,
    solution=(identity_code,),
    reference=_identity_one_by_one,
    source="Antipov, Baccouche & Dugelay 2017, arXiv:1702.01983, section 2.3, equation 2",
    mistakes=(
        Mistake(
            "mean over the batch",
            "With a mean over the batch each code moves more slowly the more there are. Sum the losses of the pictures.",
            _identity_wrong(loss_of=lambda gap: gap.square().sum(1).mean()),
        ),
        Mistake(
            "mean over the features",
            "The squared norm is a sum over the features.",
            _identity_wrong(
                loss_of=lambda gap: gap.square().mean(1).sum(), distance_of=lambda gap: gap.square().mean(1)
            ),
        ),
        Mistake(
            "mean over everything",
            "`F.mse_loss` takes the mean over features *and* pictures. Sum both.",
            _identity_wrong(loss_of=lambda gap: gap.square().mean()),
        ),
        Mistake(
            "norm not squared",
            "The norm is to be squared, in the loss and in the distances.",
            _identity_wrong(loss_of=lambda gap: gap.norm(dim=1).sum(), distance_of=lambda gap: gap.norm(dim=1)),
        ),
        Mistake(
            "half of the square",
            "There is no factor 1/2 in this loss.",
            _identity_wrong(loss_of=lambda gap: 0.5 * gap.square().sum()),
        ),
        Mistake(
            "pixels compared",
            "You compare pixels. Who it is shows in the features: Φ(x) with Φ(G(z, y)).",
            _identity_wrong(see=lambda features, x: x.flatten(1)),
        ),
        Mistake(
            "ascent",
            "The distance grows: subtract the gradient.",
            _identity_wrong(step=lambda z, slope, rate: z + rate * slope),
        ),
        Mistake(
            "sign of the gradient",
            "Plain descent uses the gradient itself, not its sign.",
            _identity_wrong(step=lambda z, slope, rate: z - rate * slope.sign()),
        ),
        Mistake(
            "gradients add up",
            "Each step uses its own gradient: clear `z.grad` before the backward.",
            _identity_wrong(gather=True),
        ),
        Mistake(
            "one step too few",
            "`steps` steps, not one less.",
            _identity_wrong(count=lambda steps: max(steps - 1, 0)),
        ),
        Mistake(
            "distances before the last step",
            "The distances belong to the codes that you return: compute them once more after the last step.",
            _identity_wrong(old_distance=True),
        ),
        Mistake(
            "gradients left in the weights",
            "`backward()` adds to the `.grad` of all weights. `torch.autograd.grad(loss, z)` touches nothing else.",
            _identity_wrong(into_weights=True),
        ),
        Mistake(
            "weights left frozen",
            "You switched `requires_grad` off and not on again.",
            _identity_wrong(freeze=True),
        ),
        Mistake(
            "train mode",
            "In train mode a picture depends on its batch, and statistics move: both networks run in eval mode.",
            _identity_wrong(mode="train"),
        ),
        Mistake(
            "left in eval mode",
            "Set each network back to the mode in which it was.",
            _identity_wrong(after="eval"),
        ),
        Mistake(
            "results with a graph",
            "Return codes and distances detached.",
            _identity_wrong(graph=True),
        ),
        Mistake(
            "first guess overwritten",
            "Your steps write into `z`, which the caller still needs: work on a copy.",
            _identity_wrong(in_place=True),
        ),
    ),
    alternatives={
        "backward into the codes": _identity_backward,
        "weights frozen for a while": _identity_frozen,
        "copies of the networks": _identity_copies,
    },
)

# icgan


def encoder_losses(E_z, E_y, G, x: Tensor, y: Tensor, z: Tensor, y_told: Tensor) -> tuple[Tensor, Tensor]:
    """Photographs x with attributes y (N, K), noise z (M, Z) and attributes y_told (M, K) -> the losses of E_z and E_y."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        painted = G(z, y_told)
    noise_loss = (z - E_z(painted)).square().sum(dim=1).mean()
    return noise_loss, (y - E_y(x)).square().sum(dim=1).mean()
    ### END SOLUTION


def edit_pictures(E_z, E_y, G, x: Tensor, attribute: int, value: float) -> Tensor:
    """Photographs x (N, C, H, W) as G makes them with one attribute changed."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        wish = (E_y(x) > 0.5).to(x.dtype)
        wish[:, attribute] = value
        return G(E_z(x), wish)
    ### END SOLUTION


def _losses_by_examples(E_z: Any, E_y: Any, G: Any, x: Tensor, y: Tensor, z: Tensor, y_told: Tensor) -> Any:
    """Both expectations, number by number."""
    made = G(z, y_told).detach()
    guesses, read = E_z(made), E_y(x)
    L_z = sum((a - b) ** 2 for row, guess in zip(z, guesses) for a, b in zip(row, guess)) / len(z)
    L_y = sum((a - b) ** 2 for row, guess in zip(y, read) for a, b in zip(row, guess)) / len(y)
    return L_z, L_y


def _edit_by_examples(E_z: Any, E_y: Any, G: Any, x: Tensor, attribute: int, value: float) -> Tensor:
    codes, read = E_z(x).detach(), E_y(x).tolist()
    told = [[value if k == attribute else float(v > 0.5) for k, v in enumerate(row)] for row in read]
    return G(codes, x.new_tensor(told)).detach()  # type: ignore[no-any-return]


def _losses_mse(E_z: Any, E_y: Any, G: Any, x: Tensor, y: Tensor, z: Tensor, y_told: Tensor) -> Any:
    with torch.inference_mode():
        made = G(z, y_told)
    L_z = F.mse_loss(E_z(made.clone()), z, reduction="sum") / z.shape[0]
    return L_z, nn.MSELoss()(E_y(x), y) * y.shape[1]


def _edit_where(E_z: Any, E_y: Any, G: Any, x: Tensor, attribute: int, value: float) -> Tensor:
    with torch.inference_mode():
        y = E_y(x).round()
        changed = torch.arange(y.shape[1]) == attribute
        pictures = G(E_z(x), torch.where(changed, torch.full_like(y, value), y))
    return pictures.clone()  # type: ignore[no-any-return]


def _losses_norms(E_z: Any, E_y: Any, G: Any, x: Tensor, y: Tensor, z: Tensor, y_told: Tensor) -> Any:
    def squared(gap: Tensor) -> Tensor:
        return torch.einsum("nk,nk->n", gap, gap)

    return squared(E_z(G(z, y_told).detach()) - z).mean(), squared(E_y(x) - y).mean()


def _edit_joined(E_z: Any, E_y: Any, G: Any, x: Tensor, attribute: int, value: float) -> Tensor:
    with torch.no_grad():
        y = (E_y(x) > 0.5).double()
        column = torch.full_like(y[:, :1], value)
        y = torch.cat([y[:, :attribute], column, y[:, attribute + 1 :]], 1)
        return G(E_z(x), y.to(x.dtype))  # type: ignore[no-any-return]


def _losses_weighed(E_z: Any, E_y: Any, G: Any, x: Tensor, y: Tensor, z: Tensor, y_told: Tensor) -> Any:
    made = G(z.clone(), y_told.clone()).detach()
    pairs = ((E_z(made), z), (E_y(x), y))
    return [torch.dist(guess, truth).square() / len(truth) for guess, truth in pairs]


def _edit_masked(E_z: Any, E_y: Any, G: Any, x: Tensor, attribute: int, value: float) -> Tensor:
    z, y = E_z(x).detach(), E_y(x).detach()
    y = torch.heaviside(y - 0.5, torch.zeros((), dtype=y.dtype))
    y.index_fill_(1, torch.tensor([attribute]), value)
    return G(z, y).detach()  # type: ignore[no-any-return]


def _icgan_wrong(
    *,
    pictures_z: Callable[[Tensor, Tensor], Tensor] = lambda made, x: made,
    own_y: Callable[..., Tensor] = lambda E_y, made, x, y, told: (y - E_y(x)).square().sum(1).mean(),
    cost: Callable[[Tensor], Tensor] = lambda gap: gap.square().sum(1).mean(),
    cut: Callable[[Tensor], Tensor] = lambda made: made.detach(),
    tell: Callable[[Tensor, Tensor], Tensor] = lambda y, told: told,
    order: int = 1,
    rounded: Callable[[Tensor], Tensor] = lambda y: (y > 0.5).to(y.dtype),
    change: Callable[..., Tensor] | None = None,
    code: Callable[[Any, Tensor], Tensor] = lambda E_z, x: E_z(x),
    keep_graph: bool = False,
) -> dict[str, Any]:
    """Both functions with one thing wrong."""

    def losses(E_z: Any, E_y: Any, G: Any, x: Tensor, y: Tensor, z: Tensor, y_told: Tensor) -> Any:
        made = cut(G(z, tell(y, y_told)))
        return (cost(z - E_z(pictures_z(made, x))), own_y(E_y, made, x, y, y_told))[::order]

    def edit(E_z: Any, E_y: Any, G: Any, x: Tensor, attribute: int, value: float) -> Any:
        y = rounded(E_y(x))
        if change:
            y = change(y, attribute, value)
        else:
            y = torch.where(torch.arange(y.shape[1]) == attribute, torch.full_like(y, value), y)
        pictures = G(code(E_z, x), y)
        return pictures if keep_graph else pictures.detach()

    return {"encoder_losses": losses, "edit_pictures": edit}


def _flipped(y: Tensor, attribute: int, value: float) -> Tensor:
    return torch.where(torch.arange(y.shape[1]) == attribute, 1 - y, y)


def _one_hot(y: Tensor, attribute: int, value: float) -> Tensor:
    return torch.full_like(y, value) * (torch.arange(y.shape[1]) == attribute)


ICGAN = Key(
    question=asked.ICGAN,
    solution=(encoder_losses, edit_pictures),
    reference={"encoder_losses": _losses_by_examples, "edit_pictures": _edit_by_examples},
    source="Perarnau, van de Weijer, Raducanu & Alvarez 2016, arXiv:1611.06355, equations 3 and 4, section 3.3",
    mistakes=(
        Mistake(
            "noise of photographs",
            "Nobody knows the noise of a photograph: E_z learns from pictures that G made of z.",
            _icgan_wrong(pictures_z=lambda made, x: x[: len(made)]),
        ),
        Mistake(
            "attributes from fakes",
            "E_y is to read photographs, whose attributes are known: train it on x and y.",
            _icgan_wrong(own_y=lambda E_y, made, x, y, told: (told - E_y(made)).square().sum(1).mean()),
        ),
        Mistake(
            "attributes from both",
            "L_y is of photographs only.",
            _icgan_wrong(
                own_y=lambda E_y, made, x, y, told: (
                    (y - E_y(x)).square().sum(1).mean() + (told - E_y(made)).square().sum(1).mean()
                )
            ),
        ),
        Mistake(
            "G trained along",
            "G is finished: make its pictures under `torch.no_grad()`, or G would learn to be easy to read.",
            _icgan_wrong(cut=lambda made: made),
        ),
        Mistake(
            "G told the photographs' attributes",
            "G is told `y_told`, the attributes that go with z.",
            _icgan_wrong(tell=lambda y, told: y[: len(told)]),
        ),
        Mistake(
            "mean over the coordinates",
            "`mse_loss` takes the mean over Z, too. The squared norm is a sum.",
            _icgan_wrong(
                cost=lambda gap: gap.square().mean(),
                own_y=lambda E_y, made, x, y, told: (y - E_y(x)).square().mean(),
            ),
        ),
        Mistake(
            "sum over the batch",
            "Expectations are means over the batch.",
            _icgan_wrong(
                cost=lambda gap: gap.square().sum(), own_y=lambda E_y, made, x, y, told: (y - E_y(x)).square().sum()
            ),
        ),
        Mistake(
            "norms not squared",
            "The norms are squared.",
            _icgan_wrong(
                cost=lambda gap: gap.norm(dim=1).mean(),
                own_y=lambda E_y, made, x, y, told: (y - E_y(x)).norm(dim=1).mean(),
            ),
        ),
        Mistake(
            "losses exchanged",
            "L_z comes first.",
            _icgan_wrong(order=-1),
        ),
        Mistake(
            "nothing edited",
            "That is a reconstruction: the attribute is to be set to `value`.",
            _icgan_wrong(change=lambda y, attribute, value: y),
        ),
        Mistake(
            "attribute turned over",
            "You turn the attribute over. It is to be *set* to `value`, whatever it was.",
            _icgan_wrong(change=_flipped),
        ),
        Mistake(
            "other attributes forgotten",
            "Only one attribute changes; all others stay as they were read.",
            _icgan_wrong(change=_one_hot),
        ),
        Mistake(
            "not rounded",
            "G has only ever been told 0 and 1: round what E_y reads.",
            _icgan_wrong(rounded=lambda y: y),
        ),
        Mistake(
            "the likeliest attribute only",
            "Attributes do not exclude each other: round each on its own.",
            _icgan_wrong(rounded=lambda y: F.one_hot(y.argmax(1), y.shape[1]).to(y.dtype)),
        ),
        Mistake(
            "noise forgotten",
            "With noise of 0 every picture is the same one: use what E_z reads.",
            _icgan_wrong(code=lambda E_z, x: 0 * E_z(x)),
        ),
        Mistake(
            "pictures with a graph",
            "Return the pictures without a graph.",
            _icgan_wrong(keep_graph=True),
        ),
    ),
    alternatives={
        "mse_loss; where": {"encoder_losses": _losses_mse, "edit_pictures": _edit_where},
        "einsum; joined columns": {"encoder_losses": _losses_norms, "edit_pictures": _edit_joined},
        "distances; index_fill": {"encoder_losses": _losses_weighed, "edit_pictures": _edit_masked},
    },
)
