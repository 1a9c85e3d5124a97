"""How soon are planted faults found, by what, and on how few rows?

Usage: ``python benchmarks/mutants.py [PANELS]``. For each mutant of ``tests/mutants.py`` and ``tests/mutants_more.py``:
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
from tests.mutants_more import FAULTS, ITERATED


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


if __name__ == "__main__":
    main()
