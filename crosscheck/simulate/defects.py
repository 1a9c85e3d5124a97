"""Which rows of a panel lack a value, have no weight, or belong to which cluster?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosscheck.simulate.layout import scattered, unit_clusters
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.streams import Stream, stream

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def weights(spec: PanelSpec, unit: Codes, units: int) -> Floats:
    """Draw the weights of the rows, zero and missing ones included, shape (n,)."""
    rng = stream(spec, Stream.WEIGHTS)
    n = unit.size
    if spec.weights == "analytic":
        drawn = rng.uniform(0.2, 3.0, n)
    elif spec.weights == "frequency":
        drawn = rng.integers(1, 5, n).astype(np.float64)
    elif spec.weights == "sampling":
        drawn = rng.uniform(0.5, 2.0, units)[unit]
    else:
        drawn = np.ones(n)
    drawn *= 10.0**spec.weight_scale
    rows = stream(spec, Stream.ZERO).permutation(n)
    drawn[rows[: spec.zero_weights]] = 0.0
    drawn[rows[spec.zero_weights : spec.zero_weights + spec.missing_weights]] = np.nan
    return drawn


def clusters(spec: PanelSpec, unit: Codes, units: int) -> Codes:
    """Return the cluster of each row, from 0, shape (n,)."""
    if spec.cluster_shape == "crossing":
        return scattered(spec.clusters, unit.size, stream(spec, Stream.CLUSTER))
    return unit_clusters(spec.cluster_shape, spec.clusters, units, spec.units)[unit]


def take_values(spec: PanelSpec, values: dict[str, Floats], codes: dict[str, Codes], first: str) -> NDArray[np.bool_]:
    """Take values away, in place, and return the rows that lack one or have no weight, shape (n,).

    Parameters
    ----------
    spec : PanelSpec
    values, codes : dict of str to ndarray, shape (n,)
        Columns of numbers, and codes (-1: missing) of identifiers.
    first : str
        The regressor that lacks values.
    """
    n = codes["unit"].size
    lacking = ~(values["weight"] > 0) if "weight" in values else np.zeros(n, dtype=bool)
    for part, count, column in ((Stream.Y, spec.missing_y, "y"), (Stream.X, spec.missing_x, first)):
        if count:
            rows = stream(spec, part).choice(n, count, replace=False)
            values[column][rows] = np.nan
            lacking[rows] = True
    rng = stream(spec, Stream.UNIT)
    for column in ("unit", "sector", "cluster"):
        count = getattr(spec, f"missing_{column}")
        if count:
            rows = rng.choice(n, count, replace=False)
            codes[column][rows] = -1
            lacking[rows] = True
    if spec.missing_time:
        rows = stream(spec, Stream.TIME).choice(n, spec.missing_time, replace=False)
        codes["period"][rows] = -1
        lacking[rows] = True
    return lacking
