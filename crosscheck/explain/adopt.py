"""How do a fitted model of a package and a data frame become what crosscheck compares?

Only public attributes are read, by the name of the package that made the object; no package is imported.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import numpy as np

from crosscheck.errors import UsageError
from crosscheck.frame import INT32_MAX, NA_INT, Column, Frame
from crosscheck.results import CoefRow, EstimationResult, FitStats

INTERCEPTS = {"Intercept": "(Intercept)", "const": "(Intercept)"}
KNOWN = (
    "an EstimationResult, a fitted model of pyfixest, linearmodels or statsmodels, or {term: (estimate, std. error)}"
)


def as_result(fitted: Any) -> EstimationResult:
    """Return what a fitted model says.

    Raises
    ------
    UsageError
        For an object of another kind.
    """
    if isinstance(fitted, EstimationResult):
        return fitted
    if isinstance(fitted, Mapping):
        rows = tuple(
            CoefRow(term=str(t), estimate=float(b), std_error=float(se), statistic=float(b) / float(se))
            for t, (b, se) in fitted.items()
        )
        return EstimationResult(engine="given", coefs=rows)
    package = type(fitted).__module__.partition(".")[0]
    if package == "pyfixest" and hasattr(fitted, "coef") and hasattr(fitted, "se"):
        return _result(
            package, fitted.coef(), fitted.se(), fitted.tstat(), fitted.pvalue(), fitted.confint(), _n(fitted, "_N")
        )
    if package == "linearmodels" and hasattr(fitted, "std_errors"):
        return _result(
            package, fitted.params, fitted.std_errors, fitted.tstats, fitted.pvalues, fitted.conf_int(), fitted.nobs
        )
    if package == "statsmodels" and hasattr(fitted, "bse"):
        return _result(
            package, fitted.params, fitted.bse, fitted.tvalues, fitted.pvalues, fitted.conf_int(), fitted.nobs
        )
    raise UsageError(f"explain() cannot read a {type(fitted).__name__}", allowed=KNOWN)


def _n(fitted: Any, name: str) -> float | None:
    value = getattr(fitted, name, None)
    return None if value is None else float(value)


def _result(package: str, b: Any, se: Any, t: Any, p: Any, bounds: Any, n: Any) -> EstimationResult:
    names = [str(name) for name in getattr(b, "index", range(len(b)))]
    low, high = np.asarray(bounds)[:, 0], np.asarray(bounds)[:, 1]
    columns = [np.asarray(v, dtype=np.float64) for v in (b, se, t, p, low, high)]
    rows = tuple(
        CoefRow(
            term=INTERCEPTS.get(name, name),
            **dict(
                zip(
                    ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"),
                    (float(c[i]) for c in columns),
                    strict=True,
                )
            ),
        )
        for i, name in enumerate(names)
    )
    stats = FitStats(nobs=None if n is None else float(n))
    return EstimationResult(engine=package, version=_version(package), coefs=rows, stats=stats)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def as_frame(data: Any) -> Frame:
    """Return a sample as typed columns; a pandas frame's types decide the kinds.

    Raises
    ------
    UsageError
        For data of another kind, or a column of a type that crosscheck does not read.
    """
    if isinstance(data, Frame):
        return data
    if not hasattr(data, "columns") or not hasattr(data, "dtypes"):
        raise UsageError(f"explain() cannot read data of type {type(data).__name__}", allowed="a pandas.DataFrame")
    columns = tuple(_column(str(name), data[name]) for name in data.columns)
    return Frame(columns, len(data))


def _column(name: str, series: Any) -> Column:
    kind = series.dtype.kind if hasattr(series.dtype, "kind") else "O"
    missing = np.asarray(series.isna())
    if kind == "b" or str(series.dtype) == "boolean":
        values = np.where(missing, NA_INT, series.fillna(False).astype(bool).to_numpy().astype(np.int32))
        return Column(name, "boolean", values.astype(np.int32))
    if kind in "iu":
        numbers = series.astype("float64").to_numpy(dtype=np.float64, na_value=np.nan)
        if not missing.any() and np.abs(numbers).max(initial=0) <= INT32_MAX:
            return Column(name, "integer", numbers.astype(np.int32))
        return Column(name, "integer", numbers)
    if kind == "f":
        return Column(name, "float", series.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind == "M":
        days = series.to_numpy().astype("datetime64[D]").astype(np.int64)
        return Column(name, "date", np.where(missing, NA_INT, days).astype(np.int32))
    if hasattr(series, "cat"):
        levels = tuple(str(v) for v in series.cat.categories)
        return Column(name, "category", series.cat.codes.to_numpy().astype(np.int32), levels)
    if kind == "O" or str(series.dtype).startswith("str"):
        texts = [None if m else str(v) for v, m in zip(series, missing, strict=True)]
        levels = tuple(sorted({t for t in texts if t is not None}))
        lookup = {level: i for i, level in enumerate(levels)}
        return Column(name, "category", np.array([-1 if t is None else lookup[t] for t in texts], np.int32), levels)
    raise UsageError(
        f"column {name!r} has the type {series.dtype}", allowed="numbers, booleans, dates, categories, text"
    )
