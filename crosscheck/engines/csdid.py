"""What does csdid say? Group-time average treatment effects in Python (Callaway and Sant'Anna 2021).

Chosen by measurement among four packages: ``docs/did_packages.md``. Standard errors are analytic, sqrt(mean(psi^2)/n)
over units; nothing is drawn at random.
"""

from __future__ import annotations

import contextlib
import io
import math
import time as clock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from crosscheck.conventions import interval, p_of
from crosscheck.engines._cohorts import small_cohorts
from crosscheck.engines._dress import dressed
from crosscheck.engines._oracle_did import long_data
from crosscheck.engines._shared import recording
from crosscheck.engines._ways import written_out
from crosscheck.engines.base import YES, Support
from crosscheck.errors import DataError, Unsupported
from crosscheck.results import CoefRow, Conventions, EstimationResult

if TYPE_CHECKING:
    import pandas as pd

    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

STEMS = {"dynamic": "event=", "group": "group=", "calendar": "year="}


class CsdidEngine:
    """csdid as an engine; keeps its last group-time fit, since every aggregation starts from it."""

    id = "csdid"
    language: Literal["python"] = "python"
    packages = ("csdid", "drdid")

    def __init__(self) -> None:
        self._last: tuple[str, Any] | None = None

    def supports(self, request: FitRequest) -> Support:
        """Say whether csdid gives exactly what is asked."""
        if request.estimator != "att_gt":
            return Support("never", "csdid estimates group-time effects only")
        options = request.options
        if options.get("bootstrap"):
            return Support("never", "a bootstrap depends on random numbers and cannot be compared to the digit")
        unit = options.get("unit") or request.unit
        if request.vcov.type != "iid" and (request.vcov.type, request.vcov.cluster) != ("CRV1", (unit,)):
            return Support("notimpl", "the analytic standard errors wrapped are those of units: vcov iid, or by unit")
        if (options.get("anticipation") or 0) >= 2 and options.get("base_period", "varying") == "varying":
            return Support(
                "notyet",
                "with anticipation of two or more and a varying base, csdid compares periods shortly before treatment "
                "with the last period before the anticipation, not with the period before",
            )
        return YES

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate with csdid.

        Raises
        ------
        Unsupported
            Where csdid has another convention.
        DataError
            Where an outcome, cohort or period is missing.
        """
        refusal = self.supports(request)
        if not refusal:
            raise Unsupported(f"{refusal.reason} ({refusal.reach})")
        options = request.options
        data, formula = _data(request, frame)
        began = clock.perf_counter()
        with recording() as caught, contextlib.redirect_stdout(io.StringIO()):
            fit = self._group_time(request, frame, data, formula)
            kind = options.get("aggregation") or "none"
            aggregated = None if kind == "none" else _aggregate(fit, kind, options)
        seconds = clock.perf_counter() - began
        if aggregated is None:
            found = fit.results
            cells = zip(found["group"], found["year"], found["att"], found["se"], strict=True)
            rows = [(f"ATT({_period(g)},{_period(t)})", b, se) for g, t, b, se in cells]
        else:
            rows = [("overall", aggregated["overall_att"], aggregated["overall_se"])]
            if kind != "simple":
                parts = zip(aggregated["egt"], aggregated["att_egt"], np.ravel(aggregated["se_egt"]), strict=True)
                rows += [(f"{STEMS[kind]}{_period(e)}", b, se) for e, b, se in parts]
        units = int(fit.MP["n"])
        return EstimationResult(
            engine=self.id,
            coefs=tuple(_row(term, b, se, request.conf_level) for term, b, se in rows),
            conventions=Conventions(
                vcov=request.vcov.canonical,
                cluster=request.vcov.cluster,
                n_clusters=(units,),
                distribution="normal",
                df_t=math.inf,
                rows_dropped=frame.nrows - len(fit.dp["data"]),
                notes=("influence functions over units; no small-sample factor",),
            ),
            vcov=_covariance(fit, units) if aggregated is None else (),
            conditions=(*small_cohorts(data["cc_g"].to_numpy(), data["cc_id"].to_numpy()), *caught.conditions),
            seconds=seconds,
        )

    def _group_time(self, request: FitRequest, frame: Frame, data: pd.DataFrame, formula: str) -> Any:
        from csdid.att_gt import ATTgt

        options = request.options
        ignored = ("aggregation", "balance_e", "min_e", "max_e")
        same = {k: v for k, v in options.items() if k not in ignored}
        key = f"{frame.key}|{request.unit}|{request.time}|{request.weights}|{sorted(same.items())}|{request.conf_level}"
        if options.get("call"):
            return _by_call(request, data, formula)
        if self._last is None or self._last[0] != key:
            fit = ATTgt(
                yname="cc_y",
                tname="cc_t",
                idname="cc_id",
                gname="cc_g",
                data=dressed(data, options.get("dress")),
                xformla=formula,
                control_group=options.get("control_group") or "nevertreated",
                panel=bool(options.get("panel", True)),
                allow_unbalanced_panel=bool(options.get("allow_unbalanced", False)),
                anticipation=int(options.get("anticipation") or 0),
                weights_name="cc_w" if "cc_w" in data else None,
                clustervar=None,
                alp=1 - request.conf_level,
                cband=False,
            ).fit(
                est_method=options.get("est_method") or "dr",
                base_period=options.get("base_period") or "varying",
                bstrap=False,
            )
            self._last = (key, fit)
        return self._last[1]

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return lines that reproduce the numbers by hand."""
        o = request.options
        covariates = " + ".join(f"x{i + 1}" for i, _ in enumerate(o.get("covariates") or ())) or "1"
        named = "".join(f', x{i + 1}=d["{name}"]' for i, name in enumerate(o.get("covariates") or ()))
        weights = o.get("weights") or (request.weights.column if request.weights else None)
        named += f', w=d["{weights}"]' if weights else ""
        unit, time = o.get("unit") or request.unit, o.get("time") or request.time
        weighted = '"w"' if weights else None
        lines = [
            "import numpy as np, pandas as pd",
            "from csdid.att_gt import ATTgt",
            "",
            f'd = pd.read_csv("{data_path}")',
            f'd = pd.DataFrame(dict(y=d["{o["y"]}"], t=d["{time}"], g=d["{o["cohort"]}"],',
            f'                      id=pd.factorize(d["{unit}"], sort=True)[0] + 1{named}))',
            f'fit = ATTgt("y", "t", "id", "g", data=d, xformla="y ~ {covariates}",',
            f'            control_group="{o.get("control_group") or "nevertreated"}",',
            f"            panel={bool(o.get('panel', True))},",
            f"            allow_unbalanced_panel={bool(o.get('allow_unbalanced', False))},",
            f"            anticipation={int(o.get('anticipation') or 0)}, weights_name={weighted},",
            f"            alp={1 - request.conf_level:.10g}, cband=False,",
            f').fit(est_method="{o.get("est_method") or "dr"}",',
            f'      base_period="{o.get("base_period") or "varying"}", bstrap=False)',
        ]
        kind = o.get("aggregation") or "none"
        if kind == "none":
            lines.append("print(pd.DataFrame(fit.results))")
        else:
            low = o.get("min_e") if o.get("min_e") is not None else "-np.inf"
            high = o.get("max_e") if o.get("max_e") is not None else "np.inf"
            lines.append(
                f'print(fit.aggte(typec="{kind}", balance_e={o.get("balance_e")}, min_e={low}, max_e={high},\n'
                "                na_rm=False, bstrap=False, cband=False).atte)"
            )
        return "\n".join(lines)


def _by_call(request: FitRequest, data: pd.DataFrame, formula: str) -> Any:
    """Fit with the options that give the question its meaning, and the others left out or at their stated defaults.

    Standard errors are bootstrapped by default and so depend on random numbers: estimates alone can be held together.
    """
    from csdid.att_gt import ATTgt

    way = request.options["call"]
    given: dict[str, Any] = {"yname": "cc_y", "tname": "cc_t", "idname": "cc_id", "gname": "cc_g", "data": data}
    if formula != "cc_y ~ 1":
        given["xformla"] = formula
    if "cc_w" in data:
        given["weights_name"] = "cc_w"
    if way == "explicit":
        given |= {"control_group": "nevertreated", "panel": True, "anticipation": 0}
    made = ATTgt(**written_out(ATTgt.__init__, given, way, ("self",)))
    return made.fit(**written_out(made.fit, {}, way))


def _data(request: FitRequest, frame: Frame) -> tuple[pd.DataFrame, str]:
    """Return columns under names of our own, never treated coded 0, units numbered; and the covariates' formula."""
    import pandas as pd

    data = long_data(request, frame)
    cohort = np.where(np.isnan(data.cohort) | np.isinf(data.cohort), 0.0, data.cohort)
    for what, values in (("the outcome", data.y), ("the period", data.time)):
        if np.isnan(values).any():
            raise DataError(
                f"{what} is missing in {int(np.isnan(values).sum())} rows", hint="filter them: sample.where"
            )
    unnamed = int((data.unit < 0).sum())
    if unnamed and request.options.get("panel", True):
        raise DataError(f"the unit is missing in {unnamed} rows", hint="filter them: sample.where")
    columns: dict[str, Any] = {"cc_y": data.y, "cc_t": data.time, "cc_g": cohort, "cc_id": data.unit + 1}
    names = []
    for k in range(1, data.x.shape[1]):
        names.append(f"cc_x{k}")
        columns[names[-1]] = data.x[:, k]
    if request.weights is not None or request.options.get("weights"):
        columns["cc_w"] = data.weights
    return pd.DataFrame(columns), f"cc_y ~ {' + '.join(names) or '1'}"


def _aggregate(fit: Any, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    low, high = options.get("min_e"), options.get("max_e")
    done = fit.aggte(
        typec=kind,
        balance_e=options.get("balance_e"),
        min_e=-np.inf if low is None else low,
        max_e=np.inf if high is None else high,
        na_rm=False,
        bstrap=False,
        cband=False,
    )
    found: dict[str, Any] = done.atte
    return found


def _covariance(fit: Any, units: int) -> tuple[tuple[float, ...], ...]:
    influence = fit.MP["inffunc"]["inffunc"]
    psi = np.asarray(influence.todense() if hasattr(influence, "todense") else influence, dtype=np.float64)
    return tuple(tuple(row) for row in (psi.T @ psi / units**2).tolist())


def _period(value: float) -> str:
    return f"{float(value):.15g}"


def _row(term: str, b: Any, se: Any, level: float) -> CoefRow:
    estimate, error = float(b), float(np.squeeze(se))
    if not error > 0:
        nan = math.nan
        return CoefRow(
            term=term, estimate=estimate, std_error=nan, statistic=nan, p_value=nan, conf_low=nan, conf_high=nan
        )
    low, high = interval(estimate, error, math.inf, level)
    return CoefRow(
        term=term,
        estimate=estimate,
        std_error=error,
        statistic=estimate / error,
        p_value=p_of(estimate / error, math.inf),
        conf_low=low,
        conf_high=high,
        df=math.inf,
    )


ENGINE = CsdidEngine()
