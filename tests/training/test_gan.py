"""The adversarial loop: who moves when, what is recorded, and that it learns."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from nets import RADIUS, images, points, ring, squares
from torch import Tensor, nn

from coursekit import losses
from coursekit.errors import InputError, TrainingError
from coursekit.runtime import fabric, generator, seeded
from coursekit.training.gan import Gan, GanConfig, GanRecord, frozen, train_gan, update_discriminator, update_generator

Z = torch.randn(6, 4, generator=generator(3))


def gan_of_points(**changes: Any) -> Gan:
    options = {"steps": 3, "latent": 4} | changes
    return Gan(*points(), GanConfig(**options))


def weights(net: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def same(before: list[Tensor], net: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, net.parameters()))


def test_a_turn_of_the_discriminator_is_one_step_down_its_loss_and_leaves_the_generator_alone() -> None:
    G, D = points()
    real, before = ring(6)(0), weights(G)
    mirror = copy.deepcopy(D)
    turn = update_discriminator(
        D, G, real, Z, game=losses.NON_SATURATING, optimizer=torch.optim.SGD(D.parameters(), lr=0.1)
    )
    on_real, on_fake = mirror(real), mirror(G(Z).detach())
    loss = -torch.log(torch.sigmoid(on_real)).mean() - torch.log(1 - torch.sigmoid(on_fake)).mean()
    loss.backward()
    for moved, old in zip(D.parameters(), mirror.parameters()):
        torch.testing.assert_close(moved.detach(), old.detach() - 0.1 * old.grad)
    assert same(before, G) and all(p.grad is None for p in G.parameters())
    torch.testing.assert_close(turn.loss, loss.detach())
    torch.testing.assert_close(turn.real, torch.sigmoid(on_real).mean().detach())
    torch.testing.assert_close(turn.fake, torch.sigmoid(on_fake).mean().detach())
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in mirror.parameters()))
    assert turn.grad_norm.item() == pytest.approx(norm, rel=1e-5)


def test_a_turn_of_the_generator_is_one_step_down_its_loss_and_leaves_the_discriminator_alone() -> None:
    G, D = points()
    before, mirror = weights(D), copy.deepcopy(G)
    turn = update_generator(G, D, Z, game=losses.MINIMAX, optimizer=torch.optim.SGD(G.parameters(), lr=0.1))
    loss = torch.log(1 - torch.sigmoid(D(mirror(Z)))).mean()
    gradients = torch.autograd.grad(loss, list(mirror.parameters()))
    for moved, old, gradient in zip(G.parameters(), mirror.parameters(), gradients):
        torch.testing.assert_close(moved.detach(), old.detach() - 0.1 * gradient)
    assert same(before, D) and all(p.grad is None and p.requires_grad for p in D.parameters())
    assert turn.real.isnan() and turn.loss.item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize(("fresh", "passes"), [(True, 4), (False, 3)])
def test_fakes_are_made_once_for_both_players_where_noise_is_not_fresh(fresh: bool, passes: int) -> None:
    """With k = 3: three passes for D and one for G, or three of which G's step uses the last."""
    G, D = points()
    seen: list[Tensor] = []
    G.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    next(train_gan(Gan(G, D, GanConfig(steps=1, latent=4, d_steps=3, fresh_noise=fresh)), ring(6)))
    assert len(seen) == passes
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])  # every pass has noise of its own


def test_shared_fakes_move_both_networks_as_the_two_equations_say() -> None:
    """The literal loop: D descends on fakes cut off from G, then G on the same fakes through the moved D."""
    rates = {"lr_d": 0.01, "lr_g": 0.02, "betas": (0.5, 0.9)}
    gan = Gan(*points(), GanConfig(steps=3, latent=4, fresh_noise=False, seed=5, **rates), fabric=fabric(on="cpu"))
    list(train_gan(gan, ring(6)))
    G, D = points()
    g_adam = torch.optim.Adam(G.parameters(), lr=0.02, betas=(0.5, 0.9))
    d_adam = torch.optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.9))
    own = generator(5)
    for k in range(3):
        fake = G(torch.randn(6, 4, generator=own))
        d_adam.zero_grad()
        (-torch.sigmoid(D(ring(6)(k))).log().mean() - (1 - torch.sigmoid(D(fake.detach()))).log().mean()).backward()
        d_adam.step()
        g_adam.zero_grad()
        (-torch.sigmoid(D(fake)).log().mean()).backward()
        g_adam.step()
    for net, moved in ((G, gan.generator), (D, gan.discriminator)):
        for a, b in zip(net.parameters(), moved.parameters()):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_rates_fall_to_a_twentieth_after_their_share_of_the_steps() -> None:
    gan = Gan(*points(), GanConfig(steps=11, latent=4, lr_d=0.01, lr_g=0.02, decay_from=0.5))
    rates = [(gan.d_adam.param_groups[0]["lr"], gan.g_adam.param_groups[0]["lr"]) for _ in train_gan(gan, ring(6))]
    shares = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.05]
    assert [d for d, _ in rates] == pytest.approx([0.01 * share for share in shares])
    assert [g for _, g in rates] == pytest.approx([0.02 * share for share in shares])


def test_frozen_weights_are_thawed_even_after_an_error_and_others_stay_frozen() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    with pytest.raises(KeyError), frozen(net):
        assert not any(p.requires_grad for p in net.parameters())
        raise KeyError
    assert [p.requires_grad for p in net.parameters()] == [False, False, True, True]


def test_records_say_what_happened_and_when() -> None:
    gan, asked = gan_of_points(steps=5, d_steps=2, measure_every=2), []

    def batches(k: int) -> Tensor:
        asked.append(k)
        return ring(8)(k)

    records = list(train_gan(gan, batches, measure=lambda g: 10 * g.step))
    assert asked == list(range(10))  # two updates of D for each of G
    assert [r.step for r in records] == [0, 1, 2, 3, 4] and gan.step == 5
    assert [r.measure for r in records] == [None, 20.0, None, 40.0, 50.0]  # every second step, and the last
    assert all(0 < r.d_real < 1 and 0 < r.d_fake < 1 and r.d_grad_norm > 0 and r.g_grad_norm > 0 for r in records)
    assert [r.seconds for r in records] == sorted(r.seconds for r in records)
    # A fresh D is undecided (Goodfellow et al., theorem 1, at D = 1/2).
    assert records[0].d_loss == pytest.approx(2 * math.log(2), abs=0.3)


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    one, two, other = (list(train_gan(gan_of_points(seed=s), ring(8))) for s in (0, 0, 1))
    assert one == two != other  # the time that a step took is no part of what it did


def test_the_loop_draws_nothing_from_torchs_global_generator() -> None:
    before = torch.get_rng_state()
    gan = Gan(*images(), GanConfig(steps=2, latent=4))
    list(train_gan(gan, squares(4)))
    gan.sample(3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_looking_does_not_change_the_run(ema: float) -> None:
    watched, alone = (Gan(*images(), GanConfig(steps=4, latent=4, ema=ema)) for _ in range(2))
    seen = [
        (record, watched.sample(5)) for record in train_gan(watched, squares(4), measure=lambda g: g.sample(4).mean())
    ]
    assert [r.g_loss for r, _ in seen] == [r.g_loss for r in train_gan(alone, squares(4))]
    assert watched.generator.training


def test_samples_come_from_the_average_where_one_is_kept() -> None:
    gan = gan_of_points(steps=30, ema=0.9)
    expected, rows = copy.deepcopy(gan.generator), []
    for record in train_gan(gan, ring(8)):
        decay = min(0.9, (1 + record.step) / (10 + record.step))
        for mean, now in zip(expected.parameters(), gan.generator.parameters()):
            mean.data = decay * mean.data + (1 - decay) * now.data
        rows.append(decay)
    assert rows[0] == 0.1 and rows[-1] > 0.75  # the first average is mostly the first step
    torch.testing.assert_close(gan.sample(Z), expected(Z).detach())
    assert not torch.equal(gan.sample(Z), gan.generator(Z).detach())
    assert not any(p.requires_grad for p in gan.average.parameters())


def test_the_average_takes_the_statistics_of_batch_norm_over() -> None:
    gan = Gan(*images(), GanConfig(steps=3, latent=4, ema=0.9))
    list(train_gan(gan, squares(4)))
    for mean, now in zip(gan.average.buffers(), gan.generator.buffers()):
        assert torch.equal(mean, now)


def test_conditions_reach_both_networks_with_their_own_rows() -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []

    class Conditional(nn.Module):
        def __init__(self, name: str, width: int) -> None:
            super().__init__()
            self.name, self.line = name, nn.Linear(width + 3, 2 if name == "G" else 1)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            seen.append((self.name, tuple(y[:, 0].tolist())))
            return self.line(torch.cat([x, y], 1))

    with seeded(0):
        gan = Gan(Conditional("G", 4), Conditional("D", 2), GanConfig(steps=1, latent=4))
    y = torch.arange(5.0)[:, None].expand(5, 3)
    list(train_gan(gan, lambda k: (ring(5)(k), y)))
    assert [name for name, _ in seen] == ["G", "D", "D", "G", "D"]
    assert {rows for _, rows in seen} == {(0.0, 1.0, 2.0, 3.0, 4.0)}
    assert gan.sample(2, y[:2]).shape == (2, 2)


def test_a_penalty_trains_the_discriminator() -> None:
    """Its weight huge, the gradient of D's score is pulled to length 1 (Gulrajani et al. 2017, equation 3)."""

    def slope(D: nn.Module, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        [gradient] = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        return gradient.norm(dim=1)

    def penalty(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return 100 * (slope(D, (real + fake) / 2) - 1).square().mean()

    gan = Gan(*points(), GanConfig(steps=60, latent=4, lr_d=1e-2, lr_g=0.0), game=losses.WASSERSTEIN)
    before = (slope(gan.discriminator, ring(64)(0)) - 1).abs().mean()
    records = list(train_gan(gan, ring(64), penalty=penalty))
    after = (slope(gan.discriminator, ring(64)(0)) - 1).abs().mean()
    assert after < 0.3 * before
    assert records[-1].d_loss == pytest.approx(
        records[-1].d_fake - records[-1].d_real, abs=2.0
    )  # a critic's opinion is its score


def test_a_projection_follows_every_step_of_the_discriminator() -> None:
    gan, calls = gan_of_points(steps=2, d_steps=3), []

    def project(D: nn.Module) -> None:
        calls.append(gan.step)
        for p in D.parameters():
            p.clamp_(-0.01, 0.01)

    for _ in train_gan(gan, ring(8), project=project):
        assert max(p.abs().max().item() for p in gan.discriminator.parameters()) <= 0.01
    assert calls == [0, 0, 0, 1, 1, 1]


def test_a_penalty_receives_the_conditions() -> None:
    class Deaf(nn.Linear):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return super().forward(x)

    with seeded(0):
        gan = Gan(Deaf(4, 2), Deaf(2, 1), GanConfig(steps=1, latent=4))
    y, seen = torch.arange(5)[:, None], []
    list(train_gan(gan, lambda k: (ring(5)(k), y), penalty=lambda D, real, fake, y: seen.append(y) or D(real, y).sum()))
    assert len(seen) == 1 and torch.equal(seen[0], y)


@pytest.mark.parametrize("mixed", [False, True])
def test_batch_norm_sees_two_batches_or_their_mixture(mixed: bool) -> None:
    norm, seen = nn.BatchNorm1d(2), []
    norm.register_forward_hook(lambda layer, x, y: seen.append(x[0]))
    D, G = nn.Sequential(norm, nn.Linear(2, 1)), points()[0]
    real = ring(6)(0)
    update_discriminator(
        D, G, real, Z, game=losses.HINGE, optimizer=torch.optim.SGD(D.parameters(), lr=0.1), mixed=mixed
    )
    fake = G(Z).detach()
    for got, expected in zip(seen, [torch.cat([real, fake])] if mixed else [real, fake], strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("side", ["data", "generator"])
def test_what_is_not_finite_stops_at_its_step_before_the_weights_move(side: str) -> None:
    gan = gan_of_points(steps=9)

    def batches(k: int) -> Tensor:
        if k == 2 and side == "generator":
            gan.generator[4].bias.data.fill_(torch.nan)
        return ring(8)(k) * (math.nan if k == 2 and side == "data" else 1.0)

    records = []
    with pytest.raises(
        TrainingError, match=r"step 2, the discriminator: the loss is nan.*Likely causes: a learning rate"
    ):
        for record in train_gan(gan, batches):
            records.append(record)
            before = weights(gan.discriminator)
    assert [r.step for r in records] == [0, 1] and same(before, gan.discriminator) and not gan.whole


def test_an_infinite_gradient_of_a_finite_loss_is_caught_too() -> None:
    """sqrt at 0: the value is 0, the slope infinite; the usual trap of a norm in a penalty."""
    gan = gan_of_points()

    def penalty(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return (0.0 * D(real)).sum().sqrt()

    before = weights(gan.discriminator)
    with pytest.raises(TrainingError, match="step 0, the discriminator: the norm of the gradient is nan"):
        list(train_gan(gan, ring(8), penalty=penalty))
    assert same(before, gan.discriminator)


def test_bfloat16_runs_and_keeps_float32_weights() -> None:
    gan = Gan(
        *images(dropout=0.0),
        GanConfig(steps=2, latent=4, channels_last=True),
        fabric=fabric(on="cpu", precision="bf16-mixed"),
    )
    seen = []
    gan.discriminator[0].register_forward_hook(lambda layer, x, y: seen.append((y.dtype, x[0].stride())))
    records = list(train_gan(gan, squares(4)))
    assert {dtype for dtype, _ in seen} == {torch.bfloat16}
    assert {p.dtype for p in gan.generator.parameters()} == {torch.float32} == {gan.sample(2).dtype}
    assert gan.generator[2].weight.is_contiguous(memory_format=torch.channels_last)
    plain = list(train_gan(Gan(*images(dropout=0.0), GanConfig(steps=2, latent=4)), squares(4)))
    # bfloat16 keeps 8 bits of a number: 0.4 %.
    assert [r.d_loss for r in records] == pytest.approx([r.d_loss for r in plain], rel=0.02)


def test_the_layout_of_memory_changes_nothing_but_rounding() -> None:
    """And which units dropout drops, hence none here: it walks through memory."""
    rows, columns = (
        list(train_gan(Gan(*images(dropout=0.0), GanConfig(steps=3, latent=4, channels_last=last)), squares(4)))
        for last in (False, True)
    )
    assert [r.g_loss for r in rows] == pytest.approx([r.g_loss for r in columns], rel=1e-4)


def test_points_move_to_the_ring() -> None:
    """Mean distance of the fakes from the circle of the data's modes.

    Over seeds 0 to 19 it falls from between 0.71 and 0.92 to between 0.03 and 0.51 in these 600 steps.
    """
    with seeded(0):
        G = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        D = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    gan = Gan(G, D, GanConfig(steps=600, latent=4, lr_d=2e-3, lr_g=2e-3, ema=0.99))

    def distance(gan: Gan) -> float:
        return float((gan.sample(1000).norm(dim=1) - RADIUS).abs().mean())

    before = distance(gan)
    *_, last = train_gan(gan, ring(256), measure=distance)
    assert before > 0.65 and last.measure < 0.6


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"steps": -1}, "steps"),
        ({"latent": 0}, "latent"),
        ({"d_steps": 0}, "d_steps"),
        ({"ema": 1.0}, "ema"),
        ({"decay_from": 1.5}, "decay_from"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"GanConfig.{message}"):
        gan_of_points(**bad)


def test_nothing_is_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """nbgrader gives no points to a cell that writes there."""
    list(train_gan(Gan(*points(), GanConfig(steps=1, latent=4), fabric=fabric(precision="bf16-mixed")), ring(4)))
    assert capfd.readouterr() == ("", "")


def test_a_record_compares_by_what_happened() -> None:
    assert GanRecord(0, 1, 1, 1, 1, 1, 1, seconds=1.0) == GanRecord(0, 1, 1, 1, 1, 1, 1, seconds=2.0)
