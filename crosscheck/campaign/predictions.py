"""Do engines predict the same, on the rows that they were fitted on and on new ones?

Rows are held out: the model is fitted on the others and predicts all of them. New rows may have levels of fixed effects
that the fit has not seen, or lack values: there is no prediction then, on either side. Where a row's prediction is not
determined by the fit (its levels and regressors lie outside of what the fit has seen) nothing is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from crosscheck import engines
from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING, complete, formula_of, numbers, put, uses, with_request
from crosscheck.campaign.precision import precision_of
from crosscheck.errors import CrosscheckError
from crosscheck.frame import Frame
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

HELD_OUT = "held out"
PREDICTORS = ("oracle", "r.fixest", "pyfixest")
LINEAR_RTOL, ITERATED_RTOL = 1e-6, 1e-4
"""pyfixest solves for the effects by LSMR with a tolerance of 1e-6."""
SHARE = 3
STREAM = 32_452_843


class PredictionsAgree:
    """Any two engines predict the same, on training rows and on new ones."""

    id = "predictions"
    kind: PropertyKind = "differential"
    title = "Any two engines predict the same, on the rows of the fit and on new ones."
    one_in = SHARE

    def applies(self, case: Case) -> str:
        """Return an empty string where two engines predict and a row can be held out."""
        request, formula = case.request, formula_of(case.request)
        if request.estimator not in ("feols", "fepois", "feglm") or formula is None:
            return "the estimator predicts nothing"
        if formula.iv is not None or uses(request, "lag", "poly", "i", "factor"):
            return "predictions after instruments, and levels of new rows, are another matter"
        if not (formula.intercept or formula.fixed_effects):
            return "there is no constant"
        if len(self._willing(case)) < 2:
            return "fewer than two of the engines predict this"
        train, _ = split_of(case)
        kept = train & complete(request, case.frame)
        return "" if 3 < kept.sum() < case.frame.nrows else "too few rows are left"

    def _willing(self, case: Case) -> tuple[str, ...]:
        asked = _asked(case)
        return tuple(e for e in case.engines if engines.family(e) in PREDICTORS and engines.get(e).supports(asked))

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return one fit for each engine that predicts."""
        _, frame = split_of(case)
        return tuple(Ask(engine=e, request=_asked(case), frame=frame) for e in self._willing(case))

    def check(self, case: Case, fit: Fit) -> Checked:
        """Compare predictions row by row where the fit determines them."""
        train, frame = split_of(case)
        precision = precision_of(case.request, case.frame.take(train))
        if precision.reason:
            return Checked(reason=precision.reason)
        try:
            known = determined(case.request, case.frame, train)
        except CrosscheckError as error:
            return Checked(reason=error.what)
        results = [fit(ask.engine, ask.request, ask.frame) for ask in self.asks(case)]
        good = [(r, v) for r in results if r.status == "ok" and (v := _predicted(r)) is not None]
        compared, found = 0, []
        rtol = max(LINEAR_RTOL if case.request.estimator == "feols" else ITERATED_RTOL, 1e2 * precision.rtol)
        for (first, a), (second, b) in combinations(good, 2):
            rows = known >= 0
            compared += int(rows.sum())
            scale = float(np.nanmax(np.abs(np.where(rows & (known == 1), a, np.nan)), initial=0.0))
            with np.errstate(invalid="ignore"):
                apart = ~(np.abs(a - b) <= rtol * scale) & ~(np.isnan(a) & np.isnan(b)) & rows
            for new in (False, True):
                bad = np.flatnonzero(apart & (train != new))
                if bad.size:
                    found.append(self._discrepancy(case, first, second, a, b, int(bad[0]), new=new, frame=frame))
        reason = "" if compared else next((r.reason for r in results if r.status != "ok"), NOTHING)
        return Checked(compared=compared, discrepancies=tuple(found), reason=reason)

    def _discrepancy(
        self,
        case: Case,
        first: EstimationResult,
        second: EstimationResult,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        row: int,
        *,
        new: bool,
        frame: Frame,
    ) -> Discrepancy:
        which = "new" if new else "training"
        return Discrepancy(
            identity=Identity(
                rule=self.id,
                engine=second.engine,
                version=second.version,
                against=first.engine,
                quantity=f"predicted_{which}",
                features=features(case.request),
            ),
            term=f"row {row + 1} of {frame.nrows}",
            value=float(b[row]),
            other=float(a[row]),
            says=f"the prediction of {which} row {row + 1}: {second.engine} {b[row]}, {first.engine} {a[row]}",
            severity="structural" if np.isnan(a[row]) != np.isnan(b[row]) else "printed",
        )


def split_of(case: Case) -> tuple[NDArray[np.bool_], Frame]:
    """Return which rows the model is fitted on, and the frame that says so in a column."""
    rng = np.random.Generator(np.random.PCG64([case.seed, STREAM]))
    out = rng.random(case.frame.nrows) < 0.25
    if "unit" in case.frame and rng.integers(2):
        codes = case.frame["unit"].codes()[0]
        out |= codes == int(rng.integers(max(int(codes.max(initial=0)), 0) + 1))
    return ~out, put(case.frame, numbers(HELD_OUT, out.astype(np.float64)))


def _asked(case: Case) -> FitRequest:
    request = case.request
    return with_request(
        request,
        also=("predicted",),
        vcov={"type": "iid"},
        ssc={},
        conf_level=0.95,
        options={**request.options, "holdout": HELD_OUT},
        columns=(*request.columns, HELD_OUT) if request.columns else (),
    )


def _predicted(result: EstimationResult) -> NDArray[np.float64] | None:
    block = result.block("rows")
    if block is None or "predicted" not in block.quantities:
        return None
    return np.array([np.nan if v is None else v for v in block["predicted"]], dtype=np.float64)


def determined(request: FitRequest, frame: Frame, train: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Say of each row whether the fit determines its prediction.

    Returns
    -------
    ndarray, shape (n,)
        1: it does; 0: there is none, as a value is missing or a level was not seen; -1: it is not determined, or the
        row cannot be used at all (a weight of zero, an unknown cluster).
    """
    formula = formula_of(request)
    assert formula is not None
    matrix = model_matrix(formula, frame, unit=request.unit, time=request.time)
    there = np.zeros(frame.nrows, dtype=bool)
    there[matrix.rows] = True
    usable = complete(request, frame)
    found = np.where(there, -1, 0).astype(np.int8)
    inside = train[matrix.rows] & usable[matrix.rows]
    dummies, seen = [np.empty((matrix.y.size, 0))], np.ones(matrix.y.size, dtype=bool)
    for codes in matrix.fe_codes.T:
        levels = np.unique(codes[inside])
        seen &= np.isin(codes, levels)
        dummies.append((codes[:, None] == levels).astype(np.float64))
    design = np.column_stack([matrix.X, *dummies])
    size = np.sqrt((design[inside] ** 2).sum(axis=0))
    design = design / np.where(size > 0, size, 1.0)
    _, s, vt = np.linalg.svd(design[inside], full_matrices=False)
    basis = vt[s > 1e-9 * s[0]] if s.size else vt[:0]
    rest = design - (design @ basis.T) @ basis
    spanned = np.linalg.norm(rest, axis=1) <= 1e-7 * np.maximum(np.linalg.norm(design, axis=1), 1e-300)
    found[matrix.rows[seen & spanned]] = 1
    found[matrix.rows[~seen]] = 0
    outcome_missing = frame[formula.lhs.name].missing if hasattr(formula.lhs, "name") else ~there
    found[outcome_missing | ~usable] = -1  # whether such a row is predicted at all differs by meaning, not by number
    found[~usable & there] = -1
    return found
