"""Answer keys to section 3: the two steps."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s3_training as asked

Net = Callable[[Tensor], Tensor]
Draw = Callable[[int], Tensor]


def _minus_log_sigma(a: Tensor) -> Tensor:
    """-log(1 / (1 + exp(-a))), with the larger of the two exponents taken out."""
    top = torch.maximum(-a, torch.zeros_like(a)).detach()
    return top + torch.log(torch.exp(-top) + torch.exp(-a - top))


# discriminator_step


def discriminator_step(D: nn.Module, G: nn.Module, optimizer, pieces: list[Tensor], noise) -> float:
    """One update of D for a batch that comes in pieces (n_i, 3), with fresh fakes for each -> the loss."""
    ### BEGIN SOLUTION
    share, total = 1 / sum(len(x) for x in pieces), 0.0
    optimizer.zero_grad()
    for x in pieces:
        fooling = G(noise(len(x))).detach()
        part = share * (F.softplus(-D(x)).sum() + F.softplus(D(fooling)).sum())
        part.backward()
        total += part.item()
    optimizer.step()
    return total
    ### END SOLUTION


def _d_step_by_examples(D: nn.Module, G: nn.Module, optimizer: Any, pieces: list[Tensor], noise: Draw) -> float:
    """All terms of the loss in one sum, example by example."""
    terms = []
    for x in pieces:
        with torch.no_grad():
            fake = G(noise(len(x)))
        terms += [*_minus_log_sigma(D(x)), *_minus_log_sigma(-D(fake))]
    loss = torch.stack(terms).sum() / (len(terms) / 2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _d_step_weights_of_pieces(D: nn.Module, G: nn.Module, optimizer: Any, pieces: list[Tensor], noise: Draw) -> float:
    """Means of pieces, weighed by their sizes; labels; autograd.grad and gradients set by hand."""
    N, weights = sum(map(len, pieces)), [p for g in optimizer.param_groups for p in g["params"]]
    total, sums = 0.0, [torch.zeros_like(w) for w in weights]
    for x in pieces:
        a, b = D(x), D(G(noise(len(x))).detach())
        bce = F.binary_cross_entropy_with_logits
        loss = (bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))) * len(x) / N
        sums = [s + g for s, g in zip(sums, torch.autograd.grad(loss, weights))]
        total += loss.item()
    optimizer.zero_grad()
    for w, s in zip(weights, sums):
        w.grad = s
    optimizer.step()
    return total


def _d_step_closure(D: nn.Module, G: nn.Module, optimizer: Any, pieces: list[Tensor], noise: Draw) -> float:
    batches = []
    for x in pieces:
        with torch.inference_mode():
            fake = G(noise(x.shape[0]))
        batches.append((x, fake.clone()))

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=False)
        costs = [torch.cat([-F.logsigmoid(D(x)), -F.logsigmoid(-D(fake.clone()))]) for x, fake in batches]
        loss = 2 * torch.cat(costs).mean()
        loss.backward()
        return loss

    return float(optimizer.step(closure).item())


def _d_step_two_backwards(D: nn.Module, G: nn.Module, optimizer: Any, pieces: list[Tensor], noise: Draw) -> float:
    """Separate backward passes for data and fakes, and G's graph cut by a copy of its output."""
    optimizer.zero_grad()
    count, total = float(sum(x.size(0) for x in pieces)), 0.0
    for x in pieces:
        fake = torch.tensor(G(noise(x.size(0))).tolist(), dtype=x.dtype)
        for batch, sign in ((fake, 1), (x, -1)):
            loss = F.softplus(sign * D(batch)).div(count).sum()
            loss.backward()
            total = total + loss.item()
    optimizer.step()
    return total


def _d_cost(a: Tensor, b: Tensor, N: int, pieces: int) -> Tensor:
    return (F.softplus(-a).sum() + F.softplus(b).sum()) / N


def _d_step_wrong(
    *,
    cost: Callable[[Tensor, Tensor, int, int], Tensor] = _d_cost,
    make: Callable[[nn.Module, Tensor], Tensor] = lambda G, z: G(z).detach(),
    passes: Callable[[nn.Module, Tensor, Tensor], Any] = lambda D, x, fake: (D(x), D(fake)),
    clear: str = "once",
    step: str = "after the loop",
    draw: str = "each",
    before: Callable[[nn.Module], Any] = lambda G: None,
    after: Callable[[nn.Module], Any] = lambda G: None,
    report: Callable[[list[Tensor]], Any] = lambda losses: torch.stack(losses).sum().item(),
) -> Callable[..., Any]:
    """A step of D with one thing wrong."""

    def answer(D: nn.Module, G: nn.Module, optimizer: Any, pieces: list[Tensor], noise: Draw) -> Any:
        before(G)
        N, losses = sum(len(x) for x in pieces), []
        shared = noise(max(len(x) for x in pieces)) if draw == "one for all" else None
        if clear == "once":
            optimizer.zero_grad()
        if step == "before":
            optimizer.step()
        for x in pieces:
            z = noise(len(x)) if shared is None else shared[: len(x)]
            if clear == "each":
                optimizer.zero_grad()
            loss = cost(*passes(D, x, make(G, z)), N, len(pieces))
            loss.backward()
            losses.append(loss)
            if step == "each":
                optimizer.step()
        if step == "after the loop":
            optimizer.step()
        after(G)
        return report(losses)

    return answer


def _twice(G: nn.Module, z: Tensor) -> Tensor:
    """The fakes of the second of two passes."""
    G(z)
    return G(z).detach()


def _with_statistics_kept(G: nn.Module, z: Tensor) -> Tensor:
    return copy.deepcopy(G)(z).detach()


def _in_eval(G: nn.Module, z: Tensor) -> Tensor:
    G.eval()
    fake = G(z).detach()
    G.train()
    return fake


def _one_pass(D: nn.Module, x: Tensor, fake: Tensor) -> Any:
    return D(torch.cat([x, fake])).split([len(x), len(fake)])


def _freeze(G: nn.Module) -> None:
    G.requires_grad_(False)


DISCRIMINATOR_STEP = Key(
    question=asked.DISCRIMINATOR_STEP,
    solution=(discriminator_step,),
    reference=_d_step_by_examples,
    source=(
        "Goodfellow et al. 2014, algorithm 1, the discriminator's update, descended with the sign turned; data and fakes "
        "in batches of their own: Chintala et al. 2016, How to train a GAN, tip 4"
    ),
    mistakes=(
        Mistake(
            "fakes not detached",
            "The step of D is right, but its gradient ran on into G and filled G's `.grad`. Detach the fakes.",
            _d_step_wrong(make=lambda G, z: G(z)),
        ),
        Mistake(
            "gradients never cleared",
            "The update uses gradients of an earlier step as well: call `optimizer.zero_grad()` before the first "
            "`backward`.",
            _d_step_wrong(clear="never"),
        ),
        Mistake(
            "cleared for each piece",
            "You clear between the pieces, so that only the last one counts. Clear once, before the first.",
            _d_step_wrong(clear="each"),
        ),
        Mistake(
            "one update for each piece",
            "The batch is to make *one* update: step after the last piece.",
            _d_step_wrong(clear="each", step="each"),
        ),
        Mistake(
            "steps between the pieces, never cleared",
            "You step after each piece, each time with the gradients of all pieces so far. One step, after the last.",
            _d_step_wrong(step="each"),
        ),
        Mistake(
            "step before backward",
            "`step` uses the gradients that are there. Yours comes before there are any.",
            _d_step_wrong(step="before"),
        ),
        Mistake(
            "never steps",
            "You compute the gradient and leave it at that: `optimizer.step()` is missing.",
            _d_step_wrong(step="never"),
        ),
        Mistake(
            "sum of the pieces' means",
            "A mean for each piece, added up, is as many times too large as there are pieces. Each term weighs 1/N.",
            _d_step_wrong(cost=lambda a, b, N, pieces: F.softplus(-a).mean() + F.softplus(b).mean()),
        ),
        Mistake(
            "mean of the pieces' means",
            "Pieces are not of one size, so the mean of their means is not the mean of the batch: weigh each by n_i/N.",
            _d_step_wrong(cost=lambda a, b, N, pieces: (F.softplus(-a).mean() + F.softplus(b).mean()) / pieces),
        ),
        Mistake(
            "sum over the batch",
            "The loss is a mean: each term has the weight 1/N.",
            _d_step_wrong(cost=lambda a, b, N, pieces: F.softplus(-a).sum() + F.softplus(b).sum()),
        ),
        Mistake(
            "half the loss",
            "You divide by the number of all logits, 2N. The loss divides by the N of the data.",
            _d_step_wrong(cost=lambda a, b, N, pieces: _d_cost(a, b, N, pieces) / 2),
        ),
        Mistake(
            "labels swapped",
            "Your D learns to call data fake: it is to be high on data, low on fakes.",
            _d_step_wrong(cost=lambda a, b, N, pieces: _d_cost(b, a, N, pieces)),
        ),
        Mistake(
            "value instead of loss",
            "Optimisers descend: you descend the value that D is to ascend. Turn the sign.",
            _d_step_wrong(cost=lambda a, b, N, pieces: -_d_cost(a, b, N, pieces)),
        ),
        Mistake(
            "fakes called real",
            "Both terms of yours want a high logit. That of a fake is to be low.",
            _d_step_wrong(cost=lambda a, b, N, pieces: _d_cost(a, -b, N, pieces)),
        ),
        Mistake(
            "data alone",
            "The fakes are missing from the loss: a D that calls everything real is content with it.",
            _d_step_wrong(cost=lambda a, b, N, pieces: F.softplus(-a).sum() / N),
        ),
        Mistake(
            "logits of the fakes detached",
            "Detach what goes *into* D, the fakes. You detached what comes out, so that D learns nothing from them.",
            _d_step_wrong(cost=lambda a, b, N, pieces: _d_cost(a, b.detach(), N, pieces)),
        ),
        Mistake(
            "data and fakes in one pass",
            "D's batch norm has seen data and fakes in one batch. Two passes.",
            _d_step_wrong(passes=_one_pass),
        ),
        Mistake(
            "G in eval mode",
            "Your fakes come from the running averages of G's batch norm. G runs in train mode.",
            _d_step_wrong(make=_in_eval),
        ),
        Mistake(
            "G left in eval mode",
            "Fakes and update are of a G in train mode, but afterwards it is in eval mode.",
            _d_step_wrong(after=lambda G: G.eval()),
        ),
        Mistake(
            "G left frozen",
            "G's weights no longer require a gradient: its own next step would fail. `torch.no_grad()` needs no flags.",
            _d_step_wrong(before=_freeze),
        ),
        Mistake(
            "G's gradients cleared",
            "You cleared G's `.grad`. This step has nothing to do with them.",
            _d_step_wrong(after=lambda G: G.zero_grad()),
        ),
        Mistake(
            "two passes of G",
            "G ran twice for each piece: its running averages moved twice.",
            _d_step_wrong(make=_twice),
        ),
        Mistake(
            "G's running averages kept",
            "Fakes and update are right, but the running averages of G's batch norm did not move: run G itself, not a copy.",
            _d_step_wrong(make=_with_statistics_kept),
        ),
        Mistake(
            "one noise for all pieces",
            "Each piece has noise of its own: call `noise(n)` in the loop.",
            _d_step_wrong(draw="one for all"),
        ),
        Mistake(
            "loss of the last piece",
            "You return the last piece's share. The loss is the sum over the pieces.",
            _d_step_wrong(report=lambda losses: losses[-1].item()),
        ),
        Mistake(
            "loss as a tensor",
            "A tensor that holds its graph keeps the memory that the pieces were to save. Return a float, `.item()`.",
            _d_step_wrong(report=lambda losses: torch.stack(losses).sum()),
        ),
    ),
    alternatives={
        "cross entropy by labels, gradients summed by hand": _d_step_weights_of_pieces,
        "closure, inference mode": _d_step_closure,
        "data and fakes backwards one after the other": _d_step_two_backwards,
    },
)

# generator_step


def feedback(D: nn.Module, fake: Tensor) -> Tensor:
    """The gradient of the mean of -log D over fakes (n, 3) with respect to them, (n, 3)."""
    ### BEGIN SOLUTION
    received = fake.detach().requires_grad_()
    (message,) = torch.autograd.grad(F.softplus(-D(received)).mean(), received)
    return message
    ### END SOLUTION


def generator_step(G: nn.Module, optimizer, z: Tensor, feedback: Callable[[Tensor], Tensor]) -> None:
    """One update of G from noise z (n, Z), by what `feedback` says about its fakes."""
    ### BEGIN SOLUTION
    sent = G(z)
    optimizer.zero_grad()
    sent.backward(gradient=feedback(sent.detach()))
    optimizer.step()
    ### END SOLUTION


def _feedback_one_by_one(D: nn.Module, fake: Tensor) -> Tensor:
    """Fake by fake: the slope -(1 - sigma(a)) times the gradient of the logit."""
    rows = []
    for n in range(len(fake)):
        x = fake[n : n + 1].detach().clone().requires_grad_()
        a = D(x)[0]
        (slope,) = torch.autograd.grad(a, x)
        rows.append(-slope[0] / (1 + math.exp(min(float(a.detach()), 700.0))) / len(fake))
    return torch.stack(rows)


def _step_by_jacobian(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
    """Number by number of the fakes: its gradient, times the message's entry."""
    fake = G(z)
    message = feedback(fake.detach().clone())
    optimizer.zero_grad()
    for value, weight in zip(fake.flatten(), message.flatten().tolist()):
        (value * weight).backward(retain_graph=True)
    optimizer.step()


def _feedback_pushed(D: nn.Module, fake: Tensor) -> Tensor:
    x = fake.detach().clone().requires_grad_()
    a = D(x)
    return torch.autograd.grad(a, x, grad_outputs=-torch.sigmoid(-a.detach()) / len(a))[0]


def _step_weighted_sum(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
    fake = G(z)
    loss = (fake * feedback(fake.detach())).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _feedback_backward_inputs(D: nn.Module, fake: Tensor) -> Tensor:
    x = nn.Parameter(fake.data.clone())
    F.binary_cross_entropy_with_logits(D(x), torch.ones(len(x), dtype=x.dtype)).backward(inputs=[x])
    assert x.grad is not None
    return x.grad.clone()


def _step_vjp(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
    optimizer.zero_grad(set_to_none=False)
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    fake = G(z)
    slopes = torch.autograd.grad(fake, weights, grad_outputs=feedback(fake.detach()))
    for p, slope in zip(weights, slopes):
        p.grad = slope
    optimizer.step()


def _feedback_functional(D: nn.Module, fake: Tensor) -> Tensor:
    def loss(x: Tensor) -> Tensor:
        return -F.logsigmoid(torch.func.functional_call(D, frozen, (x,))).mean()

    frozen = {name: p.detach() for name, p in D.named_parameters()}
    return torch.func.grad(loss)(fake.detach())


def _step_moved_fakes(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
    """Half the squared distance to where the message would move the fakes has the message as its gradient."""
    fake = G(z)
    target = (fake - feedback(fake.detach())).detach()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (fake - target).square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)


def _both(at_d: Callable[..., Any] = feedback, at_g: Callable[..., Any] = generator_step) -> dict[str, Any]:
    return {"feedback": at_d, "generator_step": at_g}


def _feedback_wrong(
    cost: Net = lambda a: F.softplus(-a), *, mean: bool = True, graph: bool = False
) -> Callable[[nn.Module, Tensor], Tensor]:
    """A message with one thing wrong."""

    def answer(D: nn.Module, fake: Tensor) -> Tensor:
        x = fake.detach().clone().requires_grad_()
        costs = cost(D(x))
        return torch.autograd.grad(costs.mean() if mean else costs.sum(), x, create_graph=graph)[0]

    return answer


def _feedback_fills_d(D: nn.Module, fake: Tensor) -> Tensor:
    x = fake.detach().clone().requires_grad_()
    F.softplus(-D(x)).mean().backward()
    assert x.grad is not None
    return x.grad


def _feedback_clears_d(D: nn.Module, fake: Tensor) -> Tensor:
    message = _feedback_fills_d(D, fake)
    D.zero_grad()
    return message


def _feedback_freezes_d(D: nn.Module, fake: Tensor) -> Tensor:
    D.requires_grad_(False)
    message = _feedback_fills_d(D, fake)
    D.requires_grad_(True)
    return message


def _feedback_flags_fakes(D: nn.Module, fake: Tensor) -> Tensor:
    fake.requires_grad_()
    return torch.autograd.grad(F.softplus(-D(fake)).mean(), fake)[0]


def _feedback_fills_fakes(D: nn.Module, fake: Tensor) -> Tensor:
    flag = fake.requires_grad
    fake.requires_grad_()
    before = fake.grad
    fake.grad = None
    F.softplus(-D(fake)).mean().backward(inputs=[fake])
    message = fake.grad
    if not flag:
        fake.grad = before
        fake.requires_grad_(False)
    assert message is not None
    return message.clone()


def _step_wrong(
    *,
    send: Net = lambda fake: fake.detach(),
    loss: Callable[[Tensor, Tensor], Tensor] = lambda fake, message: (fake * message).sum(),
    clear: bool = True,
    step: bool = True,
) -> Callable[..., None]:
    """A step of G with one thing wrong."""

    def answer(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
        fake = G(z)
        message = feedback(send(fake))
        if clear:
            optimizer.zero_grad()
        loss(fake, message).backward()
        if step:
            optimizer.step()

    return answer


def _step_asks_often(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
    """One call for each fake."""
    fake = G(z)
    message = torch.cat([feedback(row[None]) for row in fake.detach()])
    optimizer.zero_grad()
    fake.backward(gradient=message)
    optimizer.step()


def _step_moves_noise(G: nn.Module, optimizer: Any, z: Tensor, feedback: Net) -> None:
    """Sends other fakes than those that it learns from."""
    optimizer.zero_grad()
    G(z).backward(gradient=feedback(G(z.flip(0)).detach()))
    optimizer.step()


GENERATOR_STEP = Key(
    question=asked.GENERATOR_STEP,
    solution=(feedback, generator_step),
    reference=_both(_feedback_one_by_one, _step_by_jacobian),
    source=(
        "chain rule; loss: Goodfellow et al. 2014, section 3; D on another machine: Hardy, Le Merrer & Sericola 2019, "
        "MD-GAN, arXiv:1811.03850"
    ),
    mistakes=(
        Mistake(
            "sum instead of mean",
            "The loss is a mean over the n fakes: your message is n times too large.",
            _both(_feedback_wrong(mean=False)),
        ),
        Mistake(
            "saturating loss",
            "That is the gradient of log(1 − D), which vanishes where D is sure of a fake. −log D is asked for.",
            _both(_feedback_wrong(lambda a: -F.softplus(a))),
        ),
        Mistake(
            "loss of D",
            "Descending −log(1 − D) makes fakes *easier* to recognise. G wants D to say real: −log D.",
            _both(_feedback_wrong(F.softplus)),
        ),
        Mistake(
            "direction instead of gradient",
            "Your message points to where the fakes should go. A gradient points the other way: uphill.",
            _both(_feedback_wrong(lambda a: -F.softplus(-a))),
        ),
        Mistake(
            "gradient of the logit",
            "You leave out −log σ: the loss is a function of the logit, and each fake has a slope −(1 − D) of its own.",
            _both(_feedback_wrong(lambda a: -a)),
        ),
        Mistake(
            "gradient of D's probability",
            "You leave out the logarithm: where D is sure of a fake, σ(a) is flat. The loss is −log σ(a).",
            _both(_feedback_wrong(lambda a: -torch.sigmoid(a))),
        ),
        Mistake(
            "logarithm of a sigma",
            "At a = −900, σ is 0 and its logarithm has no gradient. `F.logsigmoid` or softplus has one.",
            _both(_feedback_wrong(lambda a: -torch.log(torch.sigmoid(a)))),
        ),
        Mistake(
            "gradients left in D",
            "The message is right, but `backward` added to the `.grad` of D's weights. Use `torch.autograd.grad`.",
            _both(_feedback_fills_d),
        ),
        Mistake(
            "D's gradients cleared",
            "The message is right, but D's `.grad`, which was in use, is gone. `torch.autograd.grad` touches none.",
            _both(_feedback_clears_d),
        ),
        Mistake(
            "D thawed",
            "Some of D's weights were frozen before, and now they are not. Put flags back as they were, or leave them.",
            _both(_feedback_freezes_d),
        ),
        Mistake(
            "flag left on the fakes",
            "The fakes that came in require a gradient now. Work on a leaf of your own.",
            _both(_feedback_flags_fakes),
        ),
        Mistake(
            "gradient left in the fakes",
            "The fakes that came in were a leaf with a `.grad` of its own, and you wrote into it.",
            _both(_feedback_fills_fakes),
        ),
        Mistake(
            "message holds a graph",
            "A message is plain numbers: no `create_graph`, or detach it.",
            _both(_feedback_wrong(graph=True)),
        ),
        Mistake(
            "fakes sent with their graph",
            "Send `fake.detach()`: a graph cannot travel, and what D does must not reach G by itself.",
            _both(at_g=_step_wrong(send=lambda fake: fake)),
        ),
        Mistake(
            "mean of the products",
            "The message is already the gradient of a finished loss: multiply and *sum*. A mean divides it once more.",
            _both(at_g=_step_wrong(loss=lambda fake, message: (fake * message).mean())),
        ),
        Mistake(
            "divided by n",
            "The message is already the gradient of a finished loss. Do not divide by n again.",
            _both(at_g=_step_wrong(loss=lambda fake, message: (fake * message).sum(1).mean())),
        ),
        Mistake(
            "against the message",
            "G moves uphill: the message is the gradient of a loss, and the optimiser descends already.",
            _both(at_g=_step_wrong(loss=lambda fake, message: -(fake * message).sum())),
        ),
        Mistake(
            "message as a target",
            "You pull the fakes towards the message. It is no picture, it is a gradient: `fake.backward(message)`.",
            _both(at_g=_step_wrong(loss=lambda fake, message: F.mse_loss(fake, message))),
        ),
        Mistake(
            "message as a loss",
            "You sum the fakes and forget what the message says about each of their numbers.",
            _both(at_g=_step_wrong(loss=lambda fake, message: fake.sum() * message.mean())),
        ),
        Mistake(
            "gradients never cleared",
            "The second update uses the first one's gradient as well: `optimizer.zero_grad()` before `backward`.",
            _both(at_g=_step_wrong(clear=False)),
        ),
        Mistake(
            "never steps",
            "G has its gradient, but `optimizer.step()` is missing.",
            _both(at_g=_step_wrong(step=False)),
        ),
        Mistake(
            "asks for each fake",
            "`feedback` is to be called once, with all n fakes: each call is a journey, and a mean over one is no mean over "
            "n.",
            _both(at_g=_step_asks_often),
        ),
        Mistake(
            "message for other fakes",
            "You send one batch and learn with another. Make the fakes once, send them, and go backwards through them.",
            _both(at_g=_step_moves_noise),
        ),
    ),
    alternatives={
        "slope at the logits; weighted sum": _both(_feedback_pushed, _step_weighted_sum),
        "cross entropy with the label real; vjp": _both(_feedback_backward_inputs, _step_vjp),
        "functional; squared distance to moved fakes": _both(_feedback_functional, _step_moved_fakes),
    },
)

# algorithm_1


def algorithm_1(
    D: nn.Module, G: nn.Module, d_optimizer, g_optimizer, data, noise, iterations: int, k: int, m: int
) -> None:
    """Goodfellow et al. (2014), algorithm 1: k updates of D on fresh minibatches of m, then one of G, again and again."""
    ### BEGIN SOLUTION
    for _ in range(iterations):
        for _ in range(k):
            on_data, on_fakes = D(data(m)), D(G(noise(m)).detach())
            d_optimizer.zero_grad()
            (F.softplus(-on_data) + F.softplus(on_fakes)).mean().backward()
            d_optimizer.step()
        on_fakes = D(G(noise(m)))
        g_optimizer.zero_grad()
        F.logsigmoid(-on_fakes).mean().backward()
        g_optimizer.step()
    ### END SOLUTION


def _play_by_gradients(
    D: nn.Module, G: nn.Module, of_d: Any, of_g: Any, data: Draw, noise: Draw, iterations: int, k: int, m: int
) -> None:
    """Each update from the value itself, term by term; gradients asked for by name and put where the optimiser looks."""

    def update(optimizer: Any, net: nn.Module, terms: list[Tensor], sign: int) -> None:
        weights = list(net.parameters())
        value = torch.stack(terms).sum() / m
        optimizer.zero_grad()
        for w, g in zip(weights, torch.autograd.grad(value, weights)):
            w.grad = sign * g
        optimizer.step()

    for _ in range(iterations):
        for _ in range(k):
            fakes, x = G(noise(m)), data(m)
            log_d, log_not_d = [-_minus_log_sigma(D(x))], [-_minus_log_sigma(-D(fakes))]
            update(of_d, D, [*log_d[0], *log_not_d[0]], -1)  # ascends: the optimiser descends
        update(of_g, G, [*(-_minus_log_sigma(-D(G(noise(m)))))], 1)


def _play_by_labels(
    D: nn.Module, G: nn.Module, of_d: Any, of_g: Any, data: Draw, noise: Draw, iterations: int, k: int, m: int
) -> None:
    bce, yes, no = F.binary_cross_entropy_with_logits, torch.ones(m), torch.zeros(m)
    for turn in range(iterations * (k + 1)):
        z = noise(m)
        if turn % (k + 1) < k:
            x = data(m)
            with torch.no_grad():
                fake = G(z)
            of_d.zero_grad()
            bce(D(x), yes.to(x.dtype)).backward()
            bce(D(fake), no.to(x.dtype)).backward()
            of_d.step()
        else:
            for p in G.parameters():
                p.grad = None
            (-bce(D(G(z)), no.to(z.dtype))).backward()
            of_g.step()


def _play_frozen(
    D: nn.Module, G: nn.Module, of_d: Any, of_g: Any, data: Draw, noise: Draw, iterations: int, k: int, m: int
) -> None:
    """One value for both, and whoever does not play is frozen."""

    def turn(player: nn.Module, other: nn.Module, optimizer: Any, sign: float) -> None:
        other.requires_grad_(False)
        player.requires_grad_(True)
        x, z = (data(m) if player is D else None), noise(m)
        value = F.logsigmoid(-D(G(z))).mean()
        if x is not None:
            value = value + F.logsigmoid(D(x)).mean()
        optimizer.zero_grad(set_to_none=False)
        (sign * value).backward()
        optimizer.step()
        other.requires_grad_(True)

    for _ in range(iterations):
        for _ in range(k):
            turn(D, G, of_d, -1.0)
        turn(G, D, of_g, 1.0)


def _play_closures(
    D: nn.Module, G: nn.Module, of_d: Any, of_g: Any, data: Draw, noise: Draw, iterations: int, k: int, m: int
) -> None:
    """Fakes not detached: whatever reaches the other network is cleared before that one's own step."""
    for _ in range(iterations):
        left = k
        while left > 0:
            left -= 1
            x, z = data(m), noise(m)
            both = D(torch.cat([x, G(z)]))
            of_d.zero_grad()
            (F.softplus(-both[:m]).sum() / m + F.softplus(both[m:]).sum() / m).backward()
            of_d.step()
        z = noise(m)

        def closure(z: Tensor = z) -> Tensor:
            of_g.zero_grad()
            loss = -torch.logaddexp(torch.zeros(m, dtype=z.dtype), D(G(z))).mean()
            loss.backward()
            return loss

        of_g.step(closure)


def _value_of(D: nn.Module, x: Tensor, fake: Tensor) -> Tensor:
    return F.logsigmoid(D(x)).mean() + F.logsigmoid(-D(fake)).mean()


def _algorithm_wrong(
    *,
    k_of: Callable[[int], int] = lambda k: k,
    iterations_of: Callable[[int], int] = lambda iterations: iterations,
    detach: bool = True,
    clear_d: bool = True,
    clear_g: bool = True,
    sign_d: float = -1.0,
    g_loss: Net = lambda a: F.logsigmoid(-a).mean(),
    g_steps: str = "G",
    g_inside: bool = False,
    g_first: bool = False,
    data_once: bool = False,
    noise_once: bool = False,
    g_reuses: bool = False,
    m_of: Callable[[int], int] = lambda m: m,
) -> Callable[..., None]:
    """The game with one thing wrong."""

    def answer(
        D: nn.Module, G: nn.Module, of_d: Any, of_g: Any, data: Draw, noise: Draw, iterations: int, k: int, m: int
    ) -> None:
        m = m_of(m)
        z = torch.empty(0)

        def turn_of_g() -> None:
            a = D(G(z if g_reuses and len(z) else noise(m)))
            if clear_g:
                (of_d if g_steps == "D" else of_g).zero_grad()
                if g_steps == "both":
                    of_d.zero_grad()
            g_loss(a).backward()
            if g_steps in ("D", "both"):
                of_d.step()
            if g_steps in ("G", "both"):
                of_g.step()

        for _ in range(iterations_of(iterations)):
            if g_first:
                turn_of_g()
            for j in range(k_of(k)):
                if j == 0 or not data_once:
                    x = data(m)
                if j == 0 or not noise_once:
                    z = noise(m)
                fake = G(z).detach() if detach else G(z)
                loss = sign_d * _value_of(D, x, fake)
                if clear_d:
                    of_d.zero_grad()
                loss.backward()
                of_d.step()
                if g_inside:
                    turn_of_g()
            if not g_inside and not g_first:
                turn_of_g()

    return answer


ALGORITHM_1 = Key(
    question=asked.ALGORITHM_1,
    solution=(algorithm_1,),
    reference=_play_by_gradients,
    source="Goodfellow et al. 2014, Generative adversarial nets, algorithm 1 (there with theta_g in the generator's line)",
    mistakes=(
        Mistake(
            "the slide taken literally",
            "Your G never moves: in its turn it is D that steps, along the gradient for θ_d. Step `g_optimizer` there.",
            _algorithm_wrong(g_steps="D"),
        ),
        Mistake(
            "both step in G's turn",
            "G's loss fills D's `.grad` too, and you let D step along it: down its own value. Only `g_optimizer` steps "
            "there.",
            _algorithm_wrong(g_steps="both"),
        ),
        Mistake(
            "non-saturating loss",
            "You descend −log D(G(z)): what one uses in practice, but not what Algorithm 1 says, and not what is asked "
            "here.",
            _algorithm_wrong(g_loss=lambda a: F.softplus(-a).mean()),
        ),
        Mistake(
            "G ascends",
            "Your G climbs log(1 − D(G(z))): it learns to be recognised. It is to descend it.",
            _algorithm_wrong(g_loss=lambda a: F.softplus(a).mean()),
        ),
        Mistake(
            "D descends",
            "Your D descends the value. The optimiser descends whatever it gets: give it minus the value.",
            _algorithm_wrong(sign_d=1.0),
        ),
        Mistake(
            "one step of D",
            "D steps once for each step of G, whatever k is.",
            _algorithm_wrong(k_of=lambda k: 1),
        ),
        Mistake(
            "one step of D too many",
            "D makes k + 1 steps for each step of G.",
            _algorithm_wrong(k_of=lambda k: k + 1),
        ),
        Mistake(
            "one iteration short",
            "The outer loop ends too early: both play `iterations` times.",
            _algorithm_wrong(iterations_of=lambda iterations: iterations - 1),
        ),
        Mistake(
            "G inside the inner loop",
            "G steps after each step of D. It is to step once, after the k steps of D.",
            _algorithm_wrong(g_inside=True),
        ),
        Mistake(
            "G begins",
            "G steps before D has seen anything. In each iteration D comes first.",
            _algorithm_wrong(g_first=True),
        ),
        Mistake(
            "one minibatch of data for all k steps",
            "Draw new examples for each of the k steps: `data(m)` inside the inner loop.",
            _algorithm_wrong(data_once=True),
        ),
        Mistake(
            "one minibatch of noise for all k steps",
            "Draw new noise for each of the k steps: `noise(m)` inside the inner loop.",
            _algorithm_wrong(noise_once=True),
        ),
        Mistake(
            "G learns from D's noise",
            "In its turn G draws new noise. Yours takes what D has just been trained on.",
            _algorithm_wrong(g_reuses=True),
        ),
        Mistake(
            "minibatch of another size",
            "Both minibatches have m rows: `data(m)`, `noise(m)`.",
            _algorithm_wrong(m_of=lambda m: 2 * m),
        ),
        Mistake(
            "D's gradients never cleared",
            "D steps along everything that ever reached its `.grad`, G's loss included: `d_optimizer.zero_grad()` before "
            "`backward`.",
            _algorithm_wrong(clear_d=False),
        ),
        Mistake(
            "G's gradients never cleared",
            "G steps along the gradients of all its turns so far: `g_optimizer.zero_grad()` before `backward`.",
            _algorithm_wrong(clear_g=False),
        ),
        Mistake(
            "D's loss in G's gradients",
            "Fakes not detached and G not cleared: D's loss has filled G's `.grad`, and G steps along it.",
            _algorithm_wrong(detach=False, clear_g=False),
        ),
        Mistake(
            "sums instead of means",
            "Divide by m: the value is a mean over the minibatch.",
            _algorithm_wrong(sign_d=-6.0, g_loss=lambda a: F.logsigmoid(-a).sum()),
        ),
        Mistake(
            "half of D's loss",
            "The mean of the two terms is half of their sum.",
            _algorithm_wrong(sign_d=-0.5),
        ),
    ),
    alternatives={
        "cross entropy by labels, one counter": _play_by_labels,
        "one value, whoever rests is frozen": _play_frozen,
        "one pass of D, fakes attached, closure": _play_closures,
    },
)
