"""Does an engine find the effect that a panel was made with?

On a panel without errors, to the digit. On one with errors, within what the errors' own distribution allows: an
estimate is tau plus a known combination of errors of known covariance, so that it is normal about tau with a known
standard deviation; with independent errors the classical interval covers tau with exactly its nominal probability.
Bounds are chosen so that a campaign of ``CASES`` cases raises a false alarm with probability ``FAMILY`` at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING, with_request
from crosscheck.campaign.invariance import Question
from crosscheck.campaign.precision import precision_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.simulate.effects import Aggregation
from crosscheck.simulate.noise import PERSISTENCE, spread
from crosscheck.simulate.panel import Panel, make_panel
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
FAMILY = 1e-6
"""Probability of a false alarm in a whole campaign."""
CASES = 1_000_000
ALPHA = FAMILY / CASES
EXACT = 1e-8
REPLICATES = 60


def _plain_request(panel: Panel, request: FitRequest, **changes: object) -> FitRequest:
    """Return the model that the outcome was made with, under the covariance of a request."""
    return with_request(
        request,
        **{
            "estimator": "feols",
            "formula": panel.formula,
            "options": {},
            "weights": None,
            "columns": tuple(c.name for c in panel.frame.columns),
            **changes,
        },
    )


def _discrepancy(
    rule: str,
    result: EstimationResult,
    request: FitRequest,
    term: str,
    quantity: str,
    value: float,
    truth: float,
    says: str,
) -> Discrepancy:
    return Discrepancy(
        identity=Identity(
            rule=rule, engine=result.engine, version=result.version, quantity=quantity, features=features(request)
        ),
        term=term,
        value=value,
        other=truth,
        says=says,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A question whose answer is known: the terms and what they must be."""

    question: Question
    terms: tuple[tuple[str, float], ...]


class ExactTruth:
    """On a panel without errors every identified effect is found to the digit."""

    id = "exact_truth"
    kind: PropertyKind = "truth"
    title = "On a panel without errors every identified effect is found."

    def applies(self, case: Case) -> str:
        """Return an empty string where the effects of a panel are known and identified."""
        made = self.known(case)
        return made if isinstance(made, str) else ""

    def known(self, case: Case) -> Known | str:
        """Return the question about the panel without its errors, and the answer; or why there is none."""
        try:
            return self._known(case)
        except CrosscheckError as error:
            return str(error).partition("\n")[0]

    def _known(self, case: Case) -> Known | str:
        if case.panel is None:
            return "the data were not simulated"
        panel, frame = case.panel, case.frame
        if not panel.truth.exact:
            if not case.whole:
                return "the panel has errors"
            panel = silent(panel)
            frame = panel.frame
        if case.request.estimator == "att_gt":
            return _group_times(panel, frame, case.request)
        if panel.truth.tau is None:
            return "the effect differs among cohorts or periods"
        weights = panel.weights if case.request.weights is not None else None
        request = _plain_request(panel, case.request, weights=weights, unit="unit", time="time")
        wanted = {"treated": panel.truth.tau, **dict(panel.truth.betas)}
        if not _consistent(request, frame, wanted):
            return "the data are no longer those that the effect was put into"
        return Known(question=Question(request=request, frame=frame), terms=tuple(wanted.items()))

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the question for each engine."""
        made = self.known(case)
        if isinstance(made, str):
            return ()
        return tuple(Ask(engine=e, request=made.question.request, frame=made.question.frame) for e in case.engines)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold each estimate against the effect."""
        made = self.known(case)
        if isinstance(made, str):
            return Checked(reason=made)
        request, frame = made.question.request, made.question.frame
        precision = precision_of(request, frame)
        if precision.reason:
            return Checked(reason=precision.reason)
        wanted = dict(made.terms)
        compared, found, reason = 0, [], ""
        for engine in case.engines:
            result = fit(engine, request, frame)
            if result.status != "ok":
                reason = reason or result.reason
                continue
            if any(wanted.get(t.removeprefix("fit_"), 0.0) for t in result.dropped):
                reason = reason or "a regressor with an effect is collinear: its effect went to the others"
                continue
            worst: tuple[float, str, float, float] | None = None
            for row in result.coefs:
                truth = wanted.get(row.term.removeprefix("fit_"))
                if truth is None or row.estimate is None:
                    continue
                compared += 1
                gap = abs(row.estimate - truth) / (
                    10 * precision.of_estimate(row.term.removeprefix("fit_"), truth) + EXACT
                )
                if not gap <= 1 and (worst is None or gap > worst[0]):
                    worst = (gap, row.term, row.estimate, truth)
            if worst is not None:
                _, term, estimate, truth = worst
                says = f"{term} was made {truth:.10g}, without errors; {engine} finds {estimate:.10g}"
                found.append(_discrepancy(self.id, result, request, term, "estimate", estimate, truth, says))
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else reason or NOTHING)


def silent(panel: Panel) -> Panel:
    """Return the panel without its errors, in whole units, counts and binary outcomes being the index itself."""
    changes = {
        **panel.spec.changes(),
        "errors": "none",
        "outcome": "continuous",
        "separated": 0,
        "integer_y": 0,
    }
    return make_panel(PanelSpec(**changes))


def _consistent(request: FitRequest, frame: Frame, wanted: dict[str, float]) -> bool:
    """Say whether outcome less effects lies in the span of the fixed effects: shrinking may have rounded it away."""
    matrix = model_matrix(parse(request.formula), frame, unit=request.unit, time=request.time)
    x = np.column_stack([matrix.X, matrix.endogenous]) if matrix.endogenous.shape[1] else matrix.X
    beta = np.array([wanted[n] for n in (*matrix.names, *matrix.endogenous_names)])
    rest = matrix.y - x @ beta
    dummies = np.column_stack([np.eye(int(c.max()) + 1)[c] for c in matrix.fe_codes.T])
    left = rest - dummies @ np.linalg.lstsq(dummies, rest, rcond=None)[0]
    scale = max(float(np.abs(matrix.y).max()), float(np.abs(x).max(initial=0.0) * np.abs(beta).max(initial=0.0)), 1.0)
    return float(np.abs(left).max(initial=0.0)) <= 1e-9 * scale


def _group_times(panel: Panel, frame: Frame, request: FitRequest) -> Known | str:
    options = request.options
    if panel.spec.regressors or panel.spec.crossed or panel.instruments:
        return "the outcome has other parts than effects of units, periods and treatment"
    if options.get("anticipation") or not options.get("panel", True) or options.get("allow_unbalanced"):
        return "the sample is not the balanced panel without anticipation"
    if options.get("covariates") or panel.frame is not frame or (panel.spec.singletons and not panel.spec.never):
        return "the shares of the cohorts are no longer those of the panel"
    kind: Aggregation | Literal["none"] = options.get("aggregation") or "none"
    if options.get("balance_e") is not None or options.get("min_e") is not None or options.get("max_e") is not None:
        return "the window of event times is narrower"
    if kind != "none" and (options.get("weights") or request.weights is not None):
        return "shares are weighted"
    if panel.truth.end != math.inf and options.get("control_group") != "notyettreated":
        return "the comparison is the last cohort"
    sizes = panel.sizes()
    if any(not sizes.get(e.group) for e in panel.truth.identified()):
        return "none of a cohort's units is left in the balanced panel"
    try:
        averages = {} if kind == "none" else panel.truth.aggregate(kind, sizes)
    except CrosscheckError as error:
        return str(error).partition("\n")[0]
    cells = {f"ATT({e.group},{e.time})": e.value for e in panel.truth.identified()}
    terms = cells if kind == "none" else averages
    if not terms:
        return "no effect is identified"
    return Known(question=Question(request=request, frame=frame), terms=tuple(terms.items()))


class NormalTruth:
    """An estimate is normal about the effect, with the standard deviation that the errors give it."""

    id = "normal_truth"
    kind: PropertyKind = "truth"
    title = "An estimate lies about the effect, as far as the errors take it."

    def applies(self, case: Case) -> str:
        """Return an empty string where effect and errors are known."""
        made = self.known(case)
        return made if isinstance(made, str) else ""

    def known(self, case: Case) -> tuple[Question, Floats, tuple[str, ...], Floats] | str:
        """Return the question, the true covariance of the estimates, their terms and their effects; or why not."""
        try:
            return self._known(case)
        except CrosscheckError as error:
            return str(error).partition("\n")[0]

    def _known(self, case: Case) -> tuple[Question, Floats, tuple[str, ...], Floats] | str:
        panel = case.panel
        if panel is None or not case.whole:
            return "the data are not a simulated panel as it was made"
        spec = panel.spec
        if spec.outcome != "continuous" or spec.integer_y or panel.instruments or panel.truth.tau is None:
            return "the outcome is not an effect, plus known parts, plus errors"
        if spec.errors in ("none", "cross_section") or spec.duplicates or spec.missing_unit or spec.missing_time:
            return "the covariance of the errors is not known by unit and period"
        request = _plain_request(panel, case.request, unit="unit", time="time", vcov={"type": "iid"})
        matrix = model_matrix(parse(request.formula), panel.frame, unit="unit", time="time")
        dummies = np.column_stack([np.eye(int(c.max()) + 1)[c] for c in matrix.fe_codes.T])
        x = matrix.X - dummies @ np.linalg.lstsq(dummies, matrix.X, rcond=None)[0]
        if (
            np.linalg.matrix_rank(x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)) < x.shape[1]
            or not x.any(axis=0).all()
        ):
            return "a regressor is collinear"
        # least squares in units of each column, so that badly scaled columns lose nothing
        norm = np.linalg.norm(x, axis=0)
        half = np.linalg.pinv(x / norm) / norm[:, None]
        known = dict(panel.truth.betas) | {"treated": panel.truth.tau}
        true = half @ _error_covariance(panel, panel.frame.take(matrix.rows)) @ half.T
        effects = np.array([known[n] for n in matrix.names])
        return Question(request=request, frame=panel.frame), true, matrix.names, effects

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the question for each engine."""
        made = self.known(case)
        if isinstance(made, str):
            return ()
        return tuple(Ask(engine=e, request=made[0].request, frame=made[0].frame) for e in case.engines)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold each estimate, and with independent errors each variance, against its distribution."""
        made = self.known(case)
        if isinstance(made, str):
            return Checked(reason=made)
        question, true, names, effects = made
        precision = precision_of(question.request, question.frame)
        if precision.reason or precision.perfect:
            return Checked(reason=precision.reason or "the residuals are rounding errors")
        exact = case.panel is not None and case.panel.spec.errors == "iid" and question.request.ssc.k_adj
        exact = exact and question.request.ssc.k_fixef != "none"
        compared, found, reason = 0, [], ""
        for engine in case.engines:
            result = fit(engine, question.request, question.frame)
            if result.status != "ok" or result.dropped:
                reason = reason or result.reason or "a regressor was dropped"
                continue
            free = result.stats.df_resid if exact else None
            for k, name in enumerate(names):
                row = result.coef(name)
                if row is None or row.estimate is None:
                    continue
                compared += 1 + (row.std_error is not None and free is not None)
                wrong = _improbable(row, float(effects[k]), math.sqrt(true[k, k]), free)
                if wrong is not None:
                    quantity, value, truth, says = wrong
                    says = f"{name} was made {effects[k]:.6g}; {engine} has {says}"
                    found.append(_discrepancy(self.id, result, question.request, name, quantity, value, truth, says))
                    break
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else reason or NOTHING)


BOUND = -float(special.ndtri(ALPHA / 2))


def _improbable(
    row: CoefRow, effect: float, deviation: float, free: float | None
) -> tuple[str, float, float, str] | None:
    """Return what of a coefficient is too far out: quantity, value, truth and words; ``free`` are those of its SE."""
    estimate, se = row.estimate or 0.0, row.std_error
    z = (estimate - effect) / deviation
    if not abs(z) <= BOUND:
        return "estimate", estimate, effect, f"{estimate:.6g}, {z:.1f} true standard errors off"
    if se is None or not free:
        return None
    chance = _chi2_tail(free * se**2 / deviation**2, free)
    if chance >= ALPHA:
        return None
    return "std_error", se, deviation, f"a standard error of {se:.6g}, truly {deviation:.6g}: a chance of {chance:.1e}"


def _chi2_tail(value: float, df: float) -> float:
    """Return the two-sided probability of a chi-squared variable as far out as this."""
    if not value > 0:
        return 0.0 if value == 0 else 1.0 if math.isnan(value) else 0.0
    return float(min(1.0, 2 * min(special.chdtr(df, value), special.chdtrc(df, value))))


def _error_covariance(panel: Panel, used: Frame) -> Floats:
    """Return the covariance of the errors of the rows used, shape (n, n), as the panel drew them."""
    spec = panel.spec
    unit = used["unit"].codes()[0]
    period = np.rint((used["time"].as_float() - spec.first_period) / spec.step).astype(np.int64)
    same = unit[:, None] == unit[None, :]
    if spec.errors == "hetero":
        # units are told by their place in the panel, which their sorted names need not keep
        place = _places(panel, used)
        return np.diag(spread(spec.units + spec.singletons, spec.periods)[place, period] ** 2)
    if spec.errors == "serial":
        lag = np.abs(period[:, None] - period[None, :])
        return np.asarray(same * PERSISTENCE**lag / (1 - PERSISTENCE**2))
    if spec.errors == "unit_root":
        return np.asarray(same * (np.minimum(period[:, None], period[None, :]) + 1.0))
    return np.eye(unit.size)


def _places(panel: Panel, used: Frame) -> NDArray[np.int64]:
    """Return the place of each row's unit in the grid."""
    plain = make_panel(PanelSpec(**{**panel.spec.changes(), "ids": "integer"})).frame
    return plain.take(used.row_ids)["unit"].as_float().astype(np.int64) - 1


class Coverage:
    """Over panels that differ in their errors alone the interval covers the effect as often as it says.

    Regressors of all replicates are those of the first, errors are independent and normal, and the interval is the
    classical one, so that both the sign of the error and coverage are exactly binomial.
    """

    id = "coverage"
    kind: PropertyKind = "truth"
    title = "The interval covers the effect as often as it says."

    def applies(self, case: Case) -> str:
        """Return an empty string where the classical interval is exact."""
        if case.panel is None or not case.whole:
            return "the data are not a simulated panel as it was made"
        spec = case.panel.spec
        if spec.outcome != "continuous" or spec.integer_y or case.panel.instruments or case.panel.truth.tau is None:
            return "the outcome is not an effect, plus known parts, plus errors"
        if case.frame.nrows > 200 or spec.duplicates:
            return "the panel is too large to be drawn again and again, or rows occur twice"
        precision = precision_of(self._request(case), case.frame)
        return precision.reason or ("" if precision.full_rank else "a regressor is collinear")

    def _request(self, case: Case) -> FitRequest:
        assert case.panel is not None
        ssc = {"k_adj": True, "k_fixef": "full", "g_adj": True, "g_df": "min", "t_df": "min"}
        return _plain_request(case.panel, case.request, unit="unit", time="time", vcov={"type": "iid"}, ssc=ssc)

    def _questions(self, case: Case) -> tuple[Question, ...]:
        assert case.panel is not None
        changes = {**case.panel.spec.changes(), "errors": "iid"}
        spec = PanelSpec(**changes)
        request = self._request(case)
        rng = np.random.Generator(np.random.PCG64([case.seed, 60]))
        shape = (spec.units + spec.singletons, spec.periods)
        return tuple(
            Question(request=request, frame=make_panel(spec, rng.standard_normal(shape)).frame)
            for _ in range(REPLICATES)
        )

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return one question for each replicate and engine."""
        return tuple(
            Ask(engine=e, request=q.request, frame=q.frame) for q in self._questions(case) for e in case.engines
        )

    def check(self, case: Case, fit: Fit) -> Checked:
        """Count signs and intervals, and hold both against their binomial distributions."""
        assert case.panel is not None
        questions = self._questions(case)
        tau = float(case.panel.truth.tau or 0.0)
        found, compared, reason = [], 0, ""
        for engine in case.engines:
            rows = []
            result = None
            for q in questions:
                result = fit(engine, q.request, q.frame)
                row = result.coef("treated") if result.status == "ok" else None
                if row is not None and None not in (row.estimate, row.conf_low, row.conf_high):
                    rows.append(row)
                reason = reason or result.reason
            if result is None or len(rows) < REPLICATES // 2:
                continue
            compared += 2 * len(rows)
            above = sum(float(r.estimate or 0.0) > tau for r in rows)
            covered = sum(float(r.conf_low or 0.0) <= tau <= float(r.conf_high or 0.0) for r in rows)
            level = questions[0].request.conf_level
            for quantity, count, chance in (("estimate", above, 0.5), ("coverage", covered, level)):
                if not binomial_within(count, len(rows), chance, ALPHA):
                    what = "above the effect" if quantity == "estimate" else "intervals that cover it"
                    says = f"{count} of {len(rows)} {what}, where {chance:.0%} are right"
                    found.append(
                        _discrepancy(
                            self.id, result, questions[0].request, "treated", quantity, count / len(rows), chance, says
                        )
                    )
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else reason or NOTHING)


def binomial_within(count: int, trials: int, chance: float, alpha: float) -> bool:
    """Say whether a count is within the central region of its exact binomial distribution.

    Parameters
    ----------
    count, trials : int
    chance : float
    alpha : float
        Probability, at most, of a count outside.
    """
    below = float(special.bdtr(count, trials, chance))
    above = float(special.bdtrc(count - 1, trials, chance)) if count > 0 else 1.0
    return min(below, above) >= alpha / 2


TRUTHS = (ExactTruth(), NormalTruth(), Coverage())
