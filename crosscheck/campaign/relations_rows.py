"""Which changes of the rows leave every number as it is?

Their order, rows that cannot be used, columns that the model does not use, levels that no row has; and counting one row
several times instead of giving it a weight.
"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case
from crosscheck.campaign.columns import complete, formula_of, groupings, in_terms, pick, put, used, uses, with_request
from crosscheck.campaign.invariance import ALL, COEFFICIENTS, ESTIMATES, GOODNESS, Carry, Question, Twin
from crosscheck.campaign.relation import Relation
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest

MOST_ROWS = 4_000


def _twin(case: Case, frame: Frame, request: FitRequest | None = None, carry: Carry | None = None) -> Twin:
    return Twin(
        first=Question(request=case.request, frame=case.frame),
        second=Question(request=request or case.request, frame=frame),
        carry=carry or Carry(),
    )


def row_order(case: Case, rng: np.random.Generator) -> Twin | str:
    """Shuffle the rows."""
    if case.frame.nrows < 2:
        return "there is one row"
    if _ties_by_row(case):
        return "of tied controls the first row is matched, or rows are matched in their order"
    return _twin(case, pick(case.frame, rng.permutation(case.frame.nrows)))


def _ties_by_row(case: Case) -> bool:
    """Say whether the order of rows is among the rules of a matching: scores are tied, or rows are served in turn."""
    o = case.request.options
    if case.request.estimator != "psm_did" or o.get("method") != "nearest":
        return False
    scores = np.column_stack([case.frame[n].as_float() for n in o["covariates"]])
    tied = np.unique(scores, axis=0).shape[0] < scores.shape[0]
    return (o.get("order") == "data" and not o.get("replace")) or (o.get("ties") == "first" and tied)


def unusable_rows(case: Case, rng: np.random.Generator) -> Twin | str:
    """Leave rows out that lack a value which the request needs, or have no weight."""
    keep = complete(case.request, case.frame)
    if keep.all():
        return "every row is complete"
    if not keep.any():
        return "no row is complete"
    if uses(case.request, "i", "factor", "poly", "lag") or _has_factor_terms(case):
        return "levels, polynomials and lags are those of all rows"
    if case.request.estimator not in ("feols", "fepois", "feglm"):
        return "what a missing value means is the estimator's"
    return _twin(case, pick(case.frame, np.flatnonzero(keep)))


def _has_factor_terms(case: Case) -> bool:
    formula = formula_of(case.request)
    return formula is not None and any(
        case.frame[name].kind in ("category", "boolean") for name in in_terms(formula) if name in case.frame
    )


def other_columns(case: Case, rng: np.random.Generator) -> Twin | str:
    """Add columns that nothing uses, full of missing values, before all others."""
    n = case.frame.nrows
    holes = rng.standard_normal(n)
    holes[rng.random(n) < 0.5] = np.nan
    codes = rng.integers(-1, 2, n).astype(np.int32)
    new = (Column("unused number", "float", holes), Column("unused text", "category", codes, ("NA", "x")))
    return _twin(case, Frame((*new, *case.frame.columns[::-1]), n))


def unused_levels(case: Case, rng: np.random.Generator) -> Twin | str:
    """Give every category levels that no row has, the first and the last among them."""
    named, made = used(case.request), []
    for column in case.frame.columns:
        if column.kind == "category" and column.name in named:
            levels = ("  none", *column.levels, "\U0010fffd none")
            codes = np.where(column.values < 0, -1, column.values + 1).astype(np.int32)
            made.append(Column(column.name, "category", codes, levels))
    if not made:
        return "the request uses no category"
    if _has_factor_terms(case) or uses(case.request, "i", "factor"):
        return "a level is a column of the model"
    return _twin(case, put(case.frame, *made))


def ones(case: Case, rng: np.random.Generator) -> Twin | str:
    """Give every row the weight one."""
    request = case.request
    if request.weights is not None or request.options.get("weights"):
        return "there are weights"
    if request.estimator not in ("feols", "fepois", "feglm", "att_gt", "sunab"):
        return f"{request.estimator} takes no weights"
    name = _free("ones", case.frame)
    column = Column(name, "integer", np.ones(case.frame.nrows, dtype=np.int32))
    kind = "frequency" if request.estimator == "feols" and rng.integers(2) else "analytic"
    options = {**request.options, "weights": name} if request.estimator == "att_gt" else request.options
    weighted = with_request(
        request,
        weights={"column": name, "type": kind},
        options=options,
        columns=(*request.columns, name) if request.columns else (),
    )
    return _twin(case, put(case.frame, column), weighted)


def _free(name: str, frame: Frame) -> str:
    while name in frame:
        name += "_"
    return name


def weight_units(case: Case, rng: np.random.Generator) -> Twin | str:
    """Measure analytic weights in another unit."""
    weights = case.request.weights
    if weights is None or weights.type != "analytic":
        return "there are no analytic weights"
    if case.request.estimator not in ("feols", "sunab", "att_gt"):
        return f"the standard errors of {case.request.estimator} know the scale of weights"
    values = case.frame[weights.column].as_float() * float(rng.choice([7.0, 0.01]))
    return _twin(case, put(case.frame, Column(weights.column, "float", values)))


def expansion(case: Case, rng: np.random.Generator) -> Twin | str:
    """Write each row as often as its frequency says."""
    weights = case.request.weights
    if weights is None or weights.type != "frequency":
        return "there are no frequency weights"
    if case.request.vcov.type in ("NW", "DK"):
        return f"{case.request.vcov.type} with frequencies has no agreed meaning"
    values = case.frame[weights.column].as_float()
    counts = np.where(np.isnan(values), 0, values).astype(np.int64)
    if counts.sum() > MOST_ROWS or not counts.any():
        return "the rows are too many, or none"
    if uses(case.request, "poly", "lag", "i", "factor") or _has_factor_terms(case):
        return "levels, polynomials and lags are those of all rows"
    return _twin(
        case, pick(case.frame, np.repeat(np.arange(case.frame.nrows), counts)), with_request(case.request, weights=None)
    )


def split_weights(case: Case, rng: np.random.Generator) -> Twin | str:
    """Split some rows in two with half of the weight each.

    Rows are then more, so that only sums are compared: estimates, and clustered standard errors without N and K.
    """
    request = case.request
    if request.weights is None or request.weights.type != "analytic" or request.estimator not in ("feols",):
        return "there are no analytic weights of least squares"
    if uses(request, "poly", "lag", "i", "factor") or request.vcov.type in ("NW", "DK", "CRV3"):
        return "two rows of a unit and period would be there"
    frame, name = case.frame, request.weights.column
    twice = rng.random(frame.nrows) < 0.5
    rows = np.repeat(np.arange(frame.nrows), 1 + twice)
    halved = np.where(twice, frame[name].as_float() / 2, frame[name].as_float())
    clustered = request.vcov.type == "CRV1"
    asked = with_request(request, ssc={**request.ssc.model_dump(), "k_adj": False}) if clustered else request
    split = pick(put(frame, Column(name, "float", halved)), rows)
    quantities = ESTIMATES | ({"std_error"} if clustered else frozenset())
    return Twin(
        first=Question(request=asked, frame=frame),
        second=Question(request=asked, frame=split),
        carry=Carry(quantities=quantities | ({"r2"} if _constant(case) else frozenset())),
    )


def row_clusters(case: Case, rng: np.random.Generator) -> Twin | str:
    """Make each row a cluster of its own: CRV1 is then HC1."""
    request = case.request
    if request.vcov.canonical != "HC1" or request.estimator != "feols":
        return "the covariance is not that of single rows"
    if request.weights is not None and request.weights.type == "frequency":
        return "a row stands for several observations"
    ssc = {**request.ssc.model_dump(), "k_fixef": "full", "k_adj": True, "g_adj": True}
    name = _free("row", case.frame)
    rows = Column(name, "integer", np.arange(1, case.frame.nrows + 1, dtype=np.int32))
    first = with_request(request, ssc=ssc)
    second = with_request(
        request,
        ssc=ssc,
        vcov={"type": "CRV1", "cluster": (name,)},
        columns=(*request.columns, name) if request.columns else (),
    )
    return Twin(
        first=Question(request=first, frame=case.frame),
        second=Question(request=second, frame=put(case.frame, rows)),
        carry=Carry(quantities=(ALL - COEFFICIENTS) | {"estimate", "std_error", "statistic"}),
    )


def repeated_sample(case: Case, rng: np.random.Generator) -> Twin | str:
    """Write the whole sample twice: estimates and R2 stay, N doubles."""
    request = case.request
    if request.estimator not in ("feols", "fepois", "feglm") or uses(request, "lag", "poly"):
        return "a unit would have two rows in a period, or polynomials are normed by the number of rows"
    if request.vcov.type in ("NW", "DK") or case.frame.nrows > MOST_ROWS:
        return "a unit would have two rows in a period"
    rows = np.tile(np.arange(case.frame.nrows), 2)
    quantities = ESTIMATES | ({"r2", "r2_within"} if request.estimator == "feols" and _constant(case) else frozenset())
    asked = with_request(request, vcov={"type": "iid"})
    return Twin(
        first=Question(request=asked, frame=case.frame),
        second=Question(request=asked, frame=pick(case.frame, rows)),
        carry=Carry(quantities=quantities & (ESTIMATES | GOODNESS)),
    )


def _constant(case: Case) -> bool:
    formula = formula_of(case.request)
    return formula is not None and (formula.intercept or bool(formula.fixed_effects))


def one_cluster_more(case: Case, rng: np.random.Generator) -> Twin | str:
    """Write the clusters as fixed text and as numbers in turn: how they are held decides nothing."""
    request = case.request
    if not request.vcov.cluster:
        return "there are no clusters"
    formula = formula_of(request)
    if formula is None or any(name in in_terms(formula) for name in request.vcov.cluster):
        return "a cluster is a regressor too"
    made = []
    for name in request.vcov.cluster:
        copy = _free(f"{name} again", case.frame)
        column = case.frame[name]
        made.append(Column(copy, column.kind, column.values, column.levels))
    if len(request.vcov.cluster) == 2:
        return "the order of two clusters is another relation"
    if set(request.vcov.cluster) & set(groupings(with_request(request, vcov={"type": "iid"}))):
        return "the cluster is a fixed effect, and counted as nested by its name"
    second = with_request(
        request,
        vcov={**request.vcov.model_dump(), "cluster": tuple(c.name for c in made)},
        columns=(*request.columns, *(c.name for c in made)) if request.columns else (),
    )
    return _twin(case, put(case.frame, *made), second)


def cluster_order(case: Case, rng: np.random.Generator) -> Twin | str:
    """Name two clusters in the other order."""
    clusters = case.request.vcov.cluster
    if len(clusters) != 2:
        return "there are not two clusters"
    return _twin(
        case,
        case.frame,
        with_request(case.request, vcov={**case.request.vcov.model_dump(), "cluster": clusters[::-1]}),
    )


RELATIONS = (
    Relation(id="row_order", title="The order of the rows decides nothing.", make=row_order),
    Relation(id="unusable_rows", title="Rows that cannot be used may as well be absent.", make=unusable_rows),
    Relation(id="other_columns", title="Columns that nothing uses decide nothing.", make=other_columns),
    Relation(id="unused_levels", title="Levels that no row has decide nothing.", make=unused_levels),
    Relation(id="ones", title="Weights of one are no weights.", make=ones),
    Relation(id="weight_units", title="The unit of analytic weights decides nothing.", make=weight_units),
    Relation(id="expansion", title="A frequency is that many rows.", make=expansion),
    Relation(id="split_weights", title="Two rows of half the weight are one row.", make=split_weights),
    Relation(id="row_clusters", title="Clusters of single rows give HC1.", make=row_clusters),
    Relation(id="repeated_sample", title="A sample written twice has the same estimates.", make=repeated_sample),
    Relation(id="cluster_name", title="The name of the cluster column decides nothing.", make=one_cluster_more),
    Relation(id="cluster_order", title="The order of two clusters decides nothing.", make=cluster_order),
)
