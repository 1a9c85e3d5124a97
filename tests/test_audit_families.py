"""Families on small tables with known answers: each must catch its fault, and be quiet without facts."""

from __future__ import annotations

import pandas as pd
import pytest

from crosscheck.audit import audit
from crosscheck.audit.engine import from_frame, run_families
from crosscheck.audit.facts import Facts, parse
from crosscheck.audit.families.setype import hitting_tokens, judge
from crosscheck.audit.perturb import changes, shift
from crosscheck.audit.perturb import judge as judge_change
from crosscheck.audit.simulate import simulate_paper
from crosscheck.audit.tokens import fingerprint, interval_of, rows_of, tokens_of
from crosscheck.errors import PublishedError

BASE = {"schema": 1, "sample": [{"id": "full"}]}


def frame(*rows: tuple[str, str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["table", "column", "term", "quantity", "printed"])


def describe(name: str, n: str, mean: str, sd: str, low: str, high: str):
    return [
        ("t1", "d", name, q, v)
        for q, v in zip(("nobs", "mean", "std_dev", "min", "max"), (n, mean, sd, low, high), strict=True)
    ]


def verdicts(data: pd.DataFrame, facts: dict) -> dict[str, str]:
    return {c.id: c.verdict for c in audit(data, {**BASE, **facts}).checks}


DESC = {"descriptives": {"table": "t1", "column": "d", "sample": "full", "binary": ["D"], "integer": ["n"]}}


def test_grim_debit_and_bounds():
    good = frame(*describe("D", "308", "0.2045", "0.4040", "0", "1"), *describe("n", "20", "3.45", "1.15", "1", "6"))
    found = verdicts(good, DESC)
    assert {found[k] for k in ("6:D", "7:D", "8:D", "6:n", "8:n")} == {"consistent"}
    bad = frame(*describe("D", "308", "0.2045", "0.4050", "0", "1"), *describe("n", "20", "3.47", "1.15", "1", "6"))
    found = verdicts(bad, DESC)
    assert found["7:D"] == "inconsistent"
    assert found["6:n"] == "inconsistent"
    wide = verdicts(frame(*describe("x", "50", "1.00", "5.00", "0.00", "2.00")), DESC)
    assert wide["8:x"] == "inconsistent"
    narrow = verdicts(frame(*describe("x", "50", "1.00", "0.01", "0.00", "2.00")), DESC)
    assert narrow["8:x"] == "inconsistent"


def column(**extra):
    return {"table": "t2", "id": "1", "outcome": "y", "terms": ["D"], "sample": "full", **extra}


def regression(b: str, se: str, stars: str = "", r2: str = "0.1054", adj: str = "0.1025", n: str = "308"):
    rows = [("t2", "1", "D", "estimate", b), ("t2", "1", "D", "std_error", se)]
    rows += [("t2", "1", "D", "stars", stars)] if stars else []
    return [*rows, ("t2", "1", "", "r2", r2), ("t2", "1", "", "adj_r2", adj), ("t2", "1", "", "nobs", n)]


@pytest.mark.parametrize(
    ("b", "se", "stars", "verdict"),
    [
        ("0.0819", "0.0136", "***", "consistent"),
        ("0.0819", "0.0136", "**", "inconsistent"),
        ("0.0173", "0.0099", "*", "consistent"),
        ("0.0173", "0.0099", "**", "inconsistent"),
        ("0.0000", "0.0000", "***", "cannot_tell"),
    ],
)
def test_stars(b, se, stars, verdict):
    facts = {"legend": {"levels": [0.1, 0.05, 0.01]}, "column": [column()]}
    assert verdicts(frame(*regression(b, se, stars)), facts)["2:t2:1:D"] == verdict


def test_stars_without_a_legend_are_not_judged():
    assert not any(
        k.startswith("2:") for k in verdicts(frame(*regression("0.08", "0.01", "*")), {"column": [column()]})
    )


def test_adjusted_r2_needs_the_declared_parameters():
    assert verdicts(frame(*regression("0.0819", "0.0136")), {"column": [column()]})["4:t2:1"] == "consistent"
    off = verdicts(frame(*regression("0.0819", "0.0136", adj="0.0905")), {"column": [column()]})
    assert off["4:t2:1"] == "inconsistent"
    unknown = column(fixed_effects=["firm"])
    assert verdicts(frame(*regression("0.08", "0.01", adj="0.0905")), {"column": [unknown]})["4:t2:1"] == "cannot_tell"
    counted = column(fixed_effects=["firm"], levels={"firm": 5})
    assert verdicts(frame(*regression("0.08", "0.01", adj="0.0905")), {"column": [counted]})["4:t2:1"] == "consistent"


def test_printed_t_and_p_follow_from_coefficient_and_se():
    rows = [*regression("0.50", "0.25"), ("t2", "1", "D", "statistic", "2.00"), ("t2", "1", "D", "p_value", "0.046")]
    found = verdicts(frame(*rows), {"column": [column()]})
    assert found["2:t2:1:D:t"] == "consistent"
    assert found["2:t2:1:D:p"] == "consistent"
    rows[-1] = ("t2", "1", "D", "p_value", "0.460")
    assert verdicts(frame(*rows), {"column": [column()]})["2:t2:1:D:p"] == "inconsistent"


def test_nested_r2_must_not_fall():
    rows = [
        *regression("0.08", "0.01"),
        *[("t2", "2", *r[2:]) for r in regression("0.08", "0.01", r2="0.0954", adj="0.0895")],
    ]
    facts = {"column": [column(), {**column(terms=["D", "x"]), "id": "2"}]}
    assert verdicts(frame(*rows), facts)["19:t2:1<t2:2"] == "inconsistent"


def test_padding_is_recognised_before_digits_are_believed():
    rows = [
        ("t", "c", f"x{i}", "mean", text)
        for i, text in enumerate(("3519.5840", "4645.6570", "100092.9000", "10593.5500"))
    ]
    mark = fingerprint(rows)
    assert mark.significant == 7
    box, padding = interval_of("100092.9000", "mean", mark)
    assert padding == 3
    assert box.lo == pytest.approx(100092.85)
    plain = fingerprint([("t", "c", "x", "mean", "3519.5841"), *rows])
    assert plain.significant is None


def test_rounding_ends_and_signed_zero():
    tokens, mark = tokens_of([("t", "1", "x", "estimate", "-0.0000"), ("t", "1", "z", "estimate", "0.0000")])
    assert mark.signed_zero
    assert tokens["t:1:x:estimate"].interval.hi == 0.0
    assert tokens["t:1:z:estimate"].interval.lo == 0.0
    tokens, _ = tokens_of([("t", "1", "x", "estimate", "0.0240")])
    assert 0.02395 in tokens["t:1:x:estimate"].interval
    assert 0.02405 in tokens["t:1:x:estimate"].interval


@pytest.mark.parametrize("kind", ["iid", "hetero", "cluster"])
def test_honest_papers_are_never_inconsistent_and_the_se_type_is_right(kind):
    for seed in range(8):
        simulated = simulate_paper(seed, kind)
        report = audit(simulated.frame, simulated.facts)
        assert report.inconsistent == (), (seed, [c.id for c in report.inconsistent])
        named = {c.id.split(":")[1] for c in report.checks if c.family == 36}
        assert named <= ({"iid"} if kind == "iid" else {"not"}), seed


def test_a_block_like_the_papers_is_named_classical():
    for seed in range(100, 112):
        simulated = simulate_paper(seed, "iid", like_paper=True)
        checks = run_families(from_frame(simulated.frame, parse(simulated.facts, Facts, "simulated")))
        assert any(c.id.startswith("36:iid:") for c in checks), seed


def test_one_wrong_se_does_not_hide_the_kind_of_the_others():
    simulated = simulate_paper(100, "iid", like_paper=True)
    wrong = simulated.frame.copy()
    mask = (wrong.table == "table3") & (wrong.column == "2") & (wrong.term == "D") & (wrong.quantity == "std_error")
    wrong.loc[mask, "printed"] = f"{float(wrong.loc[mask, 'printed'].iloc[0]) * 1.4:.4f}"
    paper = from_frame(wrong, parse(simulated.facts, Facts, "simulated"))
    checks = run_families(paper)
    bad = [c for c in checks if c.verdict == "inconsistent" and c.assumes == "iid"]
    assert bad
    assert all("table3:2:D:std_error" in c.tokens for c in bad)
    assert frozenset(("table3:2:D:std_error",)) in hitting_tokens(bad)
    group = [c for c in checks if c.assumes == "iid" and c.verdict in ("consistent", "inconsistent")]
    assert judge(group)[0] == "iid but"


def test_changes_are_detected_or_certified_possible():
    simulated = simulate_paper(100, "iid", like_paper=True)
    facts = parse(simulated.facts, Facts, "simulated")
    rows = rows_of(simulated.frame)
    from crosscheck.audit.facts import Claims

    made = [c for c in changes(rows) if c.token.startswith("table3:2:")]
    assert {c.kind for c in made} >= {"last 1", "last 5", "N by 1", "swap", "sign"}
    results = [judge_change(c, facts, Claims(), frozenset(), {c.token: "full"}) for c in made[::6]]
    assert {r.outcome for r in results} <= {"detected", "possible"}
    assert sum(r.outcome == "detected" for r in results) > len(results) / 2


def test_shift_moves_the_last_informative_digit():
    assert shift("0.0240", 1) == "0.0241"
    assert shift("3519.5840", 1, 1) == "3519.5850"
    assert shift("0.0001", -2) is None
    assert shift("-0.0132", -5) == "-0.0137"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("t", "1", "x", "estimate", "abc")], "not a printed number"),
        ([("t", "1", "x", "estmate", "0.1")], "unknown quantity"),
        ([("t", "1", "x", "estimate", "0.1"), ("t", "1", "x", "estimate", "0.2")], "given twice"),
        ([("t", "1", "x", "estimate", 0.1)], "must be strings"),
    ],
)
def test_bad_numbers_are_refused(rows, words):
    with pytest.raises(PublishedError, match=words):
        rows_of(frame(*rows))


def test_typeset_numbers_bounds_and_other_marks_are_read():
    rows = [
        ("table10_1", "1", "x", "estimate", "\u22121,234.5"),
        ("table10_1", "1", "x", "std_error", "(0.050)"),
        ("table10_1", "1", "x", "p_value", "<0.001"),
        ("table10_1", "1", "x", "stars", "+"),
    ]
    tokens, _ = tokens_of(rows_of(frame(*rows)))
    assert tokens["table10_1:1:x:estimate"].value == -1234.5
    assert tokens["table10_1:1:x:std_error"].interval.hi == pytest.approx(0.0505)
    assert tokens["table10_1:1:x:p_value"].interval.lo == 0.0
    assert tokens["table10_1:1:x:std_error"].place == "the SE of x in Table 10.1 (1)"
    facts = {"column": [{"table": "table10_1", "id": "1", "outcome": "y", "terms": ["x"], "sample": "full"}]}
    marked = {**facts, "legend": {"levels": [0.1, 0.05, 0.01], "marks": ["+", "*", "**"]}}
    assert verdicts(frame(*rows), marked)["2:table10_1:1:x"] == "inconsistent"
    with pytest.raises(PublishedError, match="which the legend does not explain"):
        verdicts(frame(*rows), {**facts, "legend": {"levels": [0.1, 0.05, 0.01]}})
