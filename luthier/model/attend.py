"""The products of attention: each query takes a mean of the values, weighted by its keys.

All attention of luthier goes through `attend`; what is behind it may be made faster without
anybody noticing.

Dimension key, for the whole file:
    B  rows              T  queries                 S  keys
    H  query heads       K  key/value heads         G  query heads of one key/value head
    E  width of a head   R  distances, `2 * reach - 1` of them, from `1 - reach` to `reach - 1`
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.model.attention_products import attend_by_products, suits
from luthier.model.dropped import dropped
from luthier.model.layout import Layout
from luthier.model.one_query import attend_one
from luthier.model.one_query import suits as suits_one

LEAST_PIECES = 3
"""Windows that a row must hold before it is cut into pieces. Measured on one core, forward and
backward: at 3 to 4 of them 1.5 to 2 times as fast as one product with a mask, at 8 of them 3."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Which keys a query sees by where they stand, and what becomes of its scores.

    The last query stands where the last key stands. So the keys may begin earlier: they are what
    was read before.

    Attributes:
        causal: Whether a query sees no later key.
        window: The keys that a query sees at most, its own included: those before it where
            causal, else as many on both sides. None for all.
        scale: What `q k` is multiplied by; none for `1 / sqrt(E)`.
        softcap: Scores are kept between ± this; none leaves them.
    """

    causal: bool
    window: int | None = None
    scale: float | None = None
    softcap: float | None = None

    @property
    def reach(self) -> int | None:
        """The positions that a query sees on a side, its own not counted; none for all."""
        if self.window is None:
            return None
        return self.window - 1 if self.causal else self.window // 2


def attend(
    q_BHTE: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    sight: Sight,
    *,
    bias_HR: Tensor | None = None,
    layout: Layout | None = None,
    hidden_BS: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """`softmax(softcap(scale q k^T) + bias) v`, over the keys that each query sees.

    Args:
        q_BHTE: Queries.
        k_BKSE: Keys; K divides H, and query heads `[g * G, (g + 1) * G)` share head g.
        v_BKSE: Values.
        sight: Which keys a query sees.
        bias_HR: What is added to a score, for each distance of the key from the query.
        layout: Where documents lie; T and S are then its time, and no query sees another
            document. What comes out at padding is zero.
        hidden_BS: True for keys that no query sees, but its own where it stands there: padding.
            Not with a layout.
        dropout: The share of the weights left out, in this pass.

    Returns:
        `(B, H, T, E)`, finite for padding too.

    Cost:
        `4 * B * H * E` FLOPs for each pair of a query and a key that are looked at together:
        `T * S`, where a query sees less too; with a layout the squares of the documents' lengths,
        and with a window in a long row `2 * window * T`.
    """
    if layout is None or layout.full:
        return _rows(q_BHTE, k_BKSE, v_BKSE, sight, bias_HR, hidden_BS, dropout)
    assert hidden_BS is None, "a layout tells itself where the padding is"
    groups = layout.groups
    apart = (groups.apart(x.transpose(1, 2).flatten(0, 1)) for x in (q_BHTE, k_BKSE, v_BKSE))
    parts: list[Tensor] = []
    for group, *qkv in zip(groups.groups, *apart, strict=True):
        q, k, v = (x.transpose(1, 2) for x in qkv)
        hidden = None if sight.causal else group.absent_NL
        parts.append(_rows(q, k, v, sight, bias_HR, hidden, dropout).transpose(1, 2))
    y_SHE = groups.together(parts)
    return y_SHE.view(layout.rows, layout.time, *y_SHE.shape[1:]).transpose(1, 2)


def _rows(
    q_BHTE: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    sight: Sight,
    bias_HR: Tensor | None,
    hidden_BS: Tensor | None,
    dropout: float,
) -> Tensor:
    """Of rows that are one document each."""
    time, keys, reach = q_BHTE.shape[2], k_BKSE.shape[2], sight.reach
    if time == 1:
        return _one(q_BHTE, k_BKSE, v_BKSE, sight, bias_HR, hidden_BS, dropout)
    if reach is not None and time == keys and time >= LEAST_PIECES * (reach + 1):
        return _pieces(q_BHTE, k_BKSE, v_BKSE, sight, bias_HR, hidden_BS, dropout)
    plain = sight.causal and time == keys and (reach is None or reach >= keys - 1)
    if plain and bias_HR is None and hidden_BS is None and sight.softcap is None:
        return _product(q_BHTE, k_BKSE, v_BKSE, sight, None, dropout, causal=True)
    mask = _mask(q_BHTE, keys, keys - time, sight, bias_HR, hidden_BS)
    return _product(q_BHTE, k_BKSE, v_BKSE, sight, mask, dropout)


def _one(
    q_BH1E: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    sight: Sight,
    bias_HR: Tensor | None,
    hidden_BS: Tensor | None,
    dropout: float,
) -> Tensor:
    """Of the last position alone, which sees all keys in its window.

    The query heads that share keys stand where queries else do, since they see the same: one
    product reads each key once, and bfloat16 on a CPU is several times faster.
    """
    if sight.reach is not None and sight.reach + 1 < k_BKSE.shape[2]:
        k_BKSE, v_BKSE = (x[:, :, -sight.reach - 1 :] for x in (k_BKSE, v_BKSE))
        hidden_BS = None if hidden_BS is None else hidden_BS[:, -sight.reach - 1 :]
    keys, heads = k_BKSE.shape[1:3][::-1]
    seen = replace(sight, window=None)
    mask = _mask(q_BH1E, keys, keys - 1, seen, bias_HR, hidden_BS)
    if mask is not None and mask.shape[1] > 1:
        mask = mask.reshape(mask.shape[0], heads, -1, keys)
    q_BKGE = q_BH1E.reshape(q_BH1E.shape[0], heads, -1, q_BH1E.shape[-1])
    if sight.softcap is None and suits_one(q_BKGE, k_BKSE, dropout):
        y_BKGE = attend_one(q_BKGE, k_BKSE, v_BKSE, mask, sight.scale)
    else:
        y_BKGE = _product(q_BKGE, k_BKSE, v_BKSE, seen, mask, dropout)
    return y_BKGE.reshape(q_BH1E.shape)


def _pieces(
    q_BHTE: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    sight: Sight,
    bias_HR: Tensor | None,
    hidden_BS: Tensor | None,
    dropout: float,
) -> Tensor:
    """Of a row that is long beside its window: a piece of queries sees its neighbours alone.

    A piece is as long as a query sees far: so the piece before and, where not causal, the piece
    behind hold all that it sees.
    """
    assert sight.reach is not None
    size = max(sight.reach, 1)
    q, k, v = (torch.split(x, size, 2) for x in (q_BHTE, k_BKSE, v_BKSE))
    hidden = None if hidden_BS is None else torch.split(hidden_BS, size, 1)
    outputs: list[Tensor] = []
    for piece, queries in enumerate(q):
        near = slice(max(piece - 1, 0), piece + (1 if sight.causal else 2))
        keys = torch.cat(k[near], 2)
        first = size if piece else 0
        hides = None if hidden is None else torch.cat(hidden[near], 1)
        mask = _mask(queries, keys.shape[2], first, sight, bias_HR, hides)
        outputs.append(_product(queries, keys, torch.cat(v[near], 2), sight, mask, dropout))
    return torch.cat([y.transpose(1, 2) for y in outputs], 1).transpose(1, 2)


def _mask(
    q_BHTE: Tensor,
    keys: int,
    first: int,
    sight: Sight,
    bias_HR: Tensor | None,
    hidden_BS: Tensor | None,
) -> Tensor | None:
    """What is added to the scores, or true for those that count; none where all do, as they are.

    Args:
        q_BHTE: The queries, for their number, device and type.
        keys: S.
        first: Where the first query stands among the keys.
        sight: Which keys a query sees.
        bias_HR: For each distance.
        hidden_BS: True for keys that only their own query sees.

    Returns:
        `(1 or B, 1 or H, 1 or T, S)`.
    """
    time, reach = q_BHTE.shape[2], sight.reach
    seen: Tensor | None = None
    if reach is not None or (sight.causal and time > 1):
        far_TS = _distances(q_BHTE, keys, first)
        most = keys if reach is None else reach
        near_TS = (far_TS >= -most) & (far_TS <= (0 if sight.causal else most))
        seen = near_TS[None, None]
    if hidden_BS is not None:
        shown = ~hidden_BS[:, None, None]
        if sight.causal or reach is not None:
            # Its own key: padding that saw nothing would give no number.
            shown = shown | (_distances(q_BHTE, keys, first) == 0)
        seen = shown if seen is None else seen & shown
    if bias_HR is None:
        return seen
    bias = _by_distance(bias_HR, time, keys, first)[None].to(q_BHTE.dtype)
    return bias if seen is None else bias.masked_fill(~seen, -math.inf)


def _distances(q_BHTE: Tensor, keys: int, first: int) -> Tensor:
    """How far behind each query each key stands: `(T, S)`."""
    time, device = q_BHTE.shape[2], q_BHTE.device
    places_T = torch.arange(first, first + time, device=device)
    return torch.arange(keys, device=device) - places_T[:, None]


def _by_distance(bias_HR: Tensor, time: int, keys: int, first: int) -> Tensor:
    """`bias[h, s - first - t]` at each (h, t, s): `(H, T, S)`.

    Windows of the table instead of an index: its gradient is not a sum at random places.
    """
    middle = bias_HR.shape[1] // 2
    nearest = middle - (first + time - 1)
    assert nearest >= 0, "a table of distances that is too short"
    assert middle + keys - first <= bias_HR.shape[1], "a table of distances that is too short"
    used = bias_HR[:, nearest : nearest + keys + time - 1]
    return used.unfold(1, keys, 1).flip(1)


def _product(
    q_BHTE: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    sight: Sight,
    mask: Tensor | None,
    dropout: float,
    *,
    causal: bool = False,
) -> Tensor:
    """The weighted means, of scores with `mask` added or, where it is bool, left out."""
    if sight.softcap is None and suits(q_BHTE, k_BKSE, mask, causal=causal, dropout=dropout):
        return attend_by_products(
            q_BHTE, k_BKSE, v_BKSE, mask, scale=sight.scale, causal=causal, dropout=dropout
        )
    if sight.softcap is None:
        return F.scaled_dot_product_attention(
            q_BHTE,
            k_BKSE,
            v_BKSE,
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=causal,
            scale=sight.scale,
            enable_gqa=q_BHTE.shape[1] != k_BKSE.shape[1],
        )
    rows, heads, _, width = k_BKSE.shape
    scale = width**-0.5 if sight.scale is None else sight.scale
    q_BKGTE = q_BHTE.reshape(rows, heads, -1, *q_BHTE.shape[2:])
    scores_BKGTS = q_BKGTE * (scale / sight.softcap) @ k_BKSE[:, :, None].transpose(-1, -2)
    scores = scores_BKGTS.flatten(1, 2).tanh() * sight.softcap
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    weights = dropped(scores.softmax(-1), dropout)
    y_BKGTE = weights.view(scores_BKGTS.shape) @ v_BKSE[:, :, None]
    return y_BKGTE.flatten(1, 2)
