"""Columns that keep some coefficients, give another column's printed constant, or ask for joint tests."""

from __future__ import annotations

import pytest

from crosscheck.columns import _shown
from crosscheck.errors import StudyError
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.study import load_study

STUDY = """
schema = 1
study = "s"
constant_term = "Constant"
[data]
path = "panel.csv"
unit = "id"
time = "t"
[data.kinds]
id = "category"
t = "integer"
y = "float"
x = "float"
[[table]]
id = "t1"
[[table.column]]
id = "1"
formula = "y ~ x | id"
candidates = ["pyfixest"]
references = ["r.fixest"]
[[table.column]]
id = "2"
formula = "y ~ x + factor(id)"
candidates = ["pyfixest"]
references = ["r.lm"]
"""


def write(tmp_path, more):
    rows = [f"u{i},{t},{i + 2 * t + 0.3 * i * t},{(7 * i + t * t) % 5}" for i in range(4) for t in range(1, 5)]
    (tmp_path / "panel.csv").write_text("\n".join(["id,t,y,x", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY + more, encoding="utf-8")
    printed = "table,column,term,quantity,printed\nt1,1,x,estimate,0.5\nt1,1,Constant,estimate,1.20\n"
    (tmp_path / "published.csv").write_text(printed, encoding="utf-8")
    return tmp_path


def test_a_constant_is_compared_where_dummies_give_it(tmp_path):
    study = load_study(write(tmp_path, 'keep = ["x", "(Intercept)"]\nconstant_of = "t1/1"\n'))
    absorbing, dummies = study.columns
    assert [n.term for n in study.printed(absorbing)] == ["x", "(Intercept)"]
    (constant,) = study.printed(dummies)
    assert (constant.table, constant.column, constant.term, constant.printed) == ("t1", "2", "(Intercept)", "1.20")


@pytest.mark.parametrize(
    ("more", "message", "where"),
    [
        ('keep = ["z"]', "has no term 'z'", "keep"),
        ('keep = ["factor(id)u9"]', "has no term", "keep"),
        ('constant_of = "t1/9"', "there is no column 't1/9'", "constant_of"),
        ('constant_of = "t1"', "constant_of", ""),
        ('joint = ["f:x"]', "joint", ""),
    ],
)
def test_what_a_column_cannot_have_is_one_clear_message(tmp_path, more, message, where):
    with pytest.raises(StudyError) as caught:
        load_study(write(tmp_path, more + "\n"))
    assert message in str(caught.value)
    assert where in str(caught.value)
    assert "study.toml" in str(caught.value)


def test_nuisance_is_left_out_after_the_joint_test_used_it(tmp_path):
    study = load_study(write(tmp_path, 'keep = ["x"]\njoint = ["wald:id"]\n'))
    column = study.columns[1]
    terms = ("(Intercept)", "x", "factor(id)u1", "factor(id)u2")
    result = EstimationResult(
        engine="e", coefs=tuple(CoefRow(term=t, estimate=1.0, std_error=0.5, df=10.0) for t in terms),
        vcov=tuple(tuple(0.25 * (i == j) for j in range(4)) for i in range(4)),
    )  # fmt: skip
    shown = _shown(result, column, ("wald:id",))
    assert [row.term for row in shown.coefs] == ["x"]
    assert shown.vcov_terms == terms
    assert {(e.term, e.quantity): e.value for e in shown.extras}["wald:id", "statistic"] == pytest.approx(4.0)
    assert _shown(result, study.columns[0], ()) == result
