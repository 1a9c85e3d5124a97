"""Bugs on record: every row has a check with the package alone, and fails where the bug has gone from a covered version."""

from __future__ import annotations

import importlib.metadata
import math
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from crosscheck.explain.known import known
from tests.engine_helpers import panel

SEEDS = 8
FRAME = panel(seed=5, units=12, periods=10)


def data():
    return FRAME.select(("id", "year", "y", "x", "z", "count")).to_pandas()


def nested_effects_hash_seed():
    """K of `y ~ x | id + year` clustered by id, by hash seed: it must not depend on it."""
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); import pandas as pd, pyfixest as pf\n"
        "d = pd.read_csv(sys.stdin)\n"
        "print(repr(float(pf.feols('y ~ x | id+year', d, vcov={'CRV1': 'id'}).se()['x'])))"
    )
    text = data().to_csv(index=False)
    found = []
    for seed in range(SEEDS):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run(
            [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True, env=environment
        )
        found.append(float(done.stdout))
        if found[-1] != pytest.approx(found[0], rel=1e-6):
            n, g, periods = 120, 12, 10
            counted = sorted((found[0], found[-1]), reverse=True)
            right, wrong = n - (1 + 1 + periods - 1), n - 2
            assert counted[0] / counted[1] == pytest.approx(math.sqrt(wrong / right), rel=1e-9), g
            return True
    return False


def crv3_factor():
    import pyfixest as pf

    d = data()
    fitted = pf.feols("y ~ x + z", d, vcov={"CRV3": "id"}, ssc=pf.ssc(k_adj=False, G_adj=False))
    own = float(fitted.se()["x"])
    x = np.column_stack([np.ones(len(d)), d["x"], d["z"]])
    y = d["y"].to_numpy()
    whole = np.linalg.lstsq(x, y, rcond=None)[0]
    ids = d["id"].to_numpy()
    left = [np.linalg.lstsq(x[ids != g], y[ids != g], rcond=None)[0] - whole for g in np.unique(ids)]
    g = len(left)
    right = math.sqrt((g - 1) / g * sum(b[1] ** 2 for b in left))
    assert own == pytest.approx(right, rel=1e-9) or own == pytest.approx(right * math.sqrt(g / (g - 1)), rel=1e-9)
    return own != pytest.approx(right, rel=1e-9)


def gaussian_sigma():
    import pyfixest as pf

    d = data()
    ols = float(pf.feols("y ~ x + z", d, vcov="iid").se()["x"])
    glm = float(pf.feglm("y ~ x + z", d, vcov="iid", family="gaussian").se()["x"])
    return glm != pytest.approx(ols, rel=1e-6)


def glm_hc1():
    import statsmodels.api as sm

    d = data()
    x = sm.add_constant(d[["x", "z"]])
    model = sm.GLM(d["count"], x, family=sm.families.Poisson())
    hc0, hc1 = model.fit(cov_type="HC0").bse["x"], model.fit(cov_type="HC1").bse["x"]
    n, k = len(d), x.shape[1]
    return hc1 == pytest.approx(hc0, rel=1e-12) and hc1 != pytest.approx(hc0 * math.sqrt(n / (n - k)), rel=1e-9)


def in_r(script):
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", script], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def r2_without_constant():
    """R2 of `y ~ x - 1` over 1 - SSR / SST about the mean: N / (N - 1) times the ratio of sums."""
    script = (
        "d <- data.frame(y = c(3, 1, 4, 1, 5, 9, 2, 6), x = c(2, 7, 1, 8, 2, 8, 1, 8));"
        "m <- fixest::feols(y ~ x - 1, d, notes = FALSE);"
        "ratio <- sum(resid(m)^2) / sum((d$y - mean(d$y))^2);"
        "cat(sprintf('%.17g', (1 - as.numeric(fixest::r2(m, 'r2'))) / ratio))"
    )
    return in_r(script) == pytest.approx(8 / 7, rel=1e-9)


def plm_wald():
    script = (
        "suppressMessages(library(plm)); data('Grunfeld', package = 'plm');"
        "m <- plm(inv ~ value + capital, Grunfeld, model = 'within');"
        "a <- pwaldtest(m, test = 'F', vcov = function(x) vcovHC(x, type = 'HC0'))$statistic;"
        "b <- pwaldtest(m, test = 'F', vcov = vcovHC, type = 'HC1')$statistic;"
        "cat(sprintf('%.17g', as.numeric(b / a)))"
    )
    return in_r(script) == pytest.approx(1, rel=1e-12)


CHECKS = {
    "pyfixest-nested-effects-hash-seed": nested_effects_hash_seed,
    "pyfixest-crv3-without-factor": crv3_factor,
    "pyfixest-feglm-gaussian-without-sigma": gaussian_sigma,
    "statsmodels-glm-hc3-is-hc0": glm_hc1,
    "fixest-r2-without-constant": r2_without_constant,
    "plm-wald-ignores-type": plm_wald,
}
OTHER_VERSIONS = {"fixest-one-parameter-too-many", "did-varying-weights-doubled"}
PYTHON = ("pyfixest", "statsmodels")
FINDINGS = Path(__file__).parent.parent / "fixtures" / "findings"


def version_of(package):
    if package in PYTHON:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None
    if shutil.which("Rscript") is None or os.environ.get("CROSSCHECK_RSCRIPT") == "none":
        return None
    script = f"cat(tryCatch(as.character(utils::packageVersion('{package}')), error = function(e) ''))"
    done = subprocess.run(["Rscript", "--vanilla", "-e", script], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


@pytest.mark.parametrize("row", known(), ids=lambda row: row.slug)
def test_a_bug_on_record_is_still_there_or_its_row_must_end(row):
    finding = FINDINGS / row.slug / "finding.toml"
    assert row.slug in {*CHECKS, *OTHER_VERSIONS} or finding.exists(), "a row needs a check, or a folder of findings"
    if finding.exists():
        # tests/test_findings.py runs its scripts again and compares every number
        recorded = tomllib.loads(finding.read_text("utf-8"))
        assert row.covers(recorded["versions"][row.package])
    if row.slug not in {*CHECKS, *OTHER_VERSIONS}:
        return
    version = version_of(row.package)
    if version is None:
        pytest.skip(f"needs the package {row.package}")
    if not row.covers(version):
        pytest.skip(f"needs {row.package} in [{row.since}, {row.before}), found {version}")
    assert row.slug in CHECKS, f"{row.slug} covers {version} and has no check"
    assert CHECKS[row.slug](), f"{row.slug} no longer applies to {row.package} {version}: end its range in known.toml"


def test_rows_are_whole():
    slugs = [row.slug for row in known()]
    assert len(set(slugs)) == len(slugs)
    assert {*CHECKS, *OTHER_VERSIONS} <= set(slugs)
    for row in known():
        assert row.engines
        assert row.what
        assert row.reference
        assert row.arbiter
