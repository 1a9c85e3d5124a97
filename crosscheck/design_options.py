"""Which options do the designs take, those estimators that are more than one regression?

As in :mod:`crosscheck.options`: every choice that decides a number has a name here and travels in the request. A design
that needs random draws takes them as data: ``draws = "file.csv"`` in the study is read once by
:func:`crosscheck.designs.draws.embed`, so that both languages get the same draws and the hash of the request depends
on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from crosscheck.spec import Model

QuantileName = Literal[
    "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9",
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest", "stata", "stata_altdef",
]  # fmt: skip
DrawKind = Literal["subset", "rademacher", "webb", "resample"]
Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=0.5)]
Period = int | float
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Draws(Model):
    """Random draws as data.

    Attributes
    ----------
    path : str
        File in the study's folder: ``draw,unit`` with one line for each unit drawn (``subset``), or ``draw`` and one
        column for each cluster (the other kinds; :mod:`crosscheck.designs.draws`).
    sha256 : str
        Of the file's bytes.
    kind : str
    labels : tuple of str
        Units or clusters.
    codes : str
        One base-36 digit for each draw and label, draw by draw. ``subset``: 1 where the unit is drawn; ``rademacher``:
        0 is -1, 1 is 1; ``webb``: 0 to 5 are -sqrt(3/2), -1, -sqrt(1/2), sqrt(1/2), 1, sqrt(3/2); ``resample``: how
        often the cluster is drawn.
    """

    path: str
    sha256: str = ""
    kind: DrawKind | None = None
    labels: tuple[str, ...] = ()
    codes: str = ""


def _path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


DrawsFile = Annotated[Draws, BeforeValidator(_path)]


class DesignOptions(Model):
    """Base of all options below."""

    def used_columns(self) -> tuple[str, ...]:
        """Return the columns that the options name, beside those of the formula."""
        return ()

    def draw_files(self) -> Iterator[tuple[str, DrawKind, Draws]]:
        """Yield key, kind and file of each table of draws."""
        yield from ()


class Winsorize(Model):
    """Replace what lies beyond two quantiles by them, before anything is estimated.

    ``quantile`` names the definition: R's types 1 to 9, numpy's methods, ``stata`` (``_pctile``, as winsor2 uses it:
    R's type 2) or ``stata_altdef`` (type 6). ``action = "trim"`` makes such values missing instead.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    lower: Share = 0.01
    upper: Annotated[float, Field(gt=0.5, le=1)] = 0.99
    quantile: QuantileName = "r7"
    action: Literal["clip", "trim"] = "clip"


class RegressionOptions(DesignOptions):
    """Of every design that is built on a regression: ``winsorize`` comes first."""

    winsorize: Winsorize | None = None

    def used_columns(self) -> tuple[str, ...]:
        """Return the columns that the options name."""
        return self.winsorize.columns if self.winsorize else ()


class WinsorOptions(RegressionOptions):
    """``winsor_feols``: least squares on winsorized columns; the bounds are reported.

    ``constant``: also the constant that dummies give instead of absorbed effects, that of the cell of all first levels.
    """

    constant: bool = False


class DescribeOptions(DesignOptions):
    """``describe``: N, mean, standard deviation (dividing by N - ``ddof``), minimum, maximum, quantiles.

    ``missing``: ``by_variable`` uses the values that each variable has, ``complete`` the rows that have all of them.
    """

    variables: Annotated[tuple[str, ...], Field(min_length=1)]
    ddof: Literal[0, 1] = 1
    quantiles: tuple[Probability, ...] = ()
    quantile: QuantileName = "r7"
    missing: Literal["by_variable", "complete", "error"] = "by_variable"

    def used_columns(self) -> tuple[str, ...]:
        """Return the variables."""
        return self.variables


class EntropyOptions(DesignOptions):
    """``entropy``: an index with weights from Shannon's entropy.

    Attributes
    ----------
    indicators : mapping of str to str
        ``+`` where more is better, ``-`` where less is.
    standardize : str
        Minimum and maximum of all rows (``pooled``) or of each period (``by_year``).
    proportions : str
        Proportions, entropies and weights from all rows, or for each period.
    zero, shift : str, float
        ``limit``: 0 ln 0 = 0. ``shift``: it is added to every standardized value. ``replace``: it replaces zeros.
    constant : str
        An indicator without variation: ``drop`` it, give it ``zero_weight``, or make it an ``error``.
    missing : str
        ``error``; ``drop_rows``; ``available``: each indicator uses the rows it has, and a row's score the indicators
        it has, weights scaled to sum to one.
    score : str
        Weighted sum of standardized values, or of proportions.
    """

    indicators: Annotated[dict[str, Literal["+", "-"]], Field(min_length=1)]
    unit: str | None = None
    time: str | None = None
    standardize: Literal["pooled", "by_year"] = "pooled"
    proportions: Literal["pooled", "by_year"] = "pooled"
    zero: Literal["limit", "shift", "replace"] = "limit"
    shift: Annotated[float, Field(gt=0)] = 1e-4
    constant: Literal["drop", "zero_weight", "error"] = "error"
    missing: Literal["error", "drop_rows", "available"] = "error"
    score: Literal["standardized", "proportions"] = "standardized"

    def used_columns(self) -> tuple[str, ...]:
        """Return the indicators."""
        return tuple(self.indicators)


class MediationOptions(RegressionOptions):
    """``mediation``: total, mediator and direct regressions; the formula is that of the total effect.

    ``draws`` (kind ``resample``) gives a cluster bootstrap of the effects; ``quantile`` defines its interval.
    """

    treatment: str
    mediator: str
    draws: DrawsFile | None = None
    cluster: str | None = None
    quantile: QuantileName = "r7"

    def used_columns(self) -> tuple[str, ...]:
        """Return mediator, treatment and cluster."""
        own = (self.treatment, self.mediator, *([self.cluster] if self.cluster else []))
        return (*own, *RegressionOptions.used_columns(self))

    def draw_files(self) -> Iterator[tuple[str, DrawKind, Draws]]:
        """Yield the bootstrap's draws."""
        if self.draws is not None:
            yield "draws", "resample", self.draws

    @model_validator(mode="after")
    def _fits(self) -> MediationOptions:
        if self.draws is not None and self.cluster is None:
            raise ValueError("a bootstrap needs cluster, the column whose values are drawn")
        if self.treatment == self.mediator:
            raise ValueError("treatment and mediator are the same column")
        return self


class PlaceboOptions(RegressionOptions):
    """``placebo``: the treatment is given to drawn units from ``start`` on, and the regression repeated.

    ``treatment`` is the column of the formula that each placebo replaces. ``quantiles`` and ``quantile`` describe the
    distribution of estimates; ``threshold`` is the level of the share of small p-values.
    """

    treatment: str
    start: Period
    draws: DrawsFile
    unit: str | None = None
    time: str | None = None
    quantiles: tuple[Probability, ...] = (0.025, 0.05, 0.5, 0.95, 0.975)
    quantile: QuantileName = "r7"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def used_columns(self) -> tuple[str, ...]:
        """Return the treatment."""
        return (self.treatment, *RegressionOptions.used_columns(self))

    def draw_files(self) -> Iterator[tuple[str, DrawKind, Draws]]:
        """Yield the draws."""
        yield "draws", "subset", self.draws


class WildOptions(RegressionOptions):
    """``wild_bootstrap``: wild cluster bootstrap of t, null imposed (WCR) or not (WCU), CRV1 inside.

    Without ``draws`` all 2^G Rademacher weights are taken (G of at most 12). ``ties``: whether a bootstrap t that
    equals the t counts as more extreme (``count``), not (``strict``), or half.
    """

    treatment: str
    cluster: str
    impose_null: bool = True
    null: float = 0.0
    weight: Literal["rademacher", "webb"] = "rademacher"
    draws: DrawsFile | None = None
    ties: Literal["count", "strict", "half"] = "strict"
    interval: bool = False

    def used_columns(self) -> tuple[str, ...]:
        """Return treatment and cluster."""
        return (self.treatment, self.cluster, *RegressionOptions.used_columns(self))

    def draw_files(self) -> Iterator[tuple[str, DrawKind, Draws]]:
        """Yield the weights."""
        if self.draws is not None:
            yield "draws", self.weight, self.draws

    @model_validator(mode="after")
    def _fits(self) -> WildOptions:
        if self.weight == "webb" and self.draws is None:
            raise ValueError("Webb weights are not enumerated: name a file of draws")
        if self.interval and not self.impose_null:
            raise ValueError("the interval inverts the test with the null imposed")
        return self


class GridOptions(WildOptions):
    """``inference_grid``: one regression under iid, HC1, CRV1, CRV3, Driscoll-Kraay and the wild cluster bootstrap.

    ``also`` names further regressors that get the same table. ``lag`` is the bandwidth of Driscoll-Kraay; ``stars`` the
    thresholds of one, two and three stars; ``wild = false`` leaves the bootstrap out.
    """

    also: tuple[str, ...] = ()
    lag: Annotated[int, Field(ge=0)] | None = None
    time: str | None = None
    stars: tuple[float, float, float] = (0.10, 0.05, 0.01)
    wild: bool = True

    def used_columns(self) -> tuple[str, ...]:
        """Return the columns that the options name."""
        return (*self.also, *WildOptions.used_columns(self))


class MonteCarloOptions(RegressionOptions):
    """``monte_carlo``: outcomes of a known effect in the study's own design, estimated ``panels`` times.

    Attributes
    ----------
    treatment, effect
        The column whose coefficient is known to be ``effect``.
    noise : float, optional
        Standard deviation of the errors; default that of the study's own residuals, the root of SSR / (N - K).
    rho : float
        Autocorrelation of the errors within units.
    panels, seed : int
        The seed is that of R's Mersenne Twister.
    vcovs : tuple of str
        Whose intervals, at the column's confidence level, are counted.
    bounds : float
        Level of the exact bounds of each share.
    """

    treatment: str
    effect: float
    cluster: str
    unit: str | None = None
    time: str | None = None
    noise: Annotated[float, Field(gt=0)] | None = None
    rho: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    panels: Annotated[int, Field(ge=2, le=20_000)] = 500
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    vcovs: Annotated[tuple[Literal["iid", "HC1", "CRV1", "CRV3"], ...], Field(min_length=1)] = (
        "iid", "HC1", "CRV1", "CRV3",
    )  # fmt: skip
    bounds: Annotated[float, Field(gt=0.5, lt=1)] = 0.99

    def used_columns(self) -> tuple[str, ...]:
        """Return treatment and cluster."""
        return (self.treatment, self.cluster, *RegressionOptions.used_columns(self))


class SubgroupOptions(RegressionOptions):
    """``subgroups``: the regression in each group, and in one model with everything interacted; tests of equality."""

    treatment: str
    group: str

    def used_columns(self) -> tuple[str, ...]:
        """Return treatment and group."""
        return (self.treatment, self.group, *RegressionOptions.used_columns(self))


class MatchOptions(RegressionOptions):
    """``psm_did``: propensity scores, matching, and two-way fixed effects on what is matched.

    Attributes
    ----------
    group : str
        Column of 0 and 1 whose probability is the score.
    covariates : tuple of str
    score_by, match_by : str
        One logit for all rows or for each period; matches among all rows or within periods.
    method : str
    distance : str
        On the score, or on its logit.
    ratio, replace, order, ties
        Nearest neighbours: how many controls; whether a control serves twice; who chooses first without replacement
        (``largest`` or ``smallest`` score, ``data``), one control each in every round; ``first`` row of tied controls,
        or ``all`` of them.
    caliper, caliper_scale
        ``absolute``; ``sd``: of the distance over all rows; ``sd_pooled``: root of the mean of both groups' variances.
    kernel, bandwidth
        Kernel matching on the score (psmatch2: Epanechnikov, 0.06).
    support : str
        ``minmax`` leaves out treated rows beyond the controls' range, ``both`` also controls beyond the treated's.
    weighting : str
        ``psmatch2``: a control's weights summed over its matches; ``matchit``: then scaled to sum to their number.
    regression : str
        ``weighted`` by these, or ``matched``: rows of positive weight, each once.
    standardize : str
        Standardized differences over the SD of the treated, or over the root of the mean variance; before matching.
    """

    group: str
    covariates: Annotated[tuple[str, ...], Field(min_length=1)]
    unit: str | None = None
    time: str | None = None
    score_by: Literal["pooled", "period"] = "pooled"
    match_by: Literal["pooled", "period"] = "pooled"
    method: Literal["nearest", "kernel"] = "nearest"
    distance: Literal["score", "logit"] = "score"
    ratio: Annotated[int, Field(ge=1)] = 1
    replace: bool = True
    order: Literal["largest", "smallest", "data"] = "largest"
    ties: Literal["first", "all"] = "first"
    caliper: Annotated[float, Field(gt=0)] | None = None
    caliper_scale: Literal["absolute", "sd", "sd_pooled"] = "sd"
    kernel: Literal["epanechnikov", "gaussian"] = "epanechnikov"
    bandwidth: Annotated[float, Field(gt=0)] = 0.06
    support: Literal["none", "minmax", "both"] = "none"
    weighting: Literal["psmatch2", "matchit"] = "psmatch2"
    regression: Literal["weighted", "matched"] = "weighted"
    standardize: Literal["treated", "pooled"] = "treated"

    def used_columns(self) -> tuple[str, ...]:
        """Return group and covariates."""
        return (self.group, *self.covariates, *RegressionOptions.used_columns(self))

    @model_validator(mode="after")
    def _fits(self) -> MatchOptions:
        if self.ties == "all" and not self.replace:
            raise ValueError("ties = all needs replacement")
        if self.method == "kernel" and self.distance == "logit":
            raise ValueError("kernel matching weighs distances of the score")
        return self


DESIGN_OPTIONS: dict[str, type[DesignOptions]] = {
    "describe": DescribeOptions,
    "entropy": EntropyOptions,
    "winsor_feols": WinsorOptions,
    "mediation": MediationOptions,
    "placebo": PlaceboOptions,
    "wild_bootstrap": WildOptions,
    "psm_did": MatchOptions,
    "subgroups": SubgroupOptions,
    "inference_grid": GridOptions,
    "monte_carlo": MonteCarloOptions,
}
WITHOUT_REGRESSION = frozenset({"describe", "entropy"})
DESIGN_ENGINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    name: (("designs",), ("r.designs", "r.matchit") if name == "psm_did" else ("r.designs",)) for name in DESIGN_OPTIONS
}
