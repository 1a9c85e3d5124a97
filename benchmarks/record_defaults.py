"""Record what real releases with another default say, so that the replay of a default can be tested without them.

    python benchmarks/record_defaults.py [PACKAGE...]

For each pair of releases below, the first cases of the sentinel set that leave a changed default open: what the old
version says, what the new one says, and what the new one says with the old default written out, as the command asks it.
"""

from __future__ import annotations

import gzip
import sys
from typing import Any

import upgrade_history as history

from crosscheck.canon import digest, dumps, write_atomic
from crosscheck.runner import stamp, utc_now
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.causes import variant
from crosscheck.upgrade.defaults import replays
from crosscheck.upgrade.sentinel.cases import folder, sentinel_cases
from crosscheck.upgrade.sentinel.history import read_history
from crosscheck.upgrade.sides import run_side

FILE = "defaults.json.gz"
PAIRS = (
    ("pyfixest", "0.28.0", "0.29.0"),
    ("pyfixest", "0.30.2", "0.40.0"),
    ("statsmodels", "0.14.6", "0.15.0"),
    ("csdid", "0.2.9", "0.4.2"),
    ("differences", "0.2.0", "0.3.0"),
)
CASES = {"csdid": 96}
"""For each option, spread over those that leave it open, six where nothing is said; csdid mended much else at once."""


def leaving_open(package: str, old: str, new: str) -> list[Case]:
    """Return cases for each option whose default changed and matters to them."""
    by_name: dict[str, list[Case]] = {}
    for case in sentinel_cases(package):
        for replay in replays(case.call, old, new):
            name, (before, after) = next(iter(replay.arguments.items()))
            if len(replay.arguments) == 1 and before != after:
                by_name.setdefault(name, []).append(case)
    most = CASES.get(package, 6)
    chosen = [c for found in by_name.values() for c in found[:: max(1, len(found) // most)][:most]]
    return list({c.id: c for c in chosen}.values())


def record(package: str, old: str, new: str) -> dict[str, Any]:
    """Ask one pair."""
    lists = read_history(folder())
    stack = next(s for s in lists.stack if s.package == package and {old, new} <= set(s.versions))
    sides = [history.side_of(stack, v) for v in (old, new)]
    cases = leaving_open(package, old, new)
    again = [variant(c, n, r) for c in cases for n, r in enumerate(replays(c.call, old, new))]
    answers = [run_side(s, c, hash_seeds=(0,)).results for s, c in zip(sides, (cases, [*cases, *again]), strict=True)]
    kept = [{i: r.to_json() for i, r in side.items()} for side in answers]
    return {
        "package": package,
        "versions": [old, new],
        "states": [dict(s.state) for s in sides],
        "cases": [c.id for c in cases],
        "old": kept[0],
        "new": kept[1],
    }


def main() -> None:
    rows = []
    for pair in PAIRS:
        if len(sys.argv) > 1 and pair[0] not in sys.argv[1:]:
            continue
        rows.append(record(*pair))
        print(f"{pair}: {len(rows[-1]['new'])} answers of the new version", file=sys.stderr, flush=True)
    made = {"schema": 1, "recorded_on": stamp(utc_now()), "pairs": rows}
    made["seal"] = digest(made)
    write_atomic(folder() / FILE, gzip.compress(dumps(made).encode("utf-8"), 9, mtime=0))


if __name__ == "__main__":
    main()
