"""The references of section 5 against torch's bidirectional network on packed sequences, chained layers and autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from coursekit.exercises.u01_recurrent_networks.known import s5_architectures as known
from coursekit.runtime import generator, seeded

N, T, D, H = 4, 6, 2, 3
LENGTHS = torch.tensor([3, 6, 1, 4])


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def two_way(seed: int) -> tuple[nn.RNN, list[Tensor], list[Tensor]]:
    """A bidirectional network, and its weights as the exercise takes them (the two biases of torch added)."""
    with seeded(seed):
        net = nn.RNN(D, H, batch_first=True, bidirectional=True).double()
    state = net.state_dict()
    forward, backward = (
        [
            state[f"weight_ih_l0{way}"],
            state[f"weight_hh_l0{way}"],
            state[f"bias_ih_l0{way}"] + state[f"bias_hh_l0{way}"],
        ]
        for way in ("", "_reverse")
    )
    return net, forward, backward


@pytest.mark.parametrize("seed", range(3))
def test_bidirectional_states_and_readout_are_torchs_on_packed_sequences(seed: int) -> None:
    net, forward, backward = two_way(seed)
    x = normal(N, T, D, seed=seed)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    out, last = net(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)
    states = known.BIDIRECTIONAL_READOUT.reference["bidirectional_states"](x, LENGTHS, forward, backward)
    torch.testing.assert_close(states, expected)
    # torch's last states are those that have read everything: (2, N, H), forward and backward.
    summary = known.BIDIRECTIONAL_READOUT.reference["bidirectional_readout"](states, LENGTHS)
    torch.testing.assert_close(summary, torch.cat([last[0], last[1]], 1))


def test_the_future_is_in_the_backward_half_only() -> None:
    _, forward, backward = two_way(7)
    x = normal(N, T, D, seed=8)
    later = x.clone()
    later[:, 3] += 1.0
    before, after = (
        known.BIDIRECTIONAL_READOUT.reference["bidirectional_states"](v, torch.full((N,), T), forward, backward)
        for v in (x, later)
    )
    changed = (before != after).any(2).all(0)
    assert changed.tolist() == [True] * T  # every step hears of step 3 from one side
    assert torch.equal(before[:, :3, :H], after[:, :3, :H]) and torch.equal(before[:, 4:, H:], after[:, 4:, H:])


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_skip_in_time_is_a_plain_cell_on_a_state_of_k_pieces(k: int) -> None:
    x, (W_hx, b) = normal(N, T, D, seed=1), (normal(H, D, seed=2), normal(H, seed=3))
    W_hh, W_skip = normal(H, H, seed=4), normal(H, H, seed=5)
    states = known.SKIP_IN_TIME.reference(x, W_hx, W_hh, W_skip, b, k)
    # Witness: torch's own network. It squashes every piece, so the shifted copies are undone by atanh, step by step.
    wide = torch.zeros(H, k * H, dtype=torch.float64)
    wide[:, :H] += W_hh
    wide[:, -H:] += W_skip
    memory = torch.zeros(N, k * H, dtype=torch.float64)
    for t in range(T):
        cell = nn.RNNCell(D, H, dtype=torch.float64)
        weights = {"weight_ih": W_hx, "weight_hh": torch.zeros(H, H, dtype=torch.float64), "bias_ih": b}
        weights["bias_hh"] = torch.zeros(H, dtype=torch.float64)
        plain = torch.func.functional_call(cell, weights, (x[:, t],))
        new = torch.tanh(torch.atanh(plain) + memory @ wide.T)
        torch.testing.assert_close(states[:, t], new)
        memory = torch.cat([new, memory[:, : (k - 1) * H]], 1)


def test_without_skip_weights_it_is_torchs_network_and_with_k_1_the_weights_add() -> None:
    x, (W_hx, b) = normal(N, T, D, seed=1), (normal(H, D, seed=2), normal(H, seed=3))
    W_hh, W_skip = normal(H, H, seed=4), normal(H, H, seed=5)

    def torchs(recurrent: Tensor) -> Tensor:
        net = nn.RNN(D, H, batch_first=True, dtype=torch.float64)
        weights = {"weight_ih_l0": W_hx, "weight_hh_l0": recurrent, "bias_ih_l0": b, "bias_hh_l0": torch.zeros_like(b)}
        return torch.func.functional_call(net, weights, (x,))[0]

    reference = known.SKIP_IN_TIME.reference
    torch.testing.assert_close(reference(x, W_hx, W_hh, 0 * W_skip, b, 3), torchs(W_hh))
    torch.testing.assert_close(reference(x, W_hx, W_hh, W_skip, b, 1), torchs(W_hh + W_skip))
    torch.testing.assert_close(reference(x, W_hx, W_hh, W_skip, b, T), torchs(W_hh))


def test_the_skip_shortens_the_way_back() -> None:
    """What the exercise says of it: with a skip, more of the gradient reaches the first step."""
    steps, k = 41, 5
    x = normal(1, steps, D, seed=6).requires_grad_()
    W_hx, b = normal(H, D, seed=7), torch.zeros(H, dtype=torch.float64)
    W_hh = 0.3 * torch.linalg.qr(normal(H, H, seed=8))[0]
    W_skip = 0.6 * torch.linalg.qr(normal(H, H, seed=9))[0]
    reach = []
    for skip in (0 * W_skip, W_skip):
        last = known.SKIP_IN_TIME.reference(x, W_hx, W_hh, skip, b, k)[0, -1].sum()
        reach.append(torch.autograd.grad(last, x)[0][0, 0].norm().item())
    assert reach[1] > 1e3 * reach[0] > 0


@pytest.mark.parametrize("L", [1, 3])
def test_residual_stack_is_torchs_layers_chained_by_hand(L: int) -> None:
    with seeded(0):
        stack = known.RESIDUAL_STACK.reference(D, H, L).double()
    x = normal(N, T, D, seed=10)
    s = x @ stack.inlet.weight.T + stack.inlet.bias
    for layer in stack.layers:
        s = s + layer(s)[0]
    torch.testing.assert_close(stack(x), s)


def test_the_difference_to_torchs_own_stack_is_the_skips() -> None:
    """`nn.RNN(num_layers=2)` with the same weights is the stack of the mistake "no skip"."""
    with seeded(1):
        stack = known.RESIDUAL_STACK.reference(D, H, 2).double()
    deep = nn.RNN(H, H, num_layers=2, batch_first=True, dtype=torch.float64)
    deep.load_state_dict(
        {f"{name[:-1]}{k}": w for k, layer in enumerate(stack.layers) for name, w in layer.state_dict().items()}
    )
    bare = known._NoSkip(D, H, 2).double()
    bare.load_state_dict(stack.state_dict())
    x = normal(N, T, D, seed=11)
    torch.testing.assert_close(bare(x), deep(stack.inlet(x))[0])
    assert (bare(x) - stack(x)).abs().max() > 0.1
