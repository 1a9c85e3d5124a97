"""Which panel is to be simulated, in a few integers and words?

Every field's default is the plainest case; a panel is told by the fields that differ from it. Counts are exact: a
specification that asks for more than its panel can hold is refused, never trimmed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from crosscheck.errors import DataError
from crosscheck.spec import Model

Effect = Literal["constant", "dynamic", "cohort", "both", "zero"]
Errors = Literal["iid", "hetero", "serial", "unit_root", "cross_section", "none"]
Outcome = Literal["continuous", "count", "binary"]
Ids = Literal["string", "integer", "float", "huge", "digits", "non_ascii", "na_like", "logical"]
Naming = Literal["plain", "logical", "na_like", "non_ascii", "spaced"]
ClusterShape = Literal["equal", "unequal", "crossing"]
ClusterIds = Literal["integer", "string"]
Weights = Literal["none", "ones", "analytic", "frequency", "sampling"]
Order = Literal["sorted", "reversed", "by_time", "shuffled"]
Index = Literal["range", "offset", "reversed", "repeated", "text"]

EFFECTS: tuple[Effect, ...] = get_args(Effect)
ERRORS: tuple[Errors, ...] = get_args(Errors)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Count = Annotated[int, Field(ge=0, le=100_000)]
Flag = Annotated[int, Field(ge=0, le=1)]


class PanelSpec(Model):
    """A panel of known effects; the defaults are two units, one of them treated, in two periods.

    Attributes
    ----------
    units, periods : int
        Of the grid, before rows are taken away.
    cohorts, never : int
        Cohorts of treatment, spread evenly over the second to the last period; quarters of the units that are never
        treated. Later cohorts are larger.
    always, later : 0 or 1
        The first treated unit is treated from the first period; the last only after the last period.
    effect, tau : str, int
        ``constant``: tau. ``dynamic``: tau (1 + e), e periods after treatment began. ``cohort``: tau k for cohort
        k = 1, 2, ... ``both``: tau k (1 + e). ``zero``: none.
    errors : str
        ``iid``; ``hetero``: standard deviation between 0.25 and 2.25, by unit and period; ``serial``: AR(1), 0.7;
        ``unit_root``; ``cross_section``: a shock common to a period that units load on; ``none``: no errors at all.
    outcome : str
        ``count`` and ``binary``: Poisson and logit with an eighth of the index.
    regressors : int
        Of full rank; their coefficients are 1, 2, ...
    scale, x_offset, y_offset : int
        Powers of ten: what ``x1`` is multiplied by; what is added to ``x1`` and to the outcome (0: nothing).
    collinear, constant, invariant : 0 or 1
        A regressor that is the sum of the others, one that never varies, one that varies between units only.
    near : int
        A regressor that is x1 plus 10^-near times noise (0: none).
    instruments : int
        Instruments of an endogenous regressor (0: none).
    integer_x, integer_y : 0 or 1
        ``x1``, or the outcome, in whole numbers, held in an integer column.
    nested, crossed : int
        Levels of ``region``, in which units are nested, and of ``sector``, crossed with units and periods (0: none).
        Each sector has an effect on the outcome.
    one_level : 0 or 1
        A factor ``country`` that has one level.
    unused : int
        Levels that no row has, in a factor ``grade`` of two levels and in every other category.
    clusters, cluster_shape : int, str
        Levels of ``cluster`` (0: none): ``equal`` and ``unequal`` (half of the units in the first) are nested in
        units, ``crossing`` is not.
    cluster_ids : str
        ``integer`` or ``string``.
    weights : str
        ``ones``; ``analytic``: positive numbers; ``frequency``: 1 to 4; ``sampling``: positive, constant in a unit.
    weight_scale : int
        The power of ten that analytic and sampling weights are multiplied by.
    zero_weights : int
        Rows whose weight is zero.
    separated : int
        Units whose counts, or binary outcomes, are all zero.
    holes, gaps, attrition : int
        Rows of whole units taken away at random; units that lack one inner period; units that leave for good.
    singletons, duplicates : int
        Further units seen once, never treated; complete rows that occur once more.
    missing_y, missing_x, missing_weights, missing_unit, missing_time, missing_sector, missing_cluster : int
        Rows without a value there (``missing_x``: in ``x1``).
    ids, naming : str
        How units, and how regressors, are called. ``huge``: whole numbers next to 2^53; ``digits``: text of digits
        that differs beyond what a double holds.
    first_period, step : int
        The first period and the distance between two.
    order, index : str
        Of the rows; of the pandas frame.
    seed : int
    """

    units: Annotated[int, Field(ge=1, le=10_000)] = 2
    periods: Annotated[int, Field(ge=1, le=1_000)] = 2
    cohorts: Count = 1
    never: Annotated[int, Field(ge=0, le=4)] = 2
    always: Flag = 0
    later: Flag = 0
    effect: Effect = "constant"
    tau: Annotated[int, Field(ge=-1000, le=1000)] = 1
    errors: Errors = "iid"
    outcome: Outcome = "continuous"
    regressors: Annotated[int, Field(ge=0, le=50)] = 0
    scale: Annotated[int, Field(ge=-12, le=12)] = 0
    x_offset: Annotated[int, Field(ge=0, le=12)] = 0
    y_offset: Annotated[int, Field(ge=0, le=12)] = 0
    collinear: Flag = 0
    constant: Flag = 0
    invariant: Flag = 0
    near: Annotated[int, Field(ge=0, le=15)] = 0
    instruments: Annotated[int, Field(ge=0, le=10)] = 0
    integer_x: Flag = 0
    integer_y: Flag = 0
    nested: Count = 0
    crossed: Count = 0
    one_level: Flag = 0
    unused: Annotated[int, Field(ge=0, le=100)] = 0
    clusters: Count = 0
    cluster_shape: ClusterShape = "equal"
    cluster_ids: ClusterIds = "integer"
    weights: Weights = "none"
    weight_scale: Annotated[int, Field(ge=-12, le=12)] = 0
    zero_weights: Count = 0
    separated: Count = 0
    holes: Count = 0
    gaps: Count = 0
    attrition: Count = 0
    singletons: Count = 0
    duplicates: Count = 0
    missing_y: Count = 0
    missing_x: Count = 0
    missing_weights: Count = 0
    missing_unit: Count = 0
    missing_time: Count = 0
    missing_sector: Count = 0
    missing_cluster: Count = 0
    ids: Ids = "integer"
    naming: Naming = "plain"
    first_period: Annotated[int, Field(ge=1, le=2**40)] = 1
    step: Annotated[int, Field(ge=1, le=1000)] = 1
    order: Order = "sorted"
    index: Index = "range"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"the specification of a panel is not one: {first['msg'].removeprefix('Value error, ')}",
                where=where,
                allowed=", ".join(type(self).model_fields),
            ) from None

    @model_validator(mode="after")
    def _fits(self) -> PanelSpec:
        for needed, given, words in (
            (self.collinear or self.near or self.integer_x or self.scale, self.regressors, "regressors"),
            (self.x_offset or self.missing_x or self.naming != "plain", self.regressors, "regressors"),
            (self.zero_weights or self.missing_weights, self.weights != "none", "weights"),
            (self.weight_scale, self.weights in ("analytic", "sampling"), "analytic or sampling weights"),
            (self.separated, self.outcome != "continuous", 'outcome = "count" or "binary"'),
            (self.missing_cluster or self.cluster_shape != "equal", self.clusters, "clusters"),
            (self.cluster_ids != "integer", self.clusters, "clusters"),
            (self.missing_sector, self.crossed, "crossed"),
            (self.y_offset or self.integer_y, self.outcome == "continuous", 'outcome = "continuous"'),
        ):
            if needed and not given:
                raise ValueError(f"what is asked for needs {words}")
        if self.integer_x and self.scale < 0:
            raise ValueError("integer_x does not go with a scale below one")
        if self.always + self.later > self.treated:
            raise ValueError("always and later need a treated unit each")
        for name, most in self.room().items():
            if getattr(self, name) > most:
                raise ValueError(f"{name} can be {most} at most here")
        return self

    @property
    def never_treated(self) -> int:
        """Number of units of the grid that are never treated."""
        return min(max(round(self.units * self.never / 4), int(self.never > 0)), self.units - int(self.never < 4))

    @property
    def treated(self) -> int:
        """Number of units of the grid that belong to a cohort."""
        return self.units - self.never_treated if self.cohorts else 0

    @property
    def grid_rows(self) -> int:
        """Number of rows that the grid has at least once units have gaps or have left, holes apart."""
        whole = self.units - self.gaps - self.attrition
        return whole * self.periods + self.gaps * (self.periods - 1) + self.attrition

    @property
    def least_rows(self) -> int:
        """A number of rows that the panel has at least, duplicates apart."""
        return self.grid_rows - self.holes + self.singletons

    def room(self) -> dict[str, int]:
        """Say how large each count can be, given those that stand before it."""
        whole = self.units - self.gaps - self.attrition
        rows = max(self.least_rows, 0)
        incomplete = self.zero_weights + sum(getattr(self, name) for name in MISSING)
        return {
            "gaps": self.units if self.periods > 2 else 0,
            "attrition": self.units - self.gaps if self.periods > 1 else 0,
            "holes": max(whole * self.periods - int(self.gaps + self.attrition + self.singletons == 0), 0),
            "nested": self.units,
            "separated": self.units,
            "clusters": rows if self.cluster_shape == "crossing" else self.units,
            "cohorts": max(min(self.periods - 1, self.units - self.never_treated - self.always - self.later), 0),
            **dict.fromkeys(ROW_COUNTS, rows),
            "missing_weights": max(rows - self.zero_weights, 0),
            "duplicates": max(rows - incomplete, 0),
        }

    def changes(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults."""
        defaults = type(self).model_fields
        return {name: value for name, value in self if value != defaults[name].default}

    def __repr__(self) -> str:
        return f"PanelSpec({', '.join(f'{name}={value!r}' for name, value in self.changes().items())})"


MISSING = (
    "missing_y",
    "missing_x",
    "missing_weights",
    "missing_unit",
    "missing_time",
    "missing_sector",
    "missing_cluster",
)
ROW_COUNTS = ("crossed", "zero_weights", *MISSING)
