"""Which scripts reproduce a discrepancy that a run or a campaign found?

They are the engines' own code by hand (:meth:`crosscheck.engines.base.Engine.code`) and one labelled line for the
number; where an engine's code does not leave the number in reach, the script asks crosscheck's engine instead and says
so. Scripts of findings that are committed are written by people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crosscheck import engines
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest

PY: Mapping[str, Mapping[str, str]] = {
    "pyfixest": {
        "estimate": "fit.coef()[{term}]",
        "std_error": "fit.se()[{term}]",
        "statistic": "fit.tstat()[{term}]",
        "p_value": "fit.pvalue()[{term}]",
    },
    "linearmodels": {
        "estimate": "result.params[{term}]",
        "std_error": "result.std_errors[{term}]",
        "statistic": "result.tstats[{term}]",
        "p_value": "result.pvalues[{term}]",
    },
    "statsmodels": {
        "estimate": "result.params[{term}]",
        "std_error": "result.bse[{term}]",
        "statistic": "result.tvalues[{term}]",
        "p_value": "result.pvalues[{term}]",
    },
}
R_COLUMNS: Mapping[str, int] = {"estimate": 1, "std_error": 2, "statistic": 3, "p_value": 4}
R_TABLES: Mapping[str, str] = {
    "r.fixest": "coeftable(m)",
    "r.lm": "coeftest(m, vcov. = V, df = m$df.residual)",
    "r.plm": "coeftest(m, vcov. = V, df = m$df.residual)",
}


def python_script(names: Sequence[str], request: FitRequest, frame: Frame, term: str, quantity: str) -> str:
    """Return ``repro.py`` for the Python engines among the names; empty where there is none."""
    parts = []
    for name in names:
        if engines.get(name).language != "python":
            continue
        line = PY.get(name, {}).get(quantity)
        if line and term.isidentifier() and request.estimator in ("feols", "fepois", "feglm"):
            value = line.format(term=repr(term))
            parts.append(engines.get(name).code(request, "panel.csv") + f'print("{name} =", repr(float({value})))\n')
        else:
            parts.append(_through_engine(name, request, frame, term, quantity))
    return "\n".join(parts)


def r_script(names: Sequence[str], request: FitRequest, term: str, quantity: str) -> str:
    """Return ``repro.R`` for the R engines among the names whose code leaves the number in reach; empty otherwise."""
    parts = []
    for name in names:
        engine = engines.get(name)
        if engine.language != "r" or name not in R_TABLES or quantity not in R_COLUMNS:
            continue
        table = "result" if request.estimator == "did2s" else R_TABLES[name]
        value = f'{table}["{term}", {R_COLUMNS[quantity]}]'
        parts.append(engine.code(request, "panel.csv") + f'cat(sprintf("{name} = %.17g\\n", {value}))\n')
    return "\n".join(parts)


def _through_engine(name: str, request: FitRequest, frame: Frame, term: str, quantity: str) -> str:
    kinds = {c.name: c.kind for c in frame.columns}
    levels = {c.name: list(c.levels) for c in frame.columns if c.kind == "category"}
    target = engines.plugged().get(name)
    return "\n".join(
        [
            "from pathlib import Path",
            "",
            "from crosscheck import engines",
            "from crosscheck.data import load_data",
            "from crosscheck.spec import FitRequest",
            "",
            *([f"engines.plug({f'{name}={target}'!r})  # an engine of your own, where it was"] if target else []),
            f"request = FitRequest.model_validate({request.model_dump(mode='json', exclude_defaults=True)!r})",
            f"frame = load_data(Path('panel.csv'), {kinds!r}, levels={levels!r})",
            f"result = engines.get({name!r}).fit(request, frame)",
            "if result.status != 'ok':",
            f"    print({name + ': '!r}, result.status, result.reason)",
            "for term, quantity, value in result.quantities():",
            f"    if (term, quantity) == ({term!r}, {quantity!r}):",
            f"        print({name + ' ='!r}, repr(value))",
            "",
        ]
    )
