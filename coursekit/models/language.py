"""A recurrent language model: what comes next, given everything so far."""

from __future__ import annotations

from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden and cell state of an LSTM, each (L, N, H)."""


class LanguageModel(nn.Module):
    """Tokens so far -> logits of the next token: embed, LSTM (L layers), read out (Mikolov et al. 2010, with an LSTM).

    Shapes: N batch, T time, V vocabulary, E width of a token's vector, H hidden width, L layers.
    """

    def __init__(self, vocabulary: int, *, hidden: int = 96, embedding: int = 24, layers: int = 1) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding)
        self.rnn = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Ids (N, T) int64, state of the tokens before them -> logits (N, T, V), state after them."""
        h, state = self.rnn(self.embed(ids), state)  # h (N, T, H)
        return self.out(h), state
