"""Which regressors and instruments does a panel have, and what do they add to the outcome?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.simulate.layout import regressor_names
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.streams import Stream, stream

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regressors:
    """Regressors of n rows.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (n,)
        Instruments and the endogenous regressor included.
    contribution, endogenous : ndarray, shape (n,)
        What they add to the index, and to the error (zero without instruments).
    names, extras : tuple of str
        Those with an effect of full rank; the others.
    betas : tuple of (str, float)
    """

    columns: dict[str, Floats]
    contribution: Floats
    endogenous: Floats
    names: tuple[str, ...]
    extras: tuple[str, ...]
    betas: tuple[tuple[str, float], ...]


def regressors(spec: PanelSpec, unit: Codes, period: Codes, units: int) -> Regressors:
    """Draw the regressors of the rows whose units and periods are given, each of shape (n,)."""
    rng = stream(spec, Stream.REGRESSORS)
    shape = (units, spec.periods)
    names = tuple(regressor_names(spec.naming, spec.regressors))
    columns: dict[str, Floats] = {}
    contribution, endogenous = np.zeros(unit.size), np.zeros(unit.size)
    betas: list[tuple[str, float]] = []
    for k, name in enumerate(names):
        drawn = rng.standard_normal(shape)[unit, period]
        beta = k + 1.0
        if k == 0 and spec.integer_x:
            drawn = np.rint(4 * drawn)
        contribution += beta * drawn
        if k == 0:
            drawn = drawn * 10.0**spec.scale + (10.0**spec.x_offset if spec.x_offset else 0.0)
            beta /= 10.0**spec.scale
        columns[name] = drawn
        betas.append((name, beta))
    extras: dict[str, Floats] = {}
    if spec.collinear:
        extras["xc"] = np.sum([columns[name] for name in names], axis=0)
    if spec.near:
        close = stream(spec, Stream.NEAR).standard_normal(shape)[unit, period]
        extras["xn"] = columns[names[0]] + 10.0 ** (spec.scale - spec.near) * close
    if spec.constant:
        extras["xk"] = np.full(unit.size, 3.0)
    if spec.invariant:
        extras["xi"] = stream(spec, Stream.INVARIANT).standard_normal(units)[unit]
    betas += [(name, 0.0) for name in extras]
    columns |= extras
    if spec.instruments:
        rng = stream(spec, Stream.INSTRUMENTS)
        endogenous = rng.standard_normal(shape)[unit, period]
        instruments = [rng.standard_normal(shape)[unit, period] for _ in range(spec.instruments)]
        columns["endog"] = endogenous + np.sum(instruments, axis=0)
        columns |= {f"z{k + 1}": z for k, z in enumerate(instruments)}
        contribution += columns["endog"]
        betas.append(("endog", 1.0))
    return Regressors(
        columns=columns,
        contribution=contribution,
        endogenous=endogenous,
        names=names,
        extras=tuple(extras),
        betas=tuple(betas),
    )
