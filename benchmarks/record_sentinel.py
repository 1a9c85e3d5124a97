"""Record the sentinel set: what R and the closed forms say to its cases; with ``--panels`` its panels as well.

    python benchmarks/record_sentinel.py [--panels]

Panels are drawn again only when the grid is changed; every recorded outcome is then stale.
"""

from __future__ import annotations

import sys

from crosscheck.plan import Reachability
from crosscheck.upgrade.sentinel.cases import folder
from crosscheck.upgrade.sentinel.panels import draw_panels, read_panels, write_panels
from crosscheck.upgrade.sentinel.witness import WITNESSES, record_witnesses


def main() -> None:
    if "--panels" in sys.argv:
        path = write_panels(folder(), draw_panels())
        read_panels.cache_clear()
        print(f"{path}: {path.stat().st_size:,} bytes")
    reach = Reachability("live")
    path, answers = record_witnesses({w: reach.info(w) for w in WITNESSES})
    print(f"{path}: {answers:,} answers, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
