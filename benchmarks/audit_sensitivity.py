"""Which share of single printing errors does the audit notice, over a real paper and over tables of real data?

Run ``python benchmarks/audit_sensitivity.py [--every N] [--list] [--data]``. Prints shares by kind of change and of
token: inside the jointly constrained block (columns that share outcome, treatment, controls and sample), among the
numbers that all others prove to within two units of their last place, and over all tokens. Each change that is not
noticed comes with a certificate, a point verified in interval arithmetic; ``--data`` adds, for the founding paper, a
whole panel whose regressions print the changed table (:mod:`audit_panels`). ``--list`` names these changes.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from audit_panels import committed, panel_behind

from crosscheck.audit.engine import run_families
from crosscheck.audit.facts import Claims, Facts, parse, read_toml
from crosscheck.audit.joint.family import joint
from crosscheck.audit.paper import Paper, build
from crosscheck.audit.perturb import KINDS, Result, Row, changes, judge
from crosscheck.audit.simulate import LEVELS, _Writer, least_squares
from crosscheck.audit.tokens import rows_of, tokens_of

STUDIES = Path(__file__).resolve().parent.parent / "fixtures" / "studies"


def jointly_constrained(paper: Paper) -> frozenset[str]:
    """Tokens that the mediation algebra ties together: shared terms, mediators, fit statistics of those columns."""
    out = set()
    for m in paper.mediations():
        shared = set(m.total.printed_terms) & set(m.path.printed_terms) & set(m.direct.printed_terms)
        for column in (m.total, m.path, m.direct):
            out |= {t.id for t in column.tokens.values() if t.term in shared or t.term in ("", m.mediator)}
    return frozenset(out)


def proved_closely(results: list[Result]) -> frozenset[str]:
    """Tokens for which a change by two units of the last place is proved impossible in both directions."""
    two: dict[str, list[bool]] = {}
    for r in results:
        if r.change.kind == "last 2":
            two.setdefault(r.change.token, []).append(r.outcome == "detected")
    return frozenset(token for token, noticed in two.items() if len(noticed) == 2 and all(noticed))


def real_table(
    folder: str, unit: str, time: str, y: str, x: str, m: str, others: tuple[str, ...] = ()
) -> tuple[tuple[Row, ...], Facts]:
    """Print a table from real data: y on x pooled and two-way, m on x, y on both, classical SEs, four decimals."""
    data = pd.read_csv(STUDIES / folder / "panel.csv")
    names = {c.lower(): c for c in data.columns}
    data = data.dropna(subset=[names[n] for n in (y, x, m, *others)])
    codes = {"unit": pd.factorize(data[names[unit]])[0], "time": pd.factorize(data[names[time]])[0]}
    values = {n: data[names[n]].to_numpy(dtype=np.float64) for n in (y, x, m, *others)}
    writer = _Writer(4, None, False, False)
    for name, column in values.items():
        writer.describe(name, column, False)
    specs = (
        ("1", y, (x,), False),
        ("2", y, (x, *others), True),
        ("3", m, (x, *others), True),
        ("4", y, (x, m, *others), True),
    )
    for key, outcome, terms, fe in specs:
        design = np.column_stack([values[t] for t in terms])
        effects: dict[str, np.ndarray] = dict(codes) if fe else {}
        fit = least_squares(values[outcome], design, terms, codes["unit"], "iid", **effects)  # type: ignore[arg-type]
        writer.fit("table2", key, fit, outcome, terms, fe, "full")
    units, periods = int(codes["unit"].max()) + 1, int(codes["time"].max()) + 1
    facts = {
        "schema": 1, "paper": folder, "legend": {"levels": list(LEVELS), "tails": 2},
        "panel": {"units": units, "first": 1, "last": periods, "balanced": len(data) == units * periods},
        "descriptives": {"table": "table1", "column": "d", "sample": "full"},
        "sample": [{"id": "full"}], "column": writer.columns,
    }  # fmt: skip
    return tuple(writer.rows), parse(facts, Facts, folder)


def measure(
    name: str, rows: tuple[Row, ...], facts: Facts, claims: Claims, every: int, show: bool, panel: Path | None = None
) -> None:
    """Print the shares for one paper."""
    tokens, mark = tokens_of(rows)
    paper = build(tokens, mark, facts, claims)
    checks = run_families(paper)
    known = frozenset(c.id for c in (*checks, *joint(paper, checks)) if c.verdict == "inconsistent")
    block = jointly_constrained(paper)
    sample_of = {t.id: c.facts.sample for c in paper.columns for t in c.tokens.values()}
    if facts.descriptives is not None:
        sample_of |= {t.id: facts.descriptives.sample for t in tokens.values() if t.table == facts.descriptives.table}
    start = time.perf_counter()
    results = [judge(c, facts, claims, known, sample_of) for i, c in enumerate(changes(rows)) if i % every == 0]
    seconds = time.perf_counter() - start
    print(f"\n{name}: {len(results)} changes of {len(tokens)} printed tokens, {seconds:.0f} s; before: {sorted(known)}")
    inside = [r for r in results if r.change.token in block]
    close = proved_closely(results)
    near = [r for r in results if r.change.token in close and r.change.token in block]
    for title, mine in (
        ("jointly constrained block", inside),
        (f"of it, the {len({r.change.token for r in near})} numbers that the others prove to two units", near),
        ("all tokens", results),
    ):
        print(f"  {title}")
        for kind in KINDS:
            _line(kind, [r for r in mine if r.change.kind == kind])
        _line("last 1 (all)", [r for r in mine if r.change.kind == "last 1"])
        _line("larger (all)", [r for r in mine if r.change.kind != "last 1"])
        for quantity in dict.fromkeys(r.change.quantity for r in mine):
            _line(f"of {quantity}", [r for r in mine if r.change.quantity == quantity])
    shown = _data(results, block, facts, panel) if panel is not None else {}
    if show:
        for r in results:
            if r.outcome != "detected":
                how = " (a panel prints it)" if shown.get(id(r)) else ""
                print(f"    {r.outcome}: {r.change.token} {r.change.kind} {r.change.before} -> {r.change.after}{how}")


def _data(results: list[Result], block: frozenset[str], facts: Facts, folder: Path) -> dict[int, bool]:
    """Look for data behind every change that was not noticed, and count."""
    panel = committed(folder)
    out = {id(r): panel_behind(r.change, facts, panel) for r in results if r.outcome != "detected"}
    for title, mine in (
        ("jointly constrained block", [r for r in results if r.change.token in block]),
        ("all tokens", results),
    ):
        for kind in ("last 1", "larger"):
            missed = [out[id(r)] for r in mine if id(r) in out and (r.change.kind == "last 1") == (kind == "last 1")]
            print(
                f"  {title}, {kind}: {len(missed)} not noticed, {sum(missed)} of them printed by a panel, re-estimated"
            )
    return out


def _line(label: str, mine: list[Result]) -> None:
    if mine:
        c = Counter(r.outcome for r in mine)
        theory = c["detected"] / max(1, len(mine) - c["possible"])
        print(
            f"    {label:<16} {len(mine):>5} changes: detected {c['detected'] / len(mine):6.1%}, certified possible "
            f"{c['possible'] / len(mine):6.1%}, undecided {c['undecided'] / len(mine):5.1%}; of the rest {theory:6.1%}"
        )


def main() -> None:
    """Measure the founding paper and Grunfeld's data."""
    options = argparse.ArgumentParser()
    options.add_argument("--every", type=int, default=1, help="take every n-th change")
    options.add_argument("--list", action="store_true", help="name what is not detected")
    options.add_argument("--data", action="store_true", help="find a panel for each change that is not detected")
    args = options.parse_args()
    folder = STUDIES / "bdpz"
    measure(
        "bdpz", rows_of(folder / "published.csv"), read_toml(folder / "audit.toml", Facts),
        read_toml(folder / "claims.toml", Claims), args.every, args.list, folder if args.data else None,
    )  # fmt: skip
    tables = {
        "grunfeld": ("firm", "year", "inv", "capital", "value"),
        "fatalities": ("state", "year", "frate", "beertax", "unemp", ("lincome",)),
    }
    for folder, columns in tables.items():
        rows, facts = real_table(folder, *columns)  # type: ignore[arg-type]
        measure(f"{folder} (real data)", rows, facts, Claims(), args.every, args.list)


if __name__ == "__main__":
    main()
