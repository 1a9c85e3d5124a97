"""How are verdicts, severities, quantities and places called in plain English?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from crosscheck.report.model import ColumnRow, TableRow
from crosscheck.verdict import AGREE, DIFFERENT, EXPLAINED, Severity, Verdict

LETTERS: Mapping[Verdict, str] = {
    "exact": "E",
    "numerical": "N",
    "rounding": "R",
    "convention": "C",
    "sample": "S",
    "convergence": "V",
    "stochastic": "~",
    "known": "K",
    "unexplained": "X",
    "missing_reference": "?",
    "missing_candidate": "?",
    "unsupported": "–",
    "error": "!",
    "stale": "?",
    "nondeterministic": "%",
}

MEANINGS: Mapping[Verdict, str] = {
    "exact": "equal to the last bit",
    "numerical": "equal within the tolerance of two computed numbers",
    "rounding": "rounds to the printed number",
    "convention": "a named convention differs; replayed, the numbers meet",
    "sample": "another sample was used; replayed, the numbers meet",
    "convergence": "iterations stopped early; with tight settings the numbers meet",
    "stochastic": "random draws differ, within what they allow",
    "known": "a difference that the study lists with its source",
    "unexplained": "differs, and no rule closes the gap",
    "missing_reference": "the reference gives no number",
    "missing_candidate": "the candidate gives no number",
    "unsupported": "the engine says that it does not offer this",
    "error": "the engine failed",
    "stale": "the recorded reference or the listed difference no longer fits",
    "nondeterministic": "the same request gave another number the second time",
}

SEVERITY_MEANINGS: Mapping[Severity, str] = {
    "none": "no difference",
    "cosmetic": "a digit that the table does not print",
    "printed": "a digit that the table prints",
    "decision": "a sign, a significance threshold, or whether an interval holds 0",
    "structural": "another sample, other terms, or no number at all",
}

EXIT_MEANINGS: Mapping[int, str] = {
    0: "everything that was to be compared was, and agrees or is explained below the threshold",
    1: "a difference at or above the threshold, or an engine that failed",
    2: "bad input, or a run that did not finish",
    3: "nothing was compared, or an engine or reference is missing or stale",
}

_QUANTITIES: Mapping[str, tuple[str, str]] = {
    "estimate": ("coefficient", "coefficients"),
    "std_error": ("standard error", "standard errors"),
    "statistic": ("test statistic", "test statistics"),
    "p_value": ("p-value", "p-values"),
    "conf_low": ("lower confidence bound", "lower confidence bounds"),
    "conf_high": ("upper confidence bound", "upper confidence bounds"),
    "stars": ("significance mark", "significance marks"),
    "nobs": ("number of observations", "numbers of observations"),
    "r2": ("R²", "R²"),
    "adj_r2": ("adjusted R²", "adjusted R²"),
    "r2_within": ("within R²", "within R²"),
    "df_resid": ("residual degrees of freedom", "residual degrees of freedom"),
    "fit": ("fit", "fits"),
    "mean": ("mean", "means"),
    "std_dev": ("standard deviation", "standard deviations"),
    "min": ("minimum", "minima"),
    "max": ("maximum", "maxima"),
}

SHORT: Mapping[str, str] = {
    "estimate": "estimate",
    "std_error": "std. error",
    "statistic": "stat.",
    "p_value": "p",
    "conf_low": "conf. low",
    "conf_high": "conf. high",
    "stars": "stars",
    "nobs": "Observations",
    "r2": "R²",
    "adj_r2": "Adjusted R²",
    "r2_within": "Within R²",
    "df_resid": "Residual df",
    "fit": "whole fit",
}

_VCOV = {
    "iid": "iid",
    "hetero": "robust (HC1)",
    "HC1": "robust (HC1)",
    "HC2": "robust (HC2)",
    "HC3": "robust (HC3)",
    "CRV1": "clustered",
    "CRV3": "clustered (CRV3)",
    "NW": "Newey-West",
    "DK": "Driscoll-Kraay",
}


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """Replace control characters, so that no engine's message can steer a terminal or break a file."""
    return _CONTROL.sub("\ufffd", text)


_NUMBERED = re.compile(r"[0-9]+[a-z]?|[A-Za-z]|[IVX]+|[ivx]+")


def quantity_name(quantity: str, count: int = 1) -> str:
    """Return the plain name of a quantity, in the plural where there are several."""
    singular, plural = _QUANTITIES.get(quantity, (quantity.replace("_", " "), quantity.replace("_", " ")))
    return singular if count == 1 else plural


def short_name(quantity: str) -> str:
    """Return the label of a quantity in a table."""
    return SHORT.get(quantity, quantity.replace("_", " "))


def group_of(verdict: Verdict) -> str:
    """Return the group of a verdict: ``agree``, ``explained``, ``different``, ``missing``, ``silent`` (unsupported)."""
    if verdict in AGREE:
        return "agree"
    if verdict in EXPLAINED:
        return "explained"
    if verdict == "unsupported":
        return "silent"
    return "different" if verdict in DIFFERENT else "missing"


def listing(names: Iterable[str], limit: int = 4) -> str:
    """Join names as a sentence does, the rest counted: ``a, b and 3 more``."""
    items = list(dict.fromkeys(names))
    if len(items) > limit:
        return f"{', '.join(items[: limit - 1])} and {len(items) - limit + 1} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, singular: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{count:,} {singular if count == 1 else many or singular + 's'}"


def column_label(column: str) -> str:
    """Return a column's id as tables print it: ``(3)`` for numbers and single letters, else the id itself."""
    return f"({column})" if _NUMBERED.fullmatch(column) else column


def place_name(table: str, column: str, tables: Collection[TableRow]) -> str:
    """Return where a cell stands: the column, and the table where there are several."""
    where = f"column {column_label(column)}" if column != "*" else "any column"
    return where if len(tables) == 1 else f"{where} of {table}"


def places_name(places: Sequence[tuple[str, str]], tables: Collection[TableRow], limit: int = 3) -> str:
    """Return where several cells stand; many columns are counted."""
    if len(places) == 1:
        return place_name(*places[0], tables)
    by_table: dict[str, list[str]] = {}
    for table, column in places:
        by_table.setdefault(table, []).append(column_label(column))
    if len(by_table) > 2:
        return f"{len(places)} columns of {len(by_table)} tables"
    parts = [
        f"column{'s' if len(columns) > 1 else ''} {listing(columns, limit + 1)}"
        + ("" if len(tables) == 1 else f" of {table}")
        for table, columns in by_table.items()
    ]
    return " and ".join(parts)


def pairs_name(pairs: Sequence[tuple[str, str]]) -> str:
    """Name pairs of sources, an engine that is in all of them once: ``r.lm against pyfixest and published``."""
    if len(pairs) == 1:
        reference, candidate = pairs[0]
        return f"{candidate} against {reference}"
    common = set(pairs[0]).intersection(*pairs)
    if common:
        hub = sorted(common)[0]
        return f"{hub} against {listing(a if b == hub else b for a, b in pairs)}"
    return f"{listing(c for _, c in pairs)} against {listing(r for r, _ in pairs)}"


def vcov_name(vcov: Mapping[str, Any]) -> str:
    """Return a covariance estimator as a table's note calls it."""
    kind = str(vcov.get("type", ""))
    name = _VCOV.get(kind, kind)
    cluster = vcov.get("cluster") or ()
    if cluster:
        name += f" by {' and '.join(str(c) for c in cluster)}"
    if vcov.get("lag") is not None:
        name += f", lag {vcov['lag']}"
    return name


def plain_formula(formula: str) -> str:
    """Return a canonical formula without the back-ticks that no reader needs."""
    out, rest = [], formula
    while "`" in rest:
        before, _, rest = rest.partition("`")
        name, tick, rest = rest.partition("`")
        bare = tick and name.replace(".", "_").isidentifier()
        out.append(before + (name if bare else f"`{name}{tick}"))
    return "".join(out) + rest


def fixed_effects(column: ColumnRow) -> tuple[str, ...]:
    """Return the absorbed fixed effects of a column's formula, as written (the second part, instruments apart)."""
    parts = _split_bars(column.formula)
    if len(parts) < 2 or "~" in parts[1]:
        return ()
    effects = plain_formula(parts[1])
    return tuple(e.strip() for e in effects.split("+") if e.strip() not in ("", "0", "1"))


def _split_bars(formula: str) -> list[str]:
    parts: list[str] = []
    current: list[str] = []
    quoted = False
    for char in formula:
        quoted ^= char == "`"
        if char == "|" and not quoted:
            parts.append("".join(current))
            current = []
        else:
            current.append(char)
    return [*parts, "".join(current)]


def options_text(options: Mapping[str, Any]) -> str:
    """Return the options of a column in words; draws by their file, whose content stands in the run file."""
    return ", ".join(f"{name} {_option(value)}" for name, value in options.items() if value not in (None, [], (), ""))


def _option(value: Any) -> str:
    if isinstance(value, Mapping):
        if "codes" in value and "path" in value:
            return f"{value['path']} (sha256 {str(value.get('sha256', ''))[:12]})"
        return "{" + ", ".join(f"{k}: {_option(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_option(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
