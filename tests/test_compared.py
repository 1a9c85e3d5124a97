"""Is each quantity of an answer compared? A toy engine that is right but for one of them is found, whichever it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from crosscheck import engines
from crosscheck.bridge.py_worker import run
from crosscheck.campaign.command import settings_of
from crosscheck.campaign.plan import cases_of
from crosscheck.campaign.properties import chosen, properties
from crosscheck.campaign.screen import check, recognised
from crosscheck.engines.wrapped import Wrapped
from crosscheck.frame import Frame
from crosscheck.results import Condition, EstimationResult, failed
from crosscheck.spec import FitRequest
from tests.mutants import quiet

Spoil = Callable[[EstimationResult, FitRequest, Frame], EstimationResult]
PANELS = 120
"""The issue allows 300."""
ELSEWHERE = ("other_process", "coverage")
OFF = 1e-4
CONVERGED = "did not converge"


def off(value, by=OFF):
    return value if value is None or math.isnan(value) else value * (1 + by) + (by if value == 0 else 0)


def of_coefs(name: str) -> Spoil:
    return lambda r, q, f: r.with_(coefs=tuple(replace(c, **{name: off(getattr(c, name))}) for c in r.coefs))


def of_stats(name: str, add: float = 0.0) -> Spoil:
    def spoil(r, q, f):
        value = getattr(r.stats, name)
        return r if value is None else r.with_(stats=replace(r.stats, **{name: value + add if add else off(value)}))

    return spoil


def of_extras(name: str) -> Spoil:
    return lambda r, q, f: r.with_(
        extras=tuple(replace(e, value=off(e.value)) if name in (e.quantity, e.term) else e for e in r.extras)
    )


def of_rows(name: str, held_out: int | None = None) -> Spoil:
    def spoil(r, q, f):
        rows = np.ones(f.nrows, dtype=bool) if held_out is None else f["held out"].as_float() == held_out
        blocks = []
        for block in r.blocks:
            values = tuple(
                tuple(off(v, 1e-2) if rows[k] else v for k, v in enumerate(column)) if q == name else column
                for q, column in zip(block.quantities, block.values, strict=True)
            )
            blocks.append(replace(block, values=values) if block.term == "rows" else block)
        return r.with_(blocks=tuple(blocks)) if held_out is None or "held out" in f else r

    return spoil


def first_renamed(r, q, f):
    return r.with_(coefs=(replace(r.coefs[0], term=f"{r.coefs[0].term} "), *r.coefs[1:])) if r.coefs else r


def se_not_a_number(r, q, f):
    return r.with_(coefs=tuple(replace(c, std_error=math.nan) for c in r.coefs)) if q.vcov.type == "CRV3" else r


def off_diagonal(factor: float) -> Spoil:
    """Leave the standard errors as they are, and everything that is computed from them."""

    def spoil(r, q, f):
        matrix = np.array(r.vcov, dtype=float)
        if matrix.ndim != 2:
            return r
        matrix = np.where(np.eye(len(matrix), dtype=bool), matrix, factor * matrix)
        return r.with_(vcov=tuple(map(tuple, matrix.tolist())))

    return spoil


FAULTS: dict[str, Spoil] = {
    **{n: of_coefs(n) for n in ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "df")},
    **{n: of_stats(n) for n in ("r2", "adj_r2", "r2_within")},
    **{"nobs": of_stats("nobs", 1), "df_resid": of_stats("df_resid", -1)},
    **{n: of_extras(n) for n in ("log_likelihood", "adj_r2_within", "pseudo_r2", "deviance", "wald", "f")},
    **{"fitted": of_rows("fitted"), "residuals": of_rows("residuals")},
    **{"predicted, training": of_rows("predicted", 0), "predicted, new": of_rows("predicted", 1)},
    "dropped terms not named": lambda r, q, f: r.with_(dropped=()),
    "others named as dropped": lambda r, q, f: r.with_(dropped=tuple(f"{t}x" for t in r.dropped)),
    "a term is lost": lambda r, q, f: r.with_(coefs=r.coefs[:-1]) if len(r.coefs) > 1 else r,
    "a term is called otherwise": first_renamed,
    "a standard error is NaN": se_not_a_number,
    **{"no covariance": off_diagonal(0), "covariance, sign": off_diagonal(-1), "covariance": off_diagonal(1 + 1e-4)},
    "silent": lambda r, q, f: r.with_(conditions=()),
    "an error with weights": lambda r, q, f: failed(r.engine, "weights must sum to one") if q.weights else r,
    "an error called singular": lambda r, q, f: failed(r.engine, "Singular matrix") if q.vcov.type == "CRV1" else r,
    "nothing is spoilt": lambda r, q, f: r,
}


def base(request: FitRequest, frame: Frame) -> EstimationResult:
    """Return what the closed forms say, of counts and binary outcomes statsmodels, which warns here."""
    name = next((e for e in ("oracle", "statsmodels") if engines.get(e).supports(request)), "")
    other_way = {"several", "call", "dress"} & set(request.options)  # tests/test_defaults_and_lists.py asks them
    if not name or other_way:
        return failed("", "nobody takes this", status="unsupported")
    result = run(name, request, frame)[0]
    said = [Condition(kind="warning", text=CONVERGED)] if name == "statsmodels" else []
    if result.dropped:  # as pyfixest does
        said.append(Condition(kind="warning", text=f"{len(result.dropped)} variables dropped due to multicollinearity"))
    return result.with_(conditions=tuple(said))


@pytest.fixture(scope="module")
def found():
    """Return the panel on which each fault was found, and the quantity that gave it away."""
    patch = pytest.MonkeyPatch()
    mine = Wrapped("statsmodels", lambda request, frame, fit: fit(request, frame), id="mine")
    usual = engines.get

    def get(name):
        return Either(mine) if name == "mine" else usual(name)

    patch.setattr(engines, "get", get)
    patch.setattr(engines, "plugged", lambda: {"mine": "here"})
    try:
        with quiet(), np.errstate(all="ignore"):
            return examined()
    finally:
        patch.undo()


class Either:
    """What takes what one of the two takes: a toy engine."""

    def __init__(self, mine: Wrapped) -> None:
        self._mine, self.id, self.base, self.language = mine, "mine", "pyfixest", "python"

    def supports(self, request):
        return engines.get("oracle").supports(request) or engines.get("statsmodels").supports(request)


def examined() -> dict[str, tuple[int, str]]:
    gone: dict[str, tuple[int, str]] = {}
    settings = settings_of("ci", ("oracle", "statsmodels", "mine"), chosen(()), 0)
    for number in range(PANELS):
        left = [name for name in FAULTS if name not in gone]
        answers: dict[tuple[str, str], EstimationResult] = {}
        for case in cases_of(settings, number) if left else ():
            if case.rule in ELSEWHERE or properties()[case.rule].applies(case):
                continue
            for name in left:
                if name not in gone and (quantity := _seen(case, FAULTS[name], answers)):
                    gone[name] = (number + 1, quantity)
    return gone


def _seen(case, spoil: Spoil, answers) -> str:
    """Ask the right engine under the name of whoever takes the request, and the spoilt one."""
    right = "oracle" if engines.get("oracle").supports(case.request) else "statsmodels"
    case = case.with_(engines=(right, "mine"))
    if properties()[case.rule].applies(case):
        return ""

    def fit(engine, request, frame):
        key = (request.hash, frame.key)
        if key not in answers:
            answers[key] = base(request, frame)
        result = answers[key]
        good = engine != "mine" or result.status != "ok"
        return result.with_(engine=engine) if good else spoil(result, request, frame).with_(engine=engine)

    checked, _ = check(case, fit)
    return next((d.identity.quantity for d in checked.discrepancies if recognised(d, case, fit) is None), "")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "nothing is spoilt"])
def test_each_quantity_is_compared(fault, found):
    assert fault in found, f"not found on {PANELS} panels"


def test_nothing_is_found_where_nothing_is_spoilt(found):
    assert "nothing is spoilt" not in found
