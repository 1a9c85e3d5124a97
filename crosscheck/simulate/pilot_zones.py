"""What panel of 28 provinces is consistent with the numbers that the founding paper prints?

The paper's data were never published. This module finds a panel that gives all printed numbers of its Tables 2, 3, 5
and 6, the winsorized column of Table 4, and figures as its text describes them. The effects are known: they are pinned
to round numbers inside the printed intervals. Which provinces these are and which of them are treated is not stated;
the choice below fits the printed counts (10 eastern, 6 central, 9 western, 3 north-eastern; 63 treated rows of 308,
nine provinces from 2016) and leaves out three western provinces, as the paper must have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crosscheck.audit.paper import Paper
from crosscheck.errors import DataError
from crosscheck.simulate.counts import whole_numbers
from crosscheck.simulate.printed import Layout, printed_moments, printed_regressions
from crosscheck.simulate.reconstruct import Progress, Reconstruction, quantile_match, reconstruct
from crosscheck.simulate.targets import Array, Moments, Problem, Regression, Target

YEARS = tuple(range(2012, 2023))
FIRST_TREATED = 2016
SEED = 2019
ATTEMPTS = 40
INSIDE = 0.95
LIMIT = 80
CONTROLS = ("Tin", "Con", "Fin", "Infra", "Ide")

# Name, Chinese name, region, treated. In the order of official codes, which Stata's `i.` dummies follow: Beijing is the
# base.
PROVINCES: tuple[tuple[str, str, str, int], ...] = (
    ("Beijing", "北京", "East", 1),
    ("Tianjin", "天津", "East", 1),
    ("Hebei", "河北", "East", 1),
    ("Shanxi", "山西", "Central", 0),
    ("Inner Mongolia", "内蒙古", "West", 1),
    ("Liaoning", "辽宁", "Northeast", 0),
    ("Jilin", "吉林", "Northeast", 0),
    ("Heilongjiang", "黑龙江", "Northeast", 0),
    ("Shanghai", "上海", "East", 1),
    ("Jiangsu", "江苏", "East", 0),
    ("Zhejiang", "浙江", "East", 0),
    ("Anhui", "安徽", "Central", 0),
    ("Fujian", "福建", "East", 0),
    ("Jiangxi", "江西", "Central", 0),
    ("Shandong", "山东", "East", 0),
    ("Henan", "河南", "Central", 1),
    ("Hubei", "湖北", "Central", 0),
    ("Hunan", "湖南", "Central", 0),
    ("Guangdong", "广东", "East", 1),
    ("Guangxi", "广西", "West", 0),
    ("Hainan", "海南", "East", 0),
    ("Chongqing", "重庆", "West", 1),
    ("Sichuan", "四川", "West", 0),
    ("Guizhou", "贵州", "West", 1),
    ("Yunnan", "云南", "West", 0),
    ("Shaanxi", "陕西", "West", 0),
    ("Gansu", "甘肃", "West", 0),
    ("Ningxia", "宁夏", "West", 0),
)
REGIONS = {"East": "Eastern", "Central": "Central", "West": "Western", "Northeast": ""}

# The known effects. Table 5 prints Pati's coefficient as 0.0000; the two BDPZs coefficients beside it leave
# (0.0240 - 0.0121) / 1686.964 = 7.05e-6 +- 0.03e-6.
EFFECTS = {
    "table3:1 b BDPZs": 0.08193,
    "table3:2 b BDPZs": 0.0218,
    "table3:3 b BDPZs": 0.0275,
    "table3:4 b BDPZs": 0.023958,
    "table4:3 b BDPZs": 0.0234,
    "table5:1 b BDPZs": 0.2191,
    "table5:2 b ln(Labor)": 0.036775,
    "table5:3 b BDPZs": 0.0009,
    "table5:4 b Er": 1.4191,
    "table5:5 b BDPZs": 1686.964,
    "table5:6 b Pati": 7.002e-6,
    "table6:1 b BDPZs": 0.0566,
    "table6:2 b BDPZs": 0.0023,
    "table6:3 b BDPZs": 0.0099,
}

# Figure 1 prints no numbers; its text says: near zero before, positive and growing from 2016 on, significant at 10%.
EVENT_PATH = {
    2013: 0.0004,
    2014: -0.0006,
    2015: 0.0010,
    2016: 0.0222,
    2017: 0.0226,
    2018: 0.0232,
    2019: 0.0240,
    2020: 0.0248,
    2021: 0.0258,
    2022: 0.0268,
}
EVENT_HALF = 3e-4
SHIFTS_R2 = 0.963


def layout(winsor: float = 0.01) -> Layout:
    """Return the provinces, years, treatment and regions."""
    return Layout(
        units=tuple(name for name, *_ in PROVINCES),
        periods=YEARS,
        first_treated=tuple(FIRST_TREATED if d else 0 for *_, d in PROVINCES),
        group=tuple(REGIONS[region] for _, _, region, _ in PROVINCES),
        winsor={"winsorised": winsor} if winsor else {},
    )


def event_study(place: Layout) -> tuple[Regression, dict[str, Array]]:
    """Return Figure 1 as a regression with targets, and its dummies: treated provinces by year, 2012 the reference."""
    treated = (np.array(place.first_treated) != 0)[place.unit]
    years = np.array(place.periods)[place.time]
    dummies = {f"event{y}": (treated & (years == y)).astype(np.float64) for y in YEARS[1:]}
    regression = Regression(
        label="figure1",
        outcome="NQP",
        regressors=(*dummies, *CONTROLS),
        dummies=place.dummies(),
        estimate={
            f"event{y}": Target(low=b - EVENT_HALF, high=b + EVENT_HALF, rounded=False) for y, b in EVENT_PATH.items()
        },
        statistic={f"event{y}": Target(low=1.66, high=np.inf, rounded=False) for y in YEARS if y >= FIRST_TREATED},
    )
    return regression, dummies


def placebo(place: Layout) -> Regression:
    """Return a bound on how much each province's own shift in 2016 explains, which Figure 2's text implies.

    Few placebo regressions are significant and all estimates are below the true one: the errors are hardly
    autocorrelated. With independent errors the 26 further parameters would take 26/264 of the residual sum of squares.
    """
    after = np.array(place.periods)[place.time] >= FIRST_TREATED
    shifts = [((place.unit == i) & after).astype(np.float64) for i in range(1, len(place.units))]
    return Regression(
        label="figure2",
        outcome="NQP",
        regressors=CONTROLS,
        dummies=np.column_stack([place.dummies(), *shifts]),
        r2=Target(low=-np.inf, high=SHIFTS_R2, rounded=False),
    )


def problem(paper: Paper, place: Layout | None = None) -> Problem:
    """Return the printed numbers and the described event study as targets."""
    place = layout() if place is None else place
    figure1, dummies = event_study(place)
    regressions = printed_regressions(paper, place, EFFECTS)
    return Problem(
        moments=printed_moments(paper),
        fixed={"BDPZs": place.treatment, **dummies},
        regressions=(*regressions, figure1, placebo(place)),
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a variable varies: between provinces, over time, and within; and how it loads on a province's size."""

    between: float
    trend: float
    within: float
    load: float


SHAPES = {
    "ln(Labor)": _Shape(1.0, 0.2, 0.13, 0.85),
    "Pati": _Shape(1.0, 0.5, 0.3, 0.8),
    "Er": _Shape(0.7, -0.3, 0.6, -0.2),
    "Tin": _Shape(1.0, 0.15, 0.2, 0.4),
    "Con": _Shape(1.0, 0.0, 0.4, 0.2),
    "Fin": _Shape(1.0, 0.3, 0.25, 0.5),
    "Infra": _Shape(1.0, 0.4, 0.3, 0.75),
    "Ide": _Shape(1.0, 0.1, 0.15, 0.9),
}
_REGION_SIZE = {"East": 0.9, "Central": 0.1, "West": -0.5, "Northeast": -0.3}
# NQP starts as Table 3 (3) has it, with a province's own level and independent errors.
_SLOPES = {"Tin": 1.2e-7, "Con": 0.0182, "Fin": -0.0023, "Infra": 0.0148, "Ide": 5.3e-6}
_TREATED, _PROVINCE_SD, _ERROR_SD = 0.0275, 0.02, 0.02


def start(moments: Mapping[str, Moments], seed: int = SEED) -> Array:
    """Return a plausible first panel of shape (308, 9): persistent, trending, with the printed descriptives."""
    rng = np.random.default_rng(seed)
    place = layout()
    count = len(PROVINCES)
    size = rng.standard_normal(count) + np.array([_REGION_SIZE[r] + 0.5 * d for _, _, r, d in PROVINCES])
    years = place.time - (len(YEARS) - 1) / 2
    columns = {}
    for name, shape in SHAPES.items():
        level = shape.load * size + np.sqrt(1 - shape.load**2) * rng.standard_normal(count)
        noise = rng.standard_normal(place.unit.size)
        latent = shape.between * level[place.unit] + shape.trend * years / np.sqrt(10) + shape.within * noise
        columns[name] = quantile_match(latent, moments[name])
    own = _PROVINCE_SD * rng.standard_normal(count)[place.unit] + _ERROR_SD * rng.standard_normal(place.unit.size)
    linear = sum((b * columns[name] for name, b in _SLOPES.items()), start=own + _TREATED * place.treatment)
    columns["NQP"] = quantile_match(np.asarray(linear), moments["NQP"])
    return np.column_stack([columns[name] for name in moments])


def panel(paper: Paper, seed: int = SEED, progress: Progress = lambda *_: None) -> Reconstruction:
    """Reconstruct the panel; ``data`` has the variables of Table 2 but for BDPZs, in their order.

    First all but the winsorized column, whose target has kinks, then with it, then with whole numbers of patents. Where
    a start leads nowhere the next seed is taken.

    Raises
    ------
    DataError
        Where no start of ``ATTEMPTS`` leads to a panel.
    """
    smooth, whole = problem(paper, layout(winsor=0.0)), problem(paper)
    patents = whole.names.index("Pati")
    for attempt in range(seed, seed + ATTEMPTS):
        found = reconstruct(
            smooth, start(whole.moments, attempt), inside=INSIDE, max_iterations=LIMIT, progress=progress
        )
        if not found.feasible:
            continue
        found = reconstruct(whole, found.data, inside=INSIDE, max_iterations=LIMIT, progress=progress)
        if not found.feasible:
            continue
        data = found.data.copy()
        rng = np.random.default_rng([attempt, 1])
        data[:, patents] = whole_numbers(data[:, patents], whole.moments["Pati"], rng)
        found = reconstruct(whole, data, frozen=("Pati",), inside=INSIDE, max_iterations=LIMIT, progress=progress)
        if found.feasible:
            return found
    raise DataError(f"no panel was found from seeds {seed} to {seed + ATTEMPTS - 1}", hint="take another seed")
