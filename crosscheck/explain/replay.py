"""What would the same residuals give under another convention?

A :class:`Replayer` holds one fit of the oracle; every covariance and every small-sample factor then costs a few
matrix products, never another fit.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import Groups, intersect
from crosscheck.closedform.covariance import cluster_parts
from crosscheck.conventions import Counts, Ssc, nested_effects, repair_eigenvalues
from crosscheck.engines._oracle_linear import LinearModel, grouped, inference, linear_model
from crosscheck.engines._oracle_panel import panel_model
from crosscheck.engines._oracle_sunab import averaged
from crosscheck.errors import CrosscheckError
from crosscheck.explain.hypotheses import Choice, KRule, asked, k_rules, multipliers
from crosscheck.explain.model import enough
from crosscheck.spec import VcovSpec

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
RAW = Ssc(k_adj=False, g_adj=False)
MAX_WORK = 4e8
MAX_RANK = 1500
KEPT = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """A covariance before any factor.

    Attributes
    ----------
    matrices : tuple of ndarray
        Its signed terms; one unless there are two cluster dimensions.
    counts : Counts
    base : Choice
        The point that the request's words ask for.
    rules : tuple of KRule
        Every way to count K.
    """

    matrices: tuple[Floats, ...]
    counts: Counts
    base: Choice
    rules: tuple[KRule, ...]


@dataclass(frozen=True, eq=False)
class Replayer:
    """One fit, ready for any convention.

    Attributes
    ----------
    request : FitRequest
    model : LinearModel
    combine : ndarray or None
        Averages of the coefficients that the table shows (Sun and Abraham), shape (rows, k).
    terms : tuple of str
    memo : dict
        What was computed from this fit once, such as the covariances of the catalogue.
    """

    request: FitRequest
    model: LinearModel
    combine: Floats | None
    terms: tuple[str, ...]
    memo: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def estimates(self) -> Floats:
        """Estimates by term."""
        coef = np.asarray(self.model.fit.coef, dtype=np.float64)
        return coef if self.combine is None else self.combine @ coef

    @property
    def ssc(self) -> Ssc:
        """The request's small-sample words."""
        words = self.request.ssc
        return Ssc(k_adj=words.k_adj, k_fixef=words.k_fixef, g_adj=words.g_adj, g_df=words.g_df, t_df=words.t_df)

    @cached_property
    def rank(self) -> int | None:
        """Rank of the dummies of all effects, where it may differ from the count."""
        effects = tuple(self.model.effects.values())
        return dummy_rank(effects) if len(effects) > 1 else None

    def parts(self, vcov: VcovSpec) -> Parts:
        """Return a covariance before any factor.

        Raises
        ------
        CrosscheckError
            Where the covariance does not exist on these data.
        """
        kind = vcov.canonical
        grouping, counts = grouped(self.model, self.request, vcov)
        if kind == "CRV1":
            raw: Sequence[NDArray[np.floating]] = cluster_parts(self.model.fit, grouping.clusters)
        else:
            raw = (inference(self.model, self.request, vcov, RAW, repair=False).matrix,)
        by_data: tuple[bool, ...] = ()
        if grouping.clusters and self.model.effects:
            named = dict(zip(vcov.cluster, grouping.clusters, strict=True))
            by_data = nested_effects(self.model.effects, named, by_name=False)
        rules = k_rules(
            counts, kind, intercept=self.model.intercept and not self.model.effects, by_data=by_data, rank=self.rank
        )
        return Parts(
            matrices=tuple(np.asarray(m, dtype=np.float64) for m in raw),
            counts=counts,
            base=asked(kind, self.ssc, rules),
            rules=rules,
        )

    def std_errors(self, parts: Parts, choice: Choice, *, repair: bool = True) -> Floats:
        """Return the standard errors of the terms at one point; NaN where a variance is negative."""
        scales = multipliers(choice, parts.counts)
        matrix = np.asarray(sum(c * m for c, m in zip(scales, parts.matrices, strict=True)))
        if repair and np.isfinite(matrix).all():
            matrix, _ = repair_eigenvalues(matrix)
        if self.combine is not None:
            matrix = self.combine @ matrix @ self.combine.T
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.diag(matrix)))


_LAST: OrderedDict[tuple[str, str], tuple[NDArray[np.int64], Replayer | None]] = OrderedDict()


def replayer(request: FitRequest, frame: Frame) -> Replayer | None:
    """Fit the request once, or return ``None`` where no closed form answers it (or it would take long).

    The last fits are kept: all pairs of sources of a column ask for the same one.
    """
    key = (request.hash, frame.key)
    if key in _LAST and np.array_equal(_LAST[key][0], frame.row_ids):
        _LAST.move_to_end(key)
        return _LAST[key][1]
    made = _fitted(request, frame)
    _LAST[key] = frame.row_ids, made
    while len(_LAST) > KEPT:
        _LAST.popitem(last=False)
    return made


def _fitted(request: FitRequest, frame: Frame) -> Replayer | None:
    try:
        if request.estimator == "feols":
            if _work(request, frame) > MAX_WORK:
                return None
            model = linear_model(request, frame)
            return Replayer(request, model, None, model.terms)
        if request.estimator == "sunab":
            made = averaged(request, frame)
            return Replayer(request, made.model, made.combine, made.terms)
        if request.estimator in ("re", "between"):
            model = panel_model(request, frame)
            return Replayer(request, model, None, model.terms)
    except (CrosscheckError, np.linalg.LinAlgError):
        return None
    return None


def _work(request: FitRequest, frame: Frame) -> float:
    """Estimate the operations of a fit from the length of the formula."""
    return float(frame.nrows) * (1 + request.formula.count("+")) ** 2


def dummy_rank(effects: tuple[NDArray[np.int64], ...]) -> int | None:
    """Return the rank of the dummies of two or more effects: exact for two, by eigenvalues for more.

    Two effects: levels of both less the number of connected components of their graph (Abowd, Creecy and Kramarz 2002).
    """
    groups = [Groups.of(e) for e in effects]
    if len(groups) == 2:
        return groups[0].size + groups[1].size - _components(groups[0], groups[1])
    total = sum(g.size for g in groups)
    if total > MAX_RANK:
        return None
    gram = np.zeros((total, total))
    offsets = np.cumsum([0, *(g.size for g in groups)])
    for a, one in enumerate(groups):
        for b, other in enumerate(groups):
            np.add.at(gram, (one.codes + offsets[a], other.codes + offsets[b]), 1.0)
    return int(np.linalg.matrix_rank(gram, hermitian=True))


def _components(first: Groups, second: Groups) -> int:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = Groups.of(intersect(first.codes, second.codes))
    rows = pairs.order[pairs.starts]
    size = first.size + second.size
    graph = coo_matrix((np.ones(rows.size), (first.codes[rows], first.size + second.codes[rows])), shape=(size, size))
    return int(connected_components(graph, directed=False)[0])


def close(a: float, b: float, digits: float | None = None) -> bool:
    """Say whether two numbers agree to so many digits; without a number, to those that a replay must meet."""
    digits = enough() if digits is None else digits
    return a == b or (math.isfinite(a) and math.isfinite(b) and abs(a - b) <= 10.0**-digits * abs(a))
