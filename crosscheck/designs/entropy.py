"""Which weights does Shannon's entropy give to indicators, and what index follows?

The entropy-value method (Shannon 1948 for the entropy; Zeleny 1982, ch. 7, for the weights), for rows i and
indicators j:

1. z_ij = (x_ij - min_j) / (max_j - min_j) where more is better, (max_j - x_ij) / (max_j - min_j) where less is;
2. p_ij = z_ij / sum_i z_ij;
3. e_j = -(1 / ln n) sum_i p_ij ln p_ij, with 0 ln 0 = 0 (its limit), or after a shift of z away from zero;
4. d_j = 1 - e_j (redundancy), w_j = d_j / sum_j d_j;
5. score_i = sum_j w_j z_ij.

Ties need no rule: equal values get equal proportions, and nothing is ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The choices in which papers differ; the words are those of ``EntropyOptions``."""

    standardize: Literal["pooled", "by_year"] = "pooled"
    proportions: Literal["pooled", "by_year"] = "pooled"
    zero: Literal["limit", "shift", "replace"] = "limit"
    shift: float = 1e-4
    constant: Literal["drop", "zero_weight", "error"] = "error"
    missing: Literal["error", "drop_rows", "available"] = "error"
    score: Literal["standardized", "proportions"] = "standardized"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Index:
    """An entropy index.

    Attributes
    ----------
    weight, entropy, redundancy : ndarray, shape (blocks, k)
        One row for each block of proportions (one block where they are pooled); NaN where an indicator was dropped.
    blocks : ndarray, shape (n,)
        Block of each row.
    score : ndarray, shape (n,)
        NaN for rows that were dropped.
    standardized : ndarray, shape (n, k)
        As used for the proportions: after the shift.
    """

    weight: Real
    entropy: Real
    redundancy: Real
    blocks: NDArray[np.int64]
    score: Real
    standardized: Real


def entropy_index(
    x: Real,
    positive: Sequence[bool],
    *,
    rules: Rules,
    period: NDArray[np.int64] | None = None,
    names: Sequence[str] = (),
) -> Index:
    """Return weights and scores of the entropy-value method.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        NaN where missing.
    positive : sequence of bool
        Whether more is better.
    rules : Rules
    period : ndarray of codes from 0, shape (n,), optional
        Needed by ``by_year``.
    names : sequence of str
        For messages.

    Raises
    ------
    DataError
        For a missing, infinite or constant indicator where the rules make it an error, or where nothing is left.
    """
    labels = list(names) or [f"indicator {j + 1}" for j in range(x.shape[1])]
    if np.isinf(x).any():
        raise DataError(f"{labels[int(np.argwhere(np.isinf(x))[0][1])]} has an infinite value")
    present: NDArray[np.bool_] = np.asarray(~np.isnan(x))
    if rules.missing == "error" and not present.all():
        row, column = np.argwhere(~present)[0]
        raise DataError(
            f"{labels[int(column)]} is missing in row {int(row) + 1}",
            hint='missing = "drop_rows" or "available", or interpolate the data first',
        )
    kept: NDArray[np.bool_] = np.asarray(present.all(axis=1) if rules.missing == "drop_rows" else present.any(axis=1))
    if not kept.any():
        raise DataError("no row is left")
    present = present & kept[:, None]
    n = x.shape[0]
    if period is None and "by_year" in (rules.standardize, rules.proportions):
        raise DataError("by_year needs the study's time")
    zeros = np.zeros(n, dtype=np.int64)
    ranges = zeros if period is None or rules.standardize == "pooled" else period
    blocks = zeros if period is None or rules.proportions == "pooled" else period
    z, constant = _standardized(np.where(present, x, np.nan), np.asarray(positive, dtype=bool), ranges, rules, labels)
    if rules.zero == "shift":
        z = z + rules.shift
    elif rules.zero == "replace":
        z = np.where(z == 0, rules.shift, z)
    entropy = np.vstack([_entropies(z[blocks == b], labels) for b in range(int(blocks.max()) + 1)])
    fixed = np.vstack([constant[blocks == b].all(axis=0) for b in range(entropy.shape[0])])
    entropy[fixed] = 1.0 if rules.constant == "zero_weight" else np.nan
    redundancy = 1.0 - entropy
    total = np.nansum(redundancy, axis=1, keepdims=True)
    if np.any(total <= 0):
        raise DataError("no indicator distinguishes the rows: all have full entropy")
    weight = redundancy / total
    return Index(
        weight=weight, entropy=entropy, redundancy=redundancy, blocks=blocks,
        score=_scores(z, weight, blocks, kept, rules), standardized=z,
    )  # fmt: skip


def _standardized(
    x: Real, positive: NDArray[np.bool_], groups: NDArray[np.int64], rules: Rules, labels: Sequence[str]
) -> tuple[Real, NDArray[np.bool_]]:
    """Return z and whether an indicator is constant in the range of each row, both (n, k)."""
    z, constant = np.full(x.shape, np.nan), np.zeros(x.shape, dtype=bool)
    for g in range(int(groups.max()) + 1):
        rows = groups == g
        for j in range(x.shape[1]):
            values = x[rows, j]
            known = values[~np.isnan(values)]
            if known.size == 0 or known.min() == known.max():
                if rules.constant == "error":
                    what = "has no values" if known.size == 0 else f"is constant ({known[0]:g})"
                    raise DataError(f"{labels[j]} {what}", hint='constant = "drop" or "zero_weight"')
                constant[rows, j] = True
                z[rows, j] = np.where(np.isnan(values), np.nan, 0.0)
                continue
            low, high = known.min(), known.max()
            z[rows, j] = ((values - low) if positive[j] else (high - values)) / (high - low)
    return z, constant


def _entropies(z: Real, labels: Sequence[str]) -> Real:
    """Return e_j over the rows that have indicator j, shape (k,)."""
    out = np.empty(z.shape[1])
    for j in range(z.shape[1]):
        values = z[~np.isnan(z[:, j]), j]
        if values.size < 2:
            raise DataError(f"{labels[j]} has fewer than two values in a block")
        total = values.sum()
        p = values[values > 0] / total
        out[j] = -float((p * np.log(p)).sum()) / np.log(values.size) if total > 0 else np.nan
    return out


def _scores(z: Real, weight: Real, blocks: NDArray[np.int64], kept: NDArray[np.bool_], rules: Rules) -> Real:
    parts = z
    if rules.score == "proportions":
        totals = np.vstack([np.nansum(z[blocks == b], axis=0) for b in range(weight.shape[0])])
        parts = z / np.where(totals > 0, totals, 1.0)[blocks]
    w = np.where(np.isnan(weight), 0.0, weight)[blocks]
    known = ~np.isnan(parts)
    score = np.where(known, w * np.where(known, parts, 0.0), 0.0).sum(axis=1)
    if rules.missing == "available":
        share = np.where(known, w, 0.0).sum(axis=1)
        score = np.where(share > 0, score / np.where(share > 0, share, 1.0), np.nan)
    return np.where(kept, score, np.nan)
