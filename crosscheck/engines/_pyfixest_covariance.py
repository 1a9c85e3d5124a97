"""How is a covariance estimator said to pyfixest?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.engines._pyfixest_design import Design
from crosscheck.engines._pyfixest_versions import small_sample_words
from crosscheck.engines._shared import Codes, codes_of, lag_of, require_clusters, require_no_gaps, squeezed

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

NO_FACTOR = ("HC2", "HC3")


@dataclass(frozen=True, eq=False)
class Covariance:
    """A covariance estimator in pyfixest's words; codes are those of the complete rows."""

    type: Any
    kwargs: dict[str, Any] | None
    clusters: dict[str, Codes]
    columns: dict[str, NDArray[Any]]
    periods: int | None = None

    def frame(self) -> Any:
        """The cluster columns as pandas, for pyfixest's ``vcov(data=)``."""
        import pandas as pd

        return pd.DataFrame({f"c{i}": codes for i, codes in enumerate(self.clusters.values())}, copy=False)


def covariance_of(request: FitRequest, frame: Frame, design: Design) -> Covariance:
    """Write the request's covariance in pyfixest's words.

    Raises
    ------
    DataError
        Where a cluster variable has one level.
    Unsupported
        For Newey-West with gaps in a unit's periods.
    """
    vcov = request.vcov.canonical
    clusters: dict[str, Codes] = {}
    columns: dict[str, NDArray[Any]] = {}
    for i, name in enumerate(request.vcov.cluster):
        codes = codes_of(frame, (name,))[design.rows]
        columns[f"c{i}"] = codes
        clusters[name] = codes[design.complete]
    if clusters:
        require_clusters(clusters)
        return Covariance({vcov: "+".join(columns)}, None, clusters, columns)
    if vcov not in ("NW", "DK"):
        return Covariance(vcov, None, {}, {})
    assert request.time is not None
    time = codes_of(frame, (request.time,))[design.rows]
    used = squeezed(time[design.complete])
    periods = int(used.max()) + 1
    kwargs: dict[str, Any] = {"time_id": "t0", "lag": lag_of(request, periods)}
    columns["t0"] = time
    if vcov == "NW" and request.unit is not None:
        columns["u0"] = codes_of(frame, (request.unit,))[design.rows]
        if kwargs["lag"] > 0:
            require_no_gaps(columns["u0"][design.complete], used, "pyfixest")
        kwargs["panel_id"] = "u0"
    elif vcov == "DK":
        columns["u0"] = np.arange(time.size)
        kwargs["panel_id"] = "u0"
    return Covariance(vcov, kwargs, {}, columns, periods)


def ssc_of(request: FitRequest) -> Any:
    """Return pyfixest's ``ssc()`` for the request; HC2 and HC3 take no factor."""
    words = request.ssc
    plain = request.vcov.canonical in NO_FACTOR
    return small_sample_words(
        {
            "k_adj": words.k_adj and not plain,
            "k_fixef": words.k_fixef,
            "G_adj": words.g_adj and not plain,
            "G_df": words.g_df,
        }
    )
