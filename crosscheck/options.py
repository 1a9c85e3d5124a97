"""Which options does each estimator take, and what do they default to?

Every option that decides a number is resolved here and travels in the request; no engine's default decides.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crosscheck.design_options import DESIGN_ENGINES, DESIGN_OPTIONS, WITHOUT_REGRESSION
from crosscheck.spec import Model

PANEL_ESTIMATORS = frozenset({"re", "between", "att_gt", "sunab", "did2s"})
WITHOUT_FORMULA = frozenset({"att_gt", "did2s"}) | WITHOUT_REGRESSION


class NoOptions(Model):
    """``between`` takes none: the formula, vcov and ssc say everything."""


class FitOptions(Model):
    """``feols`` and ``fepois``: the formula, vcov and ssc say everything, but for the precision of what iterates.

    ``tolerance`` is that of sweeping out fixed effects and of a GLM's iterations, in place of the tightest that each
    engine has; an engine that solves exactly meets any. A package's own default is 1e-6 or 1e-8: two engines then
    differ in late digits, which is explained by fitting both again, tightly.
    """

    tolerance: Annotated[float, Field(gt=0, lt=0.1)] | None = None


class GlmOptions(FitOptions):
    """``feglm``: the family, with its canonical link."""

    family: Literal["logit", "probit", "gaussian"] = "logit"


class ReOptions(Model):
    """``re``: random effects.

    ``method`` estimates the variance components (Swamy-Arora, Amemiya, Wallace-Hussain, Nerlove, or maximum
    likelihood), ``effect`` says which there are.
    """

    method: Literal["swar", "amemiya", "walhus", "nerlove", "ml"] = "swar"
    effect: Literal["individual", "time", "twoways"] = "individual"


class AttGtOptions(Model):
    """``att_gt``: group-time average treatment effects (Callaway and Sant'Anna 2021).

    Attributes
    ----------
    y, cohort : str
        Outcome, and period of first treatment (0: never treated).
    unit, time : str or None
        Default: the study's. ``unit`` may be missing only with ``panel = false``.
    covariates : tuple of str
        Columns of numbers.
    base_period : str
        ``varying`` or ``universal``.
    aggregation : str
        ``none`` gives ``ATT(g,t)``; ``simple`` gives ``overall``; ``dynamic`` adds ``event=e``, ``group`` adds
        ``group=g``, ``calendar`` adds ``year=t``.
    balance_e, min_e, max_e : int or None
        Of the dynamic aggregation: balance in event time, and its window.
    bootstrap : bool
        False: analytic standard errors. A bootstrap cannot be compared to the digit.
    panel, allow_unbalanced : bool
        Panel or repeated cross-sections; whether units may lack periods.
    weights : str or None
        Column of sampling weights; the same as ``weights`` of the column.
    """

    y: str
    cohort: str
    unit: str | None = None
    time: str | None = None
    covariates: tuple[str, ...] = ()
    control_group: Literal["nevertreated", "notyettreated"] = "nevertreated"
    est_method: Literal["dr", "ipw", "reg"] = "dr"
    base_period: Literal["varying", "universal"] = "varying"
    anticipation: Annotated[int, Field(ge=0)] = 0
    aggregation: Literal["none", "simple", "dynamic", "group", "calendar"] = "none"
    balance_e: Annotated[int, Field(ge=0)] | None = None
    min_e: int | None = None
    max_e: int | None = None
    bootstrap: bool = False
    weights: str | None = None
    panel: bool = True
    allow_unbalanced: bool = False


class SunabOptions(Model):
    """``sunab``: interaction-weighted event study (Sun and Abraham 2021), ``sunab(cohort, period)`` in the formula.

    ``aggregation``: ``dynamic`` by relative period (fixest's ``period``), ``simple`` the overall ATT (``att``),
    ``group`` by cohort (``cohort``), ``none`` each cohort and period. ``y``, ``unit``, ``time``, ``cohort`` are taken
    from the formula and the study, and must agree with them where they are given.
    """

    y: str | None = None
    unit: str | None = None
    time: str | None = None
    cohort: str | None = None
    aggregation: Literal["none", "simple", "dynamic", "group"] = "dynamic"


class Did2sOptions(Model):
    """``did2s``: two-stage differences in differences (Gardner 2022), one average effect on the treated, ``overall``.

    ``treated`` is a column of 0 and 1. Standard errors are those of both stages together, clustered by the units, or by
    the column's one cluster.
    """

    y: str
    treated: str
    unit: str | None = None
    time: str | None = None
    covariates: tuple[str, ...] = ()


OPTIONS: dict[str, type[Model]] = {
    "feols": FitOptions,
    "fepois": FitOptions,
    "feglm": GlmOptions,
    "re": ReOptions,
    "between": NoOptions,
    "att_gt": AttGtOptions,
    "sunab": SunabOptions,
    "did2s": Did2sOptions,
    **DESIGN_OPTIONS,
}

_REGRESSION = (
    ("pyfixest", "linearmodels", "statsmodels", "oracle"),
    ("r.fixest", "r.lm", "r.plm", "r.clubsandwich"),
)
_PANEL = (("linearmodels", "oracle"), ("r.plm",))
DEFAULT_ENGINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "feols": _REGRESSION,
    "fepois": (("pyfixest", "statsmodels"), ("r.fixest",)),
    "feglm": (("pyfixest", "statsmodels"), ("r.fixest",)),
    "re": _PANEL,
    "between": _PANEL,
    "att_gt": (("csdid", "oracle"), ("r.did",)),
    "sunab": (("pyfixest", "oracle"), ("r.fixest",)),
    "did2s": (("pyfixest", "oracle"), ("r.fixest",)),
    **DESIGN_ENGINES,
}
"""Candidates and references where a study names none; ids that this installation does not know are left out."""
