"""Is a difference no larger than what the last digits of the data decide?

No algorithm does better than the exact answer to slightly other data. The replay moves every number of the regressors
and of the outcome by a part in 1e13, twice, in each engine; where the answers of one engine move as far as the two
engines are apart, the model is too badly conditioned for the digits asked for. Likewise where one engine drops a
regressor that is nearly collinear and the other does not: both are fitted without it, and have to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from crosscheck.campaign.case import Fit
from crosscheck.campaign.columns import plain_regressors
from crosscheck.campaign.spanned import spanned
from crosscheck.errors import CrosscheckError
from crosscheck.explain.model import Explanation
from crosscheck.explain.replay import replayer
from crosscheck.explain.structure import same_fit
from crosscheck.formula import emit, names, parse
from crosscheck.frame import Column, Frame
from crosscheck.judging import Cell
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

NOISE = 1e-13
TINY = 5e-8
"""Eigenvalues floored at 1e-16 give standard errors of 1e-8, whatever the covariance was."""
FLOOR = 1e-15
MARGIN = 10.0
HUGE_T = 1e6
NO_T = 1e-9
APART = 1e-7
"""Of a covariate's spread: scores of tied rows that are moved by so much are told apart by every engine."""
OF_DRAWS = ("std_error", "std_error_iid")
OF_ALL_TERMS = ("wald", "f")
"""With one variance that is zero but for rounding the covariance is singular, and its inverse rounding."""
DRAWS = 2
HOPELESS = 1000.0
"""A number that has moved a thousandth of what it should will not move far enough at the next draw."""
DIFFERENT = ("unexplained", "missing_candidate", "missing_reference")


def jittered(
    frame: Frame, columns: Sequence[str], draw: int, noise: float = NOISE, *, whole: Sequence[str] = ()
) -> Frame:
    """Return the frame with each number of the columns moved by up to a part in 1e13 (or ``noise``); zeros stay.

    Whole numbers are moved in the first column, the outcome, and in those of ``whole``: others may be levels.
    """
    rng = np.random.Generator(np.random.PCG64([draw, 1_013]))
    moved = []
    for column in frame.columns:
        moves = column.kind == "integer" and column.name in (*whole, *columns[:1])
        if column.name in columns and (column.kind == "float" or moves):
            factor = 1.0 + noise * rng.uniform(-1, 1, column.values.size)
            moved.append(Column(column.name, "float", column.as_float() * factor))
        else:
            moved.append(column)
    return Frame(tuple(moved), frame.nrows)


def explain_conditioning(
    cells: Sequence[Cell],
    reference: EstimationResult,
    candidate: EstimationResult,
    request: FitRequest,
    frame: Frame,
    fit: Fit,
) -> list[Cell]:
    """Explain cells by conditioning, where the replay shows it."""
    cells = _exact_fit(cells, reference, candidate, request, frame)
    if request.estimator == "psm_did":
        cells = _tied(cells, reference, candidate, request, frame, fit)
    if not request.formula or not any(c.verdict in DIFFERENT and c.severity != "none" for c in cells):
        return list(cells)
    formula = parse(request.formula)
    groups = {n for parts in formula.fixed_effects for n in parts} | set(request.vcov.cluster)
    numbers = [n for n in names(formula) if n not in groups]
    open_ = {
        (c.term, c.quantity): c.abs_diff
        for c in cells
        if c.verdict == "unexplained" and c.severity != "none" and c.abs_diff is not None
    }
    spread, changed_terms = _moved(open_, reference, candidate, request, frame, numbers, fit)
    out = []
    without = None
    for cell in cells:
        if cell.verdict not in DIFFERENT or cell.severity == "none":
            out.append(cell)
            continue
        moved = spread.get((cell.term, cell.quantity), 0.0)
        if cell.abs_diff is not None and cell.verdict == "unexplained" and cell.abs_diff <= MARGIN * moved:
            out.append(cell.explained("convergence", (_conditioned(moved),)))
            continue
        missing = cell.verdict in ("missing_candidate", "missing_reference")
        if missing or changed_terms or set(reference.dropped) != set(candidate.dropped):
            without = without if without is not None else _agree_without(reference, candidate, request, frame, fit)
            if without:
                out.append(cell.explained("convention", (_collinear(without),)))
                continue
        out.append(cell)
    return out


def _moved(
    apart: Mapping[tuple[str, str], float],
    reference: EstimationResult,
    candidate: EstimationResult,
    request: FitRequest,
    frame: Frame,
    numbers: Sequence[str],
    fit: Fit,
) -> tuple[dict[tuple[str, str], float], bool]:
    """Return how far each number moves with the data, and whether the terms change, with as few fits as decide it.

    No fit is made where nothing is apart; none more once all numbers have moved far enough; and none more than one for
    each side where all have moved a thousand times too little.
    """
    spread: dict[tuple[str, str], float] = {}
    changed_terms = False
    whole = plain_regressors(request, frame)

    def short_of(share: float) -> bool:
        return all(share * MARGIN * spread.get(key, 0.0) < distance for key, distance in apart.items())

    def enough() -> bool:
        return all(distance <= MARGIN * spread.get(key, 0.0) for key, distance in apart.items())

    for draw in range(DRAWS):
        for side in (reference, candidate):
            if enough() or (draw and not changed_terms and short_of(HOPELESS)):
                return spread, changed_terms
            again = fit(side.engine, request, jittered(frame, numbers, draw + 1, whole=whole))
            if again.status != "ok":
                changed_terms = True
                continue
            values = {(t, q): v for t, q, v in again.quantities()}
            changed_terms |= {r.term for r in again.coefs} != {r.term for r in side.coefs}
            for term, quantity, value in side.quantities():
                other = values.get((term, quantity))
                if value is not None and other is not None and np.isfinite(value) and np.isfinite(other):
                    key = (term, quantity)
                    spread[key] = max(spread.get(key, 0.0), abs(value - other))
    return spread, changed_terms


def _exact_fit(
    cells: Sequence[Cell],
    reference: EstimationResult,
    candidate: EstimationResult,
    request: FitRequest,
    frame: Frame,
) -> list[Cell]:
    """Explain numbers that are zero but for rounding: those of a fit without residuals, and floored variances.

    A standard error is zero where it is below 1e-9 of the largest outcome, or the floor of fixest's eigenvalues; so is
    an estimate below 1e-12 of it. What is derived from a standard error that is zero means nothing.
    """
    outcome = request.options.get("y") or (names(parse(request.formula))[0] if request.formula else "")
    if not isinstance(outcome, str) or outcome not in frame or frame[outcome].kind == "category":
        return list(cells)
    values = frame[outcome].as_float()
    scale = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0

    def zero_se(value: float | None) -> bool:
        return value is None or np.isnan(value) or abs(value) <= max(TINY, 1e-9 * scale)

    noise = _drawn_noise(reference, candidate, zero_se)
    for row in reference.coefs:
        other = candidate.coef(row.term)
        if other is None:
            continue
        if (zero_se(row.std_error) and zero_se(other.std_error)) or _floored(row.std_error, other.std_error):
            noise.add(row.term)
    perfect = _perfect(reference, scale) and _perfect(candidate, scale)
    out = []
    for cell in cells:
        a, b = cell.reference_value, cell.candidate_value
        small = isinstance(a, float) and isinstance(b, float) and abs(a - b) <= _least(cell, request, noise) * scale
        derived = cell.quantity not in ("estimate", "nobs") and cell.term in noise
        derived |= perfect and cell.quantity in ("log_likelihood", "residuals")
        derived |= cell.quantity in OF_ALL_TERMS and bool(noise)
        rounded = cell.quantity in ("estimate", "conf_low", "conf_high", *OF_DRAWS) and small
        rounded |= cell.quantity == "statistic" and cell.abs_diff is not None and cell.abs_diff <= NO_T
        bad = cell.verdict in DIFFERENT and cell.severity != "none"
        out.append(cell.explained("convergence", (_rounding(),)) if bad and (derived or rounded) else cell)
    return out


def _least(cell: Cell, request: FitRequest, noise: set[str]) -> float:
    """Return the share of the outcome that is nothing: of two stages without residuals what a demeaner leaves."""
    return 1e-10 if request.estimator == "did2s" and cell.term in noise else 1e-12


def _tied(
    cells: Sequence[Cell],
    reference: EstimationResult,
    candidate: EstimationResult,
    request: FitRequest,
    frame: Frame,
    fit: Fit,
) -> list[Cell]:
    """Explain matches that hang on which of tied controls is taken: with the covariates moved apart, both agree."""
    bad = [c for c in cells if c.verdict in DIFFERENT and c.severity != "none"]
    if not bad:
        return list(cells)
    covariates = tuple(request.options["covariates"])
    moved = _apart(frame, covariates)
    a, b = (fit(side.engine, request, moved) for side in (reference, candidate))
    if a.status != "ok" or b.status != "ok":
        return list(cells)
    settled = _together(a, b)
    why = Explanation(
        rule="tied_scores",
        title="which of tied controls is matched",
        verdict="convention",
        formula="with covariates moved by up to 1e-7 of their spread, which breaks the ties, both engines agree",
        remedy={"": "ties = all, or a score without ties"},
    )
    return [c.explained("convention", (why,)) if c in bad and (c.term, c.quantity) in settled else c for c in cells]


def _together(a: EstimationResult, b: EstimationResult) -> set[tuple[str, str]]:
    """Return the numbers that two answers share to a part in 1e7, or to one of their standard errors."""
    second = {(term, quantity): value for term, quantity, value in b.quantities()}
    errors = {row.term: row.std_error or 0.0 for row in a.coefs}
    found = set()
    for term, quantity, value in a.quantities():
        other = second.get((term, quantity))
        if value is None or other is None:
            continue
        error = errors.get(term, 0.0) if quantity in ("estimate", "conf_low", "conf_high") else 0.0
        if abs(value - other) <= 1e-7 * max(abs(value), abs(other)) + 1e-6 * error + 1e-12:
            found.add((term, quantity))
    return found


def _apart(frame: Frame, covariates: Sequence[str]) -> Frame:
    """Return the frame with each value of the covariates, zeros too, moved by up to a part in 1e7 of their spread."""
    rng = np.random.Generator(np.random.PCG64([1, 1_013]))
    columns = []
    for column in frame.columns:
        if column.name in covariates and column.kind in ("float", "integer"):
            x = column.as_float()
            spread = float(np.nanstd(x)) if np.isfinite(x).any() else 0.0
            columns.append(Column(column.name, "float", x + APART * spread * rng.uniform(-1, 1, x.size)))
        else:
            columns.append(column)
    return Frame(tuple(columns), frame.nrows)


def _drawn_noise(
    reference: EstimationResult, candidate: EstimationResult, zero_se: Callable[[float | None], bool]
) -> set[str]:
    """Return the terms of what is derived from draws, where one of them has a standard error that is zero.

    A t of such a draw is rounding over rounding; so are its mean over the draws, its p-value and its rank.
    """
    noise: set[str] = set()
    blocks = [b for b in (reference.block("draws"), candidate.block("draws")) if b is not None]
    if any(zero_se(v) for b in blocks if "std_error" in b.quantities for v in b["std_error"]):
        noise |= {"draws", "placebo"}
    for side in (reference, candidate):
        for extra in side.extras:
            if extra.quantity == "t_sd" and not (extra.value is not None and abs(extra.value) < HUGE_T):
                noise.add(extra.term)
            if extra.quantity == "statistic" and extra.value is not None and abs(extra.value) <= NO_T:
                noise.add(extra.term)  # every draw's |t| is above or below it by rounding
    return noise


def _floored(a: float | None, b: float | None) -> bool:
    """Say whether two variances are no farther apart than the floor that fixest puts under eigenvalues."""
    return a is not None and b is not None and a != b and abs(a * a - b * b) <= FLOOR and max(a, b) < 1e-5


def _perfect(result: EstimationResult, scale: float) -> bool:
    block = result.block("rows")
    if block is None or "residuals" not in block.quantities:
        return False
    values = np.array([np.nan if v is None else v for v in block["residuals"]], dtype=np.float64)
    return bool(np.isfinite(values).any()) and float(np.nanmax(np.abs(values))) <= 1e-10 * scale


def _agree_without(
    reference: EstimationResult, candidate: EstimationResult, request: FitRequest, frame: Frame, fit: Fit
) -> tuple[str, ...]:
    """Return the regressors that one side dropped, where both agree once they are left out; else nothing."""
    formula = parse(request.formula)
    kept = [{row.term for row in side.coefs} for side in (reference, candidate)]
    left_out = set(reference.dropped) ^ set(candidate.dropped)
    disputed = tuple(sorted((kept[0] ^ kept[1]) | left_out))
    if not disputed:
        return ()
    as_many = len(kept[0]) == len(kept[1])
    if as_many and not (reference.dropped or candidate.dropped) and not spanned(request, frame):
        return ()  # the same columns under other names
    if as_many and _same_fit(reference, candidate, request, frame):
        return disputed
    named = {term: emit(replace(formula, terms=(term,), fixed_effects=(), iv=None)) for term in formula.terms}
    gone = [t for t, text in named.items() if any(f"`{d}`" in text for d in disputed)]
    rest = tuple(t for t in formula.terms if t not in gone)
    if not gone or not rest:
        return ()
    try:
        smaller = request.model_copy(update={"formula": emit(replace(formula, terms=rest))})
        a, b = (fit(side.engine, smaller, frame) for side in (reference, candidate))
    except CrosscheckError:
        return ()
    if a.status != "ok" or b.status != "ok" or {r.term for r in a.coefs} != {r.term for r in b.coefs}:
        return ()
    for row in a.coefs:
        other = b.coef(row.term)
        if other is None or row.estimate is None or other.estimate is None or not row.std_error:
            return ()
        if abs(row.estimate - other.estimate) > 1e-8 * abs(row.estimate) + 1e-6 * row.std_error:
            return ()
    return disputed


def _rounding() -> Explanation:
    return Explanation(
        rule="zero_but_for_rounding",
        title="the number is zero but for rounding, or for a floor under it",
        verdict="convergence",
        formula="the model fits without residuals, or the variance is zero",
        remedy={"": "no standard error can be had from such data"},
    )


def _same_fit(a: EstimationResult, b: EstimationResult, request: FitRequest, frame: Frame) -> bool:
    """Say whether two fits are the same in other columns: as many, the same sample, the same R2 or the same X b."""
    if a.stats.nobs != b.stats.nobs or len(a.coefs) != len(b.coefs):
        return False
    if a.stats.r2 is not None and b.stats.r2 is not None and np.isfinite([a.stats.r2, b.stats.r2]).all():
        return bool(abs(a.stats.r2 - b.stats.r2) <= 1e-9)
    made = replayer(request, frame) if request.estimator == "feols" else None
    return made is not None and made.model.n == a.stats.nobs and same_fit(a, b, made)


def _conditioned(moved: float) -> Explanation:
    return Explanation(
        rule="conditioning",
        title="the last digits of the data decide this number",
        verdict="convergence",
        formula=f"data moved by a part in 1e13: the number itself moves by {moved:.3g}",
        replay=moved,
        remedy={"": "rescale or centre the regressors"},
    )


def _collinear(terms: Sequence[str]) -> Explanation:
    return Explanation(
        rule="collinearity_choice",
        title="which of several collinear regressors is left out",
        verdict="convention",
        formula=f"without {', '.join(terms)} both engines agree",
        remedy={"": "leave one of the collinear regressors out of the formula"},
    )
