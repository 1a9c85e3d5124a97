"""Do the paper's designs give what their definitions give, without any other engine?

Each law takes one answer and the data, and yields numbers that must be equal: winsorizing against sorted values,
mediation against its three regressions and their identity, subgroups against one regression each, entropy weights
against sums of logarithms, placebos against all assignments one after the other, the wild bootstrap against refitted
outcomes, matches against all pairs of rows, a Monte Carlo experiment against its own panels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crosscheck.campaign import laws_matching, laws_random, laws_tables
from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING
from crosscheck.campaign.laws_tables import Item, Reason
from crosscheck.engines import family
from crosscheck.errors import CrosscheckError
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

Law = Callable[[FitRequest, Case, EstimationResult], Iterator[Item]]
ENGINES = ("designs", "r.designs", "r.matchit")


def _same(request: FitRequest, case: Case) -> FitRequest:
    return request


class DesignLaw:
    """What one design's definition says of its numbers.

    Parameters
    ----------
    id, estimator, title : str
    law : callable
        Yields term, quantity, what follows, what is given, and what it may be off by; raises :class:`Reason` where
        nothing can be said.
    asked : callable, optional
        Turns the request into the one that is judged.
    """

    kind: PropertyKind = "relation"
    always = True

    def __init__(
        self,
        id: str,
        estimator: str,
        title: str,
        law: Law,
        asked: Callable[[FitRequest, Case], FitRequest] = _same,
    ) -> None:
        self.id, self.estimator, self.title, self._law, self._asked = id, estimator, title, law, asked

    def _engines(self, case: Case) -> tuple[str, ...]:
        return tuple(e for e in case.engines if family(e) in ENGINES)

    def applies(self, case: Case) -> str:
        """Return an empty string for a request for the design."""
        if case.request.estimator != self.estimator:
            return f"the request is not {self.estimator}"
        return "" if self._engines(case) else "it speaks of the designs' engines alone"

    def _request(self, case: Case) -> FitRequest:
        return self._asked(case.request, case)

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the design for each of its engines."""
        request = self._request(case)
        return tuple(Ask(engine=e, request=request, frame=case.frame) for e in self._engines(case))

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold each number against its definition; the first that differs is the discrepancy."""
        request = self._request(case)
        compared, found, reason = 0, [], ""
        for engine in self._engines(case):
            result = fit(engine, request, case.frame)
            if result.status != "ok":
                reason = reason or f"{engine}: {result.reason}"[:200]
                continue
            try:
                for item in self._law(request, case, result):
                    compared += 1
                    if not abs(item.follows - item.given) <= item.allowed:
                        found.append(self._discrepancy(item, result, request))
                        break
            except Reason as why:
                reason = reason or str(why)
            except CrosscheckError as error:
                reason = reason or error.what
            except (ArithmeticError, np.linalg.LinAlgError) as error:
                reason = reason or f"the arithmetic fails: {error}"
        reason = "" if compared or found else reason or NOTHING
        return Checked(compared=compared, discrepancies=tuple(found), reason=reason)

    def _discrepancy(self, item: Item, result: EstimationResult, request: FitRequest) -> Discrepancy:
        return Discrepancy(
            identity=Identity(
                rule=self.id,
                engine=result.engine,
                version=result.version,
                quantity=item.quantity,
                features=features(request),
            ),
            term=item.term,
            value=item.given,
            other=item.follows,
            says=f"{self.title} The {item.quantity} of {item.term} is {item.given}; {item.follows} follows",
        )


LAWS = (
    DesignLaw(
        "describe_by_hand",
        "describe",
        "Moments and quantiles are those of the sorted values.",
        laws_tables.describe,
    ),
    DesignLaw(
        "entropy_by_hand",
        "entropy",
        "Entropies are sums of p ln p, weights are redundancies over their sum, scores weighted sums.",
        laws_tables.entropy,
    ),
    DesignLaw(
        "winsor_by_hand",
        "winsor_feols",
        "Bounds are order statistics, and the regression is that of the values pulled in.",
        laws_tables.winsor,
    ),
    DesignLaw(
        "mediation_by_hand",
        "mediation",
        "Total is direct plus indirect; the indirect effect is the product of its two coefficients.",
        laws_tables.mediation,
    ),
    DesignLaw(
        "subgroups_by_hand",
        "subgroups",
        "The interacted model gives each group its own regression.",
        laws_tables.subgroups,
    ),
    DesignLaw(
        "placebo_by_hand",
        "placebo",
        "A placebo is the regression with the assignment exchanged; where they are few, all assignments.",
        laws_random.placebo,
        laws_random.all_assignments,
    ),
    DesignLaw(
        "wild_by_hand",
        "wild_bootstrap",
        "A bootstrap t is that of the outcome made with the residuals' signs exchanged.",
        laws_random.wild,
    ),
    DesignLaw(
        "monte_carlo_by_hand",
        "monte_carlo",
        "Without noise the estimate is the effect; bias, coverage and bounds are those of the panels.",
        laws_random.monte_carlo,
    ),
    DesignLaw(
        "matching_by_hand",
        "psm_did",
        "Scores solve the logit's equations, and matches are the nearest of all pairs.",
        laws_matching.matching,
    ),
)
