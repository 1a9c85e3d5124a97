"""The committed panels: printed numbers, known effects, the index of Table 1, and the simulated siblings."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crosscheck.simulate import pilot_zones as zones
from crosscheck.simulate.adoption import adoption_panel, averages
from crosscheck.simulate.consistent import read_paper
from crosscheck.simulate.indicators import INDICATORS
from crosscheck.simulate.studies import SIBLINGS, pilot_zone_truth, sibling, sibling_truth

STUDIES = Path(__file__).parents[1] / "fixtures" / "studies"
CONTROLS = ("Tin", "Con", "Fin", "Infra", "Ide")
REGION = {"1": "East", "2": "Central", "3": "West"}
ORDER = tuple(name for name, *_ in zones.PROVINCES)
SIGNIFICANT = 7


def read(path: Path, text: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV with Python's own conversion of numbers, which changes no bit in any version of pandas."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in frame.columns.difference(text):
        frame[name] = [float(x) for x in frame[name]]
    return frame


@cache
def panel() -> pd.DataFrame:
    return read(STUDIES / "bdpz" / "panel.csv", ("province", "province_zh", "region"))


def truth_of(study: str) -> pd.DataFrame:
    return read(STUDIES / study / "truth.csv", ("table", "column", "term", "quantity"))


@cache
def published() -> pd.DataFrame:
    return pd.read_csv(STUDIES / "bdpz" / "published.csv", dtype=str, keep_default_na=False)


def winsorized(frame: pd.DataFrame) -> pd.DataFrame:
    """Stata's winsor2, cuts(1 99): with 308 rows the fourth smallest and largest values."""
    out = frame.copy()
    for name in ("NQP", *CONTROLS):
        ordered = np.sort(frame[name].to_numpy())
        out[name] = frame[name].clip(ordered[3], ordered[-4])
    return out


def fit(frame: pd.DataFrame, outcome: str, terms: tuple[str, ...], effects: bool) -> dict[str, float]:
    """Least squares by brute force: explicit dummies, Beijing (or the region's first province) and 2012 as base."""
    columns = [frame[t].to_numpy(float) for t in terms] + [np.ones(len(frame))]
    if effects:
        present = [p for p in ORDER if (frame["province"] == p).any()]
        columns += [(frame["province"] == p).to_numpy(float) for p in present[1:]]
        columns += [(frame["year"] == y).to_numpy(float) for y in range(2013, 2023)]
    design, y = np.column_stack(columns), frame[outcome].to_numpy(float)
    scale = np.sqrt((design**2).mean(axis=0))
    q, r = np.linalg.qr(design / scale)
    b = np.linalg.solve(r, q.T @ y)
    e = y - (design / scale) @ b
    df = len(y) - design.shape[1]
    inverse = np.linalg.inv(r)
    se = np.sqrt((inverse**2).sum(axis=1) * (e @ e) / df)
    out = {"": float(df), "r2": float(1 - e @ e / ((y - y.mean()) ** 2).sum())}
    out["adj_r2"] = 1 - (1 - out["r2"]) * (len(y) - 1) / df
    out["nobs"] = float(len(y))
    for i, term in enumerate((*terms, "Constant")):
        out[f"b {term}"], out[f"se {term}"] = float(b[i] / scale[i]), float(se[i] / scale[i])
    return out


@cache
def column(table: str, name: str) -> dict[str, float]:
    frame, everything = panel(), ("BDPZs", *CONTROLS)
    if table == "table3":
        return fit(frame, "NQP", ("BDPZs",) if name in "12" else everything, name in "24")
    if table == "table4":
        return fit(winsorized(frame), "NQP", everything, True)
    if table == "table5":
        mediator = {"1": "ln(Labor)", "2": "ln(Labor)", "3": "Er", "4": "Er", "5": "Pati", "6": "Pati"}[name]
        if name in "135":
            return fit(frame, mediator, everything, True)
        return fit(frame, "NQP", ("BDPZs", mediator, *CONTROLS), True)
    return fit(frame[frame["region"] == REGION[name]], "NQP", everything, True)


def as_printed(value: float, like: str) -> set[str]:
    """Print a number as the table does: its decimals, and also after rounding to seven significant digits (padding)."""
    decimals = Decimal(1).scaleb(-len(like.partition(".")[2]))
    number = Decimal(repr(value))
    plain = format(number.quantize(decimals, rounding=ROUND_HALF_EVEN), "f")
    short = number.quantize(Decimal(1).scaleb(number.adjusted() - SIGNIFICANT + 1)) if number else number
    return {plain, format(short.quantize(decimals, rounding=ROUND_HALF_EVEN), "f")}


def test_every_number_of_the_regressions_is_printed():
    rows = published()
    checked = 0
    for row in rows.itertuples():
        if row.table == "table2" or (row.table == "table4" and row.column in "12"):
            continue
        found = column(row.table, row.column)
        if row.quantity == "stars":
            t = found[f"b {row.term}"] / found[f"se {row.term}"]
            p = 2 * stats.t.sf(abs(t), found[""])
            assert "*" * sum(p < level for level in (0.1, 0.05, 0.01)) == row.printed, row
        elif row.quantity in ("r2", "adj_r2", "nobs"):
            assert row.printed in as_printed(found[row.quantity], row.printed), row
        else:
            key = {"estimate": "b", "std_error": "se"}[row.quantity]
            assert row.printed in as_printed(found[f"{key} {row.term}"], row.printed), row
        checked += 1
    assert checked == 154


def test_terms_without_stars_are_not_significant():
    starred = {(r.table, r.column, r.term) for r in published().itertuples() if r.quantity == "stars"}
    plain = 0
    for row in published().itertuples():
        if row.quantity != "estimate" or (row.table, row.column, row.term) in starred:
            continue
        if row.table == "table4" and row.column in "12":
            continue
        found = column(row.table, row.column)
        p = 2 * stats.t.sf(abs(found[f"b {row.term}"] / found[f"se {row.term}"]), found[""])
        assert p > 0.1, row
        plain += 1
    assert plain == 11


def test_descriptives_are_printed():
    frame = panel()
    for row in published().itertuples():
        if row.table != "table2":
            continue
        x = frame[row.term]
        value = {"nobs": len(x), "mean": x.mean(), "std_dev": x.std(), "min": x.min(), "max": x.max()}[row.quantity]
        assert row.printed in as_printed(float(value), row.printed), row


def test_shape_of_the_panel():
    frame = panel()
    assert len(frame) == 308
    assert not frame.duplicated(["province", "year"]).any()
    assert frame.groupby("region")["province"].nunique().to_dict() == {
        "Central": 6, "East": 10, "Northeast": 3, "West": 9,
    }  # fmt: skip
    assert frame["BDPZs"].equals(((frame["first_treated"] > 0) & (frame["year"] >= 2016)).astype(float))
    assert frame["BDPZs"].sum() == 63
    assert frame.groupby("province")["province_zh"].nunique().eq(1).all()
    assert tuple(frame["province"].unique()) == ORDER
    assert np.array_equal(frame["Pati"], frame["Pati"].round())
    assert (frame[["Er", "NQP", "Con", "Fin", "Infra"]] > 0).all().all()


def test_effects_are_pinned():
    truth = truth_of("bdpz")
    rows = [r for r in truth.itertuples() if r.table in ("table3", "table4", "table5", "table6")]
    assert len(rows) == 17
    for row in rows:
        assert column(row.table, str(row.column))[f"b {row.term}"] == pytest.approx(row.value, rel=1e-10), row
    direct = {r.column: r.value for r in truth.itertuples() if r.table == "mediation" and r.term == "effect:direct"}
    indirect = {r.column: r.value for r in truth.itertuples() if r.table == "mediation" and r.term == "effect:indirect"}
    for name in ("labor", "er", "pati"):
        assert direct[name] + indirect[name] == pytest.approx(0.023958, rel=1e-14)
    assert [tuple(r) for r in truth.itertuples(index=False, name=None)] == [
        pytest.approx(row) if isinstance(row, float) else row for row in pilot_zone_truth(panel()["NQP"].to_numpy())
    ]


def test_index_of_the_indicators_is_the_outcome():
    frame = panel()
    z = np.empty((308, len(INDICATORS)))
    for j, indicator in enumerate(INDICATORS):
        x = frame[indicator.name].to_numpy(float)
        share = (x - x.min()) / (x.max() - x.min())
        z[:, j] = share if indicator.direction == "+" else 1 - share
    p = z / z.sum(axis=0)
    entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=0) / math.log(308)
    weight = (1 - entropy) / (1 - entropy).sum()
    np.testing.assert_allclose(z @ weight, frame["NQP"], atol=1e-13)
    assert len(INDICATORS) == 25
    assert [i.name for i in INDICATORS if i.direction == "-"] == ["water", "emissions"]
    np.testing.assert_allclose(frame["primary"] + frame["secondary"] + frame["tertiary"], 1, atol=1e-12)
    for name in ("patents", "new_projects", "ai_firms", "foreign_firms"):
        assert np.array_equal(frame[name], frame[name].round())


def test_event_study_is_as_its_text_says():
    frame = panel()
    names = []
    for year in range(2013, 2023):
        names.append(f"event{year}")
        frame = frame.assign(**{names[-1]: frame["treated"] * (frame["year"] == year)})
    found = fit(frame, "NQP", (*names, *CONTROLS), True)
    b = [found[f"b {name}"] for name in names]
    t = [found[f"b {name}"] / found[f"se {name}"] for name in names]
    p = [2 * stats.t.sf(abs(v), found[""]) for v in t]
    assert max(map(abs, b[:3])) < 0.002
    assert min(p[:3]) > 0.5
    assert all(v > 0 for v in b[3:])
    assert b[3:] == sorted(b[3:])
    assert max(p[3:]) < 0.10


def test_placebo_is_as_its_text_says():
    frame = panel()
    draws = pd.read_csv(STUDIES / "bdpz" / "draws_6.csv")
    dummies = [(frame["province"] == p).to_numpy(float) for p in ORDER]
    years = [(frame["year"] == y).to_numpy(float) for y in range(2013, 2023)]
    design = np.column_stack([*dummies, *years, *(frame[c].to_numpy(float) for c in CONTROLS)])
    q, _ = np.linalg.qr(design / np.sqrt((design**2).mean(axis=0)))
    after = (frame["year"] >= 2016).to_numpy(float)
    post = np.column_stack([d * after for d in dummies])
    y = frame["NQP"].to_numpy()
    y, post = y - q @ (q.T @ y), post - q @ (q.T @ post)
    drawn = [set(g) for _, g in draws.groupby("draw")["unit"]]
    assert len(drawn) == 1000
    assert {len(g) for g in drawn} == {6}
    d = np.column_stack([post @ np.array([p in g for p in ORDER], dtype=float) for g in drawn])
    size = (d**2).sum(axis=0)
    b = d.T @ y / size
    p = 2 * stats.t.sf(np.abs(b) / np.sqrt((y @ y - b**2 * size) / 264 / size), 264)
    assert b.max() < 0.0235
    assert (p < 0.10).mean() < 0.2


def test_a_panel_is_found_from_its_seed_again():
    found = zones.panel(read_paper(STUDIES / "bdpz"))
    assert found.feasible
    assert found.worst <= 1
    assert found.data.shape == (308, 9)
    achieved = dict(zip(found.achieved.labels, found.achieved.values, strict=True))
    for label, value in zones.EFFECTS.items():
        assert achieved[label] == pytest.approx(value, rel=1e-10), label


def least_squares_effect(y: np.ndarray, d: np.ndarray) -> float:
    place = zones.layout()
    return float(np.linalg.lstsq(np.column_stack([d, place.dummies()]), y, rcond=None)[0][0])


@pytest.mark.parametrize("name", sorted(SIBLINGS))
def test_effects_are_exact_without_noise(name):
    made = sibling(name, noise=0.0)
    y, g = made.outcome.reshape(28, 11), made.cohort.reshape(28, 11)[:, 0]
    for (cohort, year), value in made.att.items():
        change = y[:, year - 2012] - y[:, cohort - 1 - 2012]
        found = change[g == cohort].mean() - change[g == 0].mean()
        assert found == pytest.approx(value, abs=1e-15), (cohort, year)
    twfe = least_squares_effect(made.outcome, made.treated)
    if name == "bdpz_dynamic":
        assert abs(twfe - averages(made)["simple"]["overall"]) > 0.001
    else:
        assert twfe == pytest.approx(averages(made)["simple"]["overall"], abs=1e-14)


def test_averages_are_those_of_treated_rows():
    made = sibling("bdpz_dynamic")
    rows = pd.DataFrame({"g": made.cohort, "t": made.period, "tau": made.effect, "e": made.period - made.cohort})[
        made.treated == 1
    ]
    true = averages(made)
    assert true["simple"]["overall"] == pytest.approx(rows["tau"].mean())
    for key, aggregation, label in (("e", "dynamic", "event"), ("g", "group", "group"), ("t", "calendar", "year")):
        means = rows.groupby(key)["tau"].mean()
        for value, mean in means.items():
            assert true[aggregation][f"{label}={value}"] == pytest.approx(mean), (aggregation, value)
        if key != "g":
            assert true[aggregation]["overall"] == pytest.approx(means.mean())
    size = rows.groupby("g")["tau"].size() / rows.groupby("g")["t"].nunique()
    expected = (rows.groupby("g")["tau"].mean() * size).sum() / size.sum()
    assert true["group"]["overall"] == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(SIBLINGS))
def test_committed_siblings_are_made_again(name):
    made = sibling(name)
    frame = read(STUDIES / name / "panel.csv", ("province", "province_zh", "region"))
    np.testing.assert_allclose(frame["NQP"], made.outcome, rtol=1e-14)
    assert np.array_equal(frame["first_treated"], made.cohort)
    assert np.array_equal(frame["BDPZs"], made.treated)
    truth = truth_of(name)
    expected = sibling_truth(made)
    assert [tuple(r[:4]) for r in truth.itertuples(index=False, name=None)] == [r[:4] for r in expected]
    np.testing.assert_allclose(truth["value"], [r[4] for r in expected], rtol=1e-14)


def test_noise_has_the_size_and_memory_that_are_asked_for():
    made = adoption_panel([0] * 400, range(2000, 2030), lambda g, t: 1.0, seed=3, noise=2.0, autocorrelation=0.7)
    e = made.outcome - adoption_panel([0] * 400, range(2000, 2030), lambda g, t: 1.0, seed=3, noise=0.0).outcome
    e = e.reshape(400, 30)
    assert e.std() == pytest.approx(2.0, rel=0.05)
    assert np.corrcoef(e[:, :-1].ravel(), e[:, 1:].ravel())[0, 1] == pytest.approx(0.7, abs=0.03)
    assert made.att == {}
