"""Do the tests of the R files pass, and does the R code that reports show reproduce the numbers?"""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from crosscheck.bridge import find_r, r_packages, r_scripts_dir
from crosscheck.engines._r_code import bare, name, quoted
from crosscheck.engines.r import CLUBSANDWICH, DID, FIXEST, LM, PLM, R_ENGINES
from crosscheck.formula import emit, parse
from crosscheck.options import AttGtOptions
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from tests.r_support import panel, skip_without, worker
from tests.test_r_did import DATA as STAGGERED

PANEL = panel(units=12, periods=6, drop=0.05)


def run_r(*arguments: str, cwd=None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", "R_PROFILE_USER": os.devnull}
    return subprocess.run(
        [find_r().rscript, "--vanilla", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        check=False,
    )


def test_the_tests_of_the_r_files_pass():
    skip_without("testthat")
    done = run_r(str(r_scripts_dir() / "tests" / "run.R"))
    assert done.returncode == 0, done.stdout + done.stderr
    count = int(done.stdout.split(" expectations")[0].split()[-1])
    assert count > 100


def test_no_r_file_reads_or_runs_text_of_users():
    """No eval of text: str2lang is called once, by the guard; nothing calls parse, system or source on data."""
    for file in r_scripts_dir().glob("*.R"):
        text = "\n".join(line.split("#")[0] for line in file.read_text("utf-8").splitlines())
        for forbidden in ("parse(text", "str2expression(", "system(", "system2(", "as.formula(", "eval(parse"):
            assert forbidden not in text, (file.name, forbidden)
        assert text.count("str2lang(") == (1 if file.name == "guard.R" else 0), file.name


def test_formulas_are_shown_without_needless_ticks():
    assert bare('`y` ~ `x` + i(`my g`, ref = "`a`") | `T` + `if`') == 'y ~ x + i(`my g`, ref = "`a`") | `T` + `if`'
    assert [name(n) for n in ("x.1", "_x", ".1", "省份", "TRUE")] == ["x.1", "`_x`", "`.1`", "`省份`", "`TRUE`"]
    assert quoted('a"b\\省') == '"a\\"b\\\\省"'


@pytest.fixture(scope="module")
def r():
    skip_without("sandwich", "lmtest")
    with worker("rscript") as made:
        yield made


def request(formula, **options):
    text = emit(parse(formula, columns=PANEL.names)) if formula else ""
    return FitRequest(formula=text, unit="unit", time="time", **options)


BY_UNIT = VcovSpec(type="CRV1", cluster=("unit",))
FULL, NONE = SscSpec(k_fixef="full"), SscSpec(k_fixef="none")
SHOWN = [
    (FIXEST, request("y ~ x + z | unit + time", vcov=BY_UNIT)),
    (FIXEST, request("y ~ x + lag(z, 1) | unit", vcov=VcovSpec(type="NW", lag=1))),
    (FIXEST, request("y ~ i(group, x) | unit | z ~ w", vcov=VcovSpec(type="HC1"))),
    (FIXEST, request("count ~ x + z | unit", estimator="fepois", weights=WeightsSpec(column="w"))),
    (FIXEST, request("y ~ x + z", vcov=VcovSpec(type="DK"))),
    (LM, request("y ~ x + lag(z, 1) | unit + group^time", vcov=VcovSpec(type="HC1"))),
    (LM, request("y ~ x + i(group, z, ref = 'g01')", vcov=VcovSpec(type="HC3"))),
    (LM, request("y ~ x + z | state", vcov=BY_UNIT, ssc=FULL, weights=WeightsSpec(column="w"))),
    (LM, request("y ~ x + z", vcov=VcovSpec(type="CRV3", cluster=("unit",)))),
    (LM, request("y ~ x + z", vcov=VcovSpec(type="NW", lag=2), ssc=SscSpec(k_adj=False, g_adj=False))),
    (LM, request("y ~ x + z", vcov=VcovSpec(type="DK", lag=2), ssc=SscSpec(k_adj=False, g_adj=False))),
    (PLM, request("y ~ x + z | unit + time", vcov=BY_UNIT, ssc=NONE)),
    (PLM, request("y ~ x + z | time")),
    (PLM, request("y ~ x + z", vcov=VcovSpec(type="HC2"))),
    (PLM, request("y ~ x + z | unit", vcov=VcovSpec(type="DK", lag=1), ssc=NONE)),
    (PLM, request("y ~ x + z", estimator="re", options={"method": "walhus", "effect": "individual"})),
    (PLM, request("y ~ x + z", estimator="between")),
    (CLUBSANDWICH, request("y ~ x + z | state", vcov=BY_UNIT, ssc=FULL)),
    (CLUBSANDWICH, request("y ~ x + z | unit", vcov=BY_UNIT, ssc=NONE)),
    (CLUBSANDWICH, request("y ~ x + z | unit", vcov=BY_UNIT, ssc=SscSpec(k_adj=False, g_adj=False))),
]


def did_request(aggregation):
    options = AttGtOptions(y="y", cohort="first", covariates=("x",), aggregation=aggregation).model_dump(mode="json")
    return FitRequest(estimator="att_gt", unit="unit", time="time", options=options)


SHOWN += [(DID, did_request("none")), (DID, did_request("dynamic"))]
ENDING = """
b <- if (inherits(m, "MP")) (if (exists("a", inherits = FALSE)) a$att.egt else m$att) else coef(m)
s <- if (inherits(m, "MP")) (if (exists("a", inherits = FALSE)) a$se.egt else m$se) else
  if (inherits(m, "fixest")) se(m) else sqrt(diag(V))[names(b)]
cat(sprintf("== %d %.17g %.17g\\n", NUMBER, b, s), sep = "")
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Run all snippets whose packages are here in one R, each in a place of its own; return (estimate, SE) pairs."""
    skip_without("sandwich", "lmtest")
    folder = tmp_path_factory.mktemp("code")
    PANEL.to_pandas().to_csv(folder / "panel.csv", index=False, float_format="%.17g")
    STAGGERED.to_pandas().to_csv(folder / "staggered.csv", index=False, float_format="%.17g")
    pieces = []
    for i, (engine, asked) in enumerate(SHOWN):
        if all(p in r_packages() for p in engine.packages):
            code = engine.code(asked, "staggered.csv" if engine is DID else "panel.csv")
            pieces.append("local({\n" + code + ENDING.replace("NUMBER", str(i)) + "})\n")
    (folder / "code.R").write_text("".join(pieces), "utf-8")
    done = run_r("code.R", cwd=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    found: dict[int, list[tuple[float, float]]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("== ") and "NA" not in line:
            _, number, b, s = line.split()
            found.setdefault(int(number), []).append((float(b), float(s)))
    return found


@pytest.mark.parametrize("i", range(len(SHOWN)), ids=lambda i: f"{SHOWN[i][0].id} {i}")
def test_the_code_that_is_shown_gives_the_numbers(r, printed, i):
    engine, asked = SHOWN[i]
    skip_without(*engine.packages)
    assert engine.supports(asked), engine.supports(asked).reason
    result = r.fit(engine.id, asked, STAGGERED if engine is DID else PANEL)
    assert result.status == "ok", result.reason
    pairs = np.array(printed[i])
    rows = [c for c in result.coefs if c.term != "overall"]
    assert len(rows) > 0
    for row in rows:
        distance = np.abs(pairs / [row.estimate, row.std_error] - 1).max(axis=1)
        assert distance.min() < 1e-7, (row.term, row.estimate, row.std_error, pairs)


def test_every_r_engine_has_an_id_and_packages():
    assert [e.id for e in R_ENGINES] == ["r.fixest", "r.did", "r.lm", "r.plm", "r.clubsandwich"]
    for engine in R_ENGINES:
        assert engine.language == "r"
        assert engine.packages
