"""What exactly is an engine asked to estimate?

:class:`FitRequest` is the whole question: plain data, hashable, the same for every engine in either language. Every
option that decides a number is in it, so that no engine's default ever does.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crosscheck.canon import digest

VcovType = Literal["iid", "hetero", "HC1", "HC2", "HC3", "CRV1", "CRV3", "NW", "DK"]
Design = Literal[
    "describe",
    "entropy",
    "winsor_feols",
    "mediation",
    "placebo",
    "wild_bootstrap",
    "psm_did",
    "subgroups",
    "inference_grid",
    "monte_carlo",
]
Also = Literal[
    "fitted", "residuals", "predicted", "log_likelihood", "wald", "f", "adj_r2_within", "pseudo_r2", "deviance"
]
Estimator = Literal["feols", "fepois", "feglm", "re", "between", "att_gt", "sunab", "did2s", Design]


class Model(BaseModel):
    """Base of everything read from files: unknown keys are errors, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class VcovSpec(Model):
    """Which covariance estimator; ``hetero`` means HC1, as in fixest.

    ``cluster`` names one or two columns (CRV1, CRV3); ``lag`` is the bandwidth of NW and DK; ``unit`` and ``time``
    (default: the study's) order the panel for them.
    """

    type: VcovType = "iid"
    cluster: tuple[str, ...] = ()
    lag: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> VcovSpec:
        clustered = self.type in ("CRV1", "CRV3")
        if clustered and not self.cluster:
            raise ValueError(f'vcov type {self.type} needs cluster = ["column"]')
        if not clustered and self.cluster:
            raise ValueError(f'vcov type {self.type} takes no cluster; write type = "CRV1"')
        if len(self.cluster) > 2 or len(set(self.cluster)) != len(self.cluster):
            raise ValueError("cluster takes one or two different columns")
        if self.lag is not None and self.type not in ("NW", "DK"):
            raise ValueError("lag belongs to vcov types NW and DK only")
        return self

    @property
    def canonical(self) -> str:
        """The type with ``hetero`` spelled ``HC1``."""
        return "HC1" if self.type == "hetero" else self.type


class SscSpec(Model):
    """Small-sample correction in the words of fixest 0.13 and newer.

    Those words are ``K.adj``, ``K.fixef``, ``G.adj``, ``G.df`` and ``t.df``. The defaults are fixest's. They apply to
    iid, HC1-type and clustered covariances as fixest applies them.
    """

    k_adj: bool = True
    k_fixef: Literal["none", "nonnested", "full"] = "nonnested"
    g_adj: bool = True
    g_df: Literal["min", "conventional"] = "min"
    t_df: Literal["min", "conventional"] = "min"


class WeightsSpec(Model):
    """A column of weights and what they mean: ``analytic`` (as fixest and Stata's aweight) or ``frequency``."""

    column: str
    type: Literal["analytic", "frequency"] = "analytic"


class FitRequest(Model):
    """One estimation on a given sample.

    Attributes
    ----------
    estimator : str
        ``feols`` (OLS with any number of fixed effects), ``fepois``, ``feglm``, ``re`` (random effects), ``att_gt``
        (Callaway and Sant'Anna 2021), ``sunab`` (Sun and Abraham 2021).
    formula : str
        Canonical formula with every name in back-ticks, as :func:`crosscheck.formula.emit` writes it: macros
        expanded, names checked. Empty for ``att_gt``.
    unit, time : str or None
        The panel's identifiers where the study declares them.
    options : mapping
        What else the estimator needs; validated per estimator in :mod:`crosscheck.study`.
    conf_level : float
        Of the confidence interval.
    also : tuple of str
        What else is wanted: the block ``rows`` over the rows of the data (``fitted``, ``residuals``), and statistics of
        the fit as extras (``log_likelihood``). An engine that does not have one of them leaves it out.
        Studies ask for none; then the request reads and hashes as if there were no such field.
    """

    estimator: Estimator = "feols"
    formula: str = ""
    unit: str | None = None
    time: str | None = None
    vcov: VcovSpec = VcovSpec()
    ssc: SscSpec = SscSpec()
    weights: WeightsSpec | None = None
    options: dict[str, Any] = {}
    conf_level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    columns: tuple[str, ...] = ()
    also: tuple[Also, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that crosses to workers and that is hashed."""
        return self.model_dump(mode="json", exclude=None if self.also else {"also"})

    @property
    def hash(self) -> str:
        """Hash of the question, independent of study, table and column ids."""
        return digest(self.to_json())
