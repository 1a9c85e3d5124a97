"""What would one type to get linearmodels' numbers by hand?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscheck.conventions import Counts
from crosscheck.engines._design_code import DesignCode, design_code
from crosscheck.engines._linearmodels_choice import Choice, Family, choose
from crosscheck.engines._shared import wanted
from crosscheck.formula import parse

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

_SIZES = (101, 211, 307, 401, 503, 601, 701)
_CLUSTERS = (37, 59, 1009)


def _choice(request: FitRequest, effects: tuple[tuple[str, ...], ...], family: Family) -> Choice | None:
    """Find the options on made-up counts; an effect is taken as nested where it is (or combines) a cluster variable."""
    sizes = _SIZES[: len(effects)]
    clusters = request.vcov.cluster
    nested = tuple(any(name in clusters for name in fe) for fe in effects) if clusters else ()
    counted = _CLUSTERS[: len(clusters)] if len(clusters) < 2 else _CLUSTERS
    counts = Counts(n=1e6, n_coef=3, fe_sizes=sizes, nested=nested, n_clusters=counted, n_periods=40)
    return choose(
        request.vcov.canonical,
        wanted(request, counts),
        n=1e6,
        k=3,
        sizes=sizes,
        nested=nested if request.ssc.k_fixef == "nonnested" else (),
        uncounted=len(effects) == 1 and bool(clusters) and nested == (True,),
        clusters=counted,
        family=family,
    )


def write(request: FitRequest, data_path: str) -> str:
    """Return lines of Python."""
    from crosscheck.engines._linearmodels_fit import COV_TYPES, LSMR
    from crosscheck.engines.linearmodels import PANEL_EFFECTS

    formula = parse(request.formula)
    effects = formula.fixed_effects
    panel = formula.iv is None and request.unit is not None and request.time is not None
    family: Family = "panel"
    if not panel or len(effects) > PANEL_EFFECTS:
        family = "absorbing" if effects and formula.iv is None else "iv"
    choice = _choice(request, effects, family)
    if choice is None:
        return "# linearmodels has no options that give this covariance: see the reason beside the result\n"
    design = design_code(request, data_path, effects_as_dummies=family == "iv" and bool(effects))
    imports = {"panel": "linearmodels.panel", "absorbing": "linearmodels.iv", "iv": "linearmodels.iv"}
    name = _model_name(request, family, bool(effects))
    lines = ["import numpy as np", "import pandas as pd", "from formulaic import model_matrix"]
    lines += [f"from {imports[family]} import {name}", "", *design.lines]
    lines += _layout(request, design, choice, family)
    config = [f"cov_type={COV_TYPES[request.vcov.canonical]!r}", f"debiased={choice.debiased}"]
    if request.vcov.cluster:
        columns = [design.names[c] for c in request.vcov.cluster]
        lines.append(f"clusters = df[{columns!r}].apply(lambda column: pd.factorize(column)[0]).set_axis(y.index)")
        config.append("clusters=clusters")
        if family == "panel":
            config.append(f"group_debias={choice.group_debias}")
    if request.vcov.type in ("NW", "DK"):
        assert request.time is not None
        lag = request.vcov.lag
        width = str(lag) if lag is not None else f"int(df[{design.names[request.time]!r}].nunique() ** 0.25)"
        config += ["kernel='bartlett'", f"bandwidth={width}"]
    if name == "PanelOLS":
        config += ["auto_df=False", f"count_effects={choice.count_effects}", "low_memory=False"]
    elif name == "AbsorbingLS":
        config += ["method='lsmr'", f"absorb_options={LSMR!r}"]
    elif name == "RandomEffects":
        config.append("small_sample=True")
    elif name == "BetweenOLS":
        config.append("reweight=False")
    lines += [
        f"result = model.fit({', '.join(config)})",
        "shown = [name for name in result.params.index if name in names]",
        "print(pd.DataFrame({'estimate': result.params, 'std_error': result.std_errors}).loc[shown].to_string())",
    ]
    return "\n".join(lines) + "\n"


def _model_name(request: FitRequest, family: Family, effects: bool) -> str:
    if request.estimator == "re":
        return "RandomEffects"
    if request.estimator == "between":
        return "BetweenOLS"
    if family == "panel":
        return "PanelOLS" if effects else "PooledOLS"
    return "AbsorbingLS" if family == "absorbing" else "IV2SLS"


def _layout(request: FitRequest, design: DesignCode, choice: Choice, family: Family) -> list[str]:
    """Write the model itself, and the constant and dummies that make linearmodels count as asked."""
    names, effects = design.names, design.formula.fixed_effects
    column = [names[fe[0]] if len(fe) == 1 else f"effect{i + 1}" for i, fe in enumerate(effects)]
    shown = "[*X.columns, *endogenous.columns]" if design.formula.iv else "list(X.columns)"
    lines = [f"names = {shown}"]
    if family == "iv" and effects:
        lines = [f"names = [name for name in {shown} if not name.startswith('C(') and name != 'Intercept']"]
    if choice.constant and family != "iv":
        lines.append('X["constant"] = 1.0  # counted in place of the effects, which lie within the clusters')
    if family == "panel":
        for i in choice.dummies:
            lines.append(
                f"X = X.join(pd.get_dummies(df[{column[i]!r}], prefix='effect', drop_first=True, dtype=float))"
            )
        assert request.unit is not None
        assert request.time is not None
        ids = [names[request.unit], names[request.time]]
        if request.estimator == "re" and request.options.get("effect") == "time":
            ids.reverse()
        lines.append(f"index = pd.MultiIndex.from_frame(df[{ids!r}])")
        lines.append("y, X = y.set_axis(index), X.set_axis(index)")
    weights = f", weights=df[{names[request.weights.column]!r}].set_axis(y.index)" if request.weights else ""
    name = _model_name(request, family, bool(effects))
    if name == "IV2SLS":
        pair = "endogenous, instruments" if design.formula.iv else "None, None"
        return [*lines, f"model = IV2SLS(y, X if X.shape[1] else None, {pair}{weights})"]
    if name == "AbsorbingLS":
        lines.append(f"absorb = df[{column!r}].astype('category')")
        return [*lines, f"model = AbsorbingLS(y, X, absorb=absorb{weights}, drop_absorbed=True)"]
    options = ""
    if name == "PanelOLS":
        own: dict[tuple[str | None, ...], str] = {
            (request.unit,): "entity_effects=True",
            (request.time,): "time_effects=True",
        }
        words = [own[effects[i]] for i in choice.absorbed if effects[i] in own]
        others = [column[i] for i in choice.absorbed if effects[i] not in own]
        if others:
            lines.append(f"others = df[{others!r}].apply(lambda column: pd.factorize(column)[0]).set_axis(index)")
            words.append("other_effects=others")
        options = ", " + ", ".join([*words, "drop_absorbed=True"])
    return [*lines, f"model = {name}(y, X{weights}{options})"]
