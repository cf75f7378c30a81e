"""Attention and feed-forward parts that the fusion and the decoder are made of."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Memory(NamedTuple):
    """Keys and values [B, heads, N, D / heads] of tokens: computed once, used in every step."""

    keys: Tensor
    values: Tensor


class Attention(nn.Module):
    """Multi-head attention (arXiv:1706.03762, section 3.2) with separate projections."""

    def __init__(self, width: int, heads: int) -> None:
        """Take D and the number of heads."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def remember(self, tokens: Tensor) -> Memory:
        """Project tokens [B, N, D] to keys and values."""
        return Memory(self._split(self.key(tokens)), self._split(self.value(tokens)))

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        """Attend with queries [B, Q, D]; returns [B, Q, D]."""
        q = self._split(self.query(queries))
        mixed = functional.scaled_dot_product_attention(q, memory.keys, memory.values)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, D / heads]


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between, twice as wide inside."""

    def __init__(self, width: int) -> None:
        """Take D."""
        super().__init__(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


class SelfAttentionBlock(nn.Module):
    """Pre-norm transformer block over tokens [B, N, D]."""

    def __init__(self, width: int, heads: int) -> None:
        """Take D and the number of heads."""
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape."""
        normed = self.attention_norm(tokens)
        tokens = tokens + self.attention(normed, self.attention.remember(normed))
        return tokens + self.ffn(self.ffn_norm(tokens))
