"""Do the audit's inferences (kind of SE, parameters, treated units) hold when the data are there?"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.audit.api import AuditReport
from crosscheck.audit.checks import Check, Verdict
from crosscheck.audit.families.fit import feasible_k
from crosscheck.audit.families.setype import CLASSICAL, se_columns
from crosscheck.audit.interval import Interval
from crosscheck.results import EstimationResult


def against_estimates(
    report: AuditReport, results: Mapping[tuple[str, str], EstimationResult], treated: int | None = None
) -> tuple[Check, ...]:
    """Hold what the audit inferred without data against re-estimated columns.

    Parameters
    ----------
    report : AuditReport
    results : mapping of (table, column) to EstimationResult
        Re-estimations that reproduce the printed numbers; their conventions say which SE and how many parameters.
    treated : int, optional
        Number of treated units in the data.

    Returns
    -------
    tuple of Check
        One per inference that both sides speak of: ``consistent``, or ``inconsistent`` where the re-estimation says
        otherwise.
    """
    out = []
    named = {
        key: check.id.startswith(CLASSICAL)
        for check in report.checks
        if check.family == 36
        for key in se_columns(report.paper, check)
    }
    for column in report.paper.columns:
        result = results.get((column.facts.table, column.facts.id))
        if result is None or result.status != "ok":
            continue
        tokens = tuple(t.id for t in column.tokens.values())
        vcov = result.conventions.vcov
        if column.key in named and vcov is not None:
            same = named[column.key] == (vcov == "iid")
            said = "classical" if named[column.key] else "not classical"
            words = f"The audit names the SEs of {column.name} {said}; the re-estimation that was compared uses {vcov}."
            out.append(_check(f"36:{column.key}:data", 36, tokens, same, f"{said} against {vcov}", words, None))
        k = _parameters(result)
        ks = feasible_k(column)
        if k is not None and ks:
            span = f"{ks[0]}" if len(ks) == 1 else f"{ks[0]} to {ks[-1]}"
            words = f"Adjusted R2 of {column.name} counts {span} parameters; the re-estimation has {k:g}."
            box = Interval(float(ks[0]), float(ks[-1]))
            out.append(_check(f"4:{column.key}:data", 4, tokens, k in ks, f"K in {list(ks)} against {k:g}", words, box))
    totals = {sum(g for g, _ in option) for option in report.paper.cohorts}
    if treated is not None and totals:
        words = f"The mean of the treatment says {sorted(totals)} treated units; the data have {treated}."
        box = Interval(float(min(totals)), float(max(totals)))
        formula = f"{sorted(totals)} against {treated}"
        out.append(_check("9:treated:data", 9, (), treated in totals, formula, words, box))
    return tuple(out)


def _parameters(result: EstimationResult) -> float | None:
    if result.stats is not None and result.stats.nobs is not None and result.stats.df_resid is not None:
        return result.stats.nobs - result.stats.df_resid
    return result.conventions.k


def _check(
    id: str, family: int, tokens: tuple[str, ...], same: bool, formula: str, words: str, box: Interval | None
) -> Check:
    verdict: Verdict = "consistent" if same else "inconsistent"
    return Check(
        id=id, family=family, kind="exact identity", tokens=tokens, verdict=verdict, formula=formula, statement=words,
        interval=box, category="design", severity="none" if same else "structural", rank=9,
    )  # fmt: skip
