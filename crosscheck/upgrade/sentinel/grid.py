"""How are points drawn over a grid so that every level of every factor occurs, and equally often?

Latin hypercube sampling over categorical factors (McKay, Beckman and Conover 1979, section 2.3): in n draws each level
of each factor occurs floor(n / levels) or one more times, and factors are paired at random, by seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SEED = 20_261_128
"""Of every draw of the sentinel set: the day on which the grid was written. No other was tried."""


def latin(factors: Mapping[str, Sequence[Any]], draws: int, name: str) -> list[dict[str, Any]]:
    """Return points of a grid, each level of each factor as often as any other.

    Parameters
    ----------
    factors : mapping of str to sequence
        Levels of each factor; a level that is written twice is drawn twice as often.
    draws : int
    name : str
        Of the block, so that blocks draw independently and one that is added leaves the others as they are.
    """
    drawn: dict[str, list[Any]] = {}
    for factor, levels in factors.items():
        rng = np.random.Generator(np.random.PCG64([SEED, *f"{name}/{factor}".encode()]))
        places = np.concatenate([rng.permutation(len(levels)) for _ in range(-(-draws // len(levels)))])[:draws]
        drawn[factor] = [levels[k] for k in rng.permutation(places)]
    return [{factor: values[k] for factor, values in drawn.items()} for k in range(draws)]


def crossed(
    first: tuple[str, Sequence[Any]], second: tuple[str, Sequence[Any]], others: Mapping[str, Sequence[Any]], name: str
) -> list[dict[str, Any]]:
    """Return every pair of levels of two factors once, the other factors drawn by :func:`latin`."""
    pairs = [{first[0]: a, second[0]: b} for a in first[1] for b in second[1]]
    return [{**pair, **rest} for pair, rest in zip(pairs, latin(others, len(pairs), name), strict=True)]
