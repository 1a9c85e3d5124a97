"""Compare Python Callaway-Sant'Anna packages with R's did, cell by cell.

    python benchmarks/did_candidates.py [--python csdid=/path/to/python ...]

Every design ("cell") is fitted by each package, by R's did and by the
NumPy formulas below. For every number (all ATT(g,t), all aggregations,
estimates and standard errors) the count of agreeing digits is
-log10(relative difference), capped at 15. A package that cannot be imported
is skipped and named. Packages may live in different environments: name their
interpreters with --python. R's library path is taken from R_LIBS.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import importlib.metadata
import io
import itertools
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

PACKAGES = {"csdid": "csdid", "differences": "differences", "diff-diff": "diff_diff", "moderndid": "moderndid"}
BLOCKS = ["att", "simple", "dynamic", "group", "calendar"]
FIELDS = [
    "cell",
    "suite",
    "data",
    "covariates",
    "method",
    "control",
    "base",
    "anticipation",
    "weights",
    "cluster",
    "panel",
    "unbalanced",
]


# ---------------------------------------------------------------- designs


def dyadic(values):
    """Round to multiples of 1/1024, so that decimal text is exact."""
    return np.round(np.asarray(values, float) * 1024) / 1024


def simulate(seed, units=400, cohorts=(0, 3, 4, 6), shares=(0.4, 0.2, 0.2, 0.2), periods=range(1, 7), shift=0.3):
    """A staggered panel: two covariates (x1 higher by shift if ever treated),
    x3 and wv moving over time, weights and 40 clusters."""
    rng = np.random.default_rng(seed)
    periods = np.asarray(list(periods))
    x1, x2 = rng.normal(size=units), rng.uniform(-1, 1, units)
    first = rng.choice(cohorts, size=units, p=shares)
    x1 = x1 + shift * (first > 0)
    weight = rng.uniform(0.5, 2, units)
    cluster = rng.integers(0, 40, units)
    cluster_shock = rng.normal(size=(40, len(periods)))
    level = rng.normal(size=units)
    frames = []
    for j, t in enumerate(periods):
        effect = np.where((first > 0) & (t >= first), 1 + 0.4 * (t - first) + 0.1 * first, 0)
        y = (
            level
            + 0.5 * j
            + 0.3 * x1 * j
            - 0.2 * x2 * j
            + effect
            + 0.5 * cluster_shock[cluster, j]
            + rng.normal(size=units)
        )
        frames.append(
            pd.DataFrame(
                {
                    "unit": np.arange(1, units + 1),
                    "period": t,
                    "first": first,
                    "y": y,
                    "x1": x1,
                    "x2": x2,
                    "x3": x1 + 0.3 * rng.normal(size=units),
                    "wt": weight,
                    "wv": weight * rng.uniform(0.7, 1.4, units),
                    "cl": cluster,
                }
            )
        )
    frame = pd.concat(frames).sort_values(["unit", "period"], ignore_index=True)
    for name in ("y", "x1", "x2", "x3", "wt", "wv"):
        frame[name] = dyadic(frame[name])
    return frame


def make_data(mpdta):
    balanced = simulate(1)
    keep = np.random.default_rng(2).uniform(size=len(balanced)) > 0.12
    data = {
        "balanced": balanced,
        "unbalanced": balanced[keep].reset_index(drop=True),
        "missing_y": balanced.assign(y=balanced.y.where(keep)),
        "never_inf": balanced.assign(first=balanced["first"].astype(float).replace(0.0, np.inf)),
        "no_never": simulate(3, cohorts=(3, 4, 6), shares=(0.3, 0.3, 0.4)),
        "treated_at_start": simulate(4, cohorts=(0, 1, 3, 4), shares=(0.4, 0.2, 0.2, 0.2)),
        "treated_after_end": simulate(5, cohorts=(0, 3, 4, 9), shares=(0.3, 0.2, 0.2, 0.3)),
        "gaps": simulate(6, cohorts=(0, 2003, 2007, 2010), periods=(2000, 2001, 2003, 2004, 2007, 2010)),
        "cohort_between": simulate(7, cohorts=(0, 2002, 2007, 2010), periods=(2000, 2001, 2003, 2004, 2007, 2010)),
        "small_cohort": simulate(8, cohorts=(0, 3, 4, 6), shares=(0.59, 0.2, 0.2, 0.01)),
        "no_overlap": simulate(9, shift=6),
        "large": simulate(
            10,
            units=5000,
            cohorts=(0, 3, 4, 6, 7, 9),
            shares=(0.25, 0.15, 0.15, 0.15, 0.15, 0.15),
            periods=range(1, 11),
        ),
        "cross_sections": balanced.assign(unit=np.arange(1, len(balanced) + 1)),
    }
    if mpdta is not None:
        data["mpdta"] = mpdta
    return data


def make_cells(data):
    cells = []

    def add(
        suite,
        data_name,
        covariates="",
        method="dr",
        control="nevertreated",
        base="varying",
        anticipation=0,
        weights="",
        cluster="",
        panel=1,
        unbalanced=0,
    ):
        if data_name in data:
            cells.append(
                dict(
                    zip(
                        FIELDS,
                        [
                            f"c{len(cells):03d}",
                            suite,
                            data_name,
                            covariates,
                            method,
                            control,
                            base,
                            anticipation,
                            weights,
                            cluster,
                            panel,
                            unbalanced,
                        ],
                        strict=True,
                    )
                )
            )

    options = list(
        itertools.product(("dr", "ipw", "reg"), ("nevertreated", "notyettreated"), ("varying", "universal"), (0, 1))
    )

    def main_suite(name, covariates, option):
        if option[3]:
            return name + ", anticipation 1"
        return name + (", DR with covariates" if option[0] == "dr" and covariates else "")

    for covariates in ("", "x1"):
        for option in options:
            add(main_suite("mpdta", covariates, option), "mpdta", covariates, *option)
    for suite, name, unbalanced in (
        ("balanced", "balanced", 0),
        ("unbalanced kept", "unbalanced", 1),
        ("unbalanced dropped", "unbalanced", 0),
    ):
        for weights, covariates in itertools.product(("", "wt"), ("", "x1", "x1 x2")):
            for option in options:
                label = suite + (" weighted" if weights else "")
                add(
                    main_suite(label, covariates, option),
                    name,
                    covariates,
                    *option,
                    weights=weights,
                    unbalanced=unbalanced,
                )
    for method in ("dr", "ipw", "reg"):
        x = "x1"
        add("cluster=unit", "balanced", x, method, cluster="unit")
        add("cluster=unit", "unbalanced", x, method, cluster="unit", unbalanced=1)
        add("cluster=cl", "balanced", x, method, cluster="cl")
        add("cluster=cl", "unbalanced", x, method, cluster="cl", unbalanced=1)
        add("anticipation=2", "balanced", x, method, anticipation=2)
        add("anticipation=2 universal", "balanced", x, method, anticipation=2, base="universal")
        add("time-varying covariate", "balanced", "x3", method)
        add("time-varying covariate, universal", "balanced", "x3", method, base="universal")
        add("time-varying covariate, unbalanced", "unbalanced", "x3", method, unbalanced=1)
        add("weights moving over time", "balanced", x, method, weights="wv")
        add("weights moving over time, unbalanced", "unbalanced", x, method, weights="wv", unbalanced=1)
        add("small cohort", "small_cohort", x, method)
        add("no overlap", "no_overlap", x, method)
        add("balanced, unbalanced allowed", "balanced", x, method, unbalanced=1)
        add("missing outcomes, dropped", "missing_y", x, method)
        add("missing outcomes, kept", "missing_y", x, method, unbalanced=1)
        add("never = inf", "never_inf", x, method)
        add("no never-treated", "no_never", x, method, control="notyettreated")
        add("treated at start", "treated_at_start", x, method)
        add("treated after the end", "treated_after_end", x, method)
        add("treated after the end, notyet", "treated_after_end", x, method, control="notyettreated")
        add("gaps in time", "gaps", x, method)
        add("gaps in time, universal", "gaps", x, method, base="universal")
        add("cohort between periods", "cohort_between", x, method)
        add("repeated cross-sections", "cross_sections", x, method, panel=0)
        add("5000 units, 10 periods", "large", "x1 x2", method)
        add("5000 units, 10 periods, notyet", "large", "x1 x2", method, control="notyettreated")
    return cells


# ------------------------------------------------- Callaway-Sant'Anna in NumPy
#
# Written from Callaway and Sant'Anna (2021) and Sant'Anna and Zhao (2020), not
# from any package. Every 2x2 estimator is a sum of sign * E[w a] / E[w]; the
# influence function of a term is w (a - eta) / E[w], plus the derivatives of
# the term through the propensity score and through the regressions used in a.


def logit(X, D, w):
    beta = np.zeros(X.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-X @ beta))
        hessian = (X * (w * p * (1 - p))[:, None]).T @ X
        step = np.linalg.solve(hessian, X.T @ (w * (D - p)))
        beta = beta + step
        if np.max(np.abs(step)) < 1e-14:
            break
    p = 1 / (1 + np.exp(-X @ beta))
    hessian = (X * (w * p * (1 - p))[:, None]).T @ X / len(D)
    return p, (X * (w * (D - p))[:, None]) @ np.linalg.inv(hessian)


def least_squares(X, y, w):
    gram = (X * w[:, None]).T @ X
    beta = np.linalg.solve(gram, X.T @ (w * y))
    score = X * (w * (y - X @ beta))[:, None]
    return beta, score @ np.linalg.inv(gram / len(y))


def two_by_two(method, X, D, y, w, post=None):
    """ATT and influence function; y is a difference unless post is given."""
    w = w / w.mean()
    groups = (
        {"c": 1 - D}
        if post is None
        else {"c0": (1 - D) * (1 - post), "c1": (1 - D) * post, "t0": D * (1 - post), "t1": D * post}
    )
    beta, through = {}, {}
    if method != "ipw":
        for key, mask in groups.items():
            beta[key], through[key] = least_squares(X, y, w * mask)
    odds = score = None
    if method != "reg":
        p, score = logit(X, D, w)
        if p.max() >= 0.999:
            raise ValueError("no overlap")
        odds = np.where((D == 1) | (p < 0.995), w * (1 - D) * p / (1 - p), 0.0)

    def fitted(**signs):  # sum of sign * X beta, and its derivatives
        value = sum(s * (X @ beta[k]) for k, s in signs.items())
        return value, signs

    def less(mask_of):  # y minus the fitted control outcome of the own period
        value, slopes = y.copy(), {}
        for key, mask in mask_of.items():
            value = value - mask * (X @ beta[key])
            slopes[key] = -mask
        return value, slopes

    plain = (y, {})
    if post is None:
        if method == "reg":
            terms = [(1, w * D, 0, plain), (-1, w * D, 0, fitted(c=1.0))]
        else:
            a = plain if method == "ipw" else less({"c": np.ones(len(y))})
            terms = [(1, w * D, 0, a), (-1, odds, 1, a)]
    else:
        after, before = post, 1 - post
        if method == "reg":
            terms = [
                (1, w * D * after, 0, plain),
                (-1, w * D * before, 0, plain),
                (-1, w * D, 0, fitted(c1=1.0, c0=-1.0)),
            ]
        else:
            a = plain if method == "ipw" else less({"c1": after, "c0": before})
            terms = [
                (1, w * D * after, 0, a),
                (-1, w * D * before, 0, a),
                (-1, odds * after, 1, a),
                (1, odds * before, 1, a),
            ]
            if method == "dr":
                late, early = fitted(t1=1.0, c1=-1.0), fitted(t0=1.0, c0=-1.0)
                terms += [
                    (1, w * D, 0, late),
                    (-1, w * D * after, 0, late),
                    (-1, w * D, 0, early),
                    (1, w * D * before, 0, early),
                ]
    att, psi = 0.0, np.zeros(len(y))
    for sign, weight, uses_score, (a, slopes) in terms:
        mean = weight.mean()
        eta = (weight * a).mean() / mean
        part = weight * (a - eta)
        if uses_score:
            part = part + score @ (X * part[:, None]).mean(axis=0)
        for key, slope in slopes.items():
            part = part + through[key] @ (X * (weight * slope)[:, None]).mean(axis=0)
        att += sign * eta
        psi += sign * part / mean
    return att, psi


def numpy_did(frame, cell, unit_weights=None):
    """All ATT(g,t) and aggregations with influence functions.

    unit_weights multiplies every row of a unit; differentiating the result in
    it gives the influence functions again (see self_check)."""
    frame = frame.copy()
    frame["first"] = frame["first"].replace(np.inf, 0)
    covariates = cell["covariates"].split()
    frame = frame.dropna(subset=["y", *covariates])
    panel, ahead = bool(int(cell["panel"])), int(cell["anticipation"])
    times = np.sort(frame.period.unique())
    frame.loc[frame["first"] > times[-1] + ahead, "first"] = 0
    cohorts = np.sort(frame["first"].unique())
    cohorts = cohorts[cohorts > 0]
    if not (frame["first"] == 0).any():
        frame = frame[frame.period < cohorts[-1] - ahead]
        times, cohorts = np.sort(frame.period.unique()), cohorts[:-1]
    frame = frame[(frame["first"] == 0) | (frame["first"] > times[0] + ahead)]
    cohorts = cohorts[cohorts > times[0] + ahead]
    complete = frame.groupby("unit").period.transform("size") == len(times)
    balanced = complete.all()
    if panel and not int(cell["unbalanced"]):
        frame, balanced = frame[complete], True
    frame = frame.sort_values(["unit", "period"])
    units, code = np.unique(frame.unit, return_inverse=True)
    n = len(units)
    extra = np.ones(n) if unit_weights is None else unit_weights
    weight = (frame[cell["weights"]].to_numpy() if cell["weights"] else np.ones(len(frame))) * extra[code]
    first, period, y = (frame[c].to_numpy(float) for c in ("first", "period", "y"))
    design = np.column_stack([np.ones(len(frame))] + [frame[c].to_numpy(float) for c in covariates])
    as_panel = panel and balanced

    estimates, influence, labels = [], [], []
    for g in cohorts:
        reference = times[times + ahead < g][-1]
        for j, t in enumerate(times):
            base = reference if cell["base"] == "universal" or t >= g else (times[j - 1] if j else None)
            if base is None:
                continue
            labels.append((g, t))
            if base == t:
                estimates.append(0.0)
                influence.append(np.full(n, np.nan))
                continue
            control = first == 0
            if cell["control"] == "notyettreated":
                control = control | ((first > max(t, base) + ahead) & (first != g))
            used = (first == g) | control
            psi = np.zeros(n)
            if as_panel:
                now, then = used & (period == t), used & (period == base)
                early = then if base < t else now
                att, part = two_by_two(
                    cell["method"], design[early], 1.0 * (first[now] == g), y[now] - y[then], weight[early]
                )
                psi[code[now]] = part * n / now.sum()
            else:
                rows = used & np.isin(period, (t, base))
                att, part = two_by_two(
                    cell["method"],
                    design[rows],
                    1.0 * (first[rows] == g),
                    y[rows],
                    weight[rows],
                    post=1.0 * (period[rows] == t),
                )
                np.add.at(psi, code[rows], part * n / rows.sum())
            estimates.append(att)
            influence.append(psi)
    estimates, influence = np.array(estimates), np.array(influence).T
    cohort_of = np.zeros(n)
    cohort_of[code] = first
    if as_panel:  # the weight of the first period, else the mean of the rows
        unit_weight = weight[period == times[0]]
    else:
        unit_weight = np.bincount(code, weight) / np.bincount(code)
    cluster_of = np.arange(n)
    if cell["cluster"] == "cl":
        cluster_of[code] = frame.cl.to_numpy()

    def se(psi):
        sums = np.bincount(cluster_of, psi)
        return np.sqrt((sums**2).sum()) / n

    share = np.array([(unit_weight * (cohort_of == g)).mean() for g in cohorts])
    indicator = np.array([unit_weight * (cohort_of == g) for g in cohorts]).T - share
    G = np.array([g for g, _ in labels])
    T = np.array([t for _, t in labels])
    index = np.searchsorted(cohorts, G)
    filled = np.nan_to_num(influence)

    def average(values, psi, which):
        p = share[which]
        total = p.sum()
        value = (p * values).sum() / total
        weights_part = indicator[:, which] @ values / total - indicator[:, which].sum(axis=1) * value / total
        return value, psi @ p / total + weights_part

    out = {"att": {}}
    for (g, t), att, psi in zip(labels, estimates, influence.T, strict=True):
        out["att"][f"{g:g}|{t:g}"] = (att, se(psi) if not np.isnan(psi).any() else np.nan, psi)
    treated = T >= G
    value, psi = average(estimates[treated], filled[:, treated], index[treated])
    out["simple"] = {"overall": (value, se(psi), psi)}

    np.sort(np.unique(np.concatenate([times, cohorts])))
    event = T - G
    dynamic, overall = {}, []
    for e in np.unique(event):
        s = event == e
        value, psi = average(estimates[s], filled[:, s], index[s])
        dynamic[f"{e:g}"] = (value, se(psi) or np.nan, psi)
        if e >= 0:
            overall.append((value, psi))
    value = np.mean([v for v, _ in overall])
    psi = np.mean([p for _, p in overall], axis=0)
    out["dynamic"] = {"overall": (value, se(psi), psi), **dynamic}

    group, values, psis, present = {}, [], [], []
    for k, g in enumerate(cohorts):
        s = (g == G) & treated
        value, psi = estimates[s].mean(), filled[:, s].mean(axis=1)
        group[f"{g:g}"] = (value, se(psi), psi)
        values.append(value), psis.append(psi), present.append(k)
    value, psi = average(np.array(values), np.array(psis).T, np.array(present))
    out["group"] = {"overall": (value, se(psi), psi), **group}

    calendar, overall = {}, []
    for t in np.unique(T[treated]):
        s = treated & (t == T)
        value, psi = average(estimates[s], filled[:, s], index[s])
        calendar[f"{t:g}"] = (value, se(psi), psi)
        overall.append((value, psi))
    value = np.mean([v for v, _ in overall])
    psi = np.mean([p for _, p in overall], axis=0)
    out["calendar"] = {"overall": (value, se(psi), psi), **calendar}
    return out


def self_check(data, cells):
    """Largest gap between the influence functions above and the numerical
    derivative of the whole estimator in single units' weights, relative to
    the size of the influence function. Needs no formula for the variance."""
    worst = 0.0
    chosen = [
        c
        for c in cells
        if c["weights"] == "wt"
        and c["covariates"]
        and c["base"] == "varying"
        and (c["data"], c["unbalanced"]) in (("balanced", "0"), ("unbalanced", "1"))
    ]
    for cell in chosen[::7]:
        frame = data[cell["data"]]
        n = frame.unit.nunique()
        base = numpy_did(frame, cell)
        for unit in (3, 57, 200):
            step = 1e-5
            up, down = np.ones(n), np.ones(n)
            up[unit] += step
            down[unit] -= step
            high, low = numpy_did(frame, cell, up), numpy_did(frame, cell, down)
            for block in BLOCKS:
                for element, (_, _, psi) in base[block].items():
                    slope = (high[block][element][0] - low[block][element][0]) / (2 * step)
                    worst = max(worst, abs(n * slope - psi[unit]) / np.abs(psi).max())
    return worst


# ---------------------------------------------------------------- the packages


def drop_incomplete(frame):
    """For packages without allow_unbalanced_panel=FALSE, the caller drops."""
    frame = frame.dropna(subset=["y"])
    size = frame.groupby("unit").period.transform("size")
    return frame[size == frame.period.nunique()]


def fit_csdid(frame, cell):
    from csdid.att_gt import ATTgt

    fit = ATTgt(
        yname="y",
        tname="period",
        idname="unit",
        gname="first",
        data=frame,
        xformla="y ~ " + (" + ".join(cell["covariates"].split()) or "1"),
        control_group=cell["control"],
        panel=bool(int(cell["panel"])),
        allow_unbalanced_panel=bool(int(cell["unbalanced"])),
        anticipation=int(cell["anticipation"]),
        weights_name=cell["weights"] or None,
        clustervar=cell["cluster"] or None,
        cband=False,
    ).fit(est_method=cell["method"], base_period=cell["base"], bstrap=False)
    r = fit.results
    out = {"att": {f"{g:g}|{t:g}": (a, s) for g, t, a, s in zip(r["group"], r["year"], r["att"], r["se"], strict=True)}}
    yield out
    for kind in ("simple", "dynamic", "group", "calendar"):
        a = fit.aggte(typec=kind, bstrap=False, cband=False).atte
        out[kind] = {"overall": (a["overall_att"], a["overall_se"])}
        if kind != "simple":
            out[kind].update(
                {f"{e:g}": (v, s) for e, v, s in zip(a["egt"], a["att_egt"], np.ravel(a["se_egt"]), strict=True)}
            )
    yield out


def fit_moderndid(frame, cell):
    from moderndid import aggte, att_gt

    fit = att_gt(
        frame,
        yname="y",
        tname="period",
        idname="unit",
        gname="first",
        xformla="~ " + " + ".join(cell["covariates"].split()) if cell["covariates"] else None,
        control_group=cell["control"],
        panel=bool(int(cell["panel"])),
        allow_unbalanced_panel=bool(int(cell["unbalanced"])),
        anticipation=int(cell["anticipation"]),
        weightsname=cell["weights"] or None,
        clustervars=[cell["cluster"]] if cell["cluster"] else None,
        est_method=cell["method"],
        base_period=cell["base"],
        boot=False,
        cband=False,
    )
    out = {
        "att": {f"{g:g}|{t:g}": (a, s) for g, t, a, s in zip(fit.groups, fit.times, fit.att_gt, fit.se_gt, strict=True)}
    }
    yield out
    for kind in ("simple", "dynamic", "group", "calendar"):
        a = aggte(fit, type=kind, boot=False, cband=False)
        out[kind] = {"overall": (a.overall_att, a.overall_se)}
        if kind != "simple":
            out[kind].update(
                {f"{e:g}": (v, s) for e, v, s in zip(a.event_times, a.att_by_event, a.se_by_event, strict=True)}
            )
    yield out


def fit_differences(frame, cell):
    from differences import ATTgt

    panel, unbalanced = int(cell["panel"]), int(cell["unbalanced"])
    frame = frame.assign(first=frame["first"].astype(float).replace([0, np.inf], np.nan))
    if panel and not unbalanced:
        frame = drop_incomplete(frame)
    model = ATTgt(
        data=frame.set_index(["unit", "period"]),
        cohort_column="first",
        base_period=cell["base"],
        anticipation=int(cell["anticipation"]),
    )
    cluster = cell["cluster"] or None
    result = model.fit(
        "y ~ " + " + ".join(cell["covariates"].split()) if cell["covariates"] else "y",
        est_method={"dr": "dr", "ipw": "std_ipw", "reg": "reg"}[cell["method"]],
        control_group={"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}[cell["control"]],
        weights_column=cell["weights"] or None,
        cluster_var=cluster,
        progress_bar=False,
    )

    def read(table):
        columns = {c[-1]: c for c in table.columns}
        return [(key, row[columns["ATT"]], row[columns["std_error"]]) for key, row in table.iterrows()]

    out = {"att": {f"{key[0]:g}|{key[-1]:g}": (a, s) for key, a, s in read(result.to_pandas())}}
    yield out
    out["simple"] = {"overall": read(model.aggregate("simple", cluster_var=cluster))[0][1:]}
    for block, kind in (("dynamic", "event"), ("group", "cohort"), ("calendar", "time")):
        table = read(model.aggregate(kind, cluster_var=cluster))
        total = read(model.aggregate(kind, overall=True, cluster_var=cluster))[0]
        out[block] = {"overall": total[1:], **{f"{e:g}": (a, s) for e, a, s in table}}
    yield out


def fit_diff_diff(frame, cell):
    from diff_diff import CallawaySantAnna, SurveyDesign

    panel, unbalanced = int(cell["panel"]), int(cell["unbalanced"])
    if panel and not unbalanced:
        frame = drop_incomplete(frame)
    fit = CallawaySantAnna(
        control_group={"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}[cell["control"]],
        anticipation=int(cell["anticipation"]),
        estimation_method=cell["method"],
        cluster=cell["cluster"] or None,
        base_period=cell["base"],
        panel=bool(panel),
        allow_unbalanced_panel=bool(unbalanced),
        pscore_trim=1e-6,
    ).fit(
        frame,
        outcome="y",
        unit="unit",
        time="period",
        first_treat="first",
        covariates=cell["covariates"].split() or None,
        survey_design=SurveyDesign(weights=cell["weights"]) if cell["weights"] else None,
    )
    out = {"att": {f"{g:g}|{t:g}": (v["effect"], v["se"]) for (g, t), v in fit.group_time_effects.items()}}
    yield out
    out["simple"] = {"overall": (fit.overall_att, fit.overall_se)}
    dynamic = fit.aggregate("event_study")
    out["dynamic"] = {f"{e:g}": (a, s) for e, a, s in zip(dynamic.event_time, dynamic.att, dynamic.se, strict=True)}
    group = fit.aggregate("group")
    out["group"] = {f"{float(e):g}": (a, s) for e, a, s in zip(group.label, group.att, group.se, strict=True)}
    yield out


FITS = {"csdid": fit_csdid, "moderndid": fit_moderndid, "differences": fit_differences, "diff-diff": fit_diff_diff}


# ---------------------------------------------------------------- worker


def global_state():
    return (
        np.random.get_state()[1].tobytes(),
        np.random.get_state()[2],
        hash(random.getstate()),
        repr(warnings.filters),
        repr(np.geterr()),
        os.getcwd(),
        tuple(sorted(os.environ.items())),
    )


def worker(name, folder):
    """Fit all cells with one package; write NAME.csv and NAME.notes.csv."""
    before, started = global_state(), time.perf_counter()
    importlib.import_module({"csdid": "csdid.att_gt"}.get(name, PACKAGES[name]))
    notes = [
        ("", "import_seconds", f"{time.perf_counter() - started:.2f}"),
        ("", "import changes global state", str(before != global_state())),
    ]
    notes += [("", "version", importlib.metadata.version(name))]
    notes += [("", p, importlib.metadata.version(p)) for p in ("pandas", "numpy", "scipy")]
    cells = read_cells(folder)
    frames = {c["data"]: read_frame(folder / f"{c['data']}.csv") for c in cells}
    rows = []
    for cell in cells:
        frame = frames[cell["data"]]
        original, printed, out = frame.copy(), io.StringIO(), {}
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("always")
            inside = global_state()
            try:
                steps = FITS[name](frame, cell)
                out = next(steps)
                notes.append((cell["cell"], "fit_seconds", f"{time.perf_counter() - started:.4f}"))
                out = next(steps)
                notes.append((cell["cell"], "seconds", f"{time.perf_counter() - started:.4f}"))
            except Exception as error:
                notes.append((cell["cell"], "error", f"{type(error).__name__}: {error}"))
            for block, elements in out.items():
                for element, pair in elements.items():
                    value, se = (float("nan") if v is None else float(v) for v in pair)
                    rows.append((cell["cell"], block, element, repr(value), repr(se)))
            if global_state() != inside:
                notes.append((cell["cell"], "global state changed", ""))
        for text in sorted({f"{w.category.__name__}: {w.message}" for w in caught}):
            notes.append((cell["cell"], "warning", text))
        if printed.getvalue():
            notes.append((cell["cell"], "printed", str(len(printed.getvalue()))))
        if not frame.equals(original):
            notes.append((cell["cell"], "input changed", ""))
            frames[cell["data"]] = original
    hygiene(name, cells, frames, notes)
    write_rows(folder / f"{name}.csv", ("cell", "block", "element", "est", "se"), rows)
    write_rows(folder / f"{name}.notes.csv", ("cell", "kind", "text"), notes)


def hygiene(name, cells, frames, notes):
    """Does a second fit, or another dtype or order, give the same bits?"""

    def numbers(frame, cell):
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            out = list(FITS[name](frame, cell))[-1]
        return {(b, e): tuple(map(float, v[:2])) for b, part in out.items() for e, v in part.items()}

    def compare(kind, change):
        for suite in ("balanced", "unbalanced kept"):
            cell = next(c for c in cells if c["suite"] == suite + ", DR with covariates" and c["covariates"] == "x1")
            try:
                one = numbers(frames[cell["data"]], cell)
                two = numbers(change(frames[cell["data"]].copy()), cell)
            except Exception as error:
                verdict = f"{type(error).__name__}: {error}"
            else:
                worst = min(
                    (
                        digits(two.get(k, (np.nan,) * 2)[i], v[i])
                        for k, v in one.items()
                        for i in (0, 1)
                        if not (np.isnan(v[i]) or v[i] == 0)
                    ),
                    default=np.nan,
                )
                same = one.keys() == two.keys() and all(np.array_equal(one[k], two[k], equal_nan=True) for k in one)
                verdict = "same bits" if same else f"{worst:.1f} digits"
            notes.append((suite, "hygiene: " + kind, verdict))

    compare("refit", lambda f: f)
    compare("refit in reverse row order", lambda f: f.iloc[::-1])
    compare("shuffled rows", lambda f: f.sample(frac=1, random_state=1))
    compare("index not 0..n", lambda f: f.set_index(np.arange(len(f)) * 7 + 3))
    compare("duplicated index", lambda f: f.set_index(np.zeros(len(f), int)))
    compare("cohort float", lambda f: f.assign(first=f["first"].astype(float)))
    compare("cohort int32", lambda f: f.assign(first=f["first"].astype("int32")))
    compare("cohort Int64", lambda f: f.assign(first=f["first"].astype("Int64")))
    compare("cohort NaN for never", lambda f: f.assign(first=f["first"].astype(float).replace(0.0, np.nan)))
    compare("cohort inf for never", lambda f: f.assign(first=f["first"].astype(float).replace(0.0, np.inf)))
    compare("period float", lambda f: f.assign(period=f.period.astype(float)))
    compare("unit str", lambda f: f.assign(unit=f.unit.map("u{:04d}".format)))
    compare("unit categorical", lambda f: f.assign(unit=f.unit.map("u{:04d}".format).astype("category")))
    compare("outcome float32", lambda f: f.assign(y=f.y.astype("float32").astype("float64")))
    compare("extra text column", lambda f: f.assign(note="a"))
    compare("extra column with NaN", lambda f: f.assign(note=np.where(f.unit == 7, np.nan, 1.0)))


# ---------------------------------------------------------------- comparison


def digits(value, reference):
    if np.isnan(value) or np.isnan(reference):
        return 15.0 if np.isnan(value) and np.isnan(reference) else 0.0
    if value == reference:
        return 15.0
    scale = abs(reference) if reference else 1.0
    return min(15.0, max(0.0, -math.log10(abs(value - reference) / scale)))


def read_cells(folder):
    with open(folder / "cells.csv", newline="") as file:
        return list(csv.DictReader(file))


def read_frame(path):
    special = {"NA": math.nan, "Inf": math.inf}
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in frame:
        values = np.array([special[v] if v in special else float.fromhex(v) for v in frame[column]])
        whole = np.isfinite(values).all() and (values == np.round(values)).all()
        frame[column] = values.astype("int64") if whole else values
    return frame


def write_frame(path, frame):
    out = frame.copy()
    for column in out:
        out[column] = [
            ("NA" if np.isnan(v) else "Inf" if np.isinf(v) else v.hex()) for v in frame[column].astype(float)
        ]
    out.to_csv(path, index=False)


def write_rows(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read_result(folder, name):
    out, notes = {}, []
    path = folder / f"{name}.csv"
    if path.exists():
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                value, se = (float("nan" if row[k] == "NA" else row[k]) for k in ("est", "se"))
                block = out.setdefault(row["cell"], {}).setdefault(row["block"], {})
                block[row["element"]] = (value, se)
    path = folder / f"{name}.notes.csv"
    if path.exists():
        with open(path, newline="") as file:
            notes = [(r["cell"], r["kind"], r["text"]) for r in csv.DictReader(file)]
    return out, notes


def compare_cell(found, reference):
    """Worst digits per block, number of missing and of extra elements."""
    score = {}
    for block in BLOCKS:
        expected, got = reference.get(block, {}), found.get(block, {})
        est, se, absent = [], [], 0
        for element, (value, error) in expected.items():
            base_row = value == 0 and (np.isnan(error) or error == 0)
            if element not in got or np.isnan(got[element][0]):
                absent += not (base_row or np.isnan(value))
                continue
            if base_row:
                continue
            est.append(digits(got[element][0], value))
            if not np.isnan(error):
                se.append(digits(got[element][1], error))
        score[block] = (min(est, default=np.nan), min(se, default=np.nan), absent, len(set(got) - set(expected)))
    return score


def describe(score):
    parts = []
    for block in BLOCKS:
        est, se, absent, extra = score[block]
        if np.isnan(est):
            parts.append("none")
            continue
        text = f"{est:.1f}/{se:.1f}" if not np.isnan(se) else f"{est:.1f}/none"
        parts.append(text + (f" -{absent}" if absent else "") + (f" +{extra}" if extra else ""))
    return parts


def report(folder, cells, names, reference_name, out):
    reference, _ = read_result(folder, reference_name)
    suites = list(dict.fromkeys(c["suite"] for c in cells))
    out(
        f"\n## Digits against {reference_name}: estimate/SE, the worst number of a "
        "suite (-k: k elements absent, +k: k more than the reference)\n"
    )
    out("| suite | package | cells | failed | " + " | ".join(BLOCKS) + " |")
    out("|---|---|---|---|" + "---|" * len(BLOCKS))
    for suite in suites:
        members = [c for c in cells if c["suite"] == suite]
        for name in names:
            if name == reference_name:
                continue
            found, _ = read_result(folder, name)
            worst, failed = None, 0
            for cell in members:
                key = cell["cell"]
                if key not in reference:
                    continue
                if key not in found:
                    failed += 1
                    continue
                score = compare_cell(found[key], reference[key])
                if worst is None:
                    worst = score
                else:
                    worst = {
                        b: (
                            np.fmin(worst[b][0], score[b][0]),
                            np.fmin(worst[b][1], score[b][1]),
                            max(worst[b][2], score[b][2]),
                            max(worst[b][3], score[b][3]),
                        )
                        for b in BLOCKS
                    }
            parts = describe(worst) if worst else ["—"] * len(BLOCKS)
            out(f"| {suite} | {name} | {len(members)} | {failed} | " + " | ".join(parts) + " |")


def summary(folder, cells, names, reference_name, out):
    """One line per suite: the worst estimate and SE of all blocks."""
    reference, _ = read_result(folder, reference_name)
    columns = [n for n in names if n != reference_name]
    results = {n: read_result(folder, n)[0] for n in columns}
    out(
        f"\n## Worst digits of all numbers against {reference_name}: estimate / SE "
        "(x: some cell failed, -: something absent, +: more than the reference)\n"
    )
    out("| suite | cells | " + " | ".join(columns) + " |")
    out("|---|---|" + "---|" * len(columns))
    for suite in dict.fromkeys(c["suite"] for c in cells):
        members = [c["cell"] for c in cells if c["suite"] == suite]
        line = []
        for name in columns:
            est, se, marks = np.nan, np.nan, set()
            for key in members:
                if key not in reference:
                    continue
                if key not in results[name]:
                    marks.add("x")
                    continue
                for block, (a, b, absent, extra) in compare_cell(results[name][key], reference[key]).items():
                    est, se = np.fmin(est, a), np.fmin(se, b)
                    if absent or (np.isnan(a) and reference[key].get(block)):
                        marks.add("-")
                    if extra:
                        marks.add("+")
            text = "" if np.isnan(est) else f"{est:.1f} / {se:.1f}"
            line.append((text + " " + "".join(sorted(marks))).strip() or "—")
        out(f"| {suite} | {len(members)} | " + " | ".join(line) + " |")


def se_factors(folder, cells, names, reference_name, out):
    reference, _ = read_result(folder, reference_name)
    out(f"\n## Median SE / SE of {reference_name}, with its range, where fewer than 8 digits agree\n")
    for name in names:
        found, _ = read_result(folder, name)
        table = {}
        for cell in cells:
            for block in BLOCKS:
                for element, (_, error) in reference.get(cell["cell"], {}).get(block, {}).items():
                    got = found.get(cell["cell"], {}).get(block, {}).get(element)
                    if got is None or not error > 0 or np.isnan(got[1]):
                        continue
                    if digits(got[1], error) < 8:
                        kind = block + (" overall" if element == "overall" else "")
                        table.setdefault((cell["suite"], cell["method"], kind), []).append(got[1] / error)
        for (suite, method, kind), ratios in table.items():
            out(
                f"{name:12s} {suite:36s} {method:4s} {kind:17s} n={len(ratios):4d} "
                f"median {np.median(ratios):.9f} range {min(ratios):.6f} .. {max(ratios):.6f}"
            )


def notes_summary(folder, names, cells, out):
    suite_of = {c["cell"]: c["suite"] for c in cells}
    out("\n## Runtime, warnings, errors\n")
    for name in names:
        _, notes = read_result(folder, name)
        general = {k: t for c, k, t in notes if c == ""}
        seconds = [float(t) for _, k, t in notes if k == "seconds"]
        fit = [float(t) for _, k, t in notes if k == "fit_seconds"]
        large = [float(t) for c, k, t in notes if k == "seconds" and suite_of.get(c, "").startswith("5000")]
        out(f"### {name} {general}")
        if seconds:
            out(
                f"  fit median {np.median(fit):.3f} s, fit and aggregations median "
                f"{np.median(seconds):.3f} s, all {sum(seconds):.0f} s; "
                f"5000 units: {np.median(large):.2f} s"
            )
        for kind in ("global state changed", "input changed", "printed"):
            hits = [c for c, k, _ in notes if k == kind]
            if hits:
                out(f"  {kind} in {len(hits)} of {len(cells)} cells")
        for kind in ("warning", "error"):
            texts = {}
            for cell, k, text in notes:
                if k == kind:
                    texts.setdefault(text[:230], set()).add(suite_of.get(cell, cell))
            for text, where in sorted(texts.items(), key=lambda kv: -len(kv[1])):
                out(f"  {kind}: {text} [{', '.join(sorted(where))[:160]}]")
        for cell, kind, text in notes:
            if kind.startswith("hygiene"):
                out(f"  {kind} ({cell}): {text[:150]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="interpreter of one package (default: this one)",
    )
    parser.add_argument("--second-r-libs", metavar="DIR", help="library path of a second version of R's did")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--report-only", action="store_true", help="compare the files already in --folder")
    parser.add_argument("--only", action="append", metavar="NAME", help="refit only these (packages, R, R2, numpy)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.folder)
        return
    folder = options.folder or Path(tempfile.mkdtemp(prefix="did_candidates_"))
    folder.mkdir(parents=True, exist_ok=True)
    pythons = dict(item.split("=", 1) for item in options.python)
    rscript, script = shutil.which("Rscript"), Path(__file__).with_suffix(".R")

    def wanted(name):
        return not options.report_only and (not options.only or name in options.only)

    has_r = (
        bool(rscript)
        and subprocess.run([rscript, "-e", "library(did)"], capture_output=True, check=False).returncode == 0
    )
    mpdta_path = folder / "mpdta.csv"
    if has_r and not mpdta_path.exists():
        subprocess.run([rscript, str(script), "--mpdta", str(mpdta_path)], check=True, capture_output=True)
    data = make_data(read_frame(mpdta_path) if mpdta_path.exists() else None)
    if not has_r:
        print("R's did is not available: without mpdta, the NumPy formulas are the reference")
    cells = make_cells(data)
    write_rows(folder / "cells.csv", FIELDS, [[c[f] for f in FIELDS] for c in cells])
    for name, frame in data.items():
        if name != "mpdta":
            write_frame(folder / f"{name}.csv", frame)
    cells = read_cells(folder)

    names = []
    for name, libs in (("R", None), ("R2", options.second_r_libs)):
        if not has_r or (name == "R2" and not libs):
            continue
        names.append(name)
        if wanted(name):
            env = dict(os.environ)
            if libs:
                env["R_LIBS"] = os.pathsep.join([libs, env.get("R_LIBS", "")])
            subprocess.run(
                [rscript, str(script), str(folder), str(folder / f"{name}.csv")],
                check=True,
                env=env,
                stderr=subprocess.DEVNULL,
            )
    names.append("numpy")
    if wanted("numpy"):
        rows, notes = [], []
        for cell in cells:
            try:
                out = numpy_did(data[cell["data"]], cell)
            except Exception as error:
                notes.append((cell["cell"], "error", f"{type(error).__name__}: {error}"))
                continue
            rows += [
                (cell["cell"], b, e, repr(float(v[0])), repr(float(v[1])))
                for b, part in out.items()
                for e, v in part.items()
            ]
        write_rows(folder / "numpy.csv", ("cell", "block", "element", "est", "se"), rows)
        notes.append(("", "influence functions against numerical derivatives", f"{self_check(data, cells):.1e}"))
        write_rows(folder / "numpy.notes.csv", ("cell", "kind", "text"), notes)
    for name in PACKAGES:
        python = pythons.get(name, sys.executable)
        lookup = f"import importlib.metadata as m; m.version({name!r})"
        if subprocess.run([python, "-c", lookup], capture_output=True, check=False).returncode:
            print(f"{name} is not installed: skipped")
            continue
        names.append(name)
        if wanted(name):
            subprocess.run([python, __file__, "--worker", name, "--folder", str(folder)], check=True)
    lines = []

    def out(text):
        lines.append(text)
        print(text)

    out(f"{len(cells)} cells; files in {folder}")
    names = [n for n in names if (folder / f"{n}.csv").exists()]
    references = [n for n in ("R", "R2", "numpy") if n in names]
    for reference in references:
        summary(folder, cells, names, reference, out)
    for reference in references:
        report(folder, cells, names, reference, out)
    for reference in references:
        se_factors(folder, cells, names, reference, out)
    notes_summary(folder, names, cells, out)
    (folder / "report.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
