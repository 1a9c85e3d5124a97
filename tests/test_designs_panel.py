"""Regressions of the designs, mediation and subgroups: against dummies, extended precision, brute force and R."""

from dataclasses import replace

import numpy as np
import pytest

from crosscheck.campaign.columns import put
from crosscheck.closedform.covariance import Grouping
from crosscheck.closedform.covariance import covariance as exact_covariance
from crosscheck.closedform.linear import least_squares
from crosscheck.conventions import Ssc
from crosscheck.designs.absorb import Absorber
from crosscheck.designs.coverage import World, clopper_pearson, experiment, simulate
from crosscheck.designs.draws import draw_weights
from crosscheck.designs.mediation import bootstrap, mediate
from crosscheck.designs.panel import counts_of, covariance, fit
from crosscheck.designs.subgroups import subgroups
from crosscheck.errors import DataError
from crosscheck.frame import Column
from tests.designs_helpers import (
    UNITS,
    arrays,
    ask,
    digits,
    draws,
    extras,
    in_r,
    need_r,
    panel_frame,
    python,
)

SSC = Ssc()


def relative(a, b):
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b)) / np.maximum(np.abs(b), 1e-300)))


@pytest.mark.parametrize("keep", [1.0, 0.7])
@pytest.mark.parametrize("weighted", [False, True])
def test_sweeping_equals_dummies(keep, weighted):
    panel = arrays(panel_frame(keep=keep))
    rng = np.random.default_rng(1)
    w = rng.uniform(0.5, 2, panel.y.size) if weighted else None
    columns = rng.normal(size=(panel.y.size, 3)) * [1, 1e6, 1e-6]
    swept = Absorber(tuple(panel.effects.values()), w).sweep(columns)
    dummies = np.column_stack([np.eye(e.max() + 1)[e] for e in panel.effects.values()])
    root = np.ones(panel.y.size) if w is None else np.sqrt(w)
    fitted = dummies @ np.linalg.lstsq(dummies * root[:, None], columns * root[:, None], rcond=None)[0]
    np.testing.assert_allclose(swept / [1, 1e6, 1e-6], (columns - fitted) / [1, 1e6, 1e-6], atol=1e-12)


@pytest.mark.parametrize("keep", [1.0, 0.7])
@pytest.mark.parametrize("vcov", ["iid", "HC1", "CRV1", "CRV1 two", "CRV3", "DK"])
def test_covariances_are_those_of_extended_precision(keep, vcov):
    clusters = ("province", "year") if vcov == "CRV1 two" else ("province",)
    panel = arrays(panel_frame(keep=keep), clusters=clusters)
    kind = vcov.split()[0]
    found = fit(panel)
    ours = covariance(found, kind, SSC)
    effects = tuple(panel.effects.values())
    exact = least_squares(panel.y, panel.x, effects)

    def refit(rows):
        return least_squares(panel.y[rows], panel.x[rows], tuple(e[rows] for e in effects)).coef

    grouping = Grouping(clusters=tuple(panel.clusters.values()), time=panel.period)
    theirs = exact_covariance(exact, kind, counts_of(found), SSC, grouping, refit=refit)
    assert relative(found.coef, exact.coef.astype(float)) < 1e-11
    assert relative(ours.std_errors, np.sqrt(np.diagonal(theirs.matrix))) < (1e-8 if vcov == "CRV1 two" else 1e-11)


def test_collinear_regressors_are_dropped_as_they_come():
    panel = arrays(panel_frame())
    unit = panel.effects[("province",)]
    x = np.column_stack([panel.x[:, 0], unit * 2.0, panel.x[:, 1], panel.x[:, 0] + 3 * panel.x[:, 1]])
    found = fit(replace(panel, x=x, names=("a", "fixed", "b", "sum")))
    assert (found.names, found.dropped) == (("a", "b"), ("fixed", "sum"))
    with pytest.raises(DataError, match="was dropped as collinear"):
        found.index("fixed")
    with pytest.raises(DataError, match="no regressor varies"):
        fit(replace(panel, x=x[:, 1:2], names=("fixed",)))


def test_noise_free_panels_give_the_effect_back():
    made = simulate(World(noise=0.0, effect=0.024), np.random.default_rng(1))
    assert fit(made).coef[0] == pytest.approx(0.024, rel=1e-11)
    frame = panel_frame(noise=0.0)
    total = python(
        ask("winsor_feols", formula="`NQP` ~ `BDPZs` + `Tin` + `my con` + `Fin` + `ln(Labor)` | `province` + `year`"),
        frame,
    )
    truth = {"BDPZs": 0.02, "Tin": 1e-8, "my con": 0.02, "Fin": -0.01, "ln(Labor)": 0.036}
    for name, value in truth.items():
        assert total.coef(name).estimate == pytest.approx(value, rel=1e-8)
    effects = extras(python(ask("mediation", treatment="BDPZs", mediator="ln(Labor)"), frame))
    assert abs(effects["effect:indirect", "identity_gap"]) < 1e-12


def test_total_is_direct_plus_indirect_to_machine_precision():
    for seed in range(12):
        frame = panel_frame(seed, keep=0.8)
        found = python(ask("mediation", treatment="BDPZs", mediator="ln(Labor)", vcov="CRV1", by=["province"]), frame)
        assert abs(extras(found)["effect:indirect", "identity_gap"]) < 5e-14
        a, b = found.coef("mediator:BDPZs"), found.coef("direct:ln(Labor)")
        sobel = np.sqrt((b.estimate * a.std_error) ** 2 + (a.estimate * b.std_error) ** 2)
        assert found.coef("effect:indirect").std_error == pytest.approx(sobel, rel=1e-14)
        assert found.coef("effect:indirect").estimate == pytest.approx(a.estimate * b.estimate, rel=1e-14)
        assert found.coef("effect:direct").estimate == found.coef("direct:BDPZs").estimate


def test_a_share_of_a_total_that_cancels_is_no_number():
    frame, request = panel_frame(), ask("mediation", treatment="BDPZs", mediator="ln(Labor)")
    y = frame["NQP"].as_float() - python(request, frame).coef("effect:total").estimate * frame["BDPZs"].as_float()
    frame = put(frame, Column("NQP", "float", y))
    need_r()
    for found in (python(request, frame), in_r(request, frame)):
        assert abs(found.coef("effect:total").estimate) < 1e-12
        assert abs(found.coef("effect:indirect").estimate) > 1e-6
        assert np.isnan(extras(found)["effect:indirect", "proportion"])


def test_aroian_and_goodman_stand_around_sobel():
    panel, frame = arrays(panel_frame()), panel_frame()
    made = mediate(panel, frame["ln(Labor)"].as_float(), "BDPZs", "m", "iid", SSC)
    cross = (made.se_a * made.se_b) ** 2
    assert made.std_error("aroian") ** 2 - made.std_error() ** 2 == pytest.approx(cross, rel=1e-9)
    assert made.std_error() ** 2 - made.std_error("goodman") ** 2 == pytest.approx(cross, rel=1e-9)
    assert np.isnan(replace(made, a=0.0, b=0.0).std_error("goodman"))


def test_bootstrap_weights_equal_rows_written_out_as_often_as_they_are_drawn():
    frame = panel_frame()
    panel, mediator = arrays(frame), frame["ln(Labor)"].as_float()
    unit = panel.effects[("province",)]
    counts = draw_weights(3, 5, UNITS, "resample")
    found = bootstrap(panel, mediator, "BDPZs", "m", unit, counts)
    for row, effects in zip(counts, found, strict=True):
        positions, copies = [], []
        for u in range(UNITS):
            for _ in range(int(row[u])):
                rows = np.flatnonzero(unit == u)
                positions.append(rows)
                copies.append(np.full(rows.size, len(copies)))  # every copy is a unit of its own
        at = np.concatenate(positions)
        sample = replace(panel.take(at), effects={("province",): np.concatenate(copies), ("year",): panel.period[at]})
        total, first = fit(sample), fit(replace(sample, y=mediator[at]))
        direct = fit(replace(sample, x=np.column_stack([mediator[at], sample.x]), names=("m", *sample.names)))
        by_hand = (total.coef[0], direct.coef[1], first.coef[0] * direct.coef[0])
        np.testing.assert_allclose(effects, by_hand, rtol=1e-10)


def test_subgroups_equal_separate_regressions_and_the_interacted_model():
    frame = panel_frame(keep=0.9)
    panel, group = arrays(frame), frame["region"].codes()[0]
    made = subgroups(panel, group, "BDPZs", "CRV1", SSC, name="region")
    for g in range(3):
        alone = fit(panel.take(group == g))
        np.testing.assert_array_equal(made.fits[g].coef, alone.coef)
        assert made.effects[g] == pytest.approx(alone.coef[0], rel=1e-10)
    contrast = np.array([[1, -1, 0], [0, 1, -1]])
    gap = contrast @ made.effects
    wald = gap @ np.linalg.inv(contrast @ made.joint @ contrast.T) @ gap
    assert made.wald_chi2 == pytest.approx(wald, rel=1e-8)
    assert made.wald_f == pytest.approx(wald / 2, rel=1e-8)
    first = made.pairs[0]
    variance = made.joint[0, 0] + made.joint[1, 1] - 2 * made.joint[0, 1]
    assert first[4] == pytest.approx((made.effects[0] - made.effects[1]) / np.sqrt(variance), rel=1e-12)
    with pytest.raises(DataError, match="one group only"):
        subgroups(panel, np.zeros_like(group), "BDPZs", "iid", SSC)


@pytest.mark.parametrize("vcov", ["iid", "HC1", "CRV1"])
def test_the_interacted_model_is_what_pyfixest_fits(vcov):
    pf = pytest.importorskip("pyfixest")
    frame = panel_frame()
    made = subgroups(arrays(frame), frame["region"].codes()[0], "BDPZs", vcov, SSC, name="region")
    data = frame.to_pandas().rename(columns={"my con": "con", "ln(Labor)": "labor"})
    terms = " + ".join(f"i(region, {x})" for x in ("BDPZs", "Tin", "con", "Fin"))
    asked = {"CRV1": "province"} if vcov == "CRV1" else vcov
    found = pf.feols(f"NQP ~ {terms} | province^region + year^region", data, vcov=asked, fixef_rm="none")
    for g, label in enumerate(("East", "Mid", "West")):
        name = next(n for n in found.coef().index if label in n and "BDPZs" in n)
        assert made.effects[g] == pytest.approx(found.coef()[name], rel=1e-7)
        assert np.sqrt(made.joint[g, g]) == pytest.approx(found.se()[name], rel=1e-7)


def test_iid_fails_and_clusters_hold_when_errors_are_serially_correlated():
    calm = experiment(World(), 120, 7)
    rough = experiment(World(rho=0.8), 120, 7)
    by_name = {c.vcov: c for c in rough.coverage}
    assert all(c.plausible(0.95) for c in calm.coverage)
    assert by_name["iid"].high < 0.95
    assert by_name["CRV1"].plausible(0.95)
    assert abs(rough.bias) < 4 * rough.bias_se
    more = experiment(World(rho=0.8), 20, 7)
    np.testing.assert_array_equal(more.estimates, rough.estimates[:20])


def test_exact_binomial_bounds():
    low, high = clopper_pearson(0, 10)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 10), rel=1e-12)
    low, high = clopper_pearson(10, 10)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 10), rel=1e-12)


TRIM = {"columns": ["NQP", "Tin", "Fin"], "quantile": "r6", "action": "trim"}
STATA = {"columns": ["NQP", "Tin", "Fin"], "quantile": "stata"}
MEDIATION = {"treatment": "BDPZs", "mediator": "ln(Labor)"}
REQUESTS = {
    "iid": ask("winsor_feols", winsorize=STATA),
    "HC1": ask("winsor_feols", vcov="HC1", winsorize=TRIM),
    "CRV1": ask("winsor_feols", vcov="CRV1", by=["province"], winsorize={**STATA, "quantile": "r7"}),
    "CRV1, full K": ask("winsor_feols", vcov="CRV1", by=["region"], ssc={"k_fixef": "full", "g_adj": False}),
    "CRV1, no K": ask("winsor_feols", vcov="CRV1", by=["province"], ssc={"k_adj": False, "t_df": "conventional"}),
    "CRV3": ask("winsor_feols", vcov="CRV3", by=["province"]),
    "DK": ask("winsor_feols", vcov="DK", bandwidth=2),
    "DK, default lag": ask("winsor_feols", vcov="DK"),
    "one effect": ask("winsor_feols", formula="`NQP` ~ `BDPZs` + `Tin` | `province`", vcov="CRV1", by=["province"]),
    "no effects": ask("winsor_feols", formula="`NQP` ~ `BDPZs` + `Tin`", vcov="HC1"),
    "three effects": ask(
        "winsor_feols", formula="`NQP` ~ `BDPZs` | `province` + `year`^`region`", vcov="CRV1", by=["province"]
    ),
    "mediation": ask("mediation", vcov="CRV1", by=["province"], **MEDIATION),
    "mediation, drawn": ask("mediation", **MEDIATION, cluster="province", draws=draws("resample")),
    "mediation, winsorized": ask("mediation", vcov="HC1", **MEDIATION, winsorize={**STATA, "columns": ["ln(Labor)"]}),
    "subgroups": ask("subgroups", vcov="CRV1", by=["province"], treatment="BDPZs", group="region"),
    "subgroups, iid": ask("subgroups", treatment="BDPZs", group="region"),
    "subgroups, across": ask("subgroups", vcov="CRV1", by=["year"], treatment="BDPZs", group="region"),
}


@pytest.mark.parametrize("keep", [1.0, 0.8])
@pytest.mark.parametrize("name", REQUESTS)
def test_panel_designs_are_those_of_r(name, keep):
    need_r()
    frame = panel_frame(keep=keep, missing=keep < 1)
    ours, theirs = python(REQUESTS[name], frame), in_r(REQUESTS[name], frame)
    worst = digits(ours, theirs)
    assert min(v for q, v in worst.items() if q != "std_error") >= 9, worst
    assert worst.get("std_error", 15) >= 8, worst
    assert (ours.dropped, ours.conventions) == (theirs.dropped, theirs.conventions)
