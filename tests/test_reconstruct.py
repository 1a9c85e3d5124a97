"""Reconstruction: gradients, the least-distance step, problems with a known solution, and ones without."""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from crosscheck.audit.facts import Claims, parse
from crosscheck.audit.facts import Facts as AuditFacts
from crosscheck.audit.paper import Paper, build
from crosscheck.audit.simulate import simulate_paper
from crosscheck.audit.tokens import rows_of, tokens_of
from crosscheck.errors import DataError, StudyError, UsageError
from crosscheck.reconstructing.command import run_reconstruct
from crosscheck.reconstructing.files import FILES
from crosscheck.simulate.consistent import consistent_layout
from crosscheck.simulate.counts import whole_numbers
from crosscheck.simulate.printed import Layout, printed_moments, printed_regressions
from crosscheck.simulate.reconstruct import _least_distance, quantile_match, reconstruct
from crosscheck.simulate.targets import (
    Moments,
    Problem,
    Regression,
    Target,
    achieve,
    natural,
    units,
    winsor_source,
)

UNITS, PERIODS = 9, 6
N = UNITS * PERIODS
PLACE = Layout(
    units=tuple(f"u{i}" for i in range(UNITS)),
    periods=tuple(range(2010, 2010 + PERIODS)),
    first_treated=(2013,) * 4 + (0,) * 5,
    group=("a",) * 6 + ("",) * 3,
)


def data_of(seed: int) -> np.ndarray:
    """Two regressors and an outcome with unit effects, shape (n, 3): y, x, z."""
    rng = np.random.default_rng(seed)
    level = rng.standard_normal(UNITS)[PLACE.unit]
    x = np.exp(0.5 * level + 0.4 * rng.standard_normal(N))
    z = 2 + 0.4 * level + 0.5 * rng.standard_normal(N) + 0.2 * PLACE.treatment
    y = 1 + 0.4 * PLACE.treatment + 0.3 * x - 0.2 * z + 0.3 * level + 0.2 * rng.standard_normal(N)
    return np.column_stack([y, x, z])


def least_squares(
    y: np.ndarray, columns: list[np.ndarray], dummies: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Brute force: coefficients, classical standard errors, R2."""
    design = np.column_stack([*columns, dummies])
    b = np.linalg.lstsq(design, y, rcond=None)[0]
    e = y - design @ b
    cov = np.linalg.pinv(design.T @ design) * (e @ e) / (len(y) - design.shape[1])
    return b, np.sqrt(np.diag(cov)), 1 - e @ e / ((y - y.mean()) ** 2).sum()


def rounded(value: float, decimals: int) -> Target:
    text = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    return Target.near(float(text), 0.5 * 10.0**-decimals)


def problem_of(data: np.ndarray, decimals: int = 3) -> Problem:
    """Print a data set's descriptives and three regressions to so many decimals."""
    rows = PLACE.rows("a")
    moments = {
        name: Moments(
            mean=rounded(x.mean(), decimals),
            std_dev=rounded(x.std(ddof=1), decimals),
            low=float(x.min()),
            high=float(x.max()),
        )
        for name, x in zip("yxz", data.T, strict=True)
    }
    regressions = []
    for label, outcome, terms, keep, winsor in (
        ("pooled", "y", ("D", "x", "z"), None, 0.0),
        ("within", "y", ("D", "x", "z"), None, 0.0),
        ("part", "y", ("D", "x"), rows, 0.0),
        ("path", "z", ("D", "x"), None, 0.0),
        ("winsor", "y", ("D", "x"), None, 0.05),
    ):
        ids = np.arange(N) if keep is None else np.flatnonzero(keep)
        dummies = PLACE.dummies(keep, () if label == "pooled" else ("unit", "time"))
        values = {n: data[winsor_source(data[:, j], winsor), j] for j, n in enumerate("yxz")} | {"D": PLACE.treatment}
        b, se, r2 = least_squares(values[outcome][ids], [values[t][ids] for t in terms], dummies[ids])
        names = (*terms, "const")
        regressions.append(
            Regression(
                label=label,
                outcome=outcome,
                regressors=terms,
                dummies=dummies,
                rows=keep,
                estimate={t: rounded(b[i], decimals) for i, t in enumerate(names)},
                std_error={t: rounded(se[i], decimals) for i, t in enumerate(names)},
                statistic={"D": Target(low=b[0] / se[0] - 0.5, high=math.inf, rounded=False)},
                r2=rounded(r2, decimals),
                adj_r2=rounded(1 - (1 - r2) * (len(ids) - 1) / (len(ids) - len(terms) - dummies.shape[1]), decimals),
                winsor=winsor,
            )
        )
    return Problem(moments=moments, fixed={"D": PLACE.treatment}, regressions=tuple(regressions))


def test_values_are_those_of_brute_force():
    data = data_of(1)
    state = achieve(problem_of(data, 3), data)
    assert state.off.max() <= 1
    b, se, r2 = least_squares(data[:, 0], [PLACE.treatment, data[:, 1], data[:, 2]], PLACE.dummies())
    found = dict(zip(state.labels, state.values, strict=True))
    for label, value in (
        *(("within b " + t, v) for t, v in zip(("D", "x", "z", "const"), b, strict=False)),
        *(("within se " + t, v) for t, v in zip(("D", "x", "z", "const"), se, strict=False)),
        ("within r2", r2),
        ("within t D", b[0] / se[0]),
    ):
        assert found[label] == pytest.approx(value, rel=1e-11), label


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gradients_are_those_of_finite_differences(seed):
    data = data_of(seed)
    problem = problem_of(data)
    state = achieve(problem, data)
    direction = np.random.default_rng(seed).standard_normal(data.shape)
    h = 1e-6
    there, back = (achieve(problem, data + s * h * direction) for s in (1, -1))
    slope = (there.values - back.values) / (2 * h)
    given = (state.jacobian * direction).sum(axis=(1, 2))
    np.testing.assert_allclose(given, slope, rtol=2e-6, atol=2e-7 * np.abs(slope).max())
    unit = units(problem, state)
    scaled = natural(state, unit)
    slope = (natural(there, unit).values - natural(back, unit).values) / (2 * h)
    given = (scaled.jacobian * direction).sum(axis=(1, 2))
    np.testing.assert_allclose(given, slope, rtol=2e-6, atol=2e-7 * np.abs(slope).max())


def test_least_distance_is_that_of_a_general_solver():
    rng = np.random.default_rng(5)
    for _ in range(5):
        jacobian = rng.standard_normal((6, 10))
        jacobian[5] = jacobian[0] + jacobian[1]
        values = rng.standard_normal(6)
        low, high = -0.3 * np.ones(6), 0.3 * np.ones(6)
        high[2], low[3] = np.inf, -np.inf
        damping = 0.05
        y = _least_distance(jacobian @ jacobian.T, values, (low, high), damping)
        step, slack = -jacobian.T @ y, -damping * y

        def gap(z, jacobian=jacobian, values=values):
            return values + jacobian @ z[:10] + z[10:]

        best = optimize.minimize(
            lambda z, damping=damping: z[:10] @ z[:10] / 2 + z[10:] @ z[10:] / (2 * damping),
            np.zeros(16),
            method="SLSQP",
            constraints=[
                {"type": "ineq", "fun": lambda z: np.where(np.isfinite(high), high, 99) - gap(z)},
                {"type": "ineq", "fun": lambda z: gap(z) - np.where(np.isfinite(low), low, -99)},
            ],
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(step, best.x[:10], atol=2e-6)
        np.testing.assert_allclose(slack, best.x[10:], atol=2e-6)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_data_set_is_found_that_prints_the_same(seed):
    truth = data_of(seed)
    problem = problem_of(truth)
    problem = Problem(
        moments=problem.moments, fixed=problem.fixed, regressions=tuple(r for r in problem.regressions if not r.winsor)
    )
    rng = np.random.default_rng(seed + 100)
    ranks = truth + 0.5 * truth.std(axis=0) * rng.standard_normal(truth.shape)
    start = np.column_stack([quantile_match(x, m) for x, m in zip(ranks.T, problem.moments.values(), strict=True)])
    assert achieve(problem, start).off.max() > 10
    found = reconstruct(problem, start)
    assert found.feasible, found.unmet
    again = achieve(problem, found.data)
    assert np.all((again.values >= again.low) & (again.values <= again.high))
    assert not np.allclose(found.data, truth, atol=1e-3)


def test_pinned_effects_are_exact():
    truth = data_of(21)
    problem = problem_of(truth, 2)
    within = problem.regressions[1]
    exact = (within.estimate["D"].low + within.estimate["D"].high) / 2 + 1e-3
    pinned = Regression(
        label="within", outcome="y", regressors=within.regressors, dummies=within.dummies,
        estimate={**within.estimate, "D": Target(low=exact - 5e-3, high=exact + 5e-3, exact=exact)},
        std_error=within.std_error,
    )  # fmt: skip
    found = reconstruct(Problem(moments=problem.moments, fixed=problem.fixed, regressions=(pinned,)), truth)
    assert found.feasible
    b, _, _ = least_squares(found.data[:, 0], [PLACE.treatment, *found.data[:, 1:].T], PLACE.dummies())
    assert b[0] == pytest.approx(exact, rel=1e-12)


def test_contradictory_numbers_are_named():
    truth = data_of(31)
    problem = problem_of(truth)
    wrong = problem.regressions[1]
    assert wrong.r2 is not None
    shifted = Target(low=wrong.r2.low - 0.2, high=wrong.r2.high - 0.2)
    broken = Regression(
        label="within", outcome="y", regressors=wrong.regressors, dummies=wrong.dummies, r2=wrong.r2, adj_r2=shifted
    )
    found = reconstruct(
        Problem(moments=problem.moments, fixed=problem.fixed, regressions=(broken,)), truth, max_iterations=40
    )
    assert not found.feasible
    assert {label for label, _ in found.unmet} & {"within r2", "within adj_r2"}


def test_start_must_attain_the_printed_ends():
    data = data_of(1)
    problem = problem_of(data)
    with pytest.raises(ValueError, match="minimum and maximum"):
        reconstruct(problem, data + 0.1)


def test_frozen_variables_stay():
    truth = data_of(41)
    problem = problem_of(truth, 2)
    start = truth.copy()
    order = np.random.default_rng(0).permutation(N)
    start[:, 0] = truth[order, 0]
    found = reconstruct(problem, start, frozen=("x",), max_iterations=5)
    assert np.array_equal(found.data[:, 1], start[:, 1])
    assert not np.array_equal(found.data[:, 0], start[:, 0])


def test_quantile_match_keeps_ranks_and_moments():
    rng = np.random.default_rng(2)
    latent = rng.standard_normal(300)
    moment = Moments(mean=Target.near(0.144, 5e-5), std_dev=Target.near(0.102, 5e-5), low=0.0527, high=0.7595)
    x = quantile_match(latent, moment)
    assert np.array_equal(np.argsort(x, kind="stable"), np.argsort(latent, kind="stable"))
    assert (x.min(), x.max()) == (0.0527, 0.7595)
    assert x.mean() == pytest.approx(0.144, abs=1e-6)
    assert x.std(ddof=1) == pytest.approx(0.102, abs=1e-6)


def test_winsorized_rows_copy_stata_quantiles():
    x = np.random.default_rng(3).standard_normal(308)
    ordered = np.sort(x)
    low, high = ordered[math.ceil(3.08) - 1], ordered[math.ceil(304.92) - 1]
    np.testing.assert_array_equal(x[winsor_source(x, 0.01)], np.clip(x, low, high))
    with pytest.raises(ValueError, match="whole number of rows"):
        winsor_source(x[:300], 0.01)


def test_whole_numbers_keep_what_is_printed():
    rng = np.random.default_rng(4)
    x = np.round(np.exp(7 + rng.standard_normal(300)))
    moment = Moments(
        mean=Target.near(x.mean(), 1e-3), std_dev=Target.near(x.std(ddof=1), 5e-4), low=x.min(), high=x.max()
    )
    inner = (x > x.min()) & (x < x.max())
    out = whole_numbers(x + np.where(inner, rng.uniform(-0.3, 0.3, 300), 0.0), moment, rng)
    assert np.array_equal(out, np.round(out))
    assert (out.min(), out.max()) == (x.min(), x.max())
    assert out.mean() == pytest.approx(x.mean(), abs=1e-3)
    assert out.std(ddof=1) == pytest.approx(x.std(ddof=1), abs=5e-4)
    impossible = Moments(mean=Target.near(10 + 0.5 / 300, 1e-4), std_dev=moment.std_dev, low=0.0, high=20.0)
    with pytest.raises(DataError, match="no sum of whole numbers"):
        whole_numbers(x, impossible, rng)


def paper_of(seed: int) -> Paper:
    made = simulate_paper(seed, "iid", like_paper=True)
    tokens, mark = tokens_of(rows_of(made.frame))
    return build(tokens, mark, parse(made.facts, AuditFacts, "facts"), Claims())


def test_targets_of_a_printed_paper():
    paper = paper_of(3)
    place = consistent_layout(paper)
    moments = printed_moments(paper)
    assert "D" not in moments
    assert "y" in moments
    regressions = printed_regressions(paper, place, {"table2:2 b D": 0.5})
    by_label = {r.label: r for r in regressions}
    assert by_label["table2:2"].estimate["D"].exact == 0.5
    token = paper.tokens["table2:4:D:estimate"]
    wanted = by_label["table2:4"].estimate["D"]
    half = 0.5 * 10.0**-token.decimals
    assert wanted.low == pytest.approx(token.value - half)
    assert wanted.high == pytest.approx(token.value + half)
    assert place.treatment.sum() == sum(g * p for g, p in paper.cohorts[0])
    for name in {g for g in place.group if g}:
        inside = [f for f, g in zip(place.first_treated, place.group, strict=True) if g == name]
        assert any(inside)
        assert not all(inside)


STUDY_FACTS = """
schema = 1
paper = "small"
[legend]
levels = [0.10, 0.05, 0.01]
[panel]
units = 9
first = 2010
last = 2015
[treatment]
term = "D"
starts = [2013]
[descriptives]
table = "t1"
column = "d"
sample = "full"
binary = ["D"]
[[sample]]
id = "full"
[[column]]
table = "t2"
id = "1"
outcome = "y"
terms = ["D", "x"]
fixed_effects = ["unit", "time"]
sample = "full"
"""


def small_study(folder: Path, r2: str = "") -> Path:
    data = data_of(51)
    rows = ["table,column,term,quantity,printed", "t1,d,D,mean,0.2222"]
    for name, x in (("y", data[:, 0]), ("x", data[:, 1])):
        for quantity, value in (("mean", x.mean()), ("std_dev", x.std(ddof=1)), ("min", x.min()), ("max", x.max())):
            rows.append(f"t1,d,{name},{quantity},{value:.4f}")
    b, se, fit = least_squares(data[:, 0], [PLACE.treatment, data[:, 1]], PLACE.dummies())
    for i, term in ((0, "D"), (1, "x"), (2, "Constant")):
        rows += [f"t2,1,{term},estimate,{b[i]:.4f}", f"t2,1,{term},std_error,{se[i]:.4f}"]
        stars = "*" * sum(abs(b[i] / se[i]) > c for c in (1.684, 2.022, 2.708))
        rows += [f"t2,1,{term},stars,{stars}"] if stars else []
    rows += [f"t2,1,,r2,{r2 or f'{fit:.4f}'}", "t2,1,,nobs,54"]
    folder.mkdir()
    (folder / "published.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "audit.toml").write_text(STUDY_FACTS, encoding="utf-8")
    return folder


def test_a_study_is_reconstructed(tmp_path, capsys):
    folder = small_study(tmp_path / "small")
    out = tmp_path / "out"
    assert run_reconstruct(folder, out) == 0
    said = capsys.readouterr()
    assert "gives 19 of 19 printed numbers: they are jointly possible" in said.out
    assert "looking for a panel of 9 units and 6 periods" in said.err
    assert {p.name for p in out.iterdir()} == set(FILES)
    made = pd.read_csv(out / "panel.csv")
    printed = pd.read_csv(folder / "published.csv", dtype=str, keep_default_na=False)
    found = {(r.term, r.quantity): r.printed for r in printed.itertuples() if r.table == "t2"}
    dummies = pd.get_dummies(made[["unit", "time"]].astype(str), drop_first=True).to_numpy(dtype=float)
    b, se, r2 = least_squares(
        made["y"].to_numpy(), [made["D"].to_numpy(float), made["x"].to_numpy()], np.column_stack([np.ones(N), dummies])
    )
    for i, term in ((0, "D"), (1, "x"), (2, "Constant")):
        assert f"{b[i]:.4f}" == found[term, "estimate"]
        assert f"{se[i]:.4f}" == found[term, "std_error"]
    assert f"{r2:.4f}" == found["", "r2"]
    listed = pd.read_csv(out / "reproduction.csv", dtype=str, keep_default_na=False)
    assert len(listed) == len(printed)
    assert set(listed["reproduced"]) == {"yes"}
    assert "simulated" in (out / "SOURCE.md").read_text("utf-8")
    assert "19 of 19" in (out / "NOTES.md").read_text("utf-8")


def test_the_new_study_runs_and_engines_meet_the_printed_numbers(tmp_path, monkeypatch, capsys):
    from crosscheck.cli import main

    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "cache"))
    run_reconstruct(small_study(tmp_path / "small"), tmp_path / "out")
    with pytest.raises(SystemExit) as left:
        main(
            [
                "run",
                str(tmp_path / "out"),
                "--out",
                str(tmp_path / "report"),
                "--engine",
                "oracle",
                "--engine",
                "designs",
            ]
        )
    assert left.value.code == 0, capsys.readouterr()


def test_nothing_is_overwritten_without_force(tmp_path, capsys):
    folder = small_study(tmp_path / "small")
    out = tmp_path / "out"
    out.mkdir()
    (out / "panel.csv").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match=r"holds panel\.csv"):
        run_reconstruct(folder, out)
    assert (out / "panel.csv").read_text("utf-8") == "mine"
    (out / "thesis.tex").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="no reconstruction has written"):
        run_reconstruct(folder, out, force=True)
    (out / "thesis.tex").unlink()
    assert run_reconstruct(folder, out, force=True) == 0
    assert (out / "panel.csv").read_text("utf-8").startswith("unit,time")
    with pytest.raises(UsageError, match="over the paper's folder"):
        run_reconstruct(folder, folder, force=True)
    capsys.readouterr()


def test_columns_out_of_reach_are_named_and_left_out(tmp_path, capsys):
    folder = small_study(tmp_path / "small")
    facts = (
        STUDY_FACTS
        + """
[[sample]]
id = "matched"
within = "full"
kind = "matched"
[[column]]
table = "t3"
id = "1"
outcome = "y"
terms = ["D"]
sample = "matched"
"""
    )
    (folder / "audit.toml").write_text(facts, "utf-8")
    with (folder / "published.csv").open("a", encoding="utf-8") as file:
        file.write("t3,1,D,estimate,0.3000\nt9,1,D,estimate,0.1000\n")
    assert run_reconstruct(folder, tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "left out: t3:1: its sample is matched" in said.err
    assert "left out: t9:1: audit.toml does not declare it" in said.err
    assert "t3:1: its sample is matched" in (tmp_path / "out" / "NOTES.md").read_text("utf-8")
    assert "t3" not in (tmp_path / "out" / "published.csv").read_text("utf-8")


def test_a_study_without_a_panel_says_what_stays_apart(tmp_path, capsys):
    folder = small_study(tmp_path / "small", r2="0.0500")
    assert run_reconstruct(folder, tmp_path / "out", attempts=1) == 1
    said = capsys.readouterr().out
    assert "stay apart" in said
    assert "t2:1" in said
    assert "printed as [" in said
    assert "nothing was written" in said
    assert not (tmp_path / "out").exists()
    assert run_reconstruct(folder, tmp_path / "out", attempts=1, format_="json") == 1
    assert json.loads(capsys.readouterr().out)["feasible"] is False


def test_undeclared_facts_are_asked_for(tmp_path):
    folder = small_study(tmp_path / "small")
    text = STUDY_FACTS.replace('[treatment]\nterm = "D"\nstarts = [2013]\n', "")
    (folder / "audit.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match="balanced panel and a treatment"):
        run_reconstruct(folder, tmp_path / "out")
    with pytest.raises(StudyError, match="no such folder"):
        run_reconstruct(tmp_path / "nowhere", tmp_path / "out")
