"""Answer keys to section 4: two at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u06_conditional_gan.asked import s4_pairs as asked

# couple


def couple(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> list[nn.Parameter]:
    """Layers of `first` take the place of `shared` layers of `second` at one end -> all parameters, each once."""
    ### BEGIN SOLUTION
    start = 0 if end == "front" else len(first) - shared
    for place in range(start, start + shared):
        second[place] = first[place]
    held = list(first.parameters())
    return held + [p for p in second.parameters() if all(p is not q for q in held)]
    ### END SOLUTION


def _couple_by_places(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> list[Any]:
    """Layer by layer, and parameter by parameter."""
    count, found = len(first), []
    for k in range(count):
        if (end == "front" and k < shared) or (end == "back" and k >= count - shared):
            setattr(second, str(k), first[k])
    for net in (first, second):
        for layer in net:
            for parameter in layer.parameters():
                if id(parameter) not in [id(p) for p in found]:
                    found.append(parameter)
    return found


def _couple_by_modules(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> list[Any]:
    names = list(first._modules)
    names = names[:shared] if end == "front" else names[len(names) - shared :]
    second._modules.update({name: first._modules[name] for name in names})
    return list({id(p): p for net in (first, second) for p in net.parameters()}.values())


def _couple_by_add_module(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> list[Any]:
    layers = list(first.named_children())
    for name, layer in layers[:shared] if end == "front" else layers[::-1][:shared]:
        second.add_module(name, layer)
    return list(nn.ModuleList([first, second]).parameters())  # torch itself lists what is shared once


def _couple_rebuilt(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> list[Any]:
    """All layers of `second` taken out and put in again."""
    n = len(first)
    own = list(second)
    layers = [*first[:shared], *own[shared:]] if end == "front" else [*own[: n - shared], *first[n - shared :]]
    for k, layer in enumerate(layers):
        second[k] = layer
    kept = [p for k, layer in enumerate(layers) if layer is not first[k] for p in layer.parameters()]
    return [*first.parameters(), *kept]


def _places(first: nn.Sequential, shared: int, end: str) -> list[int]:
    n = len(first)
    return list(range(shared)) if end == "front" else list(range(n - shared, n))


def _each_once(first: nn.Module, second: nn.Module) -> list[Any]:
    return list({id(p): p for net in (first, second) for p in net.parameters()}.values())


def _put(first: nn.Sequential, second: nn.Sequential, k: int) -> None:
    second[k] = first[k]


def _copy_weights(first: nn.Sequential, second: nn.Sequential, k: int) -> None:
    second[k].load_state_dict(first[k].state_dict())


def _tie_data(first: nn.Sequential, second: nn.Sequential, k: int) -> None:
    for p, q in zip(first[k].parameters(), second[k].parameters()):
        q.data = p.data


def _tie_parameters(first: nn.Sequential, second: nn.Sequential, k: int) -> None:
    for name, parameter in first[k].named_parameters():
        setattr(second[k], name, parameter)


def _tie_weights_only(first: nn.Sequential, second: nn.Sequential, k: int) -> None:
    if hasattr(first[k], "weight"):
        second[k].weight = first[k].weight


def _put_backwards(first: nn.Sequential, second: nn.Sequential, k: int) -> None:
    first[k] = second[k]


def _with_weights(first: nn.Sequential, shared: int, end: str) -> list[int]:
    """Counts only layers that have weights."""
    full = [k for k, layer in enumerate(first) if list(layer.parameters())]
    return full[:shared] if end == "front" else full[max(len(full) - shared, 0) :]


def _couple_wrong(
    *,
    put: Callable[..., None] = _put,
    places: Callable[..., list[int]] = _places,
    collect: Callable[..., list[Any]] = _each_once,
) -> Callable[..., Any]:
    """The coupling with one thing wrong."""

    def answer(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> Any:
        for k in places(first, shared, end):
            put(first, second, k)
        return collect(first, second)

    return answer


def _couple_and_forget(first: nn.Sequential, second: nn.Sequential, shared: int, end: str) -> Any:
    n = len(first)
    second = (
        nn.Sequential(*first[:shared], *second[shared:])
        if end == "front"
        else nn.Sequential(*second[: n - shared], *first[n - shared :])
    )
    return _each_once(first, second)


COUPLE = Key(
    question=asked.COUPLE,
    solution=(couple,),
    reference=_couple_by_places,
    source="Liu & Tuzel 2016, arXiv:1606.07536, section 3 and figure 1",
    mistakes=(
        Mistake(
            "weights copied",
            "Copies, of weights or of layers, are equal until the first step. The layer itself has to stand in both networks: "
            "`second[k] = first[k]`.",
            _couple_wrong(put=_copy_weights),
        ),
        Mistake(
            "numbers shared, gradients not",
            "`.data` shares the memory, but there are two parameters with a gradient each. Share the module.",
            _couple_wrong(put=_tie_data),
        ),
        Mistake(
            "parameters shared, modules not",
            "Each batch norm still keeps statistics of its own: share the module, not its parameters.",
            _couple_wrong(put=_tie_parameters),
        ),
        Mistake(
            "weights shared, biases not",
            "The biases are not shared: share the module, and all that it has comes along.",
            _couple_wrong(put=_tie_weights_only),
        ),
        Mistake(
            "wrong end",
            '"front" means the first layers, "back" the last.',
            _couple_wrong(
                places=lambda first, shared, end: _places(first, shared, "front" if end == "back" else "back")
            ),
        ),
        Mistake(
            "always the front",
            'You do not look at `end`: "back" means the last layers.',
            _couple_wrong(places=lambda first, shared, end: _places(first, shared, "front")),
        ),
        Mistake(
            "the last zero layers",
            "`[-0:]` is everything. Count from the front: `len(first) - shared`.",
            _couple_wrong(
                places=lambda first, shared, end: (
                    list(range(len(first)))[:shared] if end == "front" else list(range(len(first)))[-shared:]
                )
            ),
        ),
        Mistake(
            "one layer too few",
            "`shared` layers, not one less.",
            _couple_wrong(places=lambda first, shared, end: _places(first, max(shared - 1, 0), end)),
        ),
        Mistake(
            "layers without weights not counted",
            "Each entry of the `Sequential` counts as a layer, with weights or without.",
            _couple_wrong(places=_with_weights),
        ),
        Mistake(
            "first network changed",
            "`first` keeps its layers; `second` gets them.",
            _couple_wrong(put=_put_backwards),
        ),
        Mistake(
            "a new network thrown away",
            "`second = ...` gives the name to a new network that nobody else sees. Put the layers into the one you were handed.",
            _couple_and_forget,
        ),
        Mistake(
            "parameters listed twice",
            "Shared parameters are in your list twice, so each step moves them twice.",
            _couple_wrong(collect=lambda first, second: [*first.parameters(), *second.parameters()]),
        ),
        Mistake(
            "second network's own parameters missing",
            "The layers that `second` does not share are not in your list: they would never learn.",
            _couple_wrong(collect=lambda first, second: list(first.parameters())),
        ),
        Mistake(
            "shared parameters missing",
            "The shared parameters are not in your list: they would never learn.",
            _couple_wrong(
                collect=lambda first, second: [
                    p
                    for p in _each_once(first, second)
                    if sum(p is q for q in [*first.parameters(), *second.parameters()]) < 2
                ]
            ),
        ),
    ),
    alternatives={
        "the modules' dictionary": _couple_by_modules,
        "add_module, torch's own list": _couple_by_add_module,
        "all layers put in again": _couple_rebuilt,
    },
)

# bigan_step


def bigan_step(D, E, G, d_optimizer, eg_optimizer, x: Tensor, z: Tensor) -> tuple[float, float]:
    """One update of D, one of E and G -> (d_loss, eg_loss)."""
    ### BEGIN SOLUTION
    read, painted = E(x), G(z)
    d_loss = F.softplus(-D(x, read.detach())).mean() + F.softplus(D(painted.detach(), z)).mean()
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    eg_loss = F.softplus(D(x, read)).mean() + F.softplus(-D(painted, z)).mean()
    eg_optimizer.zero_grad()
    eg_loss.backward()
    eg_optimizer.step()
    return d_loss.item(), eg_loss.item()
    ### END SOLUTION


def _bigan_by_logarithms(
    D: Any, E: Any, G: Any, d_optimizer: Any, eg_optimizer: Any, x: Tensor, z: Tensor
) -> tuple[float, float]:
    """Probabilities and logarithms, pair by pair; everything run anew for the second update."""

    def mean_log(p: Tensor) -> Tensor:
        return sum(torch.log(v) for v in p) / len(p)  # type: ignore[return-value]

    def probability(a: Tensor) -> Tensor:
        return 1 / (1 + torch.exp(-a))

    with torch.no_grad():
        codes, fakes = E(x), G(z)
    d_loss = -mean_log(probability(D(x, codes))) - mean_log(1 - probability(D(fakes, z)))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    eg_loss = -mean_log(1 - probability(D(x, E(x)))) - mean_log(probability(D(G(z), z)))
    eg_optimizer.zero_grad()
    eg_loss.backward()
    eg_optimizer.step()
    return float(d_loss.detach()), float(eg_loss.detach())


def _bigan_bce(
    D: Any, E: Any, G: Any, d_optimizer: Any, eg_optimizer: Any, x: Tensor, z: Tensor
) -> tuple[float, float]:
    bce = F.binary_cross_entropy_with_logits

    def cost(codes: Tensor, fakes: Tensor, label: float) -> Tensor:
        a, b = D(x, codes), D(fakes, z)
        return bce(a, torch.full_like(a, label)) + bce(b, torch.full_like(b, 1 - label))

    codes, fakes = E(x), G(z)
    d_optimizer.zero_grad()
    d_loss = cost(codes.detach(), fakes.detach(), 1.0)
    d_loss.backward()
    d_optimizer.step()
    for parameter in D.parameters():
        parameter.requires_grad_(False)
    eg_optimizer.zero_grad()
    eg_loss = cost(codes, fakes, 0.0)
    eg_loss.backward()
    eg_optimizer.step()
    for parameter in D.parameters():
        parameter.requires_grad_(True)
    return d_loss.item(), eg_loss.item()


def _bigan_one_batch(
    D: Any, E: Any, G: Any, d_optimizer: Any, eg_optimizer: Any, x: Tensor, z: Tensor
) -> tuple[float, float]:
    """All pairs through D at once, weighed by their number."""
    codes, fakes = E(x), G(z)
    pictures, all_codes = torch.cat([x, fakes]), torch.cat([codes, z])
    sign = torch.cat([x.new_full((len(x),), -1.0), x.new_ones(len(z))])
    weight = torch.cat([x.new_full((len(x),), 1 / len(x)), x.new_full((len(z),), 1 / len(z))])
    d_optimizer.zero_grad(set_to_none=False)
    d_loss = weight @ F.softplus(sign * D(pictures.detach(), all_codes.detach()))
    d_loss.backward()
    d_optimizer.step()
    eg_optimizer.zero_grad(set_to_none=False)
    eg_loss = weight @ F.softplus(-sign * D(pictures, all_codes))
    eg_loss.backward()
    eg_optimizer.step()
    return float(d_loss), float(eg_loss)


def _bigan_grad(
    D: Any, E: Any, G: Any, d_optimizer: Any, eg_optimizer: Any, x: Tensor, z: Tensor
) -> tuple[float, float]:
    """Backward into the weights that are meant, and into no others."""
    codes, fakes = E(x), G(z)
    d_optimizer.zero_grad()
    eg_optimizer.zero_grad()
    d_loss = -F.logsigmoid(D(x, codes)).mean() - F.logsigmoid(-D(fakes, z)).mean()
    d_loss.backward(inputs=list(D.parameters()), retain_graph=True)
    d_optimizer.step()
    eg_loss = -F.logsigmoid(-D(x, codes)).mean() - F.logsigmoid(D(fakes, z)).mean()
    eg_loss.backward(inputs=[*E.parameters(), *G.parameters()])
    eg_optimizer.step()
    return d_loss.detach().item(), eg_loss.detach().item()


def _towards(a: Tensor) -> Tensor:
    return F.softplus(-a).mean()


def _bigan_wrong(
    *,
    pairs: Callable[..., Any] = lambda x, z, codes, fakes: ((x, codes), (fakes, z)),
    d_cost: Callable[[Tensor, Tensor], Tensor] = lambda a, b: _towards(a) + _towards(-b),
    eg_cost: Callable[[Tensor, Tensor], Tensor] = lambda a, b: _towards(-a) + _towards(b),
    detach: bool = True,
    hold: Callable[[Tensor, Tensor], Any] = lambda codes, fakes: (codes, fakes),
    clear: str = "both",
    order: str = "D first",
    freeze: bool = False,
    report: Callable[[Tensor, Tensor], Any] = lambda d, eg: (d.item(), eg.item()),
) -> Callable[..., Any]:
    """The step with one thing wrong."""

    def answer(D: Any, E: Any, G: Any, d_optimizer: Any, eg_optimizer: Any, x: Tensor, z: Tensor) -> Any:
        def verdicts(codes: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor]:
            left, right = pairs(x, z, codes, fakes)
            return D(*left), D(*right)

        def train_d() -> Tensor:
            codes, fakes = E(x), G(z)
            a, b = verdicts(codes.detach(), fakes.detach()) if detach else verdicts(codes, fakes)
            loss = d_cost(a, b)
            if clear in ("both", "D"):
                d_optimizer.zero_grad()
            loss.backward()
            d_optimizer.step()
            return loss

        def train_eg() -> Tensor:
            if freeze:
                D.requires_grad_(False)
            loss = eg_cost(*verdicts(*hold(E(x), G(z))))
            if clear in ("both", "EG"):
                eg_optimizer.zero_grad()
            loss.backward()
            eg_optimizer.step()
            return loss

        if order == "D first":
            d_loss = train_d()
            eg_loss = train_eg()
        else:
            eg_loss = train_eg()
            d_loss = train_d()
        return report(d_loss, eg_loss)

    return answer


def _bigan_old_verdicts(D: Any, E: Any, G: Any, d_optimizer: Any, eg_optimizer: Any, x: Tensor, z: Tensor) -> Any:
    """Both gradients are taken before D moves."""
    codes, fakes = E(x), G(z)
    eg_loss = _towards(-D(x, codes)) + _towards(D(fakes, z))
    eg_optimizer.zero_grad()
    eg_loss.backward()
    d_loss = _towards(D(x, codes.detach())) + _towards(-D(fakes.detach(), z))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    eg_optimizer.step()
    return d_loss.item(), eg_loss.item()


BIGAN_STEP = Key(
    question=asked.BIGAN_STEP,
    solution=(bigan_step,),
    reference=_bigan_by_logarithms,
    source=(
        "Donahue, Kraehenbuehl & Darrell 2017, arXiv:1605.09782, equation 3 and section 3.4; Dumoulin et al. 2017, "
        "arXiv:1606.00704, algorithm 1"
    ),
    mistakes=(
        Mistake(
            "encoder not trained",
            "As in an ordinary GAN only the fakes' term is left for G. E learns from the other one: both terms, labels "
            "exchanged.",
            _bigan_wrong(eg_cost=lambda a, b: _towards(b) + 0 * a.sum()),
        ),
        Mistake(
            "generator not trained",
            "The term of G's pairs is missing from the second loss.",
            _bigan_wrong(eg_cost=lambda a, b: _towards(-a) + 0 * b.sum()),
        ),
        Mistake(
            "encoder on D's side",
            "Your E helps D: it wants its pairs taken for G's. The labels of *both* kinds are exchanged.",
            _bigan_wrong(eg_cost=lambda a, b: _towards(a) + _towards(b)),
        ),
        Mistake(
            "all on D's side",
            "E and G descend D's own loss, so all three agree. Exchange the labels.",
            _bigan_wrong(eg_cost=lambda a, b: _towards(a) + _towards(-b)),
        ),
        Mistake(
            "minus D's loss",
            "That is the saturating form, −L_D. Exchange the labels instead: the gradient is then strong where D is sure.",
            _bigan_wrong(eg_cost=lambda a, b: -_towards(a) - _towards(-b)),
        ),
        Mistake(
            "labels of D exchanged",
            "Large logits mean a given picture, (x, E(x)).",
            _bigan_wrong(
                d_cost=lambda a, b: _towards(-a) + _towards(b), eg_cost=lambda a, b: _towards(a) + _towards(-b)
            ),
        ),
        Mistake(
            "reconstructions in the pairs",
            "You pair x with E(x), and G(z) with E(G(z)). G's pair has the z that it was made from.",
            lambda D, E, G, d_optimizer, eg_optimizer, x, z: _bigan_wrong(
                pairs=lambda x, z, codes, fakes: ((x, codes), (fakes, E(fakes)))
            )(D, E, G, d_optimizer, eg_optimizer, x, z),
        ),
        Mistake(
            "encoder kept out of the graph",
            "No gradient reaches E: in the second step its codes are not detached.",
            _bigan_wrong(hold=lambda codes, fakes: (codes.detach(), fakes)),
        ),
        Mistake(
            "generator kept out of the graph",
            "No gradient reaches G: in the second step its fakes are not detached.",
            _bigan_wrong(hold=lambda codes, fakes: (codes, fakes.detach())),
        ),
        Mistake(
            "not detached in D's step",
            "D's backward pass runs on into E and G. The values are right, but half of the work is for nothing: detach both.",
            _bigan_wrong(detach=False),
        ),
        Mistake(
            "not detached and not cleared",
            "The update of E and G holds the gradient of D's loss, too: detach, and clear before the backward.",
            _bigan_wrong(detach=False, clear="D"),
        ),
        Mistake(
            "D's gradients never cleared",
            "From the second step on D's update holds what the step of E and G left behind.",
            _bigan_wrong(clear="EG"),
        ),
        Mistake(
            "gradients of E and G never cleared",
            "From the second step on the update of E and G holds the old gradient, too.",
            _bigan_wrong(clear="D"),
        ),
        Mistake(
            "E and G first",
            "D comes first.",
            _bigan_wrong(order="EG first"),
        ),
        Mistake(
            "verdicts of the old D",
            "E and G learn from the *updated* D: ask it again after its step.",
            _bigan_old_verdicts,
        ),
        Mistake(
            "one mean over all pairs",
            "Each mean is over its own batch: N and M differ.",
            _bigan_wrong(
                d_cost=lambda a, b: 2 * F.softplus(torch.cat([-a, b])).mean(),
                eg_cost=lambda a, b: 2 * F.softplus(torch.cat([a, -b])).mean(),
            ),
        ),
        Mistake(
            "D left frozen",
            "D's weights want no gradient any more: switch `requires_grad` back on.",
            _bigan_wrong(freeze=True),
        ),
        Mistake(
            "losses with their graphs",
            "Return Python numbers: `loss.item()`.",
            _bigan_wrong(report=lambda d, eg: (d, eg)),
        ),
        Mistake(
            "losses exchanged",
            "D's loss comes first.",
            _bigan_wrong(report=lambda d, eg: (eg.item(), d.item())),
        ),
    ),
    alternatives={
        "binary cross entropy, D frozen": _bigan_bce,
        "all pairs in one batch": _bigan_one_batch,
        "backward into chosen weights": _bigan_grad,
    },
)
