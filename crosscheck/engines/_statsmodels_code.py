"""What would one type to get statsmodels' numbers by hand?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crosscheck.engines._design_code import design_code

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest


def write(request: FitRequest, data_path: str) -> str:
    """Return lines of Python."""
    from crosscheck.engines.statsmodels import GLM_MAXITER, GLM_RTOL, GLM_TOL

    design = design_code(request, data_path, effects_as_dummies=True)
    names, ssc, vcov = design.names, request.ssc, request.vcov.canonical
    lines = ["import numpy as np", "import pandas as pd", "import statsmodels.api as sm"]
    lines += ["from formulaic import model_matrix", "", *design.lines]
    if vcov == "NW":
        keys = [names[c] for c in (request.unit, request.time) if c]
        lines.append(f"order = df.sort_values({keys!r}).index")
        lines.append("df, y, X = df.loc[order], y.loc[order], X.loc[order]")
    lines += _covariance(request, names)
    linear = request.estimator == "feols"
    weights = names[request.weights.column] if request.weights else None
    if linear:
        model = "sm.OLS(y, X)" if weights is None else f"sm.WLS(y, X, weights=df[{weights!r}])"
        options = "use_t=True"
    else:
        family = "Poisson" if request.estimator == "fepois" else "Binomial"
        given = "" if weights is None else f", var_weights=df[{weights!r}]"
        model = f"sm.GLM(y, X, family=sm.families.{family}(){given})"
        options = (
            f"tol={GLM_TOL}, rtol={GLM_RTOL}, maxiter={GLM_MAXITER}, tol_criterion='params', scale=1.0, use_t=False"
        )
    word = {"iid": "nonrobust", "HC1": "HC1" if ssc.k_adj and linear else "HC0", "CRV1": "cluster"}
    word |= {"CRV3": "cluster-crv3", "DK": "hac-groupsum", "NW": "hac-panel" if request.unit else "HAC"}
    keywords = ", cov_kwds=options" if vcov not in ("iid", "HC1", "HC2", "HC3") else ""
    effects = "C(" if design.formula.fixed_effects else ""
    shown = "list(X.columns)"
    if effects:
        ends = tuple(
            f"C({names[fe[0]]})" if len(fe) == 1 else f"C(effect{i + 1})"
            for i, fe in enumerate(design.formula.fixed_effects)
        )
        shown = f"[name for name in X.columns if name != 'Intercept' and not name.startswith({ends!r})]"
    lines += [
        f"result = {model}.fit(cov_type={word.get(vcov, vcov)!r}{keywords}, {options})",
        f"shown = {shown}",
        "print(pd.DataFrame({'estimate': result.params, 'std_error': result.bse}).loc[shown].to_string())",
    ]
    return "\n".join(lines) + "\n"


def _covariance(request: FitRequest, names: Mapping[str, str]) -> list[str]:
    vcov, ssc = request.vcov.canonical, request.ssc
    if vcov in ("CRV1", "CRV3"):
        columns = [names[c] for c in request.vcov.cluster]
        groups = f"df[{columns!r}].apply(lambda column: pd.factorize(column)[0]).to_numpy().squeeze()"
        corrected = ssc.k_adj if vcov == "CRV1" else True
        return [f"options = dict(groups={groups}, use_correction={corrected}, df_correction={ssc.t_df == 'min'})"]
    if vcov not in ("NW", "DK"):
        return []
    assert request.time is not None
    time = names[request.time]
    lag = str(request.vcov.lag) if request.vcov.lag is not None else f"int(df[{time!r}].nunique() ** 0.25)"
    common = f"maxlags={lag}, kernel='bartlett'"
    if vcov == "DK":
        word = "'cluster'" if ssc.k_adj else "False"
        codes = f"pd.factorize(df[{time!r}], sort=True)[0]"
        return [f"options = dict(time={codes}, {common}, use_correction={word}, df_correction=False)"]
    if request.unit is None:
        return [f"options = dict({common}, use_correction={ssc.k_adj})"]
    codes = f"pd.factorize(df[{names[request.unit]!r}])[0]"
    return [f"options = dict(groups={codes}, {common}, use_correction=False, df_correction=False)"]
