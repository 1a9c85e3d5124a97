"""Which random numbers belong to which part of a panel?"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from crosscheck.simulate.panel_spec import PanelSpec


class Stream(IntEnum):
    """The random streams of a panel."""

    ROWS, EFFECTS, ERRORS, REGRESSORS, NEAR, INVARIANT, INSTRUMENTS, OUTCOME, SECTOR, CLUSTER, GRADE, WEIGHTS = range(
        12
    )
    ZERO, Y, X, UNIT, DUPLICATES, ORDER, TIME = range(12, 19)


def stream(spec: PanelSpec, part: Stream) -> np.random.Generator:
    """Return the random numbers of a part of a panel, independent of all others."""
    return np.random.Generator(np.random.PCG64([spec.seed, int(part)]))
