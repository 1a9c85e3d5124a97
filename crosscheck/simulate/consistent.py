"""Could these tables have been printed from one data set? Here is one, if it can be found.

Reads ``published.csv`` and ``audit.toml``, invents units with the declared numbers of treated ones and members of
subsamples, and looks for a panel that gives every printed number; :mod:`crosscheck.reconstructing` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from crosscheck.audit.facts import Claims, Facts, read_toml
from crosscheck.audit.paper import Paper, build
from crosscheck.audit.tokens import rows_of, tokens_of
from crosscheck.errors import StudyError
from crosscheck.simulate.counts import whole_numbers
from crosscheck.simulate.printed import NEVER, Layout, printed_moments, printed_regressions
from crosscheck.simulate.reconstruct import Progress, Reconstruction, quantile_match, reconstruct
from crosscheck.simulate.targets import Array, Moments, Problem

ATTEMPTS = 12
LIMIT = 120
INSIDE = 0.95
BETWEEN, TREND, WITHIN, LOAD = 1.0, 0.3, 0.25, 0.7


def read_paper(folder: Path) -> Paper:
    """Read the printed numbers and declared facts of a study's folder."""
    tokens, mark = tokens_of(rows_of(folder / "published.csv"))
    return build(tokens, mark, read_toml(folder / "audit.toml", Facts), Claims())


def consistent_layout(paper: Paper, winsor: Mapping[str, float] | None = None) -> Layout:
    """Invent units: as many, as many treated from each date, and as many in each subsample, as is declared or printed.

    Treated units are spread over subsamples as a declared public list has them, or in proportion to their size.

    Raises
    ------
    StudyError
        Where panel or treatment are not declared, the panel is not balanced, or no number of treated units fits.
    """
    panel, treatment = paper.facts.panel, paper.facts.treatment
    if panel is None or treatment is None or not panel.balanced:
        raise StudyError("a balanced panel and a treatment are needed", hint="declare [panel] and [treatment]")
    if not paper.cohorts:
        raise StudyError(
            "no number of treated units fits the printed mean of the treatment", where=f"treatment {treatment.term}"
        )
    sizes: dict[str, int] = {}
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        if sample.group and column.nobs and column.nobs % panel.periods == 0:
            sizes[sample.id] = column.nobs // panel.periods
    groups = [name for name, size in sizes.items() for _ in range(size)]
    groups += [""] * (panel.units - len(groups))
    if len(groups) > panel.units:
        raise StudyError(f"the subsamples have {len(groups)} units, the panel {panel.units}")
    starts = [s for s, (count, _) in zip(treatment.starts, paper.cohorts[0], strict=True) for _ in range(count)]
    first = [NEVER] * panel.units
    for unit, start in zip(_treated_units(paper, sizes, groups, len(starts)), starts, strict=True):
        first[unit] = start
    return Layout(
        units=tuple(f"u{i + 1:02d}" for i in range(panel.units)),
        periods=tuple(range(panel.first, panel.last + 1)),
        first_treated=tuple(first),
        group=tuple(groups),
        winsor=dict(winsor or {}),
    )


def _treated_units(paper: Paper, sizes: Mapping[str, int], groups: list[str], count: int) -> list[int]:
    """Choose treated units such that the first one of each group is treated and the rest follow the wanted shares."""
    listed: dict[str, int] = {}
    for scheme in paper.facts.partition:
        listed.update(scheme.treated)
    weight = {name: float(listed.get(name, size)) for name, size in {**sizes, "": groups.count("")}.items()}
    if listed and sum(weight[name] for name in sizes) >= count:
        weight[""] = 0.0
    members = {name: [i for i, g in enumerate(groups) if g == name] for name in weight}
    taken = dict.fromkeys(weight, 0)
    for _ in range(count):
        room = [name for name in weight if taken[name] + 1 < max(len(members[name]), 2) and members[name]]
        best = max(room, key=lambda name: weight[name] / (2 * taken[name] + 1))
        taken[best] += 1
    return sorted(unit for name, number in taken.items() for unit in members[name][:number])


def consistent_start(place: Layout, moments: Mapping[str, Moments], seed: int) -> Array:
    """Return a first panel, shape (n, v): units differ persistently, with a common factor, a trend and noise."""
    rng = np.random.default_rng(seed)
    count, length = len(place.units), len(place.periods)
    size = rng.standard_normal(count) + 0.4 * (np.array(place.first_treated) != NEVER)
    drift = (place.time - (length - 1) / 2) / max(length / np.sqrt(12), 1)
    columns = []
    for moment in moments.values():
        level = LOAD * size + np.sqrt(1 - LOAD**2) * rng.standard_normal(count)
        noise = WITHIN * rng.standard_normal(place.unit.size)
        columns.append(quantile_match(BETWEEN * level[place.unit] + TREND * drift + noise, moment))
    return np.column_stack(columns)


def consistent_panel(
    paper: Paper, *, seed: int = 1, attempts: int = ATTEMPTS, progress: Progress = lambda *_: None
) -> tuple[Layout, tuple[str, ...], Reconstruction]:
    """Look for a panel that gives all printed numbers, from several starts.

    Returns
    -------
    layout : Layout
    names : tuple of str
        Variables of the panel, in the order of its columns.
    found : Reconstruction
        The first one inside every interval, else the one that leaves the fewest targets unmet.
    """
    place = consistent_layout(paper)
    assert paper.facts.treatment is not None
    term = paper.facts.treatment.term
    problem = Problem(
        moments=printed_moments(paper),
        fixed={term: place.treatment},
        regressions=printed_regressions(paper, place, {}),
    )
    whole = tuple(name for name in (paper.facts.descriptives.integer if paper.facts.descriptives else ()))
    best: Reconstruction | None = None
    for attempt in range(seed, seed + attempts):
        start = consistent_start(place, problem.moments, attempt)
        found = reconstruct(problem, start, inside=INSIDE, max_iterations=LIMIT, progress=progress)
        if found.feasible and whole:
            found = _with_whole_numbers(problem, found, whole, attempt, progress)
        if best is None or len(found.unmet) < len(best.unmet):
            best = found
        if found.feasible:
            break
    assert best is not None
    return place, problem.names, best


def _with_whole_numbers(
    problem: Problem, found: Reconstruction, whole: tuple[str, ...], seed: int, progress: Progress
) -> Reconstruction:
    """Round the variables that count something, and let the others make up for it."""
    data = found.data.copy()
    rng = np.random.default_rng([seed, 1])
    for name in whole:
        j = problem.names.index(name)
        data[:, j] = whole_numbers(data[:, j], problem.moments[name], rng)
    return reconstruct(problem, data, frozen=whole, inside=INSIDE, max_iterations=LIMIT, progress=progress)
