"""How is a request handed to linearmodels' classes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.engines._dress import dressed
from crosscheck.engines._linearmodels_choice import Choice, Family
from crosscheck.engines._sample import Sample
from crosscheck.engines._shared import Codes, Recording, lag_of, recording, require_no_gaps
from crosscheck.engines._ways import written_out
from crosscheck.errors import DataError, Unsupported

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

LSMR = {"atol": 1e-14, "btol": 1e-14, "conlim": 1e16, "maxiter": 20_000}
COV_TYPES = {"iid": "unadjusted", "HC1": "robust", "CRV1": "clustered", "DK": "kernel", "NW": "ac"}
OWN = "\x00"
"""First character of the names of a constant and of dummies, which no term has."""


def _dummies(codes: Codes) -> NDArray[np.float64]:
    equal: NDArray[np.bool_] = codes[:, None] == np.arange(1, int(codes.max()) + 1)
    return equal.astype(np.float64)


def design(sample: Sample, choice: Choice) -> tuple[NDArray[np.float64], list[str]]:
    """Return the regressors of a layout and their names; a constant and dummies get names that no term has."""
    m = sample.matrix
    blocks, names = [m.X], list(m.names)
    if choice.constant:
        blocks.append(np.ones((sample.n, 1)))
        names.append(f"{OWN}constant")
    codes = list(sample.effects.values())
    for i in choice.dummies:
        block = _dummies(codes[i])
        blocks.append(block)
        names += [f"{OWN}{i}:{level}" for level in range(block.shape[1])]
    return np.hstack(blocks), names


def run(request: FitRequest, sample: Sample, choice: Choice, family: Family) -> tuple[Any, Recording]:
    """Fit; return linearmodels' result, and how the fit went.

    Raises
    ------
    Unsupported
        Where linearmodels refuses collinear regressors.
    DataError
        Where it refuses the data otherwise.
    """
    with recording() as made:
        try:
            if family == "panel":
                result = run_panel(request, sample, choice)
            else:
                result = _run_cross(request, sample, choice, family)
            matrix = np.asarray(result.cov)  # worked out when first asked for
        except ValueError as error:
            text = " ".join(str(error).split())
            if "rank" in text or "collinear" in text or "absorbed" in text:
                raise Unsupported(f"linearmodels refuses collinear regressors: {text} (notyet)") from error
            raise DataError(f"linearmodels cannot fit this model: {text}") from error
    if not np.isfinite(matrix).all():
        raise DataError("linearmodels gives a covariance that is not finite")
    return result, made


def _config(request: FitRequest, sample: Sample, index: Any) -> dict[str, Any]:
    import pandas as pd

    vcov = request.vcov.canonical
    config: dict[str, Any] = {"cov_type": COV_TYPES[vcov]}
    if sample.clusters:
        columns = {f"c{i}": codes for i, codes in enumerate(sample.clusters.values())}
        config["clusters"] = pd.DataFrame(columns, index=index)
    if vcov in ("NW", "DK"):
        assert sample.unit is not None
        assert sample.time is not None
        lag = lag_of(request, int(sample.time.max()) + 1)
        if vcov == "NW" and lag > 0:
            require_no_gaps(sample.unit, sample.time, "linearmodels")
        config |= {"kernel": "bartlett", "bandwidth": float(lag)}
    return config


def run_panel(request: FitRequest, sample: Sample, choice: Choice) -> Any:
    """Fit one of the panel models on the panel's own index."""
    import pandas as pd
    from linearmodels.panel import BetweenOLS, PanelOLS, PooledOLS, RandomEffects

    assert sample.unit is not None
    assert sample.time is not None
    ids = _identifiers(sample, request.options.get("dress"))
    if request.options.get("effect") == "time" and request.estimator == "re":
        ids.reverse()
    index = pd.MultiIndex.from_arrays(ids, names=["unit", "time"])
    values, names = design(sample, choice)
    y = _worn(request, pd.DataFrame({"y": sample.matrix.y}, index=index))
    x = _worn(request, pd.DataFrame(values, index=index, columns=names))
    weights = None if sample.weights is None else _worn(request, pd.DataFrame({"w": sample.weights}, index=index))
    config = _config(request, sample, index)
    if request.options.get("call"):
        plain = pd.DataFrame(sample.matrix.X, index=index, columns=list(sample.matrix.names))
        return _panel_by_call(request, sample, y, plain, weights, config)
    if config["cov_type"] == "clustered":
        config["group_debias"] = choice.group_debias
    if request.estimator == "re":
        return RandomEffects(y, x).fit(small_sample=True, debiased=choice.debiased, **config)
    if request.estimator == "between":
        return BetweenOLS(y, x).fit(reweight=False, debiased=choice.debiased, **config)
    if not sample.effects:
        return PooledOLS(y, x, weights=weights).fit(debiased=choice.debiased, **config)
    own: dict[tuple[str | None, ...], str] = {(request.unit,): "entity_effects", (request.time,): "time_effects"}
    options: dict[str, Any] = {"entity_effects": False, "time_effects": False}
    other: dict[str, Codes] = {}
    for i, (fe, codes) in enumerate(sample.effects.items()):
        if i not in choice.absorbed:
            continue
        if fe in own:
            options[own[fe]] = True
        else:
            other[f"e{i}"] = codes
    if other:
        options["other_effects"] = _worn(request, pd.DataFrame(other, index=index), tuple(other))
    model = PanelOLS(y, x, weights=weights, singletons=True, drop_absorbed=True, check_rank=True, **options)
    return model.fit(
        use_lsdv=False,
        use_lsmr=False,
        low_memory=False,
        auto_df=False,
        count_effects=choice.count_effects,
        debiased=choice.debiased,
        **config,
    )


def _identifiers(sample: Sample, dress: str | None) -> list[Any]:
    """Return units and periods as the panel's index holds them; under another dress units are text, or other numbers.

    Raises
    ------
    Unsupported
        For an index that repeats, which no panel has.
    """
    assert sample.unit is not None
    assert sample.time is not None
    if dress == "repeated index":
        raise Unsupported("the index of a panel holds each unit and period once (never)")
    if dress == "offset index":
        return [sample.unit + 100, sample.time + 2000]
    if dress in ("text index", "categories", "objects"):
        # labels sort as the codes do, so that levels keep their order
        return [np.array([f"unit {code:06d}" for code in sample.unit.tolist()], dtype=object), sample.time]
    return [sample.unit, sample.time]


def _worn(request: FitRequest, data: Any, keys: tuple[str, ...] = ()) -> Any:
    """Return data in the dress that the request asks for; a panel's index is dressed when it is made."""
    dress = request.options.get("dress")
    return data if dress is None or dress.endswith("index") else dressed(data, dress, keys)


def _panel_by_call(request: FitRequest, sample: Sample, y: Any, x: Any, weights: Any, config: dict[str, Any]) -> Any:
    """Fit with the options that give the question its meaning, and the others left out or at their stated defaults."""
    from linearmodels.panel import BetweenOLS, PanelOLS, PooledOLS, RandomEffects

    way = request.options["call"]
    given: dict[str, Any] = {} if weights is None else {"weights": weights}
    models: dict[str, Any] = {"re": RandomEffects, "between": BetweenOLS}
    model = models.get(request.estimator, PanelOLS if sample.effects else PooledOLS)
    own: dict[tuple[str | None, ...], str] = {(request.unit,): "entity_effects", (request.time,): "time_effects"}
    if any(fe not in own for fe in sample.effects):
        raise Unsupported("other effects than those of units and periods have no default (never)")
    given |= {own[fe]: True for fe in sample.effects}
    made = model(y, x, **written_out(model.__init__, given, way))
    return made.fit(**written_out(made.fit, _meant(config), way))


def _meant(config: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a covariance without what is the default."""
    return {k: v for k, v in config.items() if k != "cov_type" or v != "unadjusted"}


def _run_cross(request: FitRequest, sample: Sample, choice: Choice, family: Family) -> Any:
    import pandas as pd
    from linearmodels.iv import IV2SLS, AbsorbingLS

    m = sample.matrix
    values, names = design(sample, choice)
    if request.options.get("call"):
        raise Unsupported("a call by its defaults is wrapped for the panel models (notimpl)")
    dress = request.options.get("dress")
    y = dressed(pd.DataFrame({"y": m.y}), dress)
    x = dressed(pd.DataFrame(values, columns=names), dress)
    config = _config(request, sample, y.index)
    weights = None if sample.weights is None else dressed(pd.DataFrame({"w": sample.weights}), dress)["w"]
    if family == "iv":
        endogenous = instruments = None
        if m.endogenous_names:
            endogenous = dressed(pd.DataFrame(m.endogenous, columns=list(m.endogenous_names)), dress)
            instruments = dressed(pd.DataFrame(m.instruments, columns=list(m.instrument_names)), dress)
        exogenous = x if names else None
        return IV2SLS(y, exogenous, endogenous, instruments, weights=weights).fit(debiased=choice.debiased, **config)
    absorb = pd.DataFrame({f"e{i}": pd.Categorical(codes) for i, codes in enumerate(sample.effects.values())})
    absorb = absorb.set_index(y.index)
    model = AbsorbingLS(y, x, absorb=absorb, weights=weights, drop_absorbed=True)
    return model.fit(debiased=choice.debiased, method="lsmr", absorb_options=dict(LSMR), use_cache=False, **config)
