"""Is any property idle? Each is held to the engines that docs/properties.md says it reaches."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from crosscheck.bridge.py_worker import run
from crosscheck.campaign.case import Case
from crosscheck.campaign.command import settings_of
from crosscheck.campaign.design_laws import LAWS
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.plan import panel_of
from crosscheck.campaign.properties import ON_REQUEST, chosen, properties
from crosscheck.campaign.requests import draw_requests
from crosscheck.engines import get
from crosscheck.plan import Reachability
from crosscheck.runner import Workers
from tests.mutants import quiet

DOCS = Path(__file__).parents[1] / "docs" / "properties.md"
PANELS = 200
HERE = ("oracle", "statsmodels")
WORKED = ("pyfixest", "linearmodels", "csdid")
"""In a worker: pyfixest may end the process. ``benchmarks/properties.py`` asks R's engines too."""
ELSEWHERE = ("engines_agree", "other_process", "coverage")
"""The first needs two engines, the second another process, the third sixty panels: they have tests of their own."""


def table():
    rows = [line for line in DOCS.read_text("utf-8").splitlines() if re.match(r"\| (property|`\w+`) \|", line)]
    cells = [[c.strip() for c in row.strip("|").split("|")] for row in rows]
    head = next(i for i, c in enumerate(cells) if c[0] == "property")
    engines = cells[head][1:]
    return {c[0].strip("`"): {e for e, x in zip(engines, c[1:], strict=True) if x} for c in cells[head + 1 :]}


def test_the_table_has_each_property_and_no_row_is_empty():
    claimed = table()
    elsewhere = {*ON_REQUEST, *(law.id for law in LAWS)}  # the laws of designs are in test_design_laws.py
    assert set(claimed) >= {n for n, p in properties().items() if p.kind != "differential"} - elsewhere
    assert set(claimed) <= set(properties())
    assert all(claimed.values())


@pytest.fixture(scope="module")
def workers():
    with Workers() as made:
        yield made


@pytest.mark.parametrize("engine", [*HERE, *WORKED])
def test_no_property_is_idle(engine, workers):
    info = Reachability("auto").info(engine)
    if info.transport != "live":
        pytest.skip(f"{engine}: {info.reason}")
    fitter = Fitter(workers=workers, versions={engine: info.version})
    settings = settings_of("ci", (engine,), chosen(()), 0)
    left = {name for name, engines in table().items() if engine in engines and name not in ELSEWHERE}
    assert len(left) > 8
    answers = {}

    def fit(name, request, frame):
        if engine in WORKED:
            return fitter(name, request, frame)
        key = (request.hash, frame.key)
        if key not in answers:
            answers[key] = run(name, request, frame)[0]
        return answers[key]

    with quiet(), np.errstate(all="ignore"):
        for number in range(PANELS):
            panel = panel_of(settings, number)
            for request in draw_requests(panel, number, 2):
                case = Case(seed=number, frame=panel.frame, requests=(request,), engines=(engine,), panel=panel)
                if not get(engine).supports(request):
                    continue
                for name in sorted(left):
                    prop = properties()[name]
                    if not prop.applies(case) and prop.check(case, fit).compared:
                        left.discard(name)
            fitter.forget()
            if not left:
                break
    fitter.close()
    assert not left, f"compared nothing on {PANELS} panels"
