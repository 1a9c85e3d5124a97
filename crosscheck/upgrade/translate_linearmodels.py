"""Which call of linearmodels asks what a column of a study asks, conventions of ``crosscheck run`` written out?"""

from __future__ import annotations

from typing import Any

from crosscheck.conventions import is_nested
from crosscheck.engines._linearmodels_choice import Choice, Family, choose
from crosscheck.engines._linearmodels_fit import COV_TYPES, LSMR
from crosscheck.engines._sample import counts_of
from crosscheck.engines._shared import lag_of, wanted
from crosscheck.engines.linearmodels import PANEL_EFFECTS, Linearmodels
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade import translation
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.translation import Matrices, NoCall, Written

WANT = ("coefs", "stats", "vcov", "fitted", "residuals")


def written(request: FitRequest, frame: Frame) -> Written:
    """Write a request as a call.

    Raises
    ------
    NoCall
        Where linearmodels lacks it, or would need dummies to count effects as asked.
    """
    support = Linearmodels().supports(request)
    if not support:
        raise NoCall(f"{support.reason} ({support.reach})")
    made = translation.matrices_of(request, frame)
    sample, formula = made.sample, parse(request.formula)
    family: Family = "panel"
    if formula.iv is not None:
        family = "iv"
    elif sample.unit is None or len(sample.effects) > PANEL_EFFECTS:
        family = "absorbing" if sample.effects else "iv"
    if family != "panel" and request.vcov.canonical in ("NW", "DK"):
        raise NoCall(f"{request.vcov.type} needs a panel model of linearmodels")
    choice = _choice(request, made, family)
    if choice is None:
        raise NoCall(f"no options of linearmodels count as k_fixef = {request.ssc.k_fixef!r} asks (notyet)")
    if choice.dummies or (choice.constant and family != "iv"):
        raise NoCall("linearmodels counts effects as asked only where some of them enter as columns (notimpl)")
    call = _panel(request, made, choice) if family == "panel" else _cross(request, made, choice, family)
    return Written(call=call, frame=made.frame, names=made.names)


def _choice(request: FitRequest, made: Matrices, family: Family) -> Choice | None:
    """Find the options that count as the request asks, as the engine does."""
    sample = made.sample
    n = float(sample.unit.max()) + 1 if request.estimator == "between" and sample.unit is not None else float(sample.n)
    k = len(sample.matrix.names) + len(made.endogenous)
    counts = counts_of(request, sample, n, k)
    effects, clusters = list(sample.effects.values()), list(sample.clusters.values())
    uncounted = len(effects) == 1 and bool(clusters) and all(is_nested(effects[0], c) for c in clusters)
    return choose(
        request.vcov.canonical,
        wanted(request, counts),
        n=n,
        k=k,
        sizes=sample.sizes,
        nested=counts.nested,
        uncounted=uncounted,
        clusters=counts.n_clusters,
        family=family,
    )


def _config(request: FitRequest, made: Matrices) -> dict[str, Any]:
    vcov = request.vcov.canonical
    config: dict[str, Any] = {"cov_type": COV_TYPES[vcov]}
    if made.clusters:
        config["clusters"] = {"columns": list(made.clusters)}
    if vcov in ("NW", "DK") and made.sample.time is not None:
        config |= {"kernel": "bartlett", "bandwidth": float(lag_of(request, int(made.sample.time.max()) + 1))}
    return config


def _panel(request: FitRequest, made: Matrices, choice: Choice) -> Call:
    own: dict[tuple[str | None, ...], str] = {(request.unit,): "EntityEffects", (request.time,): "TimeEffects"}
    effects = [own.get(name) for name in made.sample.effects]
    if None in effects or len(set(effects)) < len(effects):
        raise NoCall("effects other than those of unit and time are not translated for linearmodels (notimpl)")
    by_time = request.estimator == "re" and request.options.get("effect") == "time"
    fit: dict[str, Any] = {**_config(request, made), "debiased": choice.debiased}
    if fit["cov_type"] == "clustered":
        fit["group_debias"] = choice.group_debias
    function = {"re": "RandomEffects", "between": "BetweenOLS"}.get(request.estimator, "PanelOLS")
    if function == "PanelOLS" and not effects:
        function = "PooledOLS"
    if function == "RandomEffects":
        fit["small_sample"] = True
    elif function == "BetweenOLS":
        fit["reweight"] = False
    words: dict[str, Any] = {"index": ["time0", "unit0"] if by_time else ["unit0", "time0"]}
    if function == "PanelOLS":
        fit |= {"auto_df": False, "count_effects": choice.count_effects, "low_memory": False}
        words |= {"singletons": True, "drop_absorbed": True}
    if made.sample.weights is not None:
        words["weights"] = {"column": "w"}
    terms = [*(("1",) if made.intercept else ()), *made.exogenous, *(e for e in effects if e)]
    return Call(
        package="linearmodels",
        function=function,
        formula=f"y ~ {' + '.join(terms) or '1'}",
        arguments=words,
        fit={"fit": fit},
        want=WANT,
    )


def _cross(request: FitRequest, made: Matrices, choice: Choice, family: Family) -> Call:
    fit: dict[str, Any] = {**_config(request, made), "debiased": choice.debiased}
    words: dict[str, Any] = {} if made.sample.weights is None else {"weights": {"column": "w"}}
    if family == "absorbing":
        words |= {
            "dependent": {"column": "y"},
            "exog": {"columns": list(made.exogenous)},
            "absorb": {"columns": list(made.effects)},
            "drop_absorbed": True,
        }
        fit |= {"method": "lsmr", "absorb_options": dict(LSMR), "use_cache": False}
        return Call(package="linearmodels", function="AbsorbingLS", arguments=words, fit={"fit": fit}, want=WANT)
    if made.effects:
        raise NoCall("instruments beside fixed effects are not translated for linearmodels (notimpl)")
    terms = [*(("1",) if made.intercept else ()), *made.exogenous]
    if made.endogenous:
        terms.append(f"[{' + '.join(made.endogenous)} ~ {' + '.join(made.instruments)}]")
    return Call(
        package="linearmodels",
        function="IV2SLS",
        formula=f"y ~ {' + '.join(terms) or '1'}",
        arguments=words,
        fit={"fit": fit},
        want=WANT,
    )
