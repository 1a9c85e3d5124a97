"""Synthetic runs for the tests of the reports: real comparisons of made-up results, with every verdict among them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from crosscheck.canon import dumps
from crosscheck.compare import compare
from crosscheck.compare_known import compare_printed
from crosscheck.judging import Context, inference
from crosscheck.published import PublishedNumber
from crosscheck.results import CoefRow, Condition, Conventions, EstimationResult, FitStats, failed

LEGEND = {"***": 0.01, "**": 0.05, "*": 0.10}
HOSTILE = (
    "<script>alert(1)</script> \\input{/etc/passwd} | `tick` ``` {{ 7*7 }} "
    '![x](http://e.example/x.png) ]]> & "q" 省份 é %_#^~$'
)

PRINTED = {
    "1": {"beertax": ("0.365", "0.062", "***")},
    "2": {"beertax": ("-0.656", "0.289", "**")},
    "3": {"beertax": ("-0.640", "0.255", "*")},
    "4": {
        "beertax": ("-0.452", "0.298", ""),
        "drinkage18": ("0.028", "0.070", ""),
        "unemp": ("-0.063", "0.013", "***"),
        "log(income)": ("1.820", "0.640", "***"),
    },
    "5": {"beertax": ("-0.690", "0.352", "*"), "drinkage18": ("-0.010", "0.083", "")},
    "6": {
        "beertax": ("-0.456", "0.310", ""),
        "unemp": ("-0.063", "0.013", "***"),
        "log(income)": ("1.790", "0.640", "***"),
    },
    "7": {
        "beertax": ("-0.926", "0.339", "***"),
        "unemp": ("-0.091", "0.021", "***"),
        "log(income)": ("1.000", "0.680", ""),
    },
}
TITLES = {
    "1": "Pooled OLS",
    "2": "State effects",
    "3": "State and year effects",
    "4": "Base specification",
    "5": "No economic conditions",
    "6": "Drinking age linear",
    "7": "1982 and 1988 only",
}
NOBS = {"1": 336, "2": 336, "3": 336, "4": 335, "5": 335, "6": 335, "7": 95}
ENGINES = {
    "pyfixest": ("python", "pyfixest", "0.60.0", "live"),
    "linearmodels": ("python", "linearmodels", "7.1", "live"),
    "statsmodels": ("python", "statsmodels", "0.15.0", "live"),
    "oracle": ("python", "numpy", "2.4.6", "live"),
    "r.fixest": ("r", "fixest", "0.14.2", "recorded"),
    "r.lm": ("r", "stats", "4.2.2", "live"),
    "r.plm": ("r", "plm", "2.6-2", "missing"),
}
CANDIDATES = ("pyfixest", "linearmodels", "statsmodels", "oracle")
REFERENCES = ("r.fixest", "r.lm", "r.plm")


def explanation(rule="k.fixef", title="linearmodels counts K = 50; asked for: K = 2", **more):
    return {
        "rule": rule,
        "title": title,
        "formula": "SE^2 is proportional to 1 / (N - K): (336 - 2) / (336 - 50) = 1.1678",
        "replay": 0.289123123456789,
        "digits_after": 14.2,
        "remedy": {
            "r.fixest": 'summary(m, ssc = ssc(K.fixef = "full"))',
            "linearmodels": "PanelOLS(...).fit(cov_type='clustered', count_effects=False)",
            "": "multiply the standard errors of linearmodels by 0.925",
        },
        "verdict": "convention",
        "references": ["fixest manual, ssc: K.fixef"],
    } | more


def row(term, estimate, std_error, df=47.0):
    bare = CoefRow(term=term, estimate=estimate, std_error=std_error, df=df)
    return replace(bare, **inference(bare, df, 0.95))


def printed_numbers(column, extra=()):
    out = []
    for line, (term, quantity, text) in enumerate(extra, 2):
        decimals = len(text.partition(".")[2])
        half = 0.5 * 10.0**-decimals
        value = float(text)
        out.append(
            PublishedNumber(
                table="t",
                column="1",
                term=term,
                quantity=quantity,
                printed=text,
                value=value,
                low=value - half,
                high=value + half,
                decimals=decimals,
                line=line,
            )
        )
    return out


def _texts(terms):
    out = []
    for term, (estimate, se, stars) in terms.items():
        out += [(term, "estimate", estimate), (term, "std_error", se), (term, "stars", stars)]
    return out


def _printed(terms, nobs, r2):
    numbers = []
    for line, (term, quantity, text) in enumerate([*_texts(terms), ("", "nobs", str(nobs)), ("", "adj_r2", r2)], 2):
        if quantity == "stars":
            numbers.append(
                PublishedNumber(
                    table="t",
                    column="1",
                    term=term,
                    quantity=quantity,
                    printed=text,
                    value=None,
                    low=0,
                    high=0,
                    decimals=None,
                    line=line,
                )
            )
            continue
        decimals = len(text.partition(".")[2])
        half, value = 0.5 * 10.0**-decimals, float(text)
        if quantity == "nobs":
            half = 0.0
        numbers.append(
            PublishedNumber(
                table="t",
                column="1",
                term=term,
                quantity=quantity,
                printed=text,
                value=value,
                low=value - half,
                high=value + half,
                decimals=decimals,
                line=line,
            )
        )
    return numbers


def base_result(terms, nobs, seed, df=47.0):
    rng = random.Random(seed)
    rows = []
    for term, (estimate, se, _) in terms.items():
        shift = (rng.random() - 0.5) * 0.9 * 10.0 ** -len(estimate.partition(".")[2])
        widen = (rng.random() - 0.5) * 0.9 * 10.0 ** -len(se.partition(".")[2])
        rows.append(row(term, float(estimate) + shift, float(se) + widen, df))
    r2 = 0.9 + 0.001 * (rng.random() - 0.5) * 0.9
    conventions = Conventions(
        vcov="CRV1",
        cluster=("state",),
        k=8.0,
        k_fixef="nonnested",
        ssc_factor=1.0377,
        n_clusters=(48,),
        distribution="t",
        df_t=df,
        singletons_dropped=0,
        rows_dropped=1,
    )
    return EstimationResult(
        engine="base",
        coefs=tuple(rows),
        conventions=conventions,
        seconds=0.0123,
        stats=FitStats(nobs=float(nobs), r2=r2 + 0.01, adj_r2=r2, r2_within=0.04, df_resid=nobs - 55.0),
    )


def jitter(result, engine, seed):
    """The same result as another engine gives it: last digits differ."""
    rng = random.Random(f"{engine}{seed}")
    rows = [
        row(c.term, c.estimate * (1 + rng.uniform(-2e-14, 2e-14)), c.std_error * (1 + rng.uniform(-3e-13, 3e-13)), c.df)
        for c in result.coefs
    ]
    _, _, version, transport = ENGINES.get(engine, ("python", engine, "1.0", "live"))
    return result.with_(engine=engine, version=version, coefs=tuple(rows), transport=transport)


def change_se(result, factor, only=None):
    return result.with_(
        coefs=tuple(
            row(c.term, c.estimate, c.std_error * factor, c.df) if only in (None, c.term) else c for c in result.coefs
        )
    )


def _spoil(column, engine, result):
    """One fault for each verdict, in columns of their own."""
    if (column, engine) == ("2", "linearmodels"):
        return change_se(result, 1.0805)
    if (column, engine) == ("4", "statsmodels"):
        return result.with_(
            coefs=result.coefs[:-1],
            dropped=("log(income)",),
            conditions=(
                Condition(
                    kind="warning", text="The design matrix is close to singular: log(income)", cls="UserWarning"
                ),
            ),
        )
    if (column, engine) == ("5", "linearmodels"):
        return failed(engine, "the worker died (signal 11) while fitting", version="7.1")
    if (column, engine) == ("6", "pyfixest"):
        return change_se(result, 1 + 3e-5).with_(
            conditions=(Condition(kind="warning", text="demeaning stopped after 10000 iterations"),)
        )
    if (column, engine) == ("6", "statsmodels"):
        return result.with_(
            coefs=(replace(result.coefs[0], estimate=result.coefs[0].estimate * 1.02), *result.coefs[1:])
        )
    if (column, engine) == ("7", "r.lm"):
        other = change_se(result, 1.004)
        return other.with_(stats=replace(other.stats, nobs=other.stats.nobs - 1))
    if engine == "statsmodels":
        return result.with_(stats=replace(result.stats, r2_within=None))
    if engine == "r.plm":
        if column == "1":
            return failed(engine, "no random effects in this formula (never)", status="unsupported")
        return failed(
            engine, "the R package plm is not installed; do: Rscript r_scripts/install.R plm", transport="missing"
        )
    if (column, engine) == ("7", "r.fixest"):
        return failed(
            engine, "the recorded reference is stale: the data have changed since 2026-10-01", transport="stale"
        )
    return result


def _verdict(cell, column):
    """What explain and known rows would have done."""
    pair = {cell.reference, cell.candidate}
    if cell.verdict != "unexplained":
        return {}
    if column == "2" and "linearmodels" in pair:
        return {"verdict": "convention", "explanations": [explanation()]}
    if column == "6" and "pyfixest" in pair and cell.reference != "published":
        return {
            "verdict": "convergence",
            "explanations": [
                explanation(
                    rule="tight",
                    title="pyfixest stopped its demeaning early",
                    formula="",
                    digits_after=12.1,
                    remedy={"pyfixest": "feols(..., demeaner=LsmrDemeaner(fixef_atol=1e-12, fixef_btol=1e-12))"},
                )
            ],
        }
    if column == "7" and "r.lm" in pair:
        return {
            "verdict": "sample",
            "explanations": [
                explanation(
                    rule="singletons",
                    title="r.lm drops one more row than the others",
                    formula="N = 94 against 95",
                    remedy={},
                )
            ],
        }
    if column == "att" and "draws" in pair:
        return {
            "verdict": "stochastic",
            "explanations": [
                explanation(rule="bootstrap", title="bootstrapped with other draws", remedy={}, digits_after=None)
            ],
        }
    if column == "att" and cell.term == "ATT(2007,2007)":
        return {"verdict": "known", "reason": "did 2.5.0 doubled this standard error [https://e.example/issue/1]"}
    return {}


def events(study="fatalities", title="Beer taxes, drunk-driving laws and traffic deaths", notes="", hostile=False):
    """The events of a run with every verdict in it."""
    tables, body, cells = [], [], []
    name = (lambda text: f"{text} {HOSTILE}") if hostile else (lambda text: text)
    columns = []
    for column, terms in PRINTED.items():
        terms = {name(t) if hostile and t != "beertax" else t: v for t, v in terms.items()}
        nobs = NOBS[column]
        base = base_result(terms, nobs, seed=column)
        if column == "3":  # the printed SE is the one that is not clustered
            base = base.with_(coefs=(row("beertax", base.coefs[0].estimate, 0.35707812345),))
        results = {e: _spoil(column, e, jitter(base, e, column)) for e in ENGINES}
        results["oracle"] = results["oracle"] if column != "1" else results["r.lm"].with_(engine="oracle")
        printed = _printed(terms, nobs, "0.900")
        formula = (
            "`frate` ~ "
            + " + ".join(f"`{t}`" for t in terms)
            + {"1": "", "2": " | `state`"}.get(column, " | `state` + `year`")
        )
        columns.append(_column(column, name(TITLES[column]) if hostile else TITLES[column], formula, nobs))
        found = _column_cells(study, "table1", column, results, printed)
        cells += found
        body += _results("table1", column, results, printed, name) + [{"event": "cell", **c} for c in found]
    tables.append(
        {
            "id": "table1",
            "title": name("Drunk driving laws and traffic deaths"),
            "source": "Stock and Watson (2015), Table 10.1",
            "columns": columns,
        }
    )
    more_table, more_body, more_cells = _att(study)
    tables.append(more_table)
    body += more_body
    cells += more_cells
    return _wrap(study, name(title), tables, body, cells, notes)


def _att(study):
    rng = random.Random(7)
    terms = {
        f"ATT({g},{t})": (f"{rng.uniform(-0.15, 0.03):.4f}", f"{rng.uniform(0.015, 0.04):.4f}", "")
        for g in (2004, 2006, 2007)
        for t in range(2004, 2008)
    }
    base = base_result(terms, 2500, seed="att", df=float("inf")).with_(stats=FitStats(nobs=2500.0))
    results = {
        "pyfixest": jitter(base, "pyfixest", "att"),
        "r.fixest": jitter(base, "r.fixest", "att"),
        "draws": change_se(jitter(base, "draws", "att"), 1.03),
    }
    results["pyfixest"] = change_se(results["pyfixest"], 2.0, only="ATT(2007,2007)")
    cells = []
    for reference, candidate in (("r.fixest", "pyfixest"), ("r.fixest", "draws"), ("r.fixest@0.13.2", "r.fixest")):
        left = results[reference.partition("@")[0]].with_(engine=reference)
        cells += _cells(compare(left, results[candidate], _context(study, "did", "att")), "att")
    for c in cells:
        if c["reference"] == "r.fixest@0.13.2" and c["term"] == "ATT(2004,2004)" and c["quantity"] == "estimate":
            c.update(
                verdict="nondeterministic", severity="cosmetic", reason="r.fixest gave another number in a second fit"
            )
    body = _results("did", "att", results, [], lambda t: t) + [{"event": "cell", **c} for c in cells]
    table = {
        "id": "did",
        "title": "Group-time effects",
        "source": "",
        "columns": [
            _column("att", "Callaway and Sant'Anna", "", 2500) | {"estimator": "att_gt", "vcov": {"type": "iid"}}
        ],
    }
    return table, body, cells


def _column(column, title, formula, rows):
    return {
        "id": column,
        "title": title,
        "estimator": "feols",
        "formula": formula,
        "vcov": {"type": "CRV1", "cluster": ["state"], "lag": None}
        if column != "1"
        else {"type": "HC1", "cluster": []},
        "ssc": {"k_adj": True, "k_fixef": "nonnested", "g_adj": True, "g_df": "min", "t_df": "min"},
        "options": {},
        "where": "`year` in [1982, 1988]" if column == "7" else "",
        "request_hash": "a" * 64,
        "data_hash": "b" * 64,
        "conf_level": 0.95,
        "legend": LEGEND,
        "rows": rows,
    }


def _context(study, table, column):
    return Context(
        study=study,
        table=table,
        column=column,
        legend=LEGEND,
        tolerances={},
        decimals={("", "estimate"): 3, ("", "std_error"): 3, ("", "adj_r2"): 3},
    )


def _cells(found, column):
    out = []
    for cell in found:
        raw = cell.to_json()
        raw.update(_verdict(cell, column))
        out.append(raw)
    return out


def _column_cells(study, table, column, results, printed):
    context = _context(study, table, column)
    found = []
    for candidate in CANDIDATES:
        for reference in REFERENCES:
            found += compare(results[reference], results[candidate], context)
    for candidate in ("pyfixest", "linearmodels", "statsmodels"):
        found += compare(results["oracle"], results[candidate], context)
    for engine in (*CANDIDATES, *REFERENCES):
        if results[engine].transport not in ("missing", "stale") and results[engine].status != "unsupported":
            found += compare_printed(printed, results[engine], context)
    return _cells(found, column)


def _results(table, column, results, printed, name):
    out = []
    for engine, result in results.items():
        language = ENGINES.get(engine, ("python",))[0]
        code = (
            f'library(fixest)\nd <- read.csv("panel.csv")\nfeols(frate ~ beertax, d) # {name("")}'
            if language == "r"
            else f'import pandas as pd\nd = pd.read_csv("panel.csv")\n# {name("")}\nfeols("frate ~ beertax", d)'
        )
        out.append(
            {
                "event": "result",
                "table": table,
                "column": column,
                "source": engine,
                "result": result.to_json(),
                "cached": engine == "pyfixest",
                "code": code,
                "request_hash": "a" * 64,
            }
        )
    if printed:
        out.append(
            {
                "event": "result",
                "table": table,
                "column": column,
                "source": "published",
                "printed": [
                    {
                        "term": p.term,
                        "quantity": p.quantity,
                        "printed": p.text,
                        "low": p.low,
                        "high": p.high,
                        "line": p.line,
                    }
                    for p in printed
                ],
            }
        )
    return out


def _wrap(study, title, tables, body, cells, notes):
    environment = {"python": {"python": "3.11.2", "numpy": "2.4.6"}, "r": {"R": "4.2.2"}}
    engines = [
        {
            "id": e,
            "package": package,
            "version": version,
            "language": language,
            "transport": transport,
            "reason": "the R package plm is not installed" if transport == "missing" else "",
            "environment": environment[language] | {package: version},
            "recorded_on": "2026-11-20T09:00:00Z" if transport == "recorded" else "",
        }
        for e, (language, package, version, transport) in ENGINES.items()
    ]
    header = {
        "event": "header",
        "schema": 1,
        "crosscheck": "0.1.0",
        "study": study,
        "title": title,
        "started": "2026-11-23T10:00:00Z",
        "transport": "auto",
        "fail_on": "printed",
        "command": "crosscheck run fixtures/studies/fatalities",
        "engines": engines,
        "data": {"path": "panel.csv", "sha256": "c" * 64, "rows": 336, "columns": 40},
        "toml_sha256": "d" * 64,
        "published_sha256": "e" * 64,
        "tables": tables,
        "tolerances": [
            {
                "table": "table1",
                "column": None,
                "term": None,
                "quantity": "std_error",
                "rtol": 1e-5,
                "stol": 0.0,
                "candidate": "pyfixest",
                "reason": "three fixed effects, default iterations",
            }
        ],
        "known": [
            {
                "table": "did",
                "column": "att",
                "term": "ATT(2007,2007)",
                "reason": "did 2.5.0 doubled this",
                "source": "https://e.example/issue/1",
            }
        ],
        "notes": notes,
    }
    grave = any(c["severity"] in ("printed", "decision", "structural") and c["verdict"] != "known" for c in cells)
    footer = {
        "event": "footer",
        "finished": "2026-11-23T10:00:07Z",
        "counts": dict(sorted(Counter(c["verdict"] for c in cells).items())),
        "severities": dict(sorted(Counter(c["severity"] for c in cells).items())),
        "exit_code": int(grave),
        "seconds": 7.25,
        "complete": True,
        "interrupted": False,
    }
    return [header, *body, footer]


def agreeing_events(columns=3):
    """A run in which everything agrees."""
    tables, body, cells = [], [], []
    listed = []
    for column in list(PRINTED)[:columns]:
        terms = PRINTED[column] if column != "3" else {"beertax": ("-0.640", "0.357", "*")}
        base = base_result(terms, NOBS[column], seed=column)
        results = {e: jitter(base, e, column).with_(transport="live") for e in ("pyfixest", "oracle", "r.fixest")}
        printed = [p for p in _printed(terms, NOBS[column], "0.900") if p.quantity != "stars"]
        context = _context("small", "t", column)
        found = compare(results["r.fixest"], results["pyfixest"], context)
        found += compare(results["oracle"], results["pyfixest"], context)
        for result in results.values():
            found += compare_printed(printed, result, context)
        raw = [c.to_json() for c in found]
        cells += raw
        body += _results("t", column, results, printed, lambda t: t) + [{"event": "cell", **c} for c in raw]
        listed.append(_column(column, TITLES[column], "`frate` ~ `beertax` | `state`", NOBS[column]))
    tables.append({"id": "t", "title": "Baseline", "source": "", "columns": listed})
    return _wrap("small", "A small study", tables, body, cells, "")


def big_events(columns=20, terms=12):
    """A run of thousands of cells."""
    body, cells, listed = [], [], []
    spelled = {f"x{i}": ("0.123", "0.045", "***") for i in range(terms)}
    for number in range(columns):
        base = base_result(spelled, 1000, seed=number)
        results = {e: jitter(base, e, number) for e in ("pyfixest", "linearmodels", "r.fixest", "r.lm")}
        printed = _printed(spelled, 1000, "0.900")
        context = _context("big", "t", f"c{number}")
        found = []
        for candidate in ("pyfixest", "linearmodels"):
            for reference in ("r.fixest", "r.lm"):
                found += compare(results[reference], results[candidate], context)
        for result in results.values():
            found += compare_printed(printed, result, context)
        raw = [c.to_json() for c in found]
        cells += raw
        body += _results("t", f"c{number}", results, printed, lambda t: t) + [{"event": "cell", **c} for c in raw]
        listed.append(_column(f"c{number}", "", "`y` ~ " + " + ".join(f"`{t}`" for t in spelled), 1000))
    return _wrap("big", "Big", [{"id": "t", "title": "", "source": "", "columns": listed}], body, cells, "")


def write_run(path, run):
    """Write events as the runner does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(dumps(e) + "\n" for e in run), "utf-8")
    return path
