"""Panels and a live fixest for the engine tests."""

from __future__ import annotations

import csv
import functools
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from crosscheck.frame import NA_INT, Column, Frame
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec

SSC = ("k_adj", "k_fixef", "g_adj", "g_df", "t_df")
FIELDS = ("id", "estimator", "data", "formula", "vcov", *SSC, "weights", "aggregate", "family")
AGGREGATE = {"dynamic": "period", "simple": "att", "group": "cohort", "none": "coef"}
HERE = Path(__file__).parent


def floats(name, values):
    return Column(name, "float", np.asarray(values, dtype=np.float64))


def integers(name, values):
    return Column(name, "integer", np.asarray(values, dtype=np.int32))


def categories(name, codes, levels):
    return Column(name, "category", np.asarray(codes, dtype=np.int32), tuple(levels))


def booleans(name, values):
    return Column(name, "boolean", np.asarray(values, dtype=np.int32))


def panel(seed=7, units=22, periods=14, *, keep=1.0, missing=False):
    """A two-way panel with categories, weights, clusters and, where asked, holes and missing values."""
    rng = np.random.default_rng(seed)
    n = units * periods
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(2000, 2000 + periods), units)
    x = rng.normal(size=n)
    z = rng.normal(size=n) + 0.2 * x
    q = rng.normal(size=n) + x
    y = 1 + 0.5 * x - 0.2 * z + rng.normal(size=n) + 0.3 * unit + 0.1 * (time - 2000) ** 1.1
    count = rng.poisson(np.exp(0.2 + 0.3 * x + 0.02 * unit))
    weight, copies = rng.uniform(0.5, 2, size=n), rng.integers(1, 4, size=n)
    rows = np.sort(rng.permutation(n)[: round(keep * n)])
    if missing:
        for column, value in ((y, np.nan), (x, np.nan), (x, np.inf)):
            column[rng.integers(0, n, size=3)] = value
    columns = (
        integers("id", unit),
        integers("year", time),
        integers("state", unit // 3),
        categories("region", unit % 3, ("West", "East", "Mid")),
        categories("wave", time % 2, ("b", "a")),
        booleans("late", (time > 2006).astype(np.int32)),
        floats("y", y),
        floats("x", x),
        floats("z", z),
        floats("q", q),
        integers("count", count),
        floats("w", weight),
        integers("copies", copies),
        floats("ln(Labor)", x * z),
        categories("省份", unit % 5, ("甲", "乙", "丙", "丁", "戊")),
        floats("my var", z**2),
        floats("T", q - x),
        floats("if", np.sin(np.arange(n))),
    )
    return Frame(columns, n).take(rows)


def ask(formula, *, estimator="feols", vcov="iid", cluster=(), lag=None, ssc=None, weights=None, **more):
    """A request; ``weights`` is a column or (column, type)."""
    if isinstance(weights, str):
        weights = (weights, "analytic")
    return FitRequest(
        estimator=estimator,
        formula=formula,
        vcov=VcovSpec(type=vcov, cluster=tuple(cluster), lag=lag),
        ssc=SscSpec(**(ssc or {})),
        weights=WeightsSpec(column=weights[0], type=weights[1]) if weights else None,
        **more,
    )


def relative(a, b):
    """The largest relative difference of two sequences."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    assert a.shape == b.shape
    assert np.isfinite(a).all()
    assert np.isfinite(b).all()
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 1e-300), initial=0.0))


@functools.cache
def why_no_fixest():
    """Return why fixest cannot be asked, or an empty string."""
    if shutil.which("Rscript") is None:
        return "needs R: Rscript not found"
    probe = 'cat(requireNamespace("fixest", quietly = TRUE) && packageVersion("fixest") >= "0.13.0")'
    answer = subprocess.run(["Rscript", "--vanilla", "-e", probe], capture_output=True, text=True, check=False)
    return "" if answer.stdout.strip().endswith("TRUE") else "needs R package fixest, 0.13 or newer"


def _vcov_text(request):
    vcov = request.vcov
    if vcov.cluster:
        return "~ " + " + ".join(f"`{c}`" for c in vcov.cluster)
    if vcov.type in ("NW", "DK"):
        ids = f"`{request.unit}` + `{request.time}`" if vcov.type == "NW" and request.unit else f"`{request.time}`"
        lag = "" if vcov.lag is None else f"({vcov.lag})"
        return f"{vcov.type}{lag} ~ {ids}"
    return vcov.type


def _write_frame(folder, name, frame):
    def cell(column, value):
        if column.kind == "category":
            return "" if value == -1 else str(value)
        if column.values.dtype.kind != "f":
            return "" if value == NA_INT else str(value)
        return (
            float(value).hex()
            if math.isfinite(value)
            else ("" if math.isnan(value) else ("Inf" if value > 0 else "-Inf"))
        )

    with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(frame.names)
        out.writerows(zip(*([cell(c, v) for v in c.values.tolist()] for c in frame.columns), strict=True))
    with open(folder / f"{name}.levels.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("name", "kind", "levels"))
        out.writerows((c.name, c.kind, "\t".join(c.levels)) for c in frame.columns)


def run_fixest(folder, questions):
    """Ask fixest; ``questions`` maps an id to (request, frame name, frame, R formula or "").

    Returns a mapping of id to {"coefs": {term: {quantity: value}}, statistic: value, "dropped": [...]}.
    """
    if why_no_fixest():
        pytest.skip(why_no_fixest())
    written = set()
    with open(folder / "specs.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(FIELDS)
        for key, (request, name, frame, formula) in questions.items():
            if name not in written:
                _write_frame(folder, name, frame)
                written.add(name)
            s = request.ssc
            out.writerow(
                (
                    key,
                    "feols" if request.estimator == "sunab" else request.estimator,
                    name,
                    formula or request.formula,
                    _vcov_text(request),
                    str(s.k_adj).upper(),
                    s.k_fixef,
                    str(s.g_adj).upper(),
                    s.g_df,
                    s.t_df,
                    f"~`{request.weights.column}`" if request.weights else "",
                    AGGREGATE[request.options.get("aggregation", "dynamic")] if request.estimator == "sunab" else "",
                    request.options.get("family", ""),
                )
            )
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["Rscript", "--vanilla", str(HERE / "engine_fixest.R"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (folder / "done").exists(), done.stderr
    answers = {key: {"coefs": {}, "dropped": []} for key in questions}
    with open(folder / "out.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            answer, value = answers[row["id"]], float(row["value"])
            if row["quantity"] == "dropped":
                answer["dropped"].append(plain_term(row["term"]))
            elif row["quantity"] == "error":
                answer["error"] = row["term"]
            elif row["term"]:
                answer["coefs"].setdefault(plain_term(row["term"]), {})[row["quantity"]] = value
            else:
                answer[row["quantity"]] = value
    return answers


def plain_term(term):
    """Drop what fixest adds to a name: back-ticks, ``fit_`` before an endogenous regressor, a second ``I()``."""
    return re.sub(r"I\(I\((.*)\)\)", r"I(\1)", term.replace("`", "").removeprefix("fit_"))


def worst_gap(result, answer, quantities=("estimate", "std_error")):
    """The largest relative difference to fixest over all coefficients, by quantity; terms must be the same."""
    ours = {row.term: row for row in result.coefs}
    assert set(ours) == set(answer["coefs"]), (sorted(ours), sorted(answer["coefs"]), answer.get("error"))
    gaps = {}
    for quantity in quantities:
        left = [getattr(ours[t], quantity) for t in answer["coefs"]]
        right = [answer["coefs"][t][quantity] for t in answer["coefs"]]
        both = [(a, b) for a, b in zip(left, right, strict=True) if not (np.isnan(a) and np.isnan(b))]
        gaps[quantity] = relative([a for a, _ in both], [b for _, b in both])
    return gaps
