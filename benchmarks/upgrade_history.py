"""Run the sentinel set on real releases and say which changes of the list it sees.

    python benchmarks/upgrade_history.py [--package P] [--keep DIR] [--write] [--moves BEFORE AT]

Rebuilds every environment from the package index, asks every version all cases of its package, and prints the tables
of docs/upgrade_history.md. ``--keep`` keeps answers, so that an interrupted run is taken up where it stood; ``--write``
seals the outcome in fixtures/sentinel/history.json; ``--moves`` prints all that moved between two versions instead.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from crosscheck.bridge import environments
from crosscheck.bridge.environments import Recipe
from crosscheck.bridge.interpreters import require_python
from crosscheck.canon import digest, dumps, sha256, write_atomic
from crosscheck.errors import EngineMissing
from crosscheck.results import EstimationResult, result_from_json
from crosscheck.runner import stamp, utc_now
from crosscheck.store import cache_dir
from crosscheck.upgrade import thin
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.eras import adapter_for, era_file
from crosscheck.upgrade.sentinel.cases import first_grid, folder, sentinel_cases
from crosscheck.upgrade.sentinel.history import (
    OUTCOME_FILE,
    History,
    Stack,
    compare_versions,
    flagged,
    read_history,
    sides,
    summary,
    tables,
)
from crosscheck.upgrade.sides import Side, run_side

PAGE = Path(__file__).parents[1] / "docs" / "upgrade_history.md"
THIN = Path(thin.__file__).parent
MARK = "<!-- written by benchmarks/upgrade_history.py --write -->"


def set_digest(package: str) -> str:
    """Return the hash of all that a package is asked."""
    return digest([[c.id, c.call.hash, c.frame.key] for c in sentinel_cases(package)])


def side_of(stack: Stack, version: str) -> Side:
    """Build one side on its stack."""
    file, adapter = era_file(stack.package), adapter_for(stack.package, version)
    needs = (*stack.pins, *file.companions, *adapter.table.needs)
    recipe = Recipe(python=require_python(stack.python)) if stack.python else None
    place = environments.provide(cache_dir(), (f"{file.distribution}=={version}", *needs), say=say, recipe=recipe)
    return Side(
        package=stack.package,
        version=version,
        id=f"{stack.package}@{version}",
        asked=version,
        python=place.python,
        adapter=adapter,
        state=place.environment((file.distribution,)),
        pins=stack.pins,
    )


def asked(case: Case) -> str:
    """Return the hash of all that a case asks."""
    return digest([case.call.hash, case.frame.key, case.new_rows.key if case.new_rows is not None else ""])


def answers_of(stack: Stack, version: str, keep: Path | None) -> tuple[dict[str, EstimationResult], dict[str, Any]]:
    """Return what a version answers, and what is known of the run; only what is not kept is asked."""
    side = side_of(stack, version)
    cases = sentinel_cases(stack.package)
    driver = sha256((THIN / f"{stack.package}_driver.py").read_bytes())
    key = digest([dict(side.state), side.adapter.to_json(), driver])[:12]
    file = keep / f"{stack.package}-{version}-{key}.json.gz" if keep else None
    kept: dict[str, Any] = {"seconds": 0.0, "answers": {}}
    if file is not None and file.is_file():
        kept = json.loads(gzip.decompress(file.read_bytes()))
    known = kept["answers"]
    missing = [c for c in cases if known.get(c.id, {}).get("asked") != asked(c)]
    if missing:
        found = run_side(side, missing, hash_seeds=(0,))
        known |= {c.id: {"asked": asked(c), "answer": found.results[c.id].to_json()} for c in missing}
        kept["seconds"] += found.seconds
        if file is not None:
            write_atomic(file, gzip.compress(dumps(kept).encode("utf-8")))
    answers = {c.id: result_from_json(known[c.id]["answer"]) for c in cases}
    counts = Counter(r.status for r in answers.values())
    return answers, {"state": dict(side.state), "seconds": round(kept["seconds"], 1), **counts}


def examine(history: History, packages: list[str], keep: Path | None) -> dict[str, Any]:
    """Run everything and return the outcome."""
    versions: dict[str, Any] = {}
    pairs: list[dict[str, Any]] = []
    changes: dict[str, dict[str, Any]] = {}
    for stack in history.stack:
        if stack.package not in packages:
            continue
        cases = sentinel_cases(stack.package)
        by_id, first = {c.id: c for c in cases}, first_grid(stack.package)
        mine = [c for c in history.change if c.package == stack.package]
        answers: dict[str, dict[str, EstimationResult]] = {}
        for version in stack.versions:
            answers[version], about = answers_of(stack, version, keep)
            name = f"{stack.package} {version}"
            versions[name if name not in versions else f"{name} on {', '.join(stack.pins)}"] = about
            say(f"{name}: {about}")
        for before, at in zip(stack.versions, stack.versions[1:], strict=False):
            found = compare_versions(cases, answers[before], answers[at])
            pairs.append(
                {"package": stack.package, "before": before, "at": at, **summary(cases, answers[before], found)}
            )
            for change in mine:
                hits = flagged(change, by_id, found)
                entry = changes.setdefault(change.id, {"id": change.id, "elsewhere": {}})
                if (before, at) == (change.before, change.at):
                    entry |= {
                        "numbers": len(hits),
                        "cases": len({m.case for m in hits}),
                        "first": sum(m.case in first for m in hits),
                        "witnesses": sides(hits, by_id),
                        "example": example(hits, by_id),
                    }
                elif hits:
                    entry["elsewhere"][f"{before} -> {at}"] = len(hits)
    return {
        "schema": 1,
        "recorded_on": stamp(utc_now()),
        "python": platform.python_version(),
        "sets": {p: set_digest(p) for p in packages},
        "list": digest(history.model_dump(mode="json")),
        "versions": versions,
        "pairs": pairs,
        "changes": list(changes.values()),
    }


def example(hits: list[Any], cases: dict[str, Case]) -> dict[str, Any]:
    """Return one movement, the largest number of the first case, to show."""
    if not hits:
        return {}
    m = hits[0]
    return {
        "case": m.case,
        "title": cases[m.case].title,
        "term": m.term,
        "quantity": m.quantity,
        "old": m.old,
        "new": m.new,
    }


def show(history: History, outcome: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"\n{'change':44} {'release':28} numbers cases  elsewhere; R")
    by_id = {c.id: c for c in history.change}
    for row in outcome["changes"]:
        c = by_id[row["id"]]
        release = f"{c.package} {c.before} -> {c.at}"
        seen = f"{row.get('numbers', 0):7} {row.get('cases', 0):5}"
        print(f"{c.id:44} {release:28} {seen}  {row['elsewhere'] or ''} {row.get('witnesses') or ''}")
    print(f"\n{'pair':34} breaks  cases  drift")
    silent = {(s.package, s.before, s.at) for s in history.silent}
    for p in outcome["pairs"]:
        name = f"{p['package']} {p['before']} -> {p['at']}"
        listed = " (listed as silent)" if (p["package"], p["before"], p["at"]) in silent else ""
        print(f"{name:34} {p['breaks']:6} {p['cases_with_breaks']:6} {p['drift']:6}{listed} {p['quantities']}")


def moves(history: History, package: str, before: str, at: str, keep: Path | None) -> None:
    """Print all that moved between two versions."""
    stack = next(s for s in history.stack if s.package == package and {before, at} <= set(s.versions))
    cases = sentinel_cases(package)
    found = compare_versions(cases, answers_of(stack, before, keep)[0], answers_of(stack, at, keep)[0])
    by_id = {c.id: c for c in cases}
    last = ""
    for m in found:
        if m.size != "break":
            continue
        if m.case != last:
            call = by_id[m.case].call
            print(f"\n{m.case} {by_id[m.case].title} {dumps(dict(call.arguments))} {dumps(dict(call.fit))}")
            last = m.case
        print(f"    {m.term or '*'} {m.quantity}: {m.old} -> {m.new}"[:160])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", action="append")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--moves", nargs=2)
    words = parser.parse_args()
    history = read_history(folder())
    if words.keep:
        words.keep.mkdir(parents=True, exist_ok=True)
    packages = words.package or list(dict.fromkeys(s.package for s in history.stack))
    try:
        if words.moves:
            moves(history, packages[0], *words.moves, words.keep)
            return
        outcome = examine(history, packages, words.keep)
    except EngineMissing as error:
        raise SystemExit(f"{error.what}; {error.hint}") from None
    show(history, outcome)
    if words.write:
        sealed = {**outcome, "seal": digest(json.loads(dumps(outcome)))}
        write_atomic(folder() / OUTCOME_FILE, dumps(sealed, indent=1) + "\n")
        page = PAGE.read_text("utf-8")
        head = page.partition(MARK)[0]
        write_atomic(PAGE, f"{head}{MARK}\n\n{tables(history, outcome)}")
        print(f"written: {folder() / OUTCOME_FILE}, {PAGE}")


if __name__ == "__main__":
    main()
