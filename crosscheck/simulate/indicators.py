"""Which raw indicators give a composite index that is known beforehand?

The founding paper's Table 1 names 25 indicators of new quality productivity but prints none of their values. Here they
are simulated such that the entropy-value index of the 25 (pooled, 0 ln 0 = 0) is the panel's NQP to rounding error:
indicators are drawn, whole numbers and shares of GDP stay as drawn, and the others are shifted row by row, on the logit
scale between their minimum and maximum, until the index is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from crosscheck.designs.entropy import Rules, entropy_index
from crosscheck.errors import DataError
from crosscheck.simulate.targets import Array, Rows

Codes = NDArray[np.int64]

ROUNDS = 60
ATTEMPTS = 100
BISECTIONS = 70
CLOSE = 2e-15
EXACT = 1e-13


@dataclass(frozen=True, slots=True)
class Indicator:
    """A row of Table 1: short name, direction, what it measures, range, and how it is drawn.

    ``centre`` is the median on the scale from minimum to maximum (small: skewed to the right), ``load`` the correlation
    of its latent variable with the index. ``whole`` numbers and ``fixed`` ones are not adjusted.
    """

    name: str
    direction: str
    measure: str
    low: float
    high: float
    centre: float
    load: float
    whole: bool = False
    fixed: bool = False


INDICATORS: tuple[Indicator, ...] = (
    Indicator("sci_exp", "+", "science and technology / public budget expenditure", 0.003, 0.068, 0.2, 0.8),
    Indicator("rd_exp", "+", "product development, high-tech industries, 10^8 yuan", 0.6, 2690.0, 0.05, 0.9),
    Indicator("rd_staff", "+", "R&D personnel, high-tech industries, 10^4", 0.01, 38.5, 0.06, 0.9),
    Indicator("patents", "+", "patent applications, high-tech industries", 21, 118264, 0.05, 0.8, whole=True),
    Indicator("tech_market", "+", "technology market turnover / GDP", 0.0002, 0.19, 0.08, 0.6),
    Indicator("new_projects", "+", "new product projects, high-tech industries", 14, 61830, 0.06, 0.8, whole=True),
    Indicator("new_sales", "+", "new product revenue, high-tech industries, 10^8 yuan", 1.2, 26900.0, 0.06, 0.9),
    Indicator("water", "-", "water consumption per head, m3", 162.0, 2620.0, 0.75, 0.1),
    Indicator("env_exp", "+", "environmental protection / public budget expenditure", 0.011, 0.068, 0.35, 0.1),
    Indicator("emissions", "-", "sulfur dioxide and nitrogen oxides in waste gas, 10^4 t", 0.9, 318.0, 0.7, 0.2),
    Indicator("waste_use", "+", "industrial solid waste, utilization / generation", 0.19, 0.999, 0.6, 0.3),
    Indicator("waste_safe", "+", "harmless treatment rate of domestic waste", 0.41, 1.0, 0.9, 0.2),
    Indicator("primary", "+", "value added of primary industry / GDP", 0.0, 0.0, 0.4, 0.0, fixed=True),
    Indicator("secondary", "+", "value added of secondary industry / GDP", 0.0, 0.0, 0.5, 0.0, fixed=True),
    Indicator("tertiary", "+", "value added of tertiary industry / GDP", 0.0, 0.0, 0.4, 0.4, fixed=True),
    Indicator("ecommerce", "+", "e-commerce sales / GDP", 0.011, 0.78, 0.15, 0.7),
    Indicator("ai_firms", "+", "artificial intelligence companies", 3, 41250, 0.04, 0.7, whole=True),
    Indicator("foreign_firms", "+", "registered foreign-invested enterprises", 310, 189400, 0.05, 0.8, whole=True),
    Indicator("foreign_invest", "+", "investment of foreign-invested enterprises, 10^8 USD", 12.5, 31900.0, 0.04, 0.8),
    Indicator("new_exports", "+", "export revenue from new products, 10^8 yuan", 0.1, 13900.0, 0.05, 0.8),
    Indicator("ports", "+", "internet broadband access ports, 10^4", 71.0, 10190.0, 0.2, 0.6),
    Indicator("subscribers", "+", "internet broadband subscribers, 10^4", 58.0, 4690.0, 0.2, 0.6),
    Indicator("phones", "+", "mobile phone subscribers, 10^4", 610.0, 17150.0, 0.2, 0.5),
    Indicator("telecom", "+", "telecommunications services / GDP", 0.013, 0.32, 0.2, 0.3),
    Indicator("software", "+", "software revenue / GDP", 0.0001, 0.59, 0.08, 0.8),
)  # fmt: skip
POSITIVE = [i.direction == "+" for i in INDICATORS]


def indicators(index: Array, unit: Codes, time: Codes, seed: int) -> dict[str, Array]:
    """Return the 25 indicators whose entropy index is the given one.

    Where the fixed indicators of some row leave no room for its index, all are drawn again.

    Parameters
    ----------
    index : ndarray, shape (n,)
        Within (0, 1).
    unit, time : ndarray of codes, shape (n,)
    seed : int

    Raises
    ------
    DataError
        Where none of ``ATTEMPTS`` draws can be shifted to the index.
    """
    common = special.ndtri((stats.rankdata(index, method="ordinal") - 0.5) / index.size)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, 25, attempt])
        values = {i.name: _draw(i, common, unit, time, rng) for i in INDICATORS if not i.fixed}
        values.update(_shares_of_output(common, unit, time, rng))
        x = _settled(np.column_stack([values[i.name] for i in INDICATORS]), index)
        if float(np.abs(entropy_index(x, POSITIVE, rules=Rules()).score - index).max()) < EXACT:
            return {i.name: x[:, j] for j, i in enumerate(INDICATORS)}
    raise DataError("no draw of the indicators leaves room for the index", hint="take another seed")


def _settled(x: Array, index: Array) -> Array:
    """Shift the free indicators until the index is right or rounds run out, shape (n, k)."""
    low, high = x.min(axis=0), x.max(axis=0)
    free = np.array([not (i.whole or i.fixed) for i in INDICATORS])
    for _ in range(ROUNDS):
        found = entropy_index(x, POSITIVE, rules=Rules())
        if float(np.abs(found.score - index).max()) < CLOSE:
            break
        z = _shifted(found.standardized, found.weight[0], index, free)
        shares = np.where(POSITIVE, z, 1 - z)
        x = np.where(free & (z != found.standardized), low + (high - low) * shares, x)
    return x


def _draw(indicator: Indicator, common: Array, unit: Codes, time: Codes, rng: np.random.Generator) -> Array:
    level = rng.standard_normal(int(unit.max()) + 1)[unit]
    drift = (time - time.mean()) / (time.std() + 1e-300)
    own = 0.85 * level + 0.35 * drift + 0.35 * rng.standard_normal(unit.size)
    latent = indicator.load * common + np.sqrt(1 - indicator.load**2) * own
    latent = (latent - latent.mean()) / latent.std()
    share = special.expit(special.logit(indicator.centre) + 1.1 * latent)
    share = (share - share.min()) / (share.max() - share.min())
    share = share if indicator.direction == "+" else 1 - share
    values = indicator.low + (indicator.high - indicator.low) * share
    return np.asarray(np.round(values) if indicator.whole else values)


def _shares_of_output(common: Array, unit: Codes, time: Codes, rng: np.random.Generator) -> dict[str, Array]:
    """Return the three industries' shares, which sum to one."""
    level = rng.standard_normal((int(unit.max()) + 1, 2))[unit]
    noise = rng.standard_normal((unit.size, 2))
    drift = (time - time.mean()) / (time.std() + 1e-300)
    primary = 0.002 + 0.24 * special.expit(-0.8 + 0.9 * level[:, 0] - 0.4 * common + 0.08 * noise[:, 0])
    tertiary = (1 - primary) * special.expit(
        0.05 + 0.25 * level[:, 1] + 0.15 * common + 0.12 * drift + 0.04 * noise[:, 1]
    )
    return {"primary": primary, "secondary": 1 - primary - tertiary, "tertiary": tertiary}


def _shifted(z: Array, weight: Array, index: Array, free: Rows) -> Array:
    """Shift each row's free values on the logit scale by one number such that the weighted sum is the index."""
    movable: Rows = np.asarray(free & (z > 0) & (z < 1))
    logit = special.logit(np.where(movable, z, 0.5))
    fixed = np.where(movable, 0.0, z) @ weight
    low, high = np.full(index.size, -40.0), np.full(index.size, 40.0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        total = fixed + np.where(movable, special.expit(logit + middle[:, None]), 0.0) @ weight
        high = np.where(total >= index, middle, high)
        low = np.where(total >= index, low, middle)
    return np.asarray(np.where(movable, special.expit(logit + ((low + high) / 2)[:, None]), z))
