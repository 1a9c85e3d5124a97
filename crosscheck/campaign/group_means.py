"""Do Poisson, logit and probit give the closed form where there is one?

On one dummy the model is saturated: the mean of each group is fitted exactly. The intercept is the link of one mean,
the coefficient the difference of the links of both (log, log-odds, normal quantile). No reference is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import logit, ndtri

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING, outcome
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

LINKS: dict[str, Callable[[float], float]] = {
    "poisson": lambda m: float(np.log(m)),
    "logit": lambda m: float(logit(m)),
    "probit": lambda m: float(ndtri(m)),
}
DUMMY = "treated"
TOLERANCE = 1e-6
"""Iterations of a GLM end where nothing moves any more; engines promise 1e-5 of an estimate and give more here."""


class GroupMeans:
    """On one dummy Poisson, logit and probit fit two means."""

    id = "group_means"
    kind: PropertyKind = "relation"
    title = "On one dummy Poisson, logit and probit fit the two means."

    def applies(self, case: Case) -> str:
        """Return an empty string where both means have a finite link."""
        made = _links(case)
        return made if isinstance(made, str) else ""

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the model with the dummy alone."""
        return tuple(Ask(engine=e, request=_alone(case), frame=case.frame) for e in case.engines)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold intercept and coefficient against the links of the means."""
        made = _links(case)
        if isinstance(made, str):
            return Checked(reason=made)
        low, high = made
        request = _alone(case)
        compared, found, reason = 0, [], ""
        for engine in case.engines:
            result = fit(engine, request, case.frame)
            if result.status != "ok":
                reason = reason or f"{engine}: {result.reason}"[:200]
                continue
            for term, follows in (("(Intercept)", low), (DUMMY, high - low)):
                row = result.coef(term)
                compared += 1
                given = None if row is None else row.estimate
                if given is None or not abs(given - follows) <= TOLERANCE * (1 + abs(follows)):
                    identity = Identity(
                        rule=self.id,
                        engine=engine,
                        version=result.version,
                        quantity="estimate",
                        features=features(request),
                    )
                    says = f"{self.title} The estimate of {term} is {given}; {follows:.10g} follows"
                    found.append(Discrepancy(identity=identity, term=term, value=given, other=follows, says=says))
        return Checked(compared=compared, discrepancies=tuple(found[:1]), reason="" if compared else reason or NOTHING)


def _alone(case: Case) -> FitRequest:
    name = outcome(case.request)
    columns = [name, DUMMY, *([case.request.weights.column] if case.request.weights else [])]
    update = {
        "formula": f"`{name}` ~ `{DUMMY}`",
        "vcov": VcovSpec(),
        "ssc": SscSpec(k_adj=False),  # estimates alone are looked at, and every engine has this
        "also": (),
        "columns": tuple(dict.fromkeys([*columns, *(n for n in (case.request.unit, case.request.time) if n)])),
    }
    return case.request.model_copy(update=update)


def _links(case: Case) -> tuple[float, float] | str:
    """Return the links of the means without and with the dummy, or why there are none."""
    request, frame, name = case.request, case.frame, outcome(case.request)
    family = "poisson" if request.estimator == "fepois" else request.options.get("family", "")
    if request.estimator not in ("fepois", "feglm") or family not in LINKS or not name or DUMMY not in frame:
        return "the estimator is not Poisson, logit or probit"
    y, d = frame[name].as_float(), frame[DUMMY].as_float()
    w = np.ones(y.size) if request.weights is None else frame[request.weights.column].as_float()
    used = np.isfinite(y) & np.isfinite(d) & np.isfinite(w) & (w > 0)
    means = []
    for group in (0.0, 1.0):
        mine = used & (d == group)
        if not mine.any():
            return "one of the groups is empty"
        mean = float(w[mine] @ y[mine] / w[mine].sum())
        if not mean > 0 or (family != "poisson" and not mean < 1):
            return "one of the groups has a mean at the end of its range"
        means.append(LINKS[family](mean))
    return means[0], means[1]
