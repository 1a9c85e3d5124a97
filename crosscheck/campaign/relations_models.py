"""Which different models are the same model?

Dummies instead of absorption (Frisch, Waugh and Lovell), first differences with two periods, an effect that others
span, a regressor as its own instrument, and Callaway and Sant'Anna's effects against Sun and Abraham's where there are
never-treated units and no covariates (Sun and Abraham 2021, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import (
    NOTHING,
    complete,
    formula_of,
    outcome,
    pick,
    plain_regressors,
    put,
    uses,
    with_request,
)
from crosscheck.campaign.invariance import COEFFICIENTS, COUNTS, ESTIMATES, Carry, Question, Twin
from crosscheck.campaign.precision import precision_of
from crosscheck.campaign.relation import Relation
from crosscheck.conventions import is_nested
from crosscheck.formula import Call, Name, emit
from crosscheck.frame import Column, Frame
from crosscheck.modelmatrix import combined_codes
from crosscheck.options import AttGtOptions, SunabOptions
from crosscheck.spec import FitRequest

MOST_DUMMIES = 40


def absorb_dummies(case: Case, rng: np.random.Generator) -> Twin | str:
    """Write the fixed effects as dummies.

    K is then every parameter on both sides. Two effects at most, of connected levels: with more the number of
    parameters is an upper bound on the one side and the rank on the other.
    """
    request, formula = case.request, formula_of(case.request)
    if request.estimator != "feols" or formula is None or not 1 <= len(formula.fixed_effects) <= 2:
        return "there are neither one nor two fixed effects"
    if any(len(parts) > 1 for parts in formula.fixed_effects) or uses(request, "i", "factor", "poly", "lag"):
        return "dummies of combined effects, or besides other dummies, are another matter"
    if request.vcov.type in ("CRV3", "HC2", "HC3"):
        return "leverage is compared with the closed form"
    keep = complete(request, case.frame)
    if not keep.any():
        return "no row is complete"
    sample = case.frame.take(np.flatnonzero(keep))
    codes = [combined_codes(sample, parts)[0] for parts in formula.fixed_effects]
    sizes = [int(c.max()) + 1 for c in codes]
    if sum(sizes) > MOST_DUMMIES or min(sizes) < 2:
        return "the levels are too many, or one"
    if len(codes) == 2 and _components(codes[0], codes[1]) > 1:
        return "the levels fall into parts, and the parameters counted are more than the rank"
    effects = {parts[0] for parts in formula.fixed_effects}
    if any(sample[name].kind not in ("category", "integer") for name in effects):
        return "a number with decimals is no factor"
    ssc = {**request.ssc.model_dump(), "k_fixef": "full"}
    dummies = tuple((Call("i", (Name(parts[0]),)),) for parts in formula.fixed_effects)
    written = replace(formula, terms=(*formula.terms, *dummies), fixed_effects=(), intercept=True)
    kept = frozenset(t[0].name for t in formula.terms if len(t) == 1 and isinstance(t[0], Name))
    if formula.iv is not None:
        return "instruments are compared elsewhere"
    first, second = (with_request(request, ssc=ssc, formula=emit(f)) for f in (formula, written))
    quantities = COEFFICIENTS | COUNTS | {"r2", "adj_r2"}
    precision = precision_of(request, sample)
    if not precision.full_rank:
        return "a regressor is collinear, and a dummy may be dropped in its place"
    return Twin(
        first=Question(request=first, frame=sample),
        second=Question(request=second, frame=sample),
        carry=Carry(only=kept, quantities=quantities | {"terms"}),
        precision=precision,
    )


def _components(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Count the connected parts of the graph of two effects' levels."""
    parent = np.arange(int(first.max()) + int(second.max()) + 2)
    offset = int(first.max()) + 1

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = int(parent[k])
        return k

    for a, b in {(int(a), int(b) + offset) for a, b in zip(first, second, strict=True)}:
        parent[root(a)] = root(b)
    return len({root(k) for k in range(parent.size)})


def spanned_effect(case: Case, rng: np.random.Generator) -> Twin | str:
    """Add a fixed effect in which another is nested."""
    request, formula = case.request, formula_of(case.request)
    if request.estimator not in ("feols", "fepois") or formula is None or not formula.fixed_effects:
        return "there are no fixed effects"
    inner = {parts[0] for parts in formula.fixed_effects if len(parts) == 1}
    if not inner or formula.iv is not None or len(formula.fixed_effects) > 2:
        return "there is no plain fixed effect"
    rows = complete(request, case.frame)
    for column in case.frame.columns:
        if column.name in inner or column.kind not in ("category", "integer") or column.missing.any():
            continue
        if column.name in ("y", "treated", "cohort", outcome(request)) or column.name in request.vcov.cluster:
            continue
        for name in sorted(inner):
            mine, outer = case.frame[name].codes()[0][rows], column.codes()[0][rows]
            if mine.size and is_nested(mine, outer):
                ssc = {**request.ssc.model_dump(), "k_fixef": "none"}
                wider = replace(formula, fixed_effects=(*formula.fixed_effects, (column.name,)))
                first, second = (with_request(request, ssc=ssc, formula=emit(f)) for f in (formula, wider))
                columns = (*request.columns, column.name) if request.columns else ()
                quantities = (COEFFICIENTS if request.vcov.type not in ("HC2", "HC3") else ESTIMATES) | {
                    "terms",
                    "nobs",
                }
                if request.ssc.t_df == "conventional" or not request.vcov.cluster:
                    quantities -= {"p_value", "conf_low", "conf_high"}
                return Twin(
                    first=Question(request=first, frame=case.frame),
                    second=Question(request=with_request(second, columns=columns), frame=case.frame),
                    carry=Carry(quantities=quantities),
                )
    return "no column is spanned by a fixed effect"


def first_differences(case: Case, rng: np.random.Generator) -> Twin | str:
    """Regress differences on differences in the two periods that most units have both of.

    With effects of units and periods both are the same least squares; clustered by unit the sums of scores are the
    scores of the differences (Wooldridge 2010, section 10.6).
    """
    request, formula, frame = case.request, formula_of(case.request), case.frame
    unit, time, name = request.unit, request.time, outcome(request)
    if request.estimator != "feols" or formula is None or not name or not unit or not time or formula.iv is not None:
        return "the model is not least squares with units and periods"
    regressors = plain_regressors(request, frame)
    if not regressors or request.weights is not None:
        return "no column is a regressor and nothing else, or there are weights"
    needed = (name, *regressors, unit, time)
    pairs = two_periods(frame, unit, time, needed)
    if pairs is None:
        return "no two periods have enough units with both"
    early, late = pairs
    columns = [Column(c, "float", frame[c].as_float()[late] - frame[c].as_float()[early]) for c in (name, *regressors)]
    kind = "CRV1" if request.vcov.type == "CRV1" else "iid"
    changes = {
        "ssc": {**request.ssc.model_dump(), "k_adj": kind == "iid", "k_fixef": "full"},
        "vcov": {"type": kind, "cluster": (unit,) if kind == "CRV1" else ()},
        "columns": needed,
    }
    terms = tuple((Name(r),) for r in regressors)
    within = replace(formula, terms=terms, fixed_effects=((unit,), (time,)), intercept=False)
    across = replace(formula, terms=terms, fixed_effects=(), intercept=True)
    first, second = (with_request(request, formula=emit(f), **changes) for f in (within, across))
    return Twin(
        first=Question(request=first, frame=pick(frame, np.sort(np.concatenate([early, late])))),
        second=Question(request=second, frame=put(pick(frame, late), *columns)),
        carry=Carry(only=frozenset(regressors), quantities=COEFFICIENTS),
    )


def two_periods(
    frame: Frame, unit: str, time: str, needed: Sequence[str], least: int = 4
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return the rows of the units that are complete in both of the two periods that most have, by unit.

    ``None`` where fewer than ``least`` units do, or a unit has two rows in a period.
    """
    if any(name not in frame for name in needed):
        return None
    keep = ~np.any([frame[name].missing for name in needed], axis=0)
    units, periods = frame[unit].codes()[0], frame[time].codes()[0]
    best: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    for p in range(int(periods.max(initial=0))):
        rows = [np.flatnonzero(keep & (periods == q)) for q in (p, p + 1)]
        if any(np.unique(units[r]).size != r.size for r in rows):
            return None
        common = np.intersect1d(units[rows[0]], units[rows[1]])
        if common.size >= least and (best is None or common.size > best[0].size):
            early, late = (r[np.isin(units[r], common)] for r in rows)
            best = early[np.argsort(units[early])], late[np.argsort(units[late])]
    return best


def own_instrument(case: Case, rng: np.random.Generator) -> Twin | str:
    """Take a regressor as the instrument of itself: that is least squares."""
    request, formula = case.request, formula_of(case.request)
    if request.estimator != "feols" or formula is None or formula.iv is not None:
        return "the model is not least squares"
    found = plain_regressors(request, case.frame)
    if not found or uses(request, "lag", "poly") or request.vcov.type in ("HC2", "HC3", "CRV3", "NW", "DK"):
        return "there is no plain regressor, or no covariance after instruments"
    if not precision_of(request, case.frame).full_rank:
        return "a regressor is collinear"
    name = found[-1]
    column = case.frame[name]
    copy = f"{name} again"
    while copy in case.frame:
        copy += "_"
    terms = tuple(t for t in formula.terms if t != (Name(name),))
    if not terms and not formula.intercept and not formula.fixed_effects:
        return "nothing is exogenous"
    text = emit(replace(formula, terms=terms)) if terms or formula.intercept else ""
    left, _, right = text.partition(" | ")
    body = left if text else f"{emit(formula).partition(' ~ ')[0]} ~ 1"
    effects = " + ".join("^".join(f"`{p}`" for p in parts) for parts in formula.fixed_effects)
    if not text:
        right = effects
    second = with_request(
        request,
        formula=" | ".join(p for p in (body, right, f"`{name}` ~ `{copy}`") if p),
        columns=(*request.columns, copy) if request.columns else (),
    )
    frame = put(case.frame, Column(copy, column.kind, column.values, column.levels))
    return Twin(
        first=Question(request=request, frame=case.frame),
        second=Question(request=second, frame=frame),
        carry=Carry(quantities=COEFFICIENTS | COUNTS | {"terms"}),
    )


class MeansOfTwoByTwo:
    """With two groups and two periods the effect is a difference of differences of means."""

    id = "two_by_two"
    kind: PropertyKind = "relation"
    title = "With two groups and two periods the effect is a difference of differences of means."

    def applies(self, case: Case) -> str:
        """Return an empty string where a panel holds two groups in two periods."""
        made = _two_by_two(case)
        return made if isinstance(made, str) else ""

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the question about those rows, for each engine."""
        made = _two_by_two(case)
        if isinstance(made, str):
            return ()
        return tuple(Ask(engine=e, request=made[0].request, frame=made[0].frame) for e in case.engines)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold each engine's effect against the means."""
        made = _two_by_two(case)
        if isinstance(made, str):
            return Checked(reason=made)
        question, term, means = made
        precision = precision_of(question.request, question.frame)
        if precision.reason:
            return Checked(reason=precision.reason)
        compared, found, reason = 0, [], ""
        for engine in case.engines:
            result = fit(engine, question.request, question.frame)
            row = result.coef(term) if result.status == "ok" else None
            if row is None or row.estimate is None:
                reason = reason or result.reason
                continue
            compared += 1
            if not abs(row.estimate - means) <= precision.of_estimate(term, means):
                found.append(
                    Discrepancy(
                        identity=Identity(
                            rule=self.id,
                            engine=engine,
                            version=result.version,
                            quantity="estimate",
                            features=features(question.request),
                        ),
                        term=term,
                        value=row.estimate,
                        other=means,
                        says=f"{self.title} {engine} gives {row.estimate}, the means {means}",
                    )
                )
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else reason or NOTHING)


def _two_by_two(case: Case) -> tuple[Question, str, float] | str:
    """Return a question about two groups in two periods, the term of its effect, and the effect by means."""
    request, frame = case.request, case.frame
    unit, time = (str(request.options.get(n) or getattr(request, n) or "") for n in ("unit", "time"))
    name = outcome(request)
    if (
        request.estimator not in ("feols", "att_gt")
        or not name
        or not {name, unit, time, "treated"} <= set(frame.names)
    ):
        return "unit, time, outcome and treatment are not all columns"
    if request.weights is not None or request.options.get("weights"):
        return "there are weights"
    needed = (name, unit, time, "treated", *(("cohort",) if "cohort" in frame else ()))
    pairs = two_periods(frame, unit, time, needed)
    if pairs is None:
        return "no two periods have enough units with both"
    early, late = pairs
    treated = frame["treated"].as_float()
    kept = treated[early] == 0
    early, late = early[kept], late[kept]
    now = treated[late] == 1
    if not (now.any() and not now.all()):
        return "nobody begins to be treated between the two periods, or all do"
    change = frame[name].as_float()[late] - frame[name].as_float()[early]
    sample = pick(frame, np.sort(np.concatenate([early, late])))
    if request.estimator == "feols":
        text = f"`{name}` ~ `treated` | `{unit}` + `{time}`"
        asked = with_request(request, formula=text, columns=needed, vcov={"type": "iid"})
        return Question(request=asked, frame=sample), "treated", float(change[now].mean() - change[~now].mean())
    start = sample["cohort"].as_float() if "cohort" in sample else np.zeros(0)
    if np.unique(start[start <= sample[time].as_float()]).size > 2:
        return "the treated belong to several cohorts"
    options = {
        **request.options,
        "covariates": (),
        "anticipation": 0,
        "aggregation": "simple",
        "balance_e": None,
        "min_e": None,
        "max_e": None,
    }
    asked = with_request(request, options=options, columns=needed)
    return Question(request=asked, frame=sample), "overall", float(change[now].mean() - change[~now].mean())


class GroupTimeAgainstInteractions:
    """Callaway and Sant'Anna's effects are Sun and Abraham's, with never-treated units and no covariates.

    Both are then differences from the last period before treatment between a cohort and the never treated. The two
    estimators may be those of different engines.
    """

    id = "cs_sa"
    kind: PropertyKind = "relation"
    title = "Without covariates Callaway and Sant'Anna's effects are Sun and Abraham's."

    def applies(self, case: Case) -> str:
        """Return an empty string for a balanced panel with never-treated units."""
        made = both_questions(case)
        return made if isinstance(made, str) else ""

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return both questions, for each engine."""
        made = both_questions(case)
        if isinstance(made, str):
            return ()
        return tuple(Ask(engine=e, request=r, frame=made[2]) for e in case.engines for r in made[:2])

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold each engine's interactions against the group-time effects of the first engine that has them."""
        made = both_questions(case)
        if isinstance(made, str):
            return Checked(reason=made)
        means, interactions, frame = made
        precision = precision_of(means, frame)
        if precision.reason:
            return Checked(reason=precision.reason)
        cs = [r for r in (fit(e, means, frame) for e in case.engines) if r.status == "ok"]
        sa = [r for r in (fit(e, interactions, frame) for e in case.engines) if r.status == "ok"]
        compared, found = 0, []
        for left in cs:
            known = {r.term: r.estimate for r in left.coefs}
            for right in sa:
                for row in right.coefs:
                    term = _as_group_time(row.term)
                    value = known.get(term) if term else None
                    if value is None or row.estimate is None:
                        continue
                    compared += 1
                    if not abs(row.estimate - value) <= 10 * precision.of_estimate(term, value):
                        found.append(
                            self._discrepancy(left.engine, right.engine, right.version, term, value, row.estimate)
                        )
                        break
        return Checked(
            compared=compared, discrepancies=tuple(found), reason="" if compared else "no engine has both estimators"
        )

    def _discrepancy(
        self, left: str, right: str, version: str, term: str, value: float, estimate: float
    ) -> Discrepancy:
        return Discrepancy(
            identity=Identity(
                rule=self.id,
                engine=right,
                version=version,
                against=left if left != right else "",
                quantity="estimate",
                features="sunab att_gt",
            ),
            term=term,
            value=estimate,
            other=value,
            says=f"{self.title} {term}: sunab of {right} {estimate}, att_gt of {left} {value}",
        )


def both_questions(case: Case) -> tuple[FitRequest, FitRequest, Frame] | str:
    """Return both questions, and the units that are complete in every period and whose cohort has periods around it."""
    request, frame = case.request, case.frame
    if request.estimator not in ("att_gt", "sunab"):
        return "the estimator is neither of the two"
    unit, time, cohort = (
        str(request.options.get(n) or getattr(request, n, None) or "") for n in ("unit", "time", "cohort")
    )
    y = str(request.options.get("y") or outcome(request))
    columns = (y, cohort, unit, time)
    if not all(n and n in frame for n in columns):
        return "unit, time, cohort and outcome are not columns"
    known = ~np.any([frame[n].missing for n in columns], axis=0)
    units, periods, start = frame[unit].codes()[0], frame[time].as_float(), frame[cohort].as_float()
    calendar = np.unique(periods[known])
    if calendar.size < 2 or np.any(np.diff(calendar) != 1) or calendar[0] < 1:
        return "relative periods are not counted in ones"
    if np.unique(np.column_stack([units[known], periods[known]]), axis=0).shape[0] != known.sum():
        return "a unit has two rows in a period"
    whole = known & ((start == 0) | ((start > calendar[0]) & (start <= calendar[-1])))
    counts = np.bincount(units[whole], minlength=int(units.max(initial=0)) + 1)
    whole &= counts[units] == calendar.size
    if not (whole & (start == 0)).any() or not (whole & (start > 0)).any():
        return "there are no never-treated units, or no treated ones"
    means = AttGtOptions(y=y, cohort=cohort, unit=unit, time=time, base_period="universal", est_method="reg")
    options = SunabOptions(y=y, cohort=cohort, unit=unit, time=time, aggregation="none")
    first = FitRequest(estimator="att_gt", unit=unit, time=time, options=means.model_dump(mode="json"), columns=columns)
    second = FitRequest(
        estimator="sunab",
        formula=f"`{y}` ~ sunab(`{cohort}`, `{time}`) | `{unit}` + `{time}`",
        unit=unit,
        time=time,
        options=options.model_dump(mode="json"),
        columns=columns,
    )
    return first, second, pick(frame, np.flatnonzero(whole))


def _as_group_time(term: str) -> str:
    """Return the name of ``time::2:cohort::5`` as a group-time effect, ``ATT(5,7)``."""
    left, found, group = term.partition(":cohort::")
    if not found:
        return ""
    relative = float(left.rpartition("::")[2])
    return f"ATT({float(group):.15g},{float(group) + relative:.15g})"


RELATIONS = (
    Relation(id="absorb_dummies", title="Fixed effects absorbed are dummies written out.", make=absorb_dummies),
    Relation(id="spanned_effect", title="An effect that another spans adds nothing.", make=spanned_effect),
    Relation(id="first_differences", title="Two periods with effects are first differences.", make=first_differences),
    Relation(
        id="own_instrument", title="A regressor that is its own instrument is least squares.", make=own_instrument
    ),
    MeansOfTwoByTwo(),
    GroupTimeAgainstInteractions(),
)
