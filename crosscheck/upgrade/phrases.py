"""How is a change said in one plain sentence?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from crosscheck.report.digits import full
from crosscheck.report.words import column_label, listing, plural
from crosscheck.upgrade.model import PRIMARY, SENTINEL, Change, Moved, Side, Witness

NAMES: Mapping[str, tuple[str, str]] = {
    "estimate": ("coefficient", "coefficients"),
    "std_error": ("standard error", "standard errors"),
    "statistic": ("test statistic", "test statistics"),
    "p_value": ("p-value", "p-values"),
    "conf_low": ("confidence bound", "confidence bounds"),
    "conf_high": ("confidence bound", "confidence bounds"),
    "df": ("degrees of freedom of a test", "degrees of freedom of tests"),
    "df_resid": ("residual degrees of freedom", "residual degrees of freedom"),
    "nobs": ("number of observations", "numbers of observations"),
    "r2": ("R²", "R²"),
    "adj_r2": ("adjusted R²", "adjusted R²"),
    "r2_within": ("within R²", "within R²"),
    "fitted": ("set of fitted values", "sets of fitted values"),
    "residuals": ("set of residuals", "sets of residuals"),
    "prediction": ("set of predictions", "sets of predictions"),
    "covariance": ("covariance", "covariances"),
    "f_statistic": ("F statistic", "F statistics"),
    "f_pvalue": ("p-value of an F test", "p-values of F tests"),
    "loglik": ("log-likelihood", "log-likelihoods"),
    "log_likelihood": ("log-likelihood", "log-likelihoods"),
    "log_likelihood_null": ("log-likelihood of the null model", "log-likelihoods of null models"),
    "aic": ("AIC", "AIC"),
    "bic": ("BIC", "BIC"),
    "rmse": ("RMSE", "RMSE"),
    "wald": ("Wald statistic", "Wald statistics"),
    "deviance": ("deviance", "deviances"),
    "df_k": ("number of parameters counted", "numbers of parameters counted"),
    "units": ("number of units", "numbers of units"),
}
FOLLOWS = ("statistic", "p_value", "conf_low", "conf_high", "covariance")


def called(quantity: str, count: int = 2) -> str:
    """Return the name of a quantity."""
    plain = quantity.replace("_", " ")
    one, many = NAMES.get(quantity, (plain, plain))
    return one if count == 1 else many


def titled(change: Change, old: str, new: str) -> str:
    """Write the sentence of a change; ``change.title`` holds a package's own words where there are any."""
    where = _where(change)
    old, new = (name.replace("@", " ", 1) for name in (old, new))
    words = change.title
    if change.kind == "number":
        return f"{_numbers(change)}{_where(change, named=False)}"
    if change.kind == "not repeatable":
        who = {"note": f"{old} and {new} do", "better": f"{old} does", "worse": f"{new} does"}[change.standing]
        far = change.moved[0].relative
        by = f" (by up to {percent(max(m.relative or 0.0 for m in change.moved))})" if far is not None else ""
        return f"{who} not repeat {_counted(change.moved)} under another PYTHONHASHSEED{by}{where}"
    if change.kind in ("term gone", "term new"):
        terms = list(dict.fromkeys(m.term for m in change.moved if m.term))
        verb = "gives no number any more for" if change.kind == "term gone" else "gives a number now for"
        reason = f": {change.moved[0].reason}" if change.moved and change.moved[0].reason else ""
        return f"{new} {verb} {listing(terms, 4) or 'the fit'}{where}{reason}"
    if change.kind == "renamed":
        terms = list(dict.fromkeys(m.term for m in change.moved))
        return f"coefficients have other names ({listing(terms, 4)}), the same numbers{where}"
    if change.kind in ("report gone", "report new"):
        q = change.moved[0].quantity
        return f"{called(q)}, {'no longer' if change.kind == 'report gone' else 'newly'} reported{where}"
    heads = {
        "error new": ("fails now", "fail now"),
        "error gone": ("no longer fails", "no longer fail"),
        "error changed": ("fails with another message", "fail with another message"),
        "unsupported new": ("is no longer offered", "are no longer offered"),
        "unsupported gone": ("is offered now", "are offered now"),
        "warning new": ("warns now", "warn now"),
        "warning gone": ("no longer warns", "no longer warn"),
        "dropped": ("drops other terms as collinear", "drop other terms as collinear"),
    }
    was = "before: " if change.kind in ("error gone", "unsupported gone") else ""
    said = heads[change.kind][len(change.functions) > 1]
    who = listing([f"{f}()" for f in change.functions], 3)
    return f"{who} {said}{_where(change, named=False)}: {was}{words}"


def _where(change: Change, *, named: bool = True) -> str:
    what = _of(change) if named else ""
    if change.study == SENTINEL:
        return f"{what} in {plural(len(change.places), 'case')}"
    shown = [f"{t} {column_label(c)}" for t, c in change.places[:3]]
    more = f" and {len(change.places) - 3} more" if len(change.places) > 3 else ""
    return f" in {', '.join(shown)}{more}" if shown else ""


def _of(change: Change) -> str:
    return " of " + listing([f"{f}()" for f in change.functions], 3) if change.functions else ""


def capital(text: str) -> str:
    """Return a sentence with a capital first, unless it begins with the name of a function."""
    return text if "(" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def _counted(moved: Sequence[Moved]) -> str:
    counts: dict[str, int] = {}
    for m in moved:
        counts[m.quantity] = counts.get(m.quantity, 0) + 1
    lead = [q for q in counts if q not in FOLLOWS] or list(counts)
    order = sorted(lead, key=lambda q: (PRIMARY.index(q) if q in PRIMARY else 99, -counts[q]))
    named: dict[str, list[str]] = {}
    for q in order:
        named.setdefault(called(q) if q else "whole answers", []).append(q)
    said = []
    for name, quantities in named.items():
        count = sum(counts[q] for q in quantities)
        said.append(f"{count:,} {called(quantities[0], count)}" if quantities[0] else name)
    return listing(said, 3)


def _numbers(change: Change) -> str:
    counted = _counted(change.moved)
    far = [m.relative for m in change.moved if m.relative is not None and m.quantity not in FOLLOWS]
    far = far or [m.relative for m in change.moved if m.relative is not None]
    by = f" by up to {percent(max(far))}" if far else ""
    verb = "drifted" if change.size == "drift" else "moved"
    return f"{counted}{_of(change)} {verb}{by}"


def percent(relative: float) -> str:
    """Write a relative distance: in percent where a reader thinks so, else as a power of ten."""
    if not math.isfinite(relative):
        return "any amount"
    if relative >= 10:
        return f"a factor of {relative:,.0f}"
    if relative >= 1e-4:
        return f"{100 * relative:.0f}%" if relative >= 0.1 else f"{100 * relative:.2g}%"
    return f"{relative:.1e}".replace("e-0", "e-")


SIDES_SAID: Mapping[str, Mapping[Side, str]] = {
    "number": {
        "new": "toward {}",
        "old": "away from {}",
        "neither": "{} agrees with neither",
        "both": "{} agrees with both",
    },
    "term gone": {
        "old": "{} gives the old number",
        "new": "{} has no such number either",
        "neither": "{} gives a number too, another than the old one",
        "both": "{} gives the old number",
    },
    "term new": {
        "new": "{} gives the new number",
        "old": "{} has no such number",
        "neither": "{} gives another number than the new one",
        "both": "{} gives the new number",
    },
    "lost": {
        "old": "{} gives the old numbers",
        "new": "{} fails too",
        "neither": "{} gives other numbers than the old ones",
        "both": "{} gives the old numbers",
    },
    "gained": {
        "new": "{} gives the new numbers",
        "old": "{} fails still",
        "neither": "{} gives other numbers than the new ones",
        "both": "{} gives the new numbers",
    },
}
"""What it means that a witness is on a side, by what happened to the number or the fit."""

MEANT = {
    "error new": "lost",
    "unsupported new": "lost",
    "error gone": "gained",
    "unsupported gone": "gained",
    "term gone": "term gone",
    "term new": "term new",
}


def _said_of(kind: str) -> Mapping[Side, str]:
    return SIDES_SAID[MEANT.get(kind, "number")]


def toward(witness: Witness, kind: str = "number") -> str:
    """Say where a number moved: toward a witness, away from it, or that it agrees with neither or both."""
    text = _said_of(kind)[witness.side].format(witness.name)
    if witness.nearer and kind == "number":
        text += f" (nearer to the {witness.nearer} one)"
    return text


SHORT: Mapping[Side, str] = {"new": "toward", "old": "away", "both": "both", "neither": "neither"}
SHORT_TERMS: Mapping[str, Mapping[Side, str]] = {
    "term gone": {"old": "gives it", "new": "none either", "neither": "another", "both": "gives it"},
    "term new": {"new": "gives it", "old": "has none", "neither": "another", "both": "gives it"},
}


def word(witness: Witness, kind: str) -> str:
    """Say in a word where a witness stands."""
    return SHORT_TERMS.get(kind, SHORT)[witness.side]


def support_lines(change: Change) -> list[str]:
    """Say for each witness how many numbers (or fits) moved toward it, and how many not."""
    said = _said_of(change.kind)
    lines = []
    for name in dict.fromkeys(s[0] for s in change.supports):
        sides = {side: n for who, side, n in change.supports if who == name}
        parts = []
        for side in ("new", "old", "neither", "both"):
            if sides.get(side):
                near = _nearer(change, name) if side == "neither" and change.kind == "number" else ""
                parts.append(f"{said[side].format(name)} in {sides[side]:,}{near}")
        lines.append("; ".join(parts))
    return lines


def _nearer(change: Change, name: str) -> str:
    """Say to which side a witness is nearer where it agrees with neither."""
    counted = [m for m in change.moved if m.quantity in PRIMARY] or list(change.moved)
    found = [w.nearer for m in counted for w in m.witnesses if w.name == name and w.side == "neither"]
    parts = [f"nearer to the {side} number in {found.count(side):,}" for side in ("new", "old") if side in found]
    return f" ({', '.join(parts)})" if parts else ""


def value_text(value: float | str | None) -> str:
    """Write a number in full, a text as it is, and what is not there in words."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else full(value)
