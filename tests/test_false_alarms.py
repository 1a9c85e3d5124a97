"""Do the properties of a campaign leave correct estimators alone?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.campaign.case import Case, Checked
from crosscheck.campaign.requests import draw_requests
from crosscheck.simulate import Limits, make_panel, seeded_spec
from tests.mutants import DIFFERENTIAL, OTHERS, Sitting, quiet
from tests.twins import TWINS

ESTIMATORS = ("feols", "att_gt", "sunab", "re", "between")
OUTCOMES = ("continuous", "continuous", "continuous", "count", "binary")


def alarms(seed: int, others: int = 3) -> Iterator[tuple[str, str, Case, Checked]]:
    """Yield what the comparison with the closed form and a few other properties find on one panel and one twin."""
    twin = tuple(TWINS)[seed % len(TWINS)]
    panel = make_panel(seeded_spec(seed, Limits(outcomes=OUTCOMES)))  # type: ignore[arg-type]
    request = next((r for r in draw_requests(panel, seed, 4) if r.estimator in ESTIMATORS), None)
    if request is None:
        return
    case = Case(seed=seed, frame=panel.frame, requests=(request,), engines=("twin",), panel=panel)
    fit = Sitting(TWINS[twin])
    rng = np.random.Generator(np.random.PCG64([seed, 3]))
    apply = [p for p in rng.permutation(np.array(OTHERS, dtype=object)) if not p.applies(case)]
    for prop in (DIFFERENTIAL, *apply[:others]):
        yield prop.id, twin, case, prop.check(case, fit)
    Sitting.known.clear()


def test_no_property_calls_a_correct_estimator_wrong():
    numbers = 0
    with quiet():
        for seed in range(2_000_000, 2_000_140):
            for name, twin, case, checked in alarms(seed):
                assert not checked.discrepancies, (name, twin, case.panel, case.request, checked.discrepancies)
                numbers += checked.compared
    assert numbers > 5_000
