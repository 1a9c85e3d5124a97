"""Is a wrong default found, and a model that is another one where it is one of several? Each within 300 panels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from crosscheck import engines
from crosscheck.bridge.py_worker import run
from crosscheck.campaign.command import settings_of
from crosscheck.campaign.plan import cases_of
from crosscheck.campaign.properties import properties
from crosscheck.campaign.screen import check, recognised
from crosscheck.engines.wrapped import Wrapped
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest, VcovSpec
from tests.mutants import quiet

Base = Callable[[FitRequest, Frame], EstimationResult]
Fault = Callable[[FitRequest, Frame, Base], EstimationResult]
RULES = ("defaults", "one_of_several", "left_out", "stated_level")
PANELS = 300
"""What the issue allows."""


def with_options(request, **options):
    """Return the request with options replaced, or left out where they are None."""
    merged = {k: v for k, v in {**request.options, **options}.items() if v is not None}
    return request.model_copy(update={"options": merged})


def by_default(change: Fault, *estimators: str) -> Fault:
    """Return a fault that shows where a package is called with its options left out."""

    def fit(request, frame, base):
        here = request.options.get("call") == "default" and request.estimator in estimators
        return change(request, frame, base) if here else base(request, frame)

    return fit


def other_vcov(request, frame, base):
    robust = request.vcov.canonical == "iid"
    return base(request.model_copy(update={"vcov": VcovSpec(type="HC1")}) if robust else request, frame)


def other_ssc(request, frame, base):
    result = base(request, frame)
    n = result.stats.nobs or math.nan
    return errors_times(math.sqrt((n - 1) / n))(result)


def absent(key: str, value: str) -> Fault:
    """Return a fault whose default is another one than the stated one, where the request leaves the option out."""

    def fit(request, frame, base):
        known = request.estimator != "att_gt" or key in request.options
        return base(request if known else with_options(request, **{key: value}), frame)

    return fit


def last_level(request, frame, base):
    """Leave the last level of i() out, and not the first one, where none is named."""
    found = re.search(r"i\(`(\w+)`\)", request.formula)
    if found is None:
        return base(request, frame)
    column = frame[found[1]]
    codes, labels = column.codes()
    last = labels[int(codes.max())]
    ref = f'"{last}"' if column.kind == "category" else f"{float(last):.15g}"
    formula = request.formula.replace(found[0], f"i(`{found[1]}`, ref = {ref})")
    return base(request.model_copy(update={"formula": formula}), frame)


def listed(change: Callable[[EstimationResult], EstimationResult], *kinds: str) -> Fault:
    """Return a fault of models that are one of several."""

    def fit(request, frame, base):
        result = base(request, frame)
        return change(result) if request.options.get("several") in kinds and result.status == "ok" else result

    return fit


def errors_times(factor: float) -> Callable[[EstimationResult], EstimationResult]:
    def change(result):
        rows = (replace(r, std_error=r.std_error and r.std_error * factor) for r in result.coefs)
        return result.with_(coefs=tuple(rows))

    return change


def estimates_off(result):
    return result.with_(coefs=tuple(replace(r, estimate=r.estimate and r.estimate * 1.001) for r in result.coefs))


def one_row_more(result):
    return result.with_(stats=replace(result.stats, nobs=(result.stats.nobs or 0) + 1))


FAULTS: dict[str, tuple[str, Fault]] = {
    "vcov by default": ("pyfixest", by_default(other_vcov, "feols", "fepois", "feglm")),
    "ssc by default": ("pyfixest", by_default(other_ssc, "feols", "fepois", "feglm")),
    "control group by default": (
        "csdid",
        by_default(lambda q, f, base: base(with_options(q, control_group="notyettreated", call=None), f), "att_gt"),
    ),
    "control group left out": ("csdid", absent("control_group", "notyettreated")),
    "base period left out": ("csdid", absent("base_period", "universal")),
    "reference level left out": ("pyfixest", last_level),
    "std. errors of a split": ("pyfixest", listed(errors_times(1.01), "split", "fsplit")),
    "N of a split": ("pyfixest", listed(one_row_more, "split")),
    "estimates of csw": ("pyfixest", listed(estimates_off, "csw", "csw0")),
    "std. errors of sw": ("pyfixest", listed(errors_times(1.01), "sw", "sw0")),
    "N of several outcomes": ("pyfixest", listed(one_row_more, "outcomes")),
    "std. errors of listed effects": ("pyfixest", listed(errors_times(1.01), "effects sw", "effects csw0")),
    "nothing": ("pyfixest", lambda q, f, base: base(q, f)),
    "nothing of csdid": ("csdid", lambda q, f, base: base(q, f)),
}


@pytest.fixture(scope="module")
def found():
    """Return the panel on which each fault was found, and the quantity that gave it away."""
    patch = pytest.MonkeyPatch()
    toys = {base: Wrapped(base, lambda q, f, fit: fit(q, f), id="mine") for base, _ in FAULTS.values()}
    usual, now = engines.get, {"base": "pyfixest"}
    patch.setattr(engines, "get", lambda name: toys[now["base"]] if name == "mine" else usual(name))
    patch.setattr(engines, "plugged", lambda: {"mine": "here"})
    try:
        with quiet(), np.errstate(all="ignore"):
            return examined(now)
    finally:
        patch.undo()


def examined(now: dict[str, str]) -> dict[str, tuple[int, str]]:
    gone: dict[str, tuple[int, str]] = {}
    settings = settings_of("ci", ("mine",), RULES, 0)
    for number in range(PANELS):
        for base in ("pyfixest", "csdid"):
            now["base"] = base
            left = [n for n, (of, _) in FAULTS.items() if of == base and n not in gone]
            if all(n.startswith("nothing") for n in left):
                continue
            answers: dict[tuple[str, str], EstimationResult] = {}
            for case in cases_of(settings, number):
                for name in left:
                    if name not in gone and (quantity := seen(case, name, answers)):
                        gone[name] = (number + 1, quantity)
    return gone


def seen(case, name: str, answers) -> str:
    base, fault = FAULTS[name]
    if properties()[case.rule].applies(case):
        return ""

    def ask(request, frame):
        key = (request.hash, frame.key)
        if key not in answers:
            answers[key] = run(base, request, frame)[0]
        return answers[key]

    checked, _ = check(case, lambda _, request, frame: fault(request, frame, ask).with_(engine="mine"))
    new = (d for d in checked.discrepancies if recognised(d, case, lambda _, q, f: ask(q, f)) is None)
    return next((d.identity.quantity for d in new), "")


@pytest.mark.parametrize("fault", [name for name in FAULTS if not name.startswith("nothing")])
def test_a_wrong_default_and_another_model_among_several_are_found(fault, found):
    assert fault in found, f"not found on {PANELS} panels"


def test_nothing_is_found_where_nothing_is_wrong(found):
    assert not {name for name in found if name.startswith("nothing")}
