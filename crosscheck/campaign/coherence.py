"""Do the numbers of one answer follow from one another?

t = b / SE, p from t and the degrees of freedom, b -+ c SE, adjusted R2 from R2 where both exist; and the degrees of
freedom are those that the request asks for: G - 1 of the fewest clusters or N - K; of who says otherwise one of the
two. Of a least squares fit: fitted values and residuals add up to the outcome in each row of the sample, of which there
are N; R2 and the log-likelihood follow from the squares of residuals. There is no within R2 without effects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING, complete, formula_of, outcome
from crosscheck.conventions import interval, p_of
from crosscheck.results import CoefRow, EstimationResult

RELATIVE = 1e-6
NO_MORE = 1e-15
"""Engines that compute 1 - F(|t|) cannot say more about a p-value."""


AVOWED = "the request asks for"
"""In the notes of an engine that says which degrees of freedom it took instead."""


class Coherence:
    """The numbers of one answer follow from one another."""

    id = "coherence"
    kind: PropertyKind = "relation"
    always = True
    title = "The numbers of one answer follow from one another."
    always = True

    def applies(self, case: Case) -> str:
        """Return an empty string: every answer can be looked at."""
        return ""

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the question itself."""
        return tuple(Ask(engine=e, request=case.request, frame=case.frame) for e in case.engines)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Recompute what follows from estimate, standard error and degrees of freedom."""
        compared, found, reason = 0, [], ""
        for engine in case.engines:
            result = fit(engine, case.request, case.frame)
            if result.status != "ok":
                reason = reason or result.reason
                continue
            wrong: dict[str, Discrepancy] = {}
            for term, quantity, follows, given, allowed in (
                *(item for row in result.coefs for item in _of_row(row, case.request.conf_level)),
                *_of_fit(result, case),
                *_of_rows(result, case),
            ):
                compared += 1
                if not (abs(follows - given) <= allowed or (math.isnan(follows) and math.isnan(given))):
                    wrong.setdefault(
                        quantity,
                        Discrepancy(
                            identity=Identity(
                                rule=self.id,
                                engine=engine,
                                version=result.version,
                                quantity=quantity,
                                features=features(case.request),
                            ),
                            term=term,
                            value=given,
                            other=follows,
                            says=f"{quantity} of {term or 'the fit'} is {given:.10g}; {follows:.10g} follows",
                        ),
                    )
            found += list(wrong.values())
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else reason or NOTHING)


Item = tuple[str, str, float, float, float]


def _of_row(row: CoefRow, level: float) -> Iterator[Item]:
    b, se, df = row.estimate, row.std_error, row.df
    if b is None or se is None or df is None or not (se > 0 and df > 0 and math.isfinite(b) and math.isfinite(se)):
        return
    t = b / se
    if row.statistic is not None:
        yield row.term, "statistic", t, row.statistic, RELATIVE * abs(t) + 1e-12
    if row.p_value is not None:
        p = p_of(t, df)
        yield row.term, "p_value", p, row.p_value, RELATIVE * p + RELATIVE * abs(t) * p + NO_MORE
    if row.conf_low is not None and row.conf_high is not None:
        low, high = interval(b, se, df, level)
        slack = RELATIVE * (abs(b) + (high - low))
        yield row.term, "conf_low", low, row.conf_low, slack
        yield row.term, "conf_high", high, row.conf_high, slack


def _of_fit(result: EstimationResult, case: Case) -> Iterator[Item]:
    request, stats = case.request, result.stats
    formula = formula_of(request)
    if request.estimator != "feols" or formula is None:
        return
    if stats.nobs and stats.df_resid is not None and None not in (stats.r2, stats.adj_r2) and formula.iv is None:
        constant = bool(formula.intercept or formula.fixed_effects)
        if constant and stats.df_resid > 0 and stats.r2 is not None and stats.adj_r2 is not None:
            adjusted = 1 - (1 - stats.r2) * (stats.nobs - 1) / stats.df_resid
            yield "", "adj_r2", adjusted, stats.adj_r2, RELATIVE * (1 + abs(adjusted))
    if not formula.fixed_effects and stats.r2_within is not None:
        yield "", "r2_within", math.nan, stats.r2_within, 0.0
    known = next((row.df for row in result.coefs if row.df is not None), None)
    used = result.conventions.distribution
    if known is None or used != "t" or request.ssc.t_df != "min":
        return
    if any(AVOWED in n for n in result.conventions.notes):
        yield from _avowed_df(result, case, known)
        return
    if request.vcov.type in ("CRV1", "CRV3"):
        rows = _used_rows(case)
        if rows is not None:
            groups = [np.unique(case.frame[c].codes()[0][rows]).size for c in request.vcov.cluster]
            yield "", "df", float(max(min(groups) - 1, 1)), known, 0.0
    elif request.vcov.canonical in ("iid", "HC1") and result.conventions.k is not None and stats.nobs:
        yield "", "df", max(stats.nobs - result.conventions.k, 1.0), known, 0.0


def _avowed_df(result: EstimationResult, case: Case, known: float) -> Iterator[Item]:
    """Yield the degrees of freedom of who says that they are not those asked for: N - K all the same, or G - 1."""
    stats, rows = result.stats, _used_rows(case)
    choices = [stats.df_resid] if stats.df_resid is not None else []
    if stats.nobs and result.conventions.k is not None:
        choices.append(max(stats.nobs - result.conventions.k, 1.0))
    if rows is not None and case.request.vcov.cluster:
        choices += [
            float(max(np.unique(case.frame[c].codes()[0][rows]).size - 1, 1)) for c in case.request.vcov.cluster
        ]
    if choices:
        yield "", "df", min(choices, key=lambda df: abs(df - known)), known, 0.0


def _of_rows(result: EstimationResult, case: Case) -> Iterator[Item]:
    """Yield what follows from fitted values and residuals, which stand at the rows of the data."""
    request, formula, block = case.request, formula_of(case.request), result.block("rows")
    name = outcome(request)
    if request.estimator != "feols" or formula is None or formula.iv is not None or block is None or name == "":
        return
    if not {"fitted", "residuals"} <= set(block.quantities) or case.frame[name].kind == "category":
        return
    y = case.frame[name].as_float()
    fitted, residuals = (np.array([np.nan if v is None else v for v in block[q]]) for q in ("fitted", "residuals"))
    there = ~np.isnan(residuals)
    frequency = request.weights is not None and request.weights.type == "frequency"
    if y.size != fitted.size or not there.any() or not np.isfinite(y[there]).all():
        return
    w = np.ones(y.size) if request.weights is None else case.frame[request.weights.column].as_float()
    size, y, fitted, residuals, w = float(np.abs(y[there]).max()), y[there], fitted[there], residuals[there], w[there]
    if result.stats.nobs is not None:
        yield "", "nobs", float(w.sum() if frequency else residuals.size), result.stats.nobs, 0.0
    at = int(np.argmax(np.abs(y - fitted - residuals)))
    row = f"row {int(np.flatnonzero(there)[at]) + 1}"
    yield row, "residuals", float(y[at] - fitted[at]), float(residuals[at]), RELATIVE * size + 1e-12
    if not (formula.intercept or formula.fixed_effects):
        return
    mean, ssr = float(w @ y / w.sum()), float(w @ residuals**2)
    total = float(w @ (y - mean) ** 2)
    if result.stats.r2 is not None and total > w.sum() * (1e-6 * size) ** 2 and residuals.size > 1:
        yield "", "r2", 1 - ssr / total, result.stats.r2, RELATIVE
    if request.weights is None and ssr > residuals.size * (1e-6 * size) ** 2:
        follows = -residuals.size / 2 * (math.log(2 * math.pi * ssr / residuals.size) + 1)
        for extra in result.extras:
            if extra.quantity == "log_likelihood" and extra.value is not None:
                yield "", "log_likelihood", follows, extra.value, 1e-5 * residuals.size


def _used_rows(case: Case) -> NDArray[np.intp] | None:
    """Return the rows of the sample, None where functions of columns decide it."""
    formula = formula_of(case.request)
    if formula is None or "(" in case.request.formula:
        return None
    rows = complete(case.request, case.frame)
    for column in case.frame.columns:
        if column.values.dtype.kind == "f" and np.isinf(column.values).any():
            return None
    return np.flatnonzero(rows)
