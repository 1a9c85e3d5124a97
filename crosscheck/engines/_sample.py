"""What do engines that take matrices need of a request: arrays of the rows used, effects, clusters, and the panel?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import Counts
from crosscheck.engines._shared import Codes, codes_of, counts_for, require_clusters, squeezed, usable_model, weights_of
from crosscheck.errors import DataError
from crosscheck.formula import Formula
from crosscheck.modelmatrix import ModelMatrix

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


@dataclass(frozen=True, eq=False)
class Sample:
    """Arrays of a model on the rows used, n of them.

    ``places`` are the positions of the rows used among the ``nrows`` of the data.
    ``effects`` maps each fixed effect to codes; ``unit`` and ``time`` are codes too, or None where there is no panel.
    """

    matrix: ModelMatrix
    weights: NDArray[np.float64] | None
    effects: dict[tuple[str, ...], Codes]
    clusters: dict[str, Codes]
    unit: Codes | None
    time: Codes | None
    rows_dropped: int
    nrows: int
    places: NDArray[np.intp]

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.matrix.y.size)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Levels of the fixed effects."""
        return tuple(int(c.max()) + 1 for c in self.effects.values())


def sample_of(request: FitRequest, formula: Formula, frame: Frame) -> Sample:
    """Build the arrays of a request.

    Raises
    ------
    DataError
        Where no row is left, or a panel estimator finds two rows for a unit and period.
    """
    ids = tuple(name for name in (request.unit, request.time) if name is not None)
    weights = (request.weights.column,) if request.weights else ()
    panel = len(ids) == 2 and formula.iv is None
    of_units = request.estimator in ("re", "between")
    needed = ids if panel and of_units else ()
    matrix, used = usable_model(request, formula, frame, also=(*weights, *needed))
    unit: Codes | None = None
    time: Codes | None = None
    if request.vcov.type in ("NW", "DK") and request.time is not None:
        time = squeezed(codes_of(used, (request.time,)))  # rows without a period are not usable
    # where the model does not need them, a row without unit or period is in the sample, and there is no panel
    if panel and not any(used[name].missing.any() for name in ids):
        unit, time = (squeezed(codes_of(used, (name,))) for name in ids)
        if np.unique(np.column_stack([unit, time]), axis=0).shape[0] < used.nrows:
            if of_units or request.vcov.canonical in ("NW", "DK"):
                raise DataError(f"{request.estimator} needs one row for each {request.unit} and {request.time}")
            unit = time = None
    clusters = {name: squeezed(codes_of(used, (name,))) for name in request.vcov.cluster}
    require_clusters(clusters)
    return Sample(
        matrix=matrix,
        weights=weights_of(request, used),
        effects={fe: matrix.fe_codes[:, i] for i, fe in enumerate(formula.fixed_effects)},
        clusters=clusters,
        unit=unit,
        time=time,
        rows_dropped=frame.nrows - used.nrows,
        nrows=frame.nrows,
        places=_places(frame, used),
    )


def _places(frame: Frame, used: Frame) -> NDArray[np.intp]:
    """Return where the rows used stand in the frame."""
    if not used.row_ids.size:
        return np.arange(used.nrows)
    if not frame.row_ids.size:
        return used.row_ids.astype(np.intp)
    return np.searchsorted(frame.row_ids, used.row_ids)


def counts_of(request: FitRequest, sample: Sample, n: float, k: int) -> Counts:
    """Count what enters the small-sample factors; ``k`` coefficients are shown."""
    periods = None if sample.time is None else int(sample.time.max()) + 1
    return counts_for(request, n=n, n_coef=k, effects=sample.effects, clusters=sample.clusters, periods=periods)
