"""Which files do the simulated studies consist of, and how are they made again?

``python -m crosscheck.simulate fixtures/studies`` writes the panels, known effects and draws of the four studies of the
national big data pilot zones; the same seeds give the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosscheck.designs.draws import write_draws
from crosscheck.simulate import pilot_zones as zones
from crosscheck.simulate.adoption import NEVER, AdoptionPanel, Effect, adoption_panel, averages
from crosscheck.simulate.consistent import read_paper
from crosscheck.simulate.indicators import indicators
from crosscheck.simulate.printed import printed_moments
from crosscheck.simulate.reconstruct import Progress, Reconstruction
from crosscheck.simulate.tables import Truth, write_csv, write_truth
from crosscheck.simulate.targets import Array

Column = Sequence[object] | NDArray[np.generic]
NAMES = tuple(name for name, *_ in zones.PROVINCES)
DRAWS = (("draws_6.csv", 6, 1000, 20160101), ("draws_9.csv", 9, 1000, 20160102))
SIGNS = ("signs.csv", 999, 20160103)
RESAMPLES = ("resamples.csv", 999, 20160104)
MEDIATORS = (("labor", "ln(Labor)", "1", "2"), ("er", "Er", "3", "4"), ("pati", "Pati", "5", "6"))
AGGREGATIONS = ("none", "simple", "dynamic", "group", "calendar")
NOISE = 0.02
EFFECT = 0.024


def identifiers() -> dict[str, Sequence[object]]:
    """Return the columns that name each row: province in English and Chinese, region, year."""
    place = zones.layout()
    rows = [zones.PROVINCES[i] for i in place.unit]
    return {
        "province": [name for name, *_ in rows],
        "province_zh": [chinese for _, chinese, *_ in rows],
        "region": [region for _, _, region, _ in rows],
        "year": [zones.YEARS[t] for t in place.time],
    }


def pilot_zone_columns(found: Reconstruction, names: Sequence[str], seed: int) -> dict[str, Column]:
    """Return the columns of ``bdpz/panel.csv`` from a reconstruction: identifiers, treatment, Table 2, Table 1."""
    place = zones.layout()
    treated = (np.array(place.first_treated) != NEVER)[place.unit].astype(int)
    raw = indicators(found.data[:, list(names).index("NQP")], place.unit, place.time, seed)
    return {
        **identifiers(),
        "treated": treated,
        "first_treated": np.array(place.first_treated)[place.unit],
        "BDPZs": place.treatment.astype(int),
        "event": np.array(zones.YEARS)[place.time] - zones.FIRST_TREATED,
        **{name: _plain(found.data[:, j]) for j, name in enumerate(names)},
        **{name: _plain(values) for name, values in raw.items()},
    }


def _plain(values: Array) -> Column:
    """Return whole numbers as integers, so that they are written without a point."""
    return values.astype(np.int64) if np.all(values == np.round(values)) else values


def pilot_zone_truth(index: Array) -> list[Truth]:
    """Return the known effects of study bdpz: pinned coefficients, what follows from them, and the index of Table 1."""
    effect = zones.EFFECTS
    rows: list[Truth] = [
        ("table1", "index", f"{NAMES[i]}|{zones.YEARS[t]}", "score", float(value))
        for i, t, value in zip(zones.layout().unit, zones.layout().time, index, strict=True)
    ]
    for column in "1234":
        rows.append(("table3", column, "BDPZs", "estimate", effect[f"table3:{column} b BDPZs"]))
    rows.append(("table4", "3", "BDPZs", "estimate", effect["table4:3 b BDPZs"]))
    total = effect["table3:4 b BDPZs"]
    for name, mediator, path, direct in MEDIATORS:
        theta, phi = effect[f"table5:{path} b BDPZs"], effect[f"table5:{direct} b {mediator}"]
        rows += [
            ("table5", path, "BDPZs", "estimate", theta),
            ("table5", direct, mediator, "estimate", phi),
            ("table5", direct, "BDPZs", "estimate", total - theta * phi),
            ("mediation", name, "effect:total", "estimate", total),
            ("mediation", name, "effect:direct", "estimate", total - theta * phi),
            ("mediation", name, "effect:indirect", "estimate", theta * phi),
        ]
    for column, region in (("1", "East"), ("2", "Central"), ("3", "West")):
        value = effect[f"table6:{column} b BDPZs"]
        rows.append(("table6", column, "BDPZs", "estimate", value))
        rows.append(("regions", "interacted", f"{region}:BDPZs", "estimate", value))
    for column in ("independent", "autocorrelated"):
        rows.append(("monte_carlo", column, "BDPZs [mean]", "estimate", EFFECT))
        rows.append(("monte_carlo", column, "monte_carlo", "without_noise", EFFECT))
    return rows


def write_pilot_zones(folder: Path, seed: int = zones.SEED, progress: Progress = lambda *_: None) -> Reconstruction:
    """Write panel, truth and draws of study bdpz; ``published.csv`` and ``audit.toml`` are read from the folder."""
    paper = read_paper(folder)
    found, names = zones.panel(paper, seed, progress), tuple(printed_moments(paper))
    columns = pilot_zone_columns(found, names, seed)
    write_csv(folder / "panel.csv", columns)
    write_truth(folder / "truth.csv", pilot_zone_truth(np.asarray(columns["NQP"], dtype=np.float64)))
    for name, size, count, key in DRAWS:
        write_draws(folder / name, key, count, NAMES, "subset", size)
    write_draws(folder / SIGNS[0], SIGNS[2], SIGNS[1], NAMES, "rademacher")
    write_draws(folder / RESAMPLES[0], RESAMPLES[2], RESAMPLES[1], NAMES, "resample")
    return found


def cohorts(start: Callable[[str], int]) -> tuple[int, ...]:
    """Return the first treated year of each province; only pilot zones are asked for theirs."""
    return tuple(start(name) if treated else NEVER for name, _, _, treated in zones.PROVINCES)


def _constant(_: int, __: int) -> float:
    return EFFECT


def _growing(cohort: int, year: int) -> float:
    return {2014: 0.006, 2016: 0.018, 2018: 0.036}[cohort] + 0.004 * (year - cohort)


def _none(_: int, __: int) -> float:
    return 0.0


_EARLY = {"Guizhou": 2014, "Chongqing": 2014, "Inner Mongolia": 2014, "Beijing": 2016, "Tianjin": 2016, "Hebei": 2016}
# Seeds 1, 2, 3, taken before any estimate was looked at.
SIBLINGS: dict[str, tuple[Callable[[str], int], Effect, int]] = {
    "bdpz_staggered": (lambda name: 2016 if name == "Guizhou" else 2017, _constant, 1),
    "bdpz_dynamic": (lambda name: _EARLY.get(name, 2018), _growing, 2),
    "bdpz_null": (lambda name: 2016 if name == "Guizhou" else 2017, _none, 3),
}


def sibling(name: str, noise: float = NOISE, seed: int | None = None, autocorrelation: float = 0.0) -> AdoptionPanel:
    """Return the panel of a sibling study; without ``noise`` its effects are exact."""
    start, effect, own_seed = SIBLINGS[name]
    rng = np.random.default_rng([own_seed if seed is None else seed, 1])
    level = 0.06 + 0.12 * rng.random(len(NAMES))
    trend = 0.009 * np.arange(len(zones.YEARS)) + 0.004 * rng.standard_normal(len(zones.YEARS))
    return adoption_panel(
        cohorts(start),
        zones.YEARS,
        effect,
        seed=own_seed if seed is None else seed,
        noise=noise,
        autocorrelation=autocorrelation,
        level=tuple(level),
        trend=tuple(trend),
    )


def sibling_truth(panel: AdoptionPanel) -> list[Truth]:
    """Return the known effects: ATT(g,t), their averages, and the average effect where one coefficient is asked for."""
    true = averages(panel)
    rows: list[Truth] = [("twfe", "1", "BDPZs", "estimate", true["simple"]["overall"])]
    for aggregation in AGGREGATIONS:
        column = "att_gt" if aggregation == "none" else aggregation
        rows += [("callaway", column, term, "estimate", value) for term, value in true[aggregation].items()]
    rows += [
        ("sun_abraham", "dynamic", term.replace("event=", "year::"), "estimate", value)
        for term, value in true["dynamic"].items()
        if term != "overall"
    ]
    rows.append(("sun_abraham", "simple", "overall", "estimate", true["simple"]["overall"]))
    return rows


def write_sibling(folder: Path, name: str) -> None:
    """Write panel and truth of a sibling study."""
    panel = sibling(name)
    columns: dict[str, Column] = {
        **identifiers(),
        "first_treated": panel.cohort,
        "BDPZs": panel.treated.astype(int),
        "NQP": panel.outcome,
    }
    write_csv(folder / "panel.csv", columns)
    write_truth(folder / "truth.csv", sibling_truth(panel))


def write_studies(root: Path, only: Iterable[str] = (), progress: Progress = lambda *_: None) -> None:
    """Write the four studies below ``root``, or those named."""
    wanted = tuple(only) or ("bdpz", *SIBLINGS)
    for name in wanted:
        if name == "bdpz":
            write_pilot_zones(root / name, progress=progress)
        else:
            write_sibling(root / name, name)
