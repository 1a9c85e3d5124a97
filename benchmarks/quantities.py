"""Is a number of a design, or of group-time effects, found if it alone is off by a part in a thousand?

Usage: ``python benchmarks/quantities.py [ESTIMATOR ...]``, or ``--features [WORD ...]`` for regressions: a number off,
or an error said of sound data, in requests with one feature only (a covariance, weights, instruments, ...). For each
number that the closed forms and designs report (of coefficients, of statistics of the fit, of extras, of blocks of
rows) an engine that is right but for it sits the exam of ``tests/own_draws.py``. The panels that it takes are printed,
and what is never found in 300.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crosscheck import engines
from crosscheck.campaign.case import features
from crosscheck.engines.designs import ENGINE as DESIGNS
from crosscheck.results import COEF_QUANTITIES, STAT_QUANTITIES, EstimationResult, failed
from tests.mutants import Fault, oracle, quiet
from tests.own_draws import PANELS, Room

OFF = 1.001
ESTIMATORS = {
    "oracle": ("att_gt", "sunab", "did2s", "re", "between"),
    "designs": (
        *("entropy", "psm_did", "placebo", "wild_bootstrap", "subgroups", "inference_grid", "winsor_feols"),
        *("mediation", "monte_carlo", "describe"),
    ),
}
COUNTS = ("n_draws", "n_failed", "rank", "n_treated", "n_control", "panels", "covered", "holds", "df1", "stars")


def off(value: float | None, quantity: str) -> float | None:
    """Return a number that is a little off; a count by one."""
    if value is None:
        return None
    return value + 1 if quantity in COUNTS or quantity.startswith("n_") else value * OFF + 1e-6


def changed(result: EstimationResult, kind: str, quantity: str) -> EstimationResult:
    """Return a result with one quantity off, wherever it stands."""
    if kind == "coef":
        rows = (replace(r, **{quantity: off(getattr(r, quantity), quantity)}) for r in result.coefs)
        return result.with_(coefs=tuple(rows))
    if kind == "stat":
        return result.with_(stats=replace(result.stats, **{quantity: off(getattr(result.stats, quantity), quantity)}))
    if kind == "extra":
        made = (replace(e, value=off(e.value, quantity)) if e.quantity == quantity else e for e in result.extras)
        return result.with_(extras=tuple(made))
    blocks = []
    for block in result.blocks:
        values = tuple(
            tuple(off(v, q) for v in row) if q == quantity else row
            for q, row in zip(block.quantities, block.values, strict=True)
        )
        blocks.append(replace(block, values=values))
    return result.with_(blocks=tuple(blocks))


def numbers_of(result: EstimationResult) -> set[tuple[str, str]]:
    """Return kinds and names of the numbers that a result has."""
    found = {("coef", q) for q in COEF_QUANTITIES if any(getattr(r, q) is not None for r in result.coefs)}
    found |= {("stat", q) for q in STAT_QUANTITIES if getattr(result.stats, q) is not None}
    found |= {("extra", e.quantity) for e in result.extras if e.value is not None}
    return found | {("block", q) for b in result.blocks for q in b.quantities}


def mutant(honest: Callable, estimator: str, kind: str, quantity: str) -> Callable[[], Fault]:
    """Make an engine that is right but for one number of one estimator."""

    def fit(request, frame):  # type: ignore[no-untyped-def]
        result = honest(request, frame)
        return changed(result, kind, quantity) if request.estimator == estimator else result

    return lambda: fit


REGRESSIONS = {
    "oracle": (
        *("feols", "iid", "HC1", "HC2", "HC3", "CRV1", "CRV1:2", "CRV3", "NW", "DK", "fe:1", "fe:2", "fe:3", "fe^fe"),
        *("iv", "i", "lag", "poly", "no-constant", "ssc", "weights:analytic", "weights:frequency"),
    ),
    "statsmodels": ("fepois", "feglm", "iid", "HC1", "CRV1", "CRV1:2", "fe:1", "fe:2", "weights:analytic"),
}
OF_REGRESSIONS = (
    *(("coef", q) for q in ("estimate", "std_error", "p_value", "conf_low")),
    *(("stat", q) for q in ("nobs", "r2", "adj_r2", "r2_within", "df_resid")),
    *(("extra", q) for q in ("log_likelihood", "wald", "f", "deviance", "pseudo_r2", "adj_r2_within")),
    *(("block", "fitted"), ("block", "residuals"), ("error", "error")),
)


def in_feature(honest: Callable, word: str, kind: str, quantity: str) -> Callable[[], Fault]:
    """Make an engine that is right but for one number of requests with a feature."""

    def fit(request, frame):  # type: ignore[no-untyped-def]
        result = honest(request, frame)
        if word not in features(request).split() or result.status != "ok":
            return result
        return failed("mine", "the matrix is singular") if kind == "error" else changed(result, kind, quantity)

    return lambda: fit


def by_features(wanted: list[str]) -> None:
    """Print, for each feature, the panel on which each quantity is found."""
    started, lost, found = time.process_time(), [], 0
    for base, words in REGRESSIONS.items():
        room = Room(base)
        honest, whole = engines.get(base).fit, room._speaks
        try:
            for word in (w for w in words if not wanted or w in wanted):
                room._cases.clear()
                room._speaks = lambda case, f=word, w=whole: f in features(case.request).split() and w(case)
                numbers: set[tuple[str, str]] = set()
                for number in range(PANELS):
                    for case in room.cases(number):
                        result = room(room.mine, case.request, case.frame)
                        if case.rule == "engines_agree" and result.status == "ok":
                            numbers |= numbers_of(result) | {("error", "error")}
                line = []
                for kind, quantity in (q for q in OF_REGRESSIONS if q in numbers):
                    seen = next(room.sit(in_feature(honest, word, kind, quantity)), None)
                    if seen is None:
                        lost.append(f"{base} {word} {quantity}")
                    found += seen is not None
                    line.append(f"{quantity} {seen.panels if seen else 'NOT FOUND'}")
                print(f"{base:12s}{word:18s} {', '.join(line)}", flush=True)
        finally:
            room.close()
    print(f"{found} found, {len(lost)} not: {', '.join(lost) or 'none'}; {time.process_time() - started:.0f} s CPU")


def main(wanted: list[str]) -> None:
    """Print the table."""
    started, lost, found = time.process_time(), [], 0
    for base, estimators in ESTIMATORS.items():
        room = Room(base)
        honest = oracle if base == "oracle" else DESIGNS.fit
        whole = room._speaks
        try:
            for estimator in (e for e in estimators if not wanted or e in wanted):
                room._cases.clear()
                room._speaks = lambda case, e=estimator, w=whole: case.request.estimator == e and w(case)
                numbers: set[tuple[str, str]] = set()
                for number in range(PANELS):
                    for case in room.cases(number):
                        numbers |= numbers_of(room(room.mine, case.request, case.frame))
                for kind, quantity in sorted(numbers):
                    seen = next(room.sit(mutant(honest, estimator, kind, quantity)), None)
                    name = f"{estimator}: {kind} {quantity}"
                    if seen is None:
                        lost.append(name)
                        print(f"{name:46s}   not found", flush=True)
                        continue
                    found += 1
                    i = seen.discrepancy.identity
                    print(f"{name:46s}{seen.panels:5d}  {i.rule}: {i.quantity}", flush=True)
        finally:
            room.close()
    print(f"{found} found, {len(lost)} not: {', '.join(lost) or 'none'}; {time.process_time() - started:.0f} s CPU")


if __name__ == "__main__":
    with quiet():
        (by_features if "--features" in sys.argv else main)([a for a in sys.argv[1:] if a != "--features"])
