"""How often is each property checked on each engine? The table of docs/properties.md.

    python benchmarks/properties.py [PANELS] [--table]

Asks every property on the panels of the ci profile, until it has compared numbers of an engine thrice or the panels are
used up. ``--table`` prints which engines each property has reached, as docs/properties.md has it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crosscheck.campaign.case import Case
from crosscheck.campaign.command import settings_of
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.plan import panel_of
from crosscheck.campaign.properties import chosen, properties
from crosscheck.campaign.requests import draw_requests
from crosscheck.plan import Reachability
from crosscheck.runner import Workers

ENGINES = ("oracle", "statsmodels", "linearmodels", "pyfixest", "csdid", "r.fixest", "r.did", "r.lm", "r.plm")
ENOUGH = 3


def reached(panels: int, engines: Iterable[str] = ENGINES, enough: int = ENOUGH) -> dict[str, Counter[str]]:
    """Return for each property how often numbers of each engine were compared, each engine asked by itself."""
    look = Reachability("auto")
    versions = {e: i.version for e, i in ((e, look.info(e)) for e in engines) if i.transport == "live"}
    settings = settings_of("ci", tuple(versions), chosen(()), 0)
    found: dict[str, Counter[str]] = {name: Counter() for name in settings.properties}
    with Workers() as workers:
        fitter = Fitter(workers=workers, versions=versions)
        for number in range(panels):
            panel = panel_of(settings, number)
            for request in draw_requests(panel, number, 2):
                for name, counts in found.items():
                    prop = properties()[name]
                    differential = prop.kind == "differential"
                    open_ = tuple(e for e in versions if counts[e] < enough)
                    if not open_:
                        continue
                    for one in (tuple(versions),) if differential else ((e,) for e in open_):
                        case = Case(
                            seed=number, frame=panel.frame, requests=(request,), engines=one, rule=name, panel=panel
                        )
                        if prop.applies(case):
                            continue
                        asked: set[str] = set()

                        def fit(engine, request_, frame, asked=asked):  # type: ignore[no-untyped-def]
                            result = fitter(engine, request_, frame)
                            if result.status == "ok":
                                asked.add(engine)
                            return result

                        fit.elsewhere = fitter.elsewhere  # type: ignore[attr-defined]
                        if prop.check(case, fit).compared:
                            counts.update(asked)
            fitter.forget()
        fitter.close()
    return found


def main() -> None:
    """Print the counts, or the table."""
    numbers = [a for a in sys.argv[1:] if a.isdigit()]
    found = reached(int(numbers[0]) if numbers else 150)
    if "--table" in sys.argv:
        print("| property | " + " | ".join(ENGINES) + " |")
        print("|---" * (len(ENGINES) + 1) + "|")
        for name, counts in found.items():
            print(f"| `{name}` | " + " | ".join("x" if counts[e] else "" for e in ENGINES) + " |")
        return
    for name, counts in found.items():
        print(f"{name:20s}" + "".join(f"{e}:{counts[e]} " for e in ENGINES))


if __name__ == "__main__":
    main()
