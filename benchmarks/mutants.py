"""How soon are planted faults found, by what, and on how few rows?

Usage: ``python benchmarks/mutants.py [PANELS]``, or ``--own [WORD ...]`` for the campaign's own draws, the faults of
``tests/mutants_blind.py`` included (only those whose name has one of
the words). For each mutant of ``tests/mutants.py`` and ``tests/mutants_more.py``:
the panels that the comparison with the closed form (of Poisson and logit: with statsmodels) needs, the quantity that
gives it away, the rows left after shrinking; and the panels that relations and known truth need without any closed form
(``-``: not within their number of panels, 60 by default).
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mutants import OTHERS, examined, quiet, shrunk, sit
from tests.mutants_blind import BLIND, base_of
from tests.mutants_blind_last import LAST, base_of_last
from tests.mutants_blind_more import MORE, base_of_more
from tests.mutants_more import FAULTS, ITERATED
from tests.own_draws import BASES, Room


def main() -> None:
    """Print the table and its medians."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    started, panels, rows, alone = time.process_time(), [], [], 0
    print(f"{'mutant':44s}{'panels':>7s}  {'by':42s}{'rows':>5s}   relations alone")
    with quiet():
        for name, make in FAULTS.items():
            iterated = name in ITERATED
            found = examined(make, iterated=iterated)
            if found is None:
                print(f"{name:44s}   not found")
                continue
            left = shrunk(make, found).nrows
            other = None if iterated else next(sit(make, properties=OTHERS, panels=most), None)
            by = f"{found.prop.id}: {found.discrepancy.identity.quantity} ({found.case.request.estimator})"
            words = f"{other.panels:4d} {other.prop.id}" if other else "   -"
            print(f"{name:44s}{found.panels:7d}  {by:42s}{left:5d}   {words}", flush=True)
            panels.append(found.panels)
            rows.append(left)
            alone += other is not None
    print(
        f"{len(panels)} of {len(FAULTS)} found; panels: median {statistics.median(panels):g}, most {max(panels)}; "
        f"rows: median {statistics.median(rows):g}, most {max(rows)}; {alone} by relations alone within {most} panels; "
        f"{time.process_time() - started:.0f} s CPU"
    )


def _base(name: str) -> str:
    if name in LAST:
        return base_of_last(name)
    if name in MORE:
        return base_of_more(name)
    return base_of(name) if name in BLIND else "statsmodels" if name in ITERATED else "oracle"


def own(words: list[str], seed: int = 0) -> None:
    """Send the mutants through what ``crosscheck campaign --engines +mine=...`` draws,."""
    started, panels, rows, lost = time.process_time(), [], [], []
    chosen = {
        n: m
        for n, m in (FAULTS | BLIND | MORE | LAST).items()
        if not words
        or any(
            w in n or (w == "BLIND" and n in BLIND) or (w == "MORE" and n in MORE) or (w == "LAST" and n in LAST)
            for w in words
        )
    }
    bases = {n: _base(n) for n in chosen}
    print(f"{'mutant':44s}{'panels':>7s}  {'by':60s}{'rows':>5s}")
    for base in (b for b in BASES if b in bases.values()):
        room = Room(base, seed=seed)
        try:
            for name in (n for n in chosen if bases[n] == base):
                seen = next(room.sit(chosen[name]), None)
                if seen is None:
                    lost.append(name)
                    print(f"{name:44s}   not found", flush=True)
                    continue
                i = seen.discrepancy.identity
                left = room.shrunk(chosen[name], seen)
                print(
                    f"{name:44s}{seen.panels:7d}  {f'{i.rule}: {i.quantity} ({i.features})'[:58]:60s}{left:5d}",
                    flush=True,
                )
                panels.append(seen.panels)
                rows.append(left)
        finally:
            room.close()
    if not panels:
        return
    print(
        f"{len(panels)} of {len(chosen)} found within 300 panels from seed {seed}; panels: median "
        f"{statistics.median(panels):g}, most {max(panels)}; "
        f"rows: median {statistics.median(rows):g}, most {max(rows)}; missed: {', '.join(lost) or 'none'}; "
        f"{time.process_time() - started:.0f} s CPU"
    )


if __name__ == "__main__":
    if "--own" in sys.argv:
        given = sys.argv[sys.argv.index("--own") + 1 :]
        first = next((int(w.partition("=")[2]) for w in given if w.startswith("--seed=")), 0)
        with quiet():
            own([w for w in given if not w.startswith("--seed=")], first)
    else:
        main()
