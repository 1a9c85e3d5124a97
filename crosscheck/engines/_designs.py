"""How does a request for a design become arrays, and numbers a result?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import Ssc, all_parameters, interval, p_of
from crosscheck.design_options import DESIGN_OPTIONS, DesignOptions, RegressionOptions
from crosscheck.designs.panel import INTERCEPT, Covariance, Fit, Panel
from crosscheck.designs.winsor import Winsorized, winsorize
from crosscheck.engines._shared import codes_of
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import Name, parse
from crosscheck.results import Block, CoefRow, Conventions, Extra, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Real = NDArray[np.float64]
Codes = NDArray[np.int64]
Options = TypeVar("Options", bound=DesignOptions)

VCOV_TYPES = ("iid", "HC1", "CRV1", "CRV3", "DK")
PLAIN = "designs take plain columns: y ~ a + b | unit + time; put transformed columns into the data"


@dataclass(frozen=True, slots=True)
class Plain:
    """A formula of plain columns: outcome, regressors, fixed effects."""

    outcome: str
    regressors: tuple[str, ...]
    effects: tuple[tuple[str, ...], ...]


def plain_formula(text: str) -> Plain | None:
    """Return the columns of a formula, or None where it has anything but plain names."""
    formula = parse(text)
    if formula.iv is not None or not isinstance(formula.lhs, Name) or not (formula.intercept or formula.fixed_effects):
        return None
    names = []
    for term in formula.terms:
        if len(term) != 1 or not isinstance(term[0], Name):
            return None
        names.append(term[0].name)
    return Plain(formula.lhs.name, tuple(names), formula.fixed_effects)


def options_of(request: FitRequest, model: type[Options]) -> Options:
    """Return the options of a request, validated."""
    assert issubclass(model, DESIGN_OPTIONS[request.estimator])
    return model.model_validate(request.options)


def ssc_of(request: FitRequest) -> Ssc:
    """Return the small-sample words of a request."""
    s = request.ssc
    return Ssc(k_adj=s.k_adj, k_fixef=s.k_fixef, g_adj=s.g_adj, g_df=s.g_df, t_df=s.t_df)


@dataclass(eq=False)
class Sample:
    """The rows that a design uses.

    Attributes
    ----------
    frame : Frame
        The rows kept.
    rows : ndarray of bool
        Which rows of the frame that was sent.
    panel : Panel
    values : dict of str to ndarray
        Columns as numbers, winsorized where asked, of the rows kept.
    bounds : dict of str to Winsorized
    """

    frame: Frame
    rows: NDArray[np.bool_]
    panel: Panel
    values: dict[str, Real]
    bounds: dict[str, Winsorized] = field(default_factory=dict)

    def codes(self, name: str) -> Codes:
        """Codes of a column, from 0 without gaps."""
        return self.frame[name].codes()[0]

    def labels(self, name: str) -> tuple[str, ...]:
        """Labels that belong to :meth:`codes`."""
        return self.frame[name].codes()[1]


def sample_of(
    request: FitRequest,
    frame: Frame,
    options: RegressionOptions,
    *,
    numbers: Sequence[str] = (),
    categories: Sequence[str] = (),
) -> Sample:
    """Read the regression of a request: winsorize, keep complete rows, make codes.

    Parameters
    ----------
    numbers, categories : sequence of str
        Further columns that must be known in every row.

    Raises
    ------
    Unsupported
        Where the formula has more than plain columns.
    DataError
        Where no row is left, or a winsorized column is not used.
    """
    plain = plain_formula(request.formula)
    if plain is None:
        raise Unsupported(PLAIN)
    used = tuple(dict.fromkeys((plain.outcome, *plain.regressors, *numbers)))
    values = {name: frame[name].as_float() for name in used}
    bounds: dict[str, Winsorized] = {}
    if options.winsorize is not None:
        rule = options.winsorize
        for name in rule.columns:
            if name not in values:
                raise DataError(f"{name!r} is to be winsorized and is not used", allowed=", ".join(used))
            bounds[name] = winsorize(values[name], rule.lower, rule.upper, rule.quantile, rule.action)
            values[name] = bounds[name].values
    period = request.time if request.vcov.type == "DK" else None
    labels = [
        *(part for e in plain.effects for part in e),
        *request.vcov.cluster,
        *categories,
        *([period] if period else []),
    ]
    rows = np.ones(frame.nrows, dtype=bool)
    for column in values.values():
        rows &= np.isfinite(column)
    for name in labels:
        rows &= ~frame[name].missing
    if not rows.any():
        raise DataError("the estimation sample is empty: no row has values in every column", where=", ".join(used))
    kept = frame.take(rows)
    values = {name: column[rows] for name, column in values.items()}
    panel = Panel(
        y=values[plain.outcome],
        x=np.column_stack([np.empty((int(rows.sum()), 0)), *(values[name] for name in plain.regressors)]),
        names=plain.regressors,
        effects={e: codes_of(kept, e) for e in plain.effects},
        clusters={name: codes_of(kept, (name,)) for name in request.vcov.cluster},
        period=codes_of(kept, (period,)) if period else None,
    )
    return Sample(kept, rows, panel, values, bounds)


def coef_row(term: str, estimate: float, std_error: float, df: float, level: float) -> CoefRow:
    """Return an estimate with the inference that its standard error and degrees of freedom give."""
    t = estimate / std_error if std_error > 0 else float("nan")
    low, high = interval(estimate, std_error, df, level)
    return CoefRow(
        term=term, estimate=float(estimate), std_error=float(std_error), statistic=float(t), p_value=p_of(t, df),
        conf_low=low, conf_high=high, df=float(df),
    )  # fmt: skip


def coef_rows(found: Fit, vcov: Covariance, level: float, prefix: str = "") -> tuple[CoefRow, ...]:
    """Return all coefficients of a fit; ``prefix`` goes before their names."""
    return tuple(
        coef_row(prefix + name, b, s, vcov.small.df_t, level)
        for name, b, s in zip(found.names, found.coef.tolist(), vcov.std_errors.tolist(), strict=True)
    )


def stats_of(found: Fit) -> FitStats:
    """Return N, R2, adjusted and within R2, and N less all parameters."""
    panel, w = found.panel, found.weights
    n, k = panel.y.size, all_parameters(found.coef.size, found.absorber.sizes)
    total = float(w @ (panel.y - (w @ panel.y) / w.sum()) ** 2)
    ratio = found.ssr / total if total > 0 else float("nan")
    swept = float(w @ found.y**2) if found.absorber.sizes else 0.0
    alone = found.names == (INTERCEPT,)
    return FitStats(
        nobs=float(n),
        r2=None if alone or total == 0 else 1 - ratio,
        adj_r2=None if alone or total == 0 or n <= k else 1 - ratio * (n - 1) / (n - k),
        r2_within=1 - found.ssr / swept if swept > 0 else None,
        df_resid=float(n - k),
    )


def conventions_of(request: FitRequest, sample: Sample, vcov: Covariance, notes: Sequence[str] = ()) -> Conventions:
    """Return what was used."""
    small = vcov.small
    factor = small.factor
    return Conventions(
        vcov=request.vcov.canonical,
        cluster=request.vcov.cluster,
        k=float(small.k),
        k_fixef=request.ssc.k_fixef,
        ssc_factor=None if np.isnan(factor) else factor,
        n_clusters=vcov.counts.n_clusters[: vcov.counts.dimensions],
        distribution="t",
        df_t=small.df_t,
        singletons_dropped=0,
        rows_dropped=int((~sample.rows).sum()),
        notes=tuple(notes),
    )


def winsor_extras(sample: Sample) -> tuple[Extra, ...]:
    """Return bounds and counts of winsorized columns."""
    return tuple(
        Extra(term=name, quantity=quantity, value=float(value))
        for name, w in sample.bounds.items()
        for quantity, value in (
            ("winsor_low", w.low), ("winsor_high", w.high), ("n_below", w.n_low), ("n_above", w.n_high),
        )
    )  # fmt: skip


def extras_of(term: str, **values: float) -> tuple[Extra, ...]:
    """Return extras of one term."""
    return tuple(Extra(term=term, quantity=quantity, value=float(value)) for quantity, value in values.items())


def block_of(term: str, labels: Sequence[str] = (), /, **values: NDArray[Any]) -> Block:
    """Return a block of like members; each array holds one quantity, shape (members,)."""
    return Block(
        term=term,
        labels=tuple(labels),
        quantities=tuple(values),
        values=tuple(tuple(v.astype(np.float64).tolist()) for v in values.values()),
    )
