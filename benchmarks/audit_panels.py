"""Is a change that the audit does not notice a true change of some data? Here are the data.

:func:`panel_behind` looks for a panel of the founding paper's shape that prints a changed table, from the committed one
on, and runs every regression again: a change counts as true only if every covered number, the changed one among them,
comes out as printed. No check of whatever kind can then call it wrong.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosscheck.audit.facts import Claims, Facts
from crosscheck.audit.families.stars import laws as laws_of
from crosscheck.audit.families.stars import star_count
from crosscheck.audit.paper import ColumnView, Paper, build
from crosscheck.audit.perturb import Change
from crosscheck.audit.simulate import least_squares
from crosscheck.audit.tokens import token_id, tokens_of
from crosscheck.simulate.pilot_zones import layout
from crosscheck.simulate.printed import Layout, printed_moments, printed_regressions
from crosscheck.simulate.reconstruct import reconstruct
from crosscheck.simulate.targets import Problem, winsor_source

Floats = NDArray[np.float64]
TRIES = ((("Pati",), 0.95, 60), ((), 0.95, 60), (("Pati",), 0.99, 150))


def panel_behind(change: Change, facts: Facts, panel: pd.DataFrame) -> bool:
    """Whether a panel was found that prints the changed table, confirmed by regressions run again."""
    tokens, mark = tokens_of(change.rows)
    paper = build(tokens, mark, facts, Claims())
    place = layout()
    problem = Problem(
        moments=printed_moments(paper),
        fixed={"BDPZs": place.treatment},
        regressions=printed_regressions(paper, place, {}),
    )
    start = panel[list(problem.names)].to_numpy(dtype=np.float64).copy()
    for j, name in enumerate(problem.names):
        box, x = problem.moments[name], start[:, j]
        low, high = x.argmin(), x.argmax()
        inner = 1e-6 * (box.high - box.low)
        x[:] = np.clip(x, box.low + inner, box.high - inner) if (x[low], x[high]) != (box.low, box.high) else x
        x[low], x[high] = box.low, box.high
    for frozen, inside, steps in TRIES:
        found = reconstruct(problem, start, frozen=frozen, inside=inside, max_iterations=steps)
        if found.feasible:
            data = dict(zip(problem.names, found.data.T, strict=True)) | {"BDPZs": place.treatment}
            covered, wrong = reprinted(paper, place, data)
            if not wrong:
                return change.token in covered
    return False


def reprinted(paper: Paper, place: Layout, data: dict[str, Floats]) -> tuple[set[str], set[str]]:
    """Run everything that is printed again; return the tokens that were covered and those that came out otherwise."""
    covered: set[str] = set()
    wrong: set[str] = set()

    def hold(key: str, value: float) -> None:
        token = paper.tokens.get(key)
        if token is not None:
            covered.add(key)
            if value not in token.interval and abs(value - token.value) > 1e-9 * max(1.0, abs(token.value)):
                wrong.add(key)

    desc = paper.facts.descriptives
    assert desc is not None
    for name, x in data.items():
        said = {"nobs": x.size, "mean": x.mean(), "std_dev": x.std(ddof=1), "min": x.min(), "max": x.max()}
        for quantity, value in said.items():
            hold(token_id(desc.table, desc.column, name, quantity), float(value))
    for column in paper.columns:
        if paper.sample(column.facts.sample).kind != "matched":
            _column(paper, place, data, column, hold, covered, wrong)
    return covered, wrong


def _column(
    paper: Paper, place: Layout, data: dict[str, Floats], column: ColumnView, hold: object, covered: set[str],
    wrong: set[str],
) -> None:  # fmt: skip
    assert callable(hold)
    facts, sample = column.facts, paper.sample(column.facts.sample)
    rows = place.rows(sample.id) if sample.group else np.ones(place.unit.size, dtype=bool)
    share = place.winsor.get(sample.id, 0.0)
    used = {
        n: (data[n][winsor_source(data[n], share)] if share and n != "BDPZs" else data[n])[rows]
        for n in (facts.outcome, *facts.terms)
    }
    _, unit = np.unique(place.unit[rows], return_inverse=True)
    effects = {"unit": unit, "time": place.time[rows]} if facts.fixed_effects else {}
    # Variables of very different size: the design is scaled, and the estimates scaled back.
    scale = np.array([max(float(np.abs(used[t]).max()), 1e-300) for t in facts.terms])
    design = np.column_stack([used[t] for t in facts.terms]) / scale
    fit = least_squares(used[facts.outcome], design, facts.terms, unit, "iid", **effects)  # type: ignore[arg-type]
    by_term = dict(zip(fit.terms, range(len(fit.terms)), strict=True))
    law = laws_of(paper, column)[0]
    for term in column.printed_terms:
        i = by_term[term]
        by = scale[i] if i < len(scale) else 1.0
        b, se = float(fit.estimate[i] / by), float(fit.std_error[i] / by)
        hold(token_id(facts.table, facts.id, term, "estimate"), b)
        hold(token_id(facts.table, facts.id, term, "std_error"), se)
        star = column.get(term, "stars")
        assert paper.legend is not None
        key = token_id(facts.table, facts.id, term, "stars")
        covered.add(key)
        if star_count(abs(b / se), law, paper.legend) != (len(star.printed) if star else 0):
            wrong.add(key)
    for quantity, value in (("r2", fit.r2), ("adj_r2", fit.adj_r2), ("nobs", fit.nobs)):
        hold(token_id(facts.table, facts.id, "", quantity), float(value))


def committed(folder: Path) -> pd.DataFrame:
    """The panel to start from."""
    return pd.read_csv(folder / "panel.csv")
