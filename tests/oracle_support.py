"""Live fixest for the oracle's tests: many covariances of one fit in one R process."""

from __future__ import annotations

import csv
import math
import os
import subprocess
from pathlib import Path

import pytest

from tests.engine_helpers import AGGREGATE, _vcov_text, _write_frame, plain_term, why_no_fixest

HERE = Path(__file__).parent


def fixest_answers(folder, questions):
    """Ask fixest; ``questions`` maps an id to (request, frame name, frame). Needs numeric columns.

    Returns id to {"coefs": {term: {quantity: value}}, statistic: value, "dropped": [...], "error": text}.
    """
    if why_no_fixest():
        pytest.skip(why_no_fixest())
    written = set()
    rows = []
    for key, (request, name, frame) in questions.items():
        if name not in written:
            _write_frame(folder, name, frame)
            written.add(name)
        s = request.ssc
        weights = f"~`{request.weights.column}`" if request.weights else ""
        agg = AGGREGATE[request.options.get("aggregation", "dynamic")] if request.estimator == "sunab" else ""
        agg = {"coef": "none"}.get(agg, agg)
        words = (str(s.k_adj).upper(), s.k_fixef, str(s.g_adj).upper(), s.g_df, s.t_df)
        model = f"{name}|{request.formula}|{weights}"
        rows.append((key, model, name, request.formula, weights, _vcov_text(request), *words, agg))
    rows.sort(key=lambda r: r[1])
    with open(folder / "specs.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(
            ["id", "model", "data", "formula", "weights", "vcov", "K.adj", "K.fixef", "G.adj", "G.df", "t.df", "agg"]
        )
        out.writerows(rows)
    done = subprocess.run(
        ["Rscript", "--vanilla", str(HERE / "oracle_fixest.R"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "TZ": "UTC"},
    )
    assert (folder / "done").exists(), done.stderr
    answers = {key: {"coefs": {}, "dropped": []} for key in questions}
    with open(folder / "out.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
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


def digits(a, b):
    """Agreeing digits of two numbers, two missing ones agreeing."""
    if a is None or math.isnan(a):
        return 15.0 if math.isnan(b) else 0.0
    if a == b:
        return 15.0
    return max(0.0, min(15.0, -math.log10(abs(a - b) / abs(b)))) if b else -math.log10(abs(a))
