"""Answer keys to section 3: text in maps, texts in between, a step of the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s3_conditioning as asked

# text_maps


def text_maps(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
    """Features (N, C, H, W) and texts (N, D) -> (N, F, H, W), each place having seen the text."""
    ### BEGIN SOLUTION
    squeezed = F.leaky_relu(phi @ W.T + b, 0.2)
    everywhere = squeezed[:, :, None, None].expand(-1, -1, *h.shape[2:])
    joined = torch.cat([h, everywhere], dim=1)
    return F.leaky_relu(F.conv2d(joined, K[:, :, None, None], c), 0.2)
    ### END SOLUTION


def _leak(a: Tensor) -> Tensor:
    return torch.where(a > 0, a, 0.2 * a)


def _maps_by_places(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
    """Picture by picture, place by place."""
    pictures = []
    for features, text in zip(h, phi):
        u = _leak(torch.stack([(row * text).sum() for row in W]) + b)
        places = [
            [_leak(K.mv(torch.cat([features[:, y, x], u])) + c) for x in range(h.shape[3])] for y in range(h.shape[2])
        ]
        pictures.append(torch.stack([torch.stack(row, 1) for row in places], 1))
    return torch.stack(pictures)


def _maps_split(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
    """Nothing is copied: the text's share of the convolution is one number for each output map."""
    C = h.shape[1]
    u = F.leaky_relu(F.linear(phi, W, b), negative_slope=0.2)
    seen = torch.einsum("fc,nchw->nfhw", K[:, :C], h)
    read = F.linear(u, K[:, C:], c)
    return F.leaky_relu(seen + read[..., None, None], negative_slope=0.2)


def _maps_last(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
    """Channels last: a 1 x 1 convolution is a linear layer."""
    u = torch.addmm(b, phi, W.t())
    u = torch.max(u, 0.2 * u)
    last = h.permute(0, 2, 3, 1)
    tiled = u.view(len(u), 1, 1, -1).repeat(1, *last.shape[1:3], 1)
    out = F.linear(torch.cat((last, tiled), -1), K, c)
    return torch.max(out, 0.2 * out).permute(0, 3, 1, 2)


def _maps_times_one(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
    """u times a map of ones."""
    u = torch.einsum("nd,pd->np", phi, W) + b
    u = F.relu(u) - 0.2 * F.relu(-u)
    ones = torch.ones_like(h[:, :1])
    both = torch.cat([h, torch.einsum("np,nqhw->nphw", u, ones)], 1).flatten(2)
    out = (K @ both + c[:, None]).view(len(h), -1, *h.shape[2:])
    return F.relu(out) - 0.2 * F.relu(-out)


def _tile(u: Tensor, h: Tensor) -> Tensor:
    return u[:, :, None, None].expand(-1, -1, *h.shape[2:])


def _maps_wrong(
    *,
    squeeze: Callable[[Tensor], Tensor] = lambda a: F.leaky_relu(a, 0.2),
    tile: Callable[[Tensor, Tensor], Tensor] = _tile,
    join: Callable[[Tensor, Tensor], Tensor] = lambda h, u: torch.cat([h, u], 1),
    last: Callable[[Tensor], Tensor] = lambda a: F.leaky_relu(a, 0.2),
    read: Callable[[Tensor], Tensor] = lambda phi: phi,
) -> Callable[..., Tensor]:
    """The layers with one thing wrong."""

    def answer(h: Tensor, phi: Tensor, W: Tensor, b: Tensor, K: Tensor, c: Tensor) -> Tensor:
        u = squeeze(F.linear(read(phi), W, b))
        return last(F.conv2d(join(h, tile(u, h)), K[:, :, None, None], c))

    return answer


def _tile_reshaped(u: Tensor, h: Tensor) -> Tensor:
    """As many numbers as needed, in the wrong order."""
    return u.repeat(1, h.shape[2] * h.shape[3]).reshape(len(u), u.shape[1], *h.shape[2:])


def _tile_batch(u: Tensor, h: Tensor) -> Tensor:
    places = h.shape[2] * h.shape[3]
    return u.repeat(places, 1).view(len(u), places, -1).transpose(1, 2).reshape(len(u), -1, *h.shape[2:])


def _tile_corner(u: Tensor, h: Tensor) -> Tensor:
    out = u.new_zeros(len(u), u.shape[1], *h.shape[2:])
    out[:, :, 0, 0] = u
    return out


TEXT_MAPS = Key(
    question=asked.TEXT_MAPS,
    solution=(text_maps,),
    reference=_maps_by_places,
    source="Reed et al. 2016, arXiv:1605.05396, section 4.1 and figure 2",
    mistakes=(
        Mistake(
            "reshaped instead of copied",
            "`repeat` and `reshape` give the right shape with numbers in the wrong places: each channel must be "
            "constant over a "
            "picture. Use `[:, :, None, None]` and `expand`.",
            _maps_wrong(tile=_tile_reshaped),
        ),
        Mistake(
            "texts of other pictures",
            "At different places your maps hold the texts of different pictures: `repeat` along the batch runs through "
            "the texts.",
            _maps_wrong(tile=_tile_batch),
        ),
        Mistake(
            "at one place only",
            "The text stands in the corner alone. Every place must see it.",
            _maps_wrong(tile=_tile_corner),
        ),
        Mistake(
            "spread over the places",
            "You divide the text among the places. Each gets all of it.",
            _maps_wrong(tile=lambda u, h: _tile(u, h) / (h.shape[2] * h.shape[3])),
        ),
        Mistake(
            "one text for the whole batch",
            "All pictures get the first text. Each has its own.",
            _maps_wrong(read=lambda phi: phi[:1].expand_as(phi)),
        ),
        Mistake(
            "mean text",
            "All pictures get the mean of the texts: over which axis do you average?",
            _maps_wrong(tile=lambda u, h: _tile(u.mean(0, keepdim=True).expand_as(u), h)),
        ),
        Mistake(
            "text before the features",
            "K expects the C channels of h first and the text behind them.",
            _maps_wrong(join=lambda h, u: torch.cat([u, h], 1)),
        ),
        Mistake(
            "no activation after the first layer",
            "ℓ belongs after the linear layer, too: u = ℓ(Wφ + b).",
            _maps_wrong(squeeze=lambda a: a),
        ),
        Mistake(
            "no activation at the end",
            "ℓ belongs after the convolution as well.",
            _maps_wrong(last=lambda a: a),
        ),
        Mistake(
            "plain rectifier",
            "ℓ lets a fifth of what is negative through: `F.leaky_relu(a, 0.2)`.",
            _maps_wrong(squeeze=F.relu, last=F.relu),
        ),
        Mistake(
            "torch's own slope",
            "`F.leaky_relu` without a second argument has the slope 0.01; it is 0.2 here.",
            _maps_wrong(squeeze=F.leaky_relu, last=F.leaky_relu),
        ),
        Mistake(
            "text detached",
            "The values are right, but no gradient reaches the text: G learns to follow it through D.",
            _maps_wrong(read=lambda phi: phi.detach()),
        ),
    ),
    alternatives={
        "the text's share added": _maps_split,
        "channels last": _maps_last,
        "times maps of ones": _maps_times_one,
    },
)

# between_loss


def between_loss(G: nn.Module, D: nn.Module, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    """phi (N, D), partner (N,), beta (N,), z (N, Z) -> G's loss on texts in between, a scalar."""
    ### BEGIN SOLUTION
    unwritten = torch.lerp(phi[partner], phi, beta[:, None])
    verdicts = D(G(z, unwritten), unwritten)
    return F.softplus(-verdicts).mean()
    ### END SOLUTION


def _between_rows(G: Any, D: Any, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    """The mixtures row by row, the loss term by term."""
    rows = []
    for n, b in enumerate(beta.tolist()):
        rows.append([b * p + (1 - b) * q for p, q in zip(phi[n].tolist(), phi[int(partner[n])].tolist())])
    mixed = torch.tensor(rows, dtype=phi.dtype)
    terms = [-torch.log(1 / (1 + torch.exp(-logit))) for logit in D(G(z, mixed), mixed)]
    return torch.stack(terms).sum() / len(terms)


def _between_matrix(G: Any, D: Any, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    """Mixing is a matrix: beta on the diagonal, 1 - beta in the partner's column."""
    mixing = torch.diag(beta) + (1 - beta)[:, None] * F.one_hot(partner, len(phi)).to(phi.dtype)
    t = mixing @ phi
    return -F.logsigmoid(D(G(z, t), t)).mean()


def _between_bce(G: Any, D: Any, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    other = phi.index_select(0, partner)
    t = other + (phi - other) * beta.unsqueeze(1)
    logits = D(G(z, t), t)
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _between_transposed(G: Any, D: Any, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    t = (phi.T * beta + phi[partner].T * beta.neg().add(1)).T.contiguous()
    fake = G(z, t)
    return torch.logaddexp(torch.zeros(len(z), dtype=z.dtype), -D(fake, t)).sum().div(len(z))


def _between_wrong(
    *,
    mix: Callable[..., Tensor] = lambda phi, other, beta: beta[:, None] * phi + (1 - beta[:, None]) * other,
    drawn: Callable[..., Tensor] = lambda mixed, phi, other: mixed,
    judged: Callable[..., Tensor] = lambda mixed, phi, other: mixed,
    loss: Callable[[Tensor], Tensor] = lambda logits: F.softplus(-logits).mean(),
    paint: Callable[[Tensor], Tensor] = lambda x: x,
) -> Callable[..., Tensor]:
    """The loss with one thing wrong."""

    def answer(G: Any, D: Any, phi: Tensor, partner: Tensor, beta: Tensor, z: Tensor) -> Tensor:
        other = phi[partner]
        mixed = mix(phi, other, beta)
        return loss(D(paint(G(z, drawn(mixed, phi, other))), judged(mixed, phi, other)))

    return answer


def _on_the_sphere(phi: Tensor, other: Tensor, beta: Tensor) -> Tensor:
    u, v = F.normalize(phi, dim=1), F.normalize(other, dim=1)
    omega = torch.acos((u * v).sum(1).clamp(-1 + 1e-6, 1 - 1e-6))[:, None]
    b = beta[:, None]
    return (torch.sin(b * omega) * phi + torch.sin((1 - b) * omega) * other) / torch.sin(omega)


BETWEEN_LOSS = Key(
    question=asked.BETWEEN_LOSS,
    solution=(between_loss,),
    reference=_between_rows,
    source="Reed et al. 2016, arXiv:1605.05396, section 4.3, equation 5",
    mistakes=(
        Mistake(
            "D reads the first caption",
            "D compares the picture with the caption of the first end. It was made from the mixture, and must be judged by it.",
            _between_wrong(judged=lambda mixed, phi, other: phi),
        ),
        Mistake(
            "G reads the first caption",
            "G is to draw the mixture, not the first end.",
            _between_wrong(drawn=lambda mixed, phi, other: phi),
        ),
        Mistake(
            "D reads the partner's caption",
            "D compares the picture with the caption of the other end. It was made from the mixture.",
            _between_wrong(judged=lambda mixed, phi, other: other),
        ),
        Mistake(
            "no mixture at all",
            "Both read the captions as they are: that is the ordinary loss of G.",
            _between_wrong(mix=lambda phi, other, beta: phi),
        ),
        Mistake(
            "beta on the partner",
            "β weighs the own sentence, 1 − β the partner's.",
            _between_wrong(mix=lambda phi, other, beta: (1 - beta[:, None]) * phi + beta[:, None] * other),
        ),
        Mistake(
            "always half",
            "The paper fixes β at ½ in its experiments; here each pair has a β of its own.",
            _between_wrong(mix=lambda phi, other, beta: (phi + other) / 2),
        ),
        Mistake(
            "one beta for all",
            "Each pair has its own β; yours is their mean.",
            _between_wrong(mix=lambda phi, other, beta: beta.mean() * phi + (1 - beta.mean()) * other),
        ),
        Mistake(
            "weights that do not sum to one",
            "You add the partner's sentence in full. Its weight is 1 − β.",
            _between_wrong(mix=lambda phi, other, beta: beta[:, None] * phi + other),
        ),
        Mistake(
            "along the sphere",
            "Spherical interpolation is for noise, whose length matters. Sentences are mixed on the straight line here.",
            _between_wrong(mix=_on_the_sphere),
        ),
        Mistake(
            "losses interpolated instead of texts",
            "You mix the losses of both ends. No sentence in between is ever drawn.",
            lambda G, D, phi, partner, beta, z: (
                beta * F.softplus(-D(G(z, phi), phi)) + (1 - beta) * F.softplus(-D(G(z, phi[partner]), phi[partner]))
            ).mean(),
        ),
        Mistake(
            "saturating loss",
            "log(1 − s) has no gradient where D is sure. The task's loss is −log s.",
            _between_wrong(loss=lambda logits: -F.softplus(logits).mean()),
        ),
        Mistake(
            "D's loss",
            "That is what D would descend: it rejects the fakes. G wants them accepted.",
            _between_wrong(loss=lambda logits: F.softplus(logits).mean()),
        ),
        Mistake(
            "sum over the batch",
            "The loss is a mean over the N pairs.",
            _between_wrong(loss=lambda logits: F.softplus(-logits).sum()),
        ),
        Mistake(
            "fakes detached",
            "The value is right, but detached from G: it learns nothing.",
            _between_wrong(paint=lambda x: x.detach()),
        ),
    ),
    alternatives={
        "a mixing matrix": _between_matrix,
        "cross-entropy with logits": _between_bce,
        "columns instead of rows": _between_transposed,
    },
)

# matching_step


def matching_step(D: nn.Module, G: nn.Module, optimizer, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> float:
    """One update of D on right pairs, wrong texts and fakes -> the loss before it."""
    ### BEGIN SOLUTION
    forged = G(z, phi).detach()
    mistaken = D(x, wrong).square().mean() + D(forged, phi).square().mean()
    penalty = (D(x, phi) - 1).square().mean() + mistaken / 2
    optimizer.zero_grad()
    penalty.backward()
    optimizer.step()
    return penalty.item()
    ### END SOLUTION


def _step_by_examples(D: Any, G: Any, optimizer: Any, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> float:
    """Score by score."""
    with torch.no_grad():
        fake = G(z, phi)
    total = x.new_zeros(())
    for r, w, f in zip(D(x, phi), D(x, wrong), D(fake, phi)):
        for score, target, weight in ((r, 1, 1.0), (w, 0, 0.5), (f, 0, 0.5)):
            total = total + weight * (score - target) * (score - target)
    loss = total / len(x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _step_one_batch(D: Any, G: Any, optimizer: Any, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> float:
    """All three cases in one pass of D."""
    with torch.no_grad():
        fake = G(z, phi)
    scores = D(torch.cat([x, x, fake]), torch.cat([phi, wrong, phi])).view(3, -1)
    target, weight = scores.new_tensor([[1.0], [0.0], [0.0]]), scores.new_tensor([1.0, 0.5, 0.5])
    optimizer.zero_grad()
    loss = (weight * (target - scores).pow(2).mean(1)).sum()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _step_in_parts(D: Any, G: Any, optimizer: Any, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> float:
    """Each case is differentiated by itself; gradients add up."""
    fake = G(z, phi).detach()
    optimizer.zero_grad()
    total = 0.0
    for picture, text, target, weight in ((x, phi, 1.0, 1.0), (x, wrong, 0.0, 0.5), (fake, phi, 0.0, 0.5)):
        scores = D(picture, text)
        part = weight * F.mse_loss(scores, torch.full_like(scores, target))
        part.backward()
        total += part.item()
    optimizer.step()
    return total


def _step_frozen(D: Any, G: Any, optimizer: Any, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> float:
    """autograd.grad, and gradients set by hand."""
    fake = torch.no_grad()(G)(z, phi)
    miss = [1 - D(x, phi), D(x, wrong), D(fake, phi)]
    loss = (
        torch.dot(miss[0], miss[0]) + 0.5 * torch.dot(miss[1], miss[1]) + 0.5 * torch.dot(miss[2], miss[2])
    ) / x.shape[0]
    weights = list(D.parameters())
    optimizer.zero_grad(set_to_none=False)
    for p, g in zip(weights, torch.autograd.grad(loss, weights)):
        p.grad = g
    optimizer.step()
    return loss.detach().item()


def _ls(scores: Tensor, target: float) -> Tensor:
    return (scores - target).square().mean()


def _step_wrong(
    *,
    fake: Callable[..., Tensor] = lambda G, z, phi, wrong: G(z, phi).detach(),
    loss: Callable[..., Tensor] = lambda D, x, fake, phi, wrong: (
        _ls(D(x, phi), 1) + (_ls(D(x, wrong), 0) + _ls(D(fake, phi), 0)) / 2
    ),
    clear: bool = True,
    steps: int = 1,
    end: Callable[[Tensor], Any] = float,
) -> Callable[..., Any]:
    """The step with one thing wrong."""

    def answer(D: Any, G: Any, optimizer: Any, x: Tensor, phi: Tensor, wrong: Tensor, z: Tensor) -> Any:
        value = loss(D, x, fake(G, z, phi, wrong), phi, wrong)
        if clear:
            optimizer.zero_grad()
        value.backward()
        for _ in range(steps):
            optimizer.step()
        return end(value.detach())

    return answer


def _terms(of_right: float, of_wrong: float, of_fake: float, *, fake_text: str = "phi") -> Callable[..., Tensor]:
    """The loss with other weights, and another text for the fakes."""

    def loss(D: Any, x: Tensor, made: Tensor, phi: Tensor, bad: Tensor) -> Tensor:
        total = of_right * _ls(D(x, phi), 1)
        total = total + (of_wrong * _ls(D(x, bad), 0) if of_wrong else 0.0)
        return total + (of_fake * _ls(D(made, phi if fake_text == "phi" else bad), 0) if of_fake else 0.0)

    return loss


def _eval_g(G: Any, z: Tensor, phi: Tensor, wrong: Tensor) -> Tensor:
    G.eval()
    return G(z, phi).detach()


MATCHING_STEP = Key(
    question=asked.MATCHING_STEP,
    solution=(matching_step,),
    reference=_step_by_examples,
    source="Reed et al. 2016, arXiv:1605.05396, algorithm 1; Mao et al. 2017, arXiv:1611.04076, equation 2 with a = 0, b = 1",
    mistakes=(
        Mistake(
            "no wrong texts",
            "The real picture with the wrong text is missing: D need not read.",
            _step_wrong(loss=_terms(1, 0, 1)),
        ),
        Mistake(
            "fakes judged with the wrong text",
            "Fakes are judged with the text that they were made from, `phi`.",
            _step_wrong(loss=_terms(1, 0.5, 0.5, fake_text="wrong")),
        ),
        Mistake(
            "fakes made from the wrong text",
            "Fakes are made from `phi`. You give G the wrong texts.",
            _step_wrong(fake=lambda G, z, phi, wrong: G(z, wrong).detach()),
        ),
        Mistake(
            "without the halves",
            "The two kinds of negatives count one half each.",
            _step_wrong(loss=_terms(1, 1, 1)),
        ),
        Mistake(
            "texts exchanged",
            "Right and wrong texts have changed places: real pictures with `phi` are the positives.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: _ls(D(x, wrong), 1) + (_ls(D(x, phi), 0) + _ls(D(fake, phi), 0)) / 2
            ),
        ),
        Mistake(
            "targets exchanged",
            "Real pairs have the target 1, the others 0. Your D learns the opposite.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: _ls(D(x, phi), 0) + (_ls(D(x, wrong), 1) + _ls(D(fake, phi), 1)) / 2
            ),
        ),
        Mistake(
            "wrong texts accepted",
            "A real picture with a wrong text is to be rejected: its target is 0.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: _ls(D(x, phi), 1) + (_ls(D(x, wrong), 1) + _ls(D(fake, phi), 0)) / 2
            ),
        ),
        Mistake(
            "target -1",
            "What D rejects has the target 0 here, not −1.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: (
                    _ls(D(x, phi), 1) + (_ls(D(x, wrong), -1) + _ls(D(fake, phi), -1)) / 2
                )
            ),
        ),
        Mistake(
            "sigmoid first",
            "The scores are taken as they are: after a sigmoid, least squares have no gradient where D is sure.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: (
                    _ls(D(x, phi).sigmoid(), 1) + (_ls(D(x, wrong).sigmoid(), 0) + _ls(D(fake, phi).sigmoid(), 0)) / 2
                )
            ),
        ),
        Mistake(
            "all halved",
            "Mao et al. halve the whole loss. The task's positives count 1.",
            _step_wrong(loss=_terms(0.5, 0.25, 0.25)),
        ),
        Mistake(
            "logarithms instead of squares",
            "That is the paper's loss. Here least squares are asked for.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: (
                    F.softplus(-D(x, phi)).mean()
                    + (F.softplus(D(x, wrong)).mean() + F.softplus(D(fake, phi)).mean()) / 2
                )
            ),
        ),
        Mistake(
            "hinge instead of squares",
            "That is the hinge loss. Here least squares are asked for.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: (
                    F.relu(1 - D(x, phi)).mean()
                    + (F.relu(1 + D(x, wrong)).mean() + F.relu(1 + D(fake, phi)).mean()) / 2
                )
            ),
        ),
        Mistake(
            "G not detached",
            "G's weights have received gradients: `.detach()` the fakes, or make them under `torch.no_grad()`.",
            _step_wrong(fake=lambda G, z, phi, wrong: G(z, phi)),
        ),
        Mistake(
            "gradients not cleared",
            "Gradients from before are still there: `optimizer.zero_grad()` before `backward`.",
            _step_wrong(clear=False),
        ),
        Mistake(
            "two steps",
            "You step twice with one gradient. One update was asked for.",
            _step_wrong(steps=2),
        ),
        Mistake(
            "G put into eval mode",
            "You switch G to eval mode: its batch norm then uses other statistics, and it stays so.",
            _step_wrong(fake=_eval_g),
        ),
        Mistake(
            "a tensor returned",
            "Return a plain number: `loss.item()`. A tensor may hold the whole graph.",
            _step_wrong(end=lambda value: value),
        ),
        Mistake(
            "sums over the batch",
            "The loss is a mean over the N pairs.",
            _step_wrong(
                loss=lambda D, x, fake, phi, wrong: len(x) * _terms(1, 0.5, 0.5)(D, x, fake, phi, wrong),
            ),
        ),
    ),
    alternatives={
        "one pass of D": _step_one_batch,
        "three backward passes": _step_in_parts,
        "gradients set by hand": _step_frozen,
    },
)
