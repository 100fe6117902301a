"""Answer keys to section 2, second half: the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s2_defence as asked

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]

# adversarial_step


def adversarial_step(net: nn.Module, optimizer, attack, x: Tensor, y: Tensor, share: float) -> float:
    """One update on (1 - share) * clean + share * attacked loss; images x (N, C, H, W), labels y (N,) -> the loss."""
    ### BEGIN SOLUTION
    net.eval()
    attacked = attack(net, x, y).detach()
    net.train()
    optimizer.zero_grad()
    loss = (1 - share) * F.cross_entropy(net(x), y) + share * F.cross_entropy(net(attacked), y)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


def _attacked(net: nn.Module, attack: Attack, x: Tensor, y: Tensor) -> Tensor:
    net.eval()
    image = attack(net, x, y).detach().clone()
    net.train()
    return image


def _adversarial_by_terms(net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float) -> float:
    """Every term of the mixed loss on its own: image by image, from -log of a fraction of exponentials."""
    images = _attacked(net, attack, x, y)
    total = torch.zeros((), dtype=x.dtype)
    for n in range(len(x)):
        for image, weight in ((x[n], 1 - share), (images[n], share)):
            powers = torch.exp(net(image[None])[0])
            total = total - weight / len(x) * torch.log(powers[int(y[n])] / powers.sum())
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return float(total.detach())


def _adversarial_one_pass(net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float) -> float:
    batch = torch.cat([x, _attacked(net, attack, x, y)])
    losses = F.cross_entropy(net(batch), torch.cat([y, y]), reduction="none")
    clean, robust = losses.chunk(2)
    loss = torch.lerp(clean.mean(), robust.mean(), share)
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    return loss.detach().item()


def _adversarial_two_backwards(
    net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float
) -> float:
    """Gradients add up: two backward passes, one update."""
    images = _attacked(net, attack, x, y)
    optimizer.zero_grad()
    total = 0.0
    for batch, weight in ((images, share), (x, 1 - share)):
        loss = weight * F.cross_entropy(net(batch), y)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


def _adversarial_closure(net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float) -> float:
    images = _attacked(net, attack, x, y)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.nll_loss(net(x).log_softmax(1), y) * (1 - share) + F.nll_loss(net(images).log_softmax(1), y) * share
        loss.backward()
        return loss

    return optimizer.step(closure).item()


def _adversarial_wrong(
    *,
    clear: str = "after the attack",
    detach: bool = True,
    attack_mode: bool = False,
    train_mode: bool = True,
    after: bool = True,
    mix: Callable[[Any, Any, float], Any] = lambda clean, robust, s: (1 - s) * clean + s * robust,
    report: Callable[[Any, Any, Any], Any] = lambda loss, clean, robust: loss.item(),
    reduction: str = "mean",
    labels: str = "true",
    steps: int = 1,
) -> Callable[..., Any]:
    """An adversarial step with one thing wrong."""

    def answer(net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float) -> Any:
        if clear == "before the attack":
            optimizer.zero_grad()
        net.train(attack_mode)
        z = attack(net, x, y)
        z = z.detach() if detach else z
        net.train(train_mode)
        goal = net(z).argmax(1) if labels == "opinion" else y
        for _ in range(steps):
            if clear == "after the attack":
                optimizer.zero_grad()
            clean = F.cross_entropy(net(x), y, reduction=reduction)
            robust = F.cross_entropy(net(z), goal, reduction=reduction)
            loss = mix(clean, robust, share)
            loss.backward()
            optimizer.step()
        net.train(after)
        return report(loss, clean, robust)

    return answer


def _adversarial_never_steps(
    net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float
) -> float:
    z = _attacked(net, attack, x, y)
    optimizer.zero_grad()
    loss = (1 - share) * F.cross_entropy(net(x), y) + share * F.cross_entropy(net(z), y)
    loss.backward()
    return loss.item()


def _adversarial_in_turns(net: nn.Module, optimizer: Any, attack: Attack, x: Tensor, y: Tensor, share: float) -> float:
    z, total = _attacked(net, attack, x, y), 0.0
    for batch, weight in ((x, 1 - share), (z, share)):
        optimizer.zero_grad()
        loss = weight * F.cross_entropy(net(batch), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


ADVERSARIAL_STEP = Key(
    question=asked.ADVERSARIAL_STEP,
    solution=(adversarial_step,),
    reference=_adversarial_by_terms,
    source=(
        "Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572, section 6 (mixed objective, its alpha is 1 - share); "
        "with a share of 1: Madry et al. 2018, arXiv:1706.06083, eq. 2.1"
    ),
    mistakes=(
        Mistake(
            "gradients never cleared",
            "The update uses what the attack, and earlier steps, left in `.grad`: call `optimizer.zero_grad()` after "
            "the attack.",
            _adversarial_wrong(clear="never"),
        ),
        Mistake(
            "gradients cleared before the attack",
            "You clear, then the attack leaves its gradients, then you add yours. Clear *after* the attack.",
            _adversarial_wrong(clear="before the attack"),
        ),
        Mistake(
            "attacked images not detached",
            "Your gradient runs back through the attack: the images depend on the weights there. Take them as data, "
            "`.detach()`.",
            _adversarial_wrong(detach=False),
        ),
        Mistake(
            "attack in train mode",
            "The attack ran in train mode, where dropout and batch statistics blur its aim: `net.eval()` first.",
            _adversarial_wrong(attack_mode=True),
        ),
        Mistake(
            "trained in eval mode",
            "After the attack you forgot `net.train()`: both losses, and all that follows, run in eval mode.",
            _adversarial_wrong(train_mode=False, after=False),
        ),
        Mistake(
            "left in eval mode",
            "The update is right, but the network is left in eval mode.",
            _adversarial_wrong(after=False),
        ),
        Mistake(
            "shares swapped",
            "`share` belongs to the attacked loss, the rest to the clean one.",
            _adversarial_wrong(mix=lambda clean, robust, s: s * clean + (1 - s) * robust),
        ),
        Mistake(
            "attacked images only",
            "The clean loss is missing from your mixture.",
            _adversarial_wrong(mix=lambda clean, robust, s: robust),
        ),
        Mistake(
            "clean images only",
            "The attacked images are made and then not trained on.",
            _adversarial_wrong(mix=lambda clean, robust, s: clean),
        ),
        Mistake(
            "not weighted",
            "You add both losses: the weights (1 − s) and s are missing.",
            _adversarial_wrong(mix=lambda clean, robust, s: clean + robust),
        ),
        Mistake(
            "sum over the batch",
            "L is the mean over the batch.",
            _adversarial_wrong(reduction="sum"),
        ),
        Mistake(
            "labels that the network gave",
            "You teach the network its own mistake: an attacked image keeps its true label.",
            _adversarial_wrong(labels="opinion"),
        ),
        Mistake(
            "an update for each loss",
            "You update twice. Mix the losses (or add both gradients), then one step.",
            _adversarial_in_turns,
        ),
        Mistake(
            "no update",
            "The gradient is there, `optimizer.step()` is missing.",
            _adversarial_never_steps,
        ),
        Mistake(
            "clean loss reported",
            "You return the clean loss. Return the mixed one.",
            _adversarial_wrong(report=lambda loss, clean, robust: clean.item()),
        ),
        Mistake(
            "loss with its graph",
            "You return a tensor that keeps the whole graph alive: `loss.item()`.",
            _adversarial_wrong(report=lambda loss, clean, robust: loss),
        ),
    ),
    alternatives={
        "one forward pass of both batches": _adversarial_one_pass,
        "two backward passes": _adversarial_two_backwards,
        "closure": _adversarial_closure,
    },
)

# robust_accuracy


def robust_accuracy(net: nn.Module, attack, batches) -> tuple[float, float]:
    """Shares of all images that net gets right before, and both before and after, the attack."""
    ### BEGIN SOLUTION
    mode, right, still, count = net.training, 0, 0, 0
    net.eval()
    for x, y in batches:
        clean = net(x).argmax(dim=1) == y
        both = clean & (net(attack(net, x, y)).argmax(dim=1) == y)
        right += int(clean.sum())
        still += int(both.sum())
        count += len(y)
    net.train(mode)
    return right / count, still / count
    ### END SOLUTION


Batches = Iterable[tuple[Tensor, Tensor]]
Shares = tuple[float, float]


def _robust_one_by_one(net: nn.Module, attack: Attack, batches: Batches) -> Shares:
    """Every image on its own, with a list of what became of it."""
    mode = net.training
    net.eval()
    fates = []
    for x, y in batches:
        for n in range(len(y)):
            image, label = x[n : n + 1], y[n : n + 1]
            before = int(net(image)[0].argmax()) == int(label)
            after = int(net(attack(net, image, label))[0].argmax()) == int(label)
            fates.append((before, after))
    net.train(mode)
    return sum(b for b, _ in fates) / len(fates), sum(b and a for b, a in fates) / len(fates)


def _robust_only_the_right(net: nn.Module, attack: Attack, batches: Batches) -> Shares:
    """Attacks only what was right before: the rest cannot count any more."""
    was = net.training
    net.train(False)
    try:
        total = right = robust = 0
        for x, y in batches:
            with torch.no_grad():
                good = net(x).max(1).indices.eq(y)
            images = attack(net, x[good], y[good])
            with torch.no_grad():
                robust += net(images).max(1).indices.eq(y[good]).sum().item()
            right, total = right + good.sum().item(), total + y.numel()
        return right / total, robust / total
    finally:
        net.train(was)


def _robust_joined(net: nn.Module, attack: Attack, batches: Batches) -> Shares:
    """One large batch, means at the end."""
    pairs = list(batches)
    x, y = torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])
    modes = {module: module.training for module in net.modules()}
    net.eval()
    clean = (net(x).argmax(-1) == y).double()
    after = (net(attack(net, x, y)).argmax(-1) == y).double()
    for module, mode in modes.items():
        module.training = mode
    return clean.mean().item(), (clean * after).mean().item()


def _robust_lists(net: nn.Module, attack: Attack, batches: Batches) -> Shares:
    was, clean, robust = net.training, [], []
    net.eval()
    for x, y in batches:
        images = attack(net, x, y)
        a, b = net(torch.cat([x, images])).detach().topk(1).indices[:, 0].chunk(2)
        clean += (a == y).tolist()
        robust += torch.logical_and(a == y, b == y).tolist()
    net.train(was)
    return sum(clean) / len(clean), sum(robust) / len(robust)


def _robust_wrong(
    *,
    count: Callable[[Tensor, Tensor], Tensor] = lambda before, after: before & after,
    of_right: bool = False,
    means: bool = False,
    attack_mode: bool = False,
    net_mode: bool = False,
    after: Callable[[bool], bool] = lambda mode: mode,
    opinion: bool = False,
    no_grad: bool = False,
    only: slice = slice(None),
    report: Callable[[float, float], Any] = lambda clean, robust: (clean, robust),
) -> Callable[..., Any]:
    """An evaluation with one thing wrong."""

    def answer(net: nn.Module, attack: Attack, batches: Batches) -> Any:
        mode = net.training
        net.train(net_mode)
        before, robust, sizes = [], [], []
        for x, y in list(batches)[only]:
            with torch.set_grad_enabled(not no_grad):
                a = net(x).argmax(1)
                net.train(attack_mode)
                image = attack(net, x, a if opinion else y)
                net.train(net_mode)
                b = net(image).argmax(1)
            before.append((a == y).double())
            robust.append(count(a == y, b == y).double())
            sizes.append(len(y))
        net.train(after(mode))
        if means:
            return float(torch.stack([b.mean() for b in before]).mean()), float(
                torch.stack([r.mean() for r in robust]).mean()
            )
        right, still = float(torch.cat(before).sum()), float(torch.cat(robust).sum())
        return report(right / sum(sizes), still / (right if of_right else sum(sizes)))

    return answer


ROBUST_ACCURACY = Key(
    question=asked.ROBUST_ACCURACY,
    solution=(robust_accuracy,),
    reference=_robust_one_by_one,
    source=(
        "Madry et al. 2018, arXiv:1706.06083, section 5 (accuracy under attack); errors before the attack stay "
        "errors: Carlini et al. 2019, On evaluating adversarial robustness, arXiv:1902.06705, section 2"
    ),
    mistakes=(
        Mistake(
            "luck counted",
            "You count images that were wrong before and happen to be right after the attack. Robust means right both "
            "times.",
            _robust_wrong(count=lambda before, after: after),
        ),
        Mistake(
            "share of the right ones",
            "You divide by the images that were right before. Both shares are of all images, or two networks cannot "
            "be compared.",
            _robust_wrong(of_right=True),
        ),
        Mistake(
            "not fooled",
            "One minus the share of fooled images also counts those that were wrong all along.",
            _robust_wrong(count=lambda before, after: ~(before & ~after)),
        ),
        Mistake(
            "success of the attack",
            "You count the images that the attack broke. Count those that it did not break.",
            _robust_wrong(count=lambda before, after: before & ~after),
        ),
        Mistake(
            "mean of the batches' means",
            "An image in a small batch weighs more than one in a large batch: sum first, divide once.",
            _robust_wrong(means=True),
        ),
        Mistake(
            "last batch only",
            "Your counts start anew with every batch: set them to 0 before the loop.",
            _robust_wrong(only=slice(-1, None)),
        ),
        Mistake(
            "first batch only",
            "You return within the loop, after the first batch.",
            _robust_wrong(only=slice(0, 1)),
        ),
        Mistake(
            "attack without gradients",
            "The attack runs under `torch.no_grad()` and cannot differentiate. Only your own looks at the logits may.",
            _robust_wrong(no_grad=True),
        ),
        Mistake(
            "attack in train mode",
            "The attack ran in train mode: `net.eval()` before it.",
            _robust_wrong(attack_mode=True),
        ),
        Mistake(
            "counted in train mode",
            "Your own passes through the network run in train mode: it is to be in eval mode for all of it.",
            _robust_wrong(net_mode=True),
        ),
        Mistake(
            "left in eval mode",
            "The network was found in train mode and is left in eval mode: remember `net.training`, and put it back.",
            _robust_wrong(after=lambda mode: False),
        ),
        Mistake(
            "left in train mode",
            "You always end with `net.train()`. The network may have been in eval mode when it was found.",
            _robust_wrong(after=lambda mode: True),
        ),
        Mistake(
            "attack told the network's opinion",
            "The attack gets the predicted labels. It is to be told the true ones, `y`.",
            _robust_wrong(opinion=True),
        ),
        Mistake(
            "shares swapped",
            "The clean share comes first.",
            _robust_wrong(report=lambda clean, robust: (robust, clean)),
        ),
        Mistake(
            "per cent",
            "Both numbers are between 0 and 1.",
            _robust_wrong(report=lambda clean, robust: (100 * clean, 100 * robust)),
        ),
    ),
    alternatives={
        "attacks only what was right": _robust_only_the_right,
        "all batches joined": _robust_joined,
        "lists of truth values": _robust_lists,
    },
)
