"""Does any property call a correct estimator wrong?

Usage: ``python benchmarks/false_alarms.py [PANELS] [FIRST SEED]``. Each panel goes through one of the twins of
``tests/twins.py`` (the closed forms in double precision, by other decompositions and orders of summation), which is
held against the closed form in extended precision, and against relations and known truths drawn by the panel's seed.
Prints every alarm with the code that repeats it, and what was compared.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mutants import quiet
from tests.test_false_alarms import alarms


def main() -> None:
    """Run, and print the alarms."""
    panels = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    started, compared, checks, found, empty = time.process_time(), Counter(), Counter(), 0, 0
    with quiet():
        for seed in range(first, first + panels):
            numbers = 0
            for name, twin, case, checked in alarms(seed):
                compared[name] += checked.compared
                checks[name] += checked.compared > 0
                numbers += checked.compared
                for one in checked.discrepancies:
                    found += 1
                    print(f"{seed} {twin} {name}: {one.says or one.identity} {one.term} {one.value} {one.other}")
                    print(f"    {case.panel!r}\n    {case.request!r}", flush=True)
            empty += numbers == 0
    seconds = time.process_time() - started
    print(
        f"{panels} panels, {empty} of them with nothing to compare; {sum(checks.values())} checks, "
        f"{sum(compared.values())} numbers, {found} alarms; "
        f"{seconds:.0f} s CPU, {1e3 * seconds / panels:.0f} ms a panel"
    )
    for name, count in sorted(checks.items()):
        print(f"  {name:20s}{count:8d} checks {compared[name]:9d} numbers")
    bound = 1 - 0.05 ** (1 / max(panels, 1)) if not found else float(np.nan)
    print(f"rate of alarms a panel, 95% upper bound: {bound:.2g}")


if __name__ == "__main__":
    main()
