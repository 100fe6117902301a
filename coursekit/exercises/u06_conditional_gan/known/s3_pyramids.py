"""Answer keys to section 3: one octave at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u06_conditional_gan.asked import s3_pyramids as asked

Down = Callable[[Tensor], Tensor]
Up = Callable[..., Tensor]

# laplacian_pyramid


def laplacian_pyramid(x: Tensor, levels: int, down, up) -> list[Tensor]:
    """x (N, C, H, W) -> [h_0, ..., h_{K-1}, I_K], finest first."""
    ### BEGIN SOLUTION
    octaves = []
    for _ in range(levels):
        coarse = down(x)
        octaves.append(x - up(coarse, x.shape[2:]))
        x = coarse
    return [*octaves, x]
    ### END SOLUTION


def rebuild(pyramid: list[Tensor], up) -> Tensor:
    """[h_0, ..., h_{K-1}, I_K] -> the picture of full size."""
    ### BEGIN SOLUTION
    grown = pyramid[-1]
    for octave in reversed(pyramid[:-1]):
        grown = up(grown, octave.shape[2:]) + octave
    return grown
    ### END SOLUTION


def _gaussian(x: Tensor, k: int, down: Down) -> Tensor:
    """I_k: k applications of down."""
    return x if k == 0 else down(_gaussian(x, k - 1, down))


def _pyramid_by_definition(x: Tensor, levels: int, down: Down, up: Up) -> list[Tensor]:
    """h_k = I_k - u(I_{k+1}), each I_k from the start."""
    differences = []
    for k in range(levels):
        here, next_one = _gaussian(x, k, down), _gaussian(x, k + 1, down)
        differences.append(here - up(next_one, (here.shape[2], here.shape[3])))
    return [*differences, _gaussian(x, levels, down)]


def _rebuild_by_definition(pyramid: list[Tensor], up: Up) -> Tensor:
    """I_k = u(I_{k+1}) + h_k, from the definition's recursion."""
    if len(pyramid) == 1:
        return pyramid[0]
    h = pyramid[0]
    return h + up(_rebuild_by_definition(pyramid[1:], up), (h.shape[2], h.shape[3]))


def _pyramid_from_list(x: Tensor, levels: int, down: Down, up: Up) -> list[Tensor]:
    gaussian = [x]
    while len(gaussian) <= levels:
        gaussian.append(down(gaussian[-1]))
    pairs = itertools.pairwise(gaussian)
    return [torch.sub(fine, up(coarse, tuple(fine.shape[-2:]))) for fine, coarse in pairs] + gaussian[-1:]


def _rebuild_by_index(pyramid: list[Tensor], up: Up) -> Tensor:
    levels = [level.clone() for level in pyramid]
    for k in range(len(levels) - 2, -1, -1):
        levels[k] += up(levels[k + 1], tuple(levels[k].shape[-2:]))
    return levels[0]


def _pyramid_recursive(x: Tensor, levels: int, down: Down, up: Up) -> list[Tensor]:
    if levels == 0:
        return [x]
    small = down(x)
    return [x - up(small, x.shape[-2:]), *_pyramid_recursive(small, levels - 1, down, up)]


def _rebuild_popping(pyramid: list[Tensor], up: Up) -> Tensor:
    left = list(pyramid)
    picture = left.pop()
    while left:
        h = left.pop()
        picture = torch.add(up(picture, h.shape[-2:]), h)
    return picture


def _pyramid_appended(x: Tensor, levels: int, down: Down, up: Up) -> list[Tensor]:
    """The differences subtracted in place of copies."""
    out: list[Tensor] = [x.clone()]
    for _ in range(levels):
        out.append(down(out[-1]))
        out[-2] -= up(out[-1], out[-2].shape[2:])
    return out


def _rebuild_folded(pyramid: list[Tensor], up: Up) -> Tensor:
    import functools

    return functools.reduce(lambda picture, h: h + up(picture, h.shape[2:]), pyramid[-2::-1], pyramid[-1])


def _pyramid_wrong(
    *,
    differ: Callable[[Tensor, Tensor], Tensor] = lambda x, wide: x - wide,
    go_on: str = "picture",
    target: Callable[[Tensor, Tensor], Any] = lambda x, small: x.shape[2:],
    end: Callable[[list[Tensor]], list[Tensor]] = lambda levels: levels,
    back: Callable[[Tensor, Tensor], Tensor] = lambda wide, h: wide + h,
    start: Callable[[list[Tensor]], list[Tensor]] = lambda pyramid: pyramid,
) -> dict[str, Any]:
    """The pyramid and its inverse with one thing wrong."""

    def build(x: Tensor, levels: int, down: Down, up: Up) -> list[Tensor]:
        out = []
        for _ in range(levels):
            small = down(x)
            h = differ(x, up(small, target(x, small)))
            out.append(h)
            x = down(h) if go_on == "difference" else small
        return end([*out, x])

    def again(pyramid: list[Tensor], up: Up) -> Tensor:
        pyramid = start(list(pyramid))
        picture = pyramid[-1]
        for h in reversed(pyramid[:-1]):
            picture = back(up(picture, target(h, picture)), h)
        return picture

    return {"laplacian_pyramid": build, "rebuild": again}


def _all_at_once(pyramid: list[Tensor], up: Up) -> Tensor:
    size = pyramid[0].shape[2:]
    return pyramid[0] + sum((up(level, size) for level in pyramid[1:]), torch.zeros_like(pyramid[0]))


def _steps_from_the_original(x: Tensor, levels: int, down: Down, up: Up) -> list[Tensor]:
    """Every level compared at full size."""
    gaussian = [x]
    for _ in range(levels):
        gaussian.append(down(gaussian[-1]))
    wide = [up(level, x.shape[2:]) for level in gaussian]
    return [a - b for a, b in itertools.pairwise(wide)] + gaussian[-1:]


LAPLACIAN_PYRAMID = Key(
    question=asked.LAPLACIAN_PYRAMID,
    solution=(laplacian_pyramid, rebuild),
    reference={"laplacian_pyramid": _pyramid_by_definition, "rebuild": _rebuild_by_definition},
    source="Denton, Chintala, Szlam & Fergus 2015, arXiv:1506.05751, equations 4 and 5; Burt & Adelson 1983",
    mistakes=(
        Mistake(
            "differences turned round",
            "It rebuilds, but h is the picture *less* its low-pass version, and is added.",
            _pyramid_wrong(differ=lambda x, wide: wide - x, back=lambda wide, h: wide - h),
        ),
        Mistake(
            "the difference made smaller",
            "The next level is a smaller *picture*: down(I_k), not down(h_k).",
            _pyramid_wrong(go_on="difference"),
        ),
        Mistake(
            "twice the size",
            "Twice the smaller size is not the size of an odd picture: hand `up` the size of the level that it is compared with.",
            _pyramid_wrong(target=lambda x, small: (2 * small.shape[2], 2 * small.shape[3])),
        ),
        Mistake(
            "small picture forgotten",
            "Differences alone do not hold the picture: the last entry is I_K itself.",
            _pyramid_wrong(end=lambda levels: levels[:-1] or levels),
        ),
        Mistake(
            "coarsest first",
            "The list is finest first: h_0, ..., and I_K at the end.",
            _pyramid_wrong(end=lambda levels: levels[::-1], start=lambda pyramid: pyramid[::-1]),
        ),
        Mistake(
            "Gaussian pyramid",
            "Those are the smaller pictures themselves. A level holds what the next one, made larger, lacks.",
            _pyramid_wrong(differ=lambda x, wide: x),
        ),
        Mistake(
            "everything at full size",
            "h_k has the size of I_k, not of the original: compare at each level's own size.",
            {"laplacian_pyramid": _steps_from_the_original, "rebuild": _rebuild_by_definition},
        ),
        Mistake(
            "rebuilt in one go",
            "Going up in one step is not the same as going up level by level: start with the smallest and add at each size.",
            {"laplacian_pyramid": _pyramid_by_definition, "rebuild": _all_at_once},
        ),
        Mistake(
            "differences not added",
            "That is upsampling: the differences are missing.",
            _pyramid_wrong(back=lambda wide, h: wide),
        ),
        Mistake(
            "subtracted on the way back",
            "What was subtracted is added again.",
            _pyramid_wrong(back=lambda wide, h: wide - h),
        ),
        Mistake(
            "clamped on the way back",
            "No clamp: values beyond [−1, 1] are part of the picture on its way.",
            _pyramid_wrong(back=lambda wide, h: (wide + h).clamp(-1, 1)),
        ),
    ),
    alternatives={
        "a list of pictures first": {"laplacian_pyramid": _pyramid_from_list, "rebuild": _rebuild_by_index},
        "recursive; popping": {"laplacian_pyramid": _pyramid_recursive, "rebuild": _rebuild_popping},
        "in place of copies; folded": {"laplacian_pyramid": _pyramid_appended, "rebuild": _rebuild_folded},
    },
)

# level_pairs


def level_pairs(x: Tensor, z: Tensor, G, down, up) -> tuple[Tensor, Tensor]:
    """Pictures x (N, C, H, W), noise z (N, Z) -> what D is shown, (N, 2C, H, W) each: high-pass picture, then condition."""
    ### BEGIN SOLUTION
    blurred = up(down(x))
    shown_real = torch.cat([x - blurred, blurred], dim=1)
    return shown_real, torch.cat([G(z, blurred), blurred], dim=1)
    ### END SOLUTION


def _pairs_by_channels(x: Tensor, z: Tensor, G: Any, down: Down, up: Down) -> tuple[Tensor, Tensor]:
    """Every picture and channel on its own."""
    low = up(down(x))
    made = G(z, low)
    real = [torch.stack([*(a - b for a, b in zip(I, l)), *l]) for I, l in zip(x, low)]
    fake = [torch.stack([*h, *l]) for h, l in zip(made, low)]
    return torch.stack(real), torch.stack(fake)


def _pairs_as_one_batch(x: Tensor, z: Tensor, G: Any, down: Down, up: Down) -> tuple[Tensor, Tensor]:
    low = up(down(x))
    high = torch.stack([x - low, G(z, low)])
    both = torch.cat([high, low.expand_as(high)], 2)
    return both[0].detach(), both[1]


def _pairs_filled(x: Tensor, z: Tensor, G: Any, down: Down, up: Down) -> tuple[Tensor, Tensor]:
    N, C, H, W = x.shape
    condition = up(down(x.clone()))
    real = x.new_empty(N, 2 * C, H, W)
    real[:, :C], real[:, C:] = x, condition
    real[:, :C] -= condition
    return real, F.pad(G(z, condition), (0, 0, 0, 0, 0, C)) + F.pad(condition, (0, 0, 0, 0, C, 0))


def _pairs_hstack(x: Tensor, z: Tensor, G: Any, down: Down, up: Down) -> tuple[Tensor, Tensor]:
    low = up(down(x))

    def shown(h: Tensor) -> Tensor:
        return torch.hstack((h, low))

    return shown(torch.sub(x, low)), shown(G(z, low))


def _pairs_wrong(
    *,
    real: Callable[[Tensor, Tensor], Tensor] = lambda x, low: x - low,
    fake: Callable[[Tensor, Tensor], Tensor] = lambda made, low: made,
    told_g: Callable[[Tensor, Tensor], Tensor] = lambda x, low: low,
    told_real: Callable[[Tensor, Tensor], Tensor] = lambda x, low: low,
    told_fake: Callable[[Tensor, Tensor], Tensor] = lambda x, low: low,
    order: int = 1,
    swap: int = 1,
) -> Callable[..., Any]:
    """The two pairs with one thing wrong."""

    def answer(x: Tensor, z: Tensor, G: Any, down: Down, up: Down) -> Any:
        low = up(down(x))
        shown_real = torch.cat([real(x, low), told_real(x, low)][::order], 1)
        shown_fake = torch.cat([fake(G(z, told_g(x, low)), low), told_fake(x, low)][::order], 1)
        return (shown_real, shown_fake)[::swap]

    return answer


LEVEL_PAIRS = Key(
    question=asked.LEVEL_PAIRS,
    solution=(level_pairs,),
    reference=_pairs_by_channels,
    source="Denton, Chintala, Szlam & Fergus 2015, arXiv:1506.05751, section 3.2 and figure 2",
    mistakes=(
        Mistake(
            "the slide, both of them the low-pass picture",
            "h = l − l with the low-pass picture twice is 0. It is the original that the low-pass picture is taken from: x − l.",
            _pairs_wrong(real=lambda x, low: low - low),
        ),
        Mistake(
            "the slide, both of them the picture",
            "h = I − I is 0, and D and G are told the very picture that is to be drawn. The low-pass one is up(down(x)).",
            _pairs_wrong(
                real=lambda x, low: x - x,
                told_g=lambda x, low: x,
                told_real=lambda x, low: x,
                told_fake=lambda x, low: x,
            ),
        ),
        Mistake(
            "D told the picture",
            "D is told the original: for a real pair it can then work out h itself. It is told the low-pass picture.",
            _pairs_wrong(told_real=lambda x, low: x, told_fake=lambda x, low: x),
        ),
        Mistake(
            "two different conditions",
            "The real pair comes with the picture, the fake one with its low-pass version: D tells them by that alone.",
            _pairs_wrong(told_real=lambda x, low: x),
        ),
        Mistake(
            "G told the picture",
            "G is told the picture that it is to draw. When drawing it has only the low-pass one.",
            _pairs_wrong(told_g=lambda x, low: x),
        ),
        Mistake(
            "whole pictures to D",
            "D judges high-pass pictures: x − l and what G made, not the sums.",
            _pairs_wrong(real=lambda x, low: x, fake=lambda made, low: made + low),
        ),
        Mistake(
            "real as a picture, fake as a difference",
            "One pair has the picture, the other a difference: D need not even look. The real high-pass picture is x − l.",
            _pairs_wrong(real=lambda x, low: x),
        ),
        Mistake(
            "low-pass subtracted from what G made",
            "G makes the high-pass picture itself: nothing is to be subtracted.",
            _pairs_wrong(fake=lambda made, low: made - low),
        ),
        Mistake(
            "sign turned",
            "h = x − l, so that l + h is the picture.",
            _pairs_wrong(real=lambda x, low: low - x),
        ),
        Mistake(
            "condition first",
            "High-pass picture in the first C channels, condition in the last.",
            _pairs_wrong(order=-1),
        ),
        Mistake(
            "fake first",
            "The real pair comes first.",
            _pairs_wrong(swap=-1),
        ),
        Mistake(
            "fakes detached",
            "No gradient reaches G: leave the graph on, D's step cuts it where it has to.",
            _pairs_wrong(fake=lambda made, low: made.detach() + 0 * made),
        ),
    ),
    alternatives={
        "stacked and expanded": _pairs_as_one_batch,
        "filled and padded": _pairs_filled,
        "hstack": _pairs_hstack,
    },
)

# lapgan_chain


def lapgan_chain(generators: list, noises: list[Tensor], up) -> list[Tensor]:
    """[G_0, ..., G_K] and [z_0, ..., z_K], finest first -> the pictures [l_K, ..., l_0], coarsest first."""
    ### BEGIN SOLUTION
    *finer, base = generators
    drawn = [base(noises[-1])]
    for level in reversed(range(len(finer))):
        enlarged = up(drawn[-1])
        drawn.append(enlarged + finer[level](noises[level], enlarged))
    return drawn
    ### END SOLUTION


def _chain_by_formula(generators: list[Any], noises: list[Tensor], up: Up) -> list[Tensor]:
    """l_k by its recursion, and with it all that are coarser."""

    def coarser(k: int) -> list[Tensor]:
        if k == len(generators) - 1:
            return [generators[k](noises[k])]
        before = coarser(k + 1)
        condition = up(before[-1])
        return [*before, condition + generators[k](noises[k], condition)]

    return coarser(0)


def _chain_zipped(generators: list[Any], noises: list[Tensor], up: Up) -> list[Tensor]:
    steps = list(zip(generators, noises))[::-1]
    G, z = steps[0]
    picture = G(z)
    chain = [picture]
    for G, z in steps[1:]:
        l = up(picture)
        picture = torch.add(G(z, l), l)
        chain += [picture]
    return chain


def _chain_filled(generators: list[Any], noises: list[Tensor], up: Up) -> list[Tensor]:
    K = len(generators) - 1
    pictures: list[Any] = [None] * (K + 1)
    for k in range(K, -1, -1):
        if k == K:
            pictures[k] = generators[k](noises[k])
            continue
        condition = up(pictures[k + 1])
        pictures[k] = torch.stack([condition, generators[k](noises[k], condition.clone())]).sum(0)
    return pictures[::-1]


def _chain_accumulated(generators: list[Any], noises: list[Tensor], up: Up) -> list[Tensor]:
    import itertools

    def grow(picture: Tensor, step: tuple[Any, Tensor]) -> Tensor:
        condition = up(picture)
        return condition + step[0](step[1], condition)

    steps = list(zip(generators[:-1], noises[:-1]))
    return list(itertools.accumulate(reversed(steps), grow, initial=generators[-1](noises[-1])))


def _chain_wrong(
    *,
    level: Callable[..., Tensor] = lambda G, z, small, up: up(small) + G(z, up(small)),
    walk: Callable[[int], list[int]] = lambda K: list(range(K - 1, -1, -1)),
    noise_of: Callable[[int, int], int] = lambda k, K: k,
    keep: Callable[[list[Tensor]], list[Tensor]] = lambda chain: chain,
) -> Callable[..., Any]:
    """The chain with one thing wrong."""

    def answer(generators: list[Any], noises: list[Tensor], up: Up) -> Any:
        K = len(generators) - 1
        chain = [generators[K](noises[noise_of(K, K)])]
        for k in walk(K):
            chain.append(level(generators[k], noises[noise_of(k, K)], chain[-1], up))
        return keep(chain)

    return answer


def _chain_of_differences(generators: list[Any], noises: list[Tensor], up: Up) -> list[Tensor]:
    chain = _chain_by_formula(generators, noises, up)
    return chain[:1] + [fine - up(coarse) for coarse, fine in itertools.pairwise(chain)]


def _chain_of_blurs(generators: list[Any], noises: list[Tensor], up: Up) -> list[Tensor]:
    """Conditions go up without the differences."""
    chain = [generators[-1](noises[-1])]
    blur = chain[0]
    for G, z in list(zip(generators, noises))[-2::-1]:
        blur = up(blur)
        chain.append(blur + G(z, blur))
    return chain


LAPGAN_CHAIN = Key(
    question=asked.LAPGAN_CHAIN,
    solution=(lapgan_chain,),
    reference=_chain_by_formula,
    source="Denton, Chintala, Szlam & Fergus 2015, arXiv:1506.05751, equation 6 and figure 1",
    mistakes=(
        Mistake(
            "conditioned on the small picture",
            'The slide\'s "previous small image": G is told the picture *made larger*, and its difference is added at the new '
            "size.",
            _chain_wrong(level=lambda G, z, small, up: up(small + G(z, small))),
        ),
        Mistake(
            "difference made larger",
            "G is told the small picture, and its difference is made larger. Make the picture larger first: G works at the "
            "new size.",
            _chain_wrong(level=lambda G, z, small, up: up(small) + up(G(z, small))),
        ),
        Mistake(
            "difference taken for the picture",
            "G gives a difference: add it to the enlarged picture.",
            _chain_wrong(level=lambda G, z, small, up: G(z, up(small))),
        ),
        Mistake(
            "enlarged picture added twice",
            "The enlarged picture is added once.",
            _chain_wrong(level=lambda G, z, small, up: 2 * up(small) + G(z, up(small))),
        ),
        Mistake(
            "difference subtracted",
            "The difference is added.",
            _chain_wrong(level=lambda G, z, small, up: up(small) - G(z, up(small))),
        ),
        Mistake(
            "conditions without differences",
            "Each level is told the base made larger and larger: the differences drawn so far are missing from its condition.",
            _chain_of_blurs,
        ),
        Mistake(
            "generators from the wrong end",
            "`generators[0]` is the finest: after the base comes the generator before the last.",
            _chain_wrong(walk=lambda K: list(range(K))),
        ),
        Mistake(
            "noises from the wrong end",
            "Generator k gets noise k: you hand out the noises in the opposite order.",
            _chain_wrong(noise_of=lambda k, K: K - k),
        ),
        Mistake(
            "one noise for all",
            "Each level has a noise of its own.",
            _chain_wrong(noise_of=lambda k, K: K),
        ),
        Mistake(
            "finest first",
            "The pictures come in the order in which they are drawn, coarsest first.",
            _chain_wrong(keep=lambda chain: chain[::-1]),
        ),
        Mistake(
            "finest only",
            "All K + 1 pictures are asked for.",
            _chain_wrong(keep=lambda chain: chain[-1:]),
        ),
        Mistake(
            "base left out",
            "The base belongs to the chain.",
            _chain_wrong(keep=lambda chain: chain[1:]),
        ),
        Mistake(
            "differences collected",
            "You collect the differences. The pictures are asked for.",
            _chain_of_differences,
        ),
        Mistake(
            "clamped at each level",
            "Nothing is clamped: the next level would be told a picture that is not what was drawn.",
            _chain_wrong(level=lambda G, z, small, up: (up(small) + G(z, up(small))).clamp(-1, 1)),
        ),
        Mistake(
            "finest level forgotten",
            "The chain ends a level too early: G_0 draws the last difference.",
            _chain_wrong(walk=lambda K: list(range(K - 1, 0, -1))),
        ),
    ),
    alternatives={
        "zipped": _chain_zipped,
        "filled from the end": _chain_filled,
        "accumulated": _chain_accumulated,
    },
)
