"""Is it the other models of a call that decide whether this one is answered?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, ways
from crosscheck.engines._ways import SPLITS


def another_part_fails(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine refuses another part of the split when it is asked for that part alone."""
    asked = ways(case)[-1]
    alone, options = ways(case)[0].request, asked.request.options
    if options.get("several") not in SPLITS:
        return False
    codes, _ = asked.frame[str(options["by"])].codes()
    parts = (np.flatnonzero(codes == level) for level in np.unique(codes[codes >= 0]) if level != options["level"])
    return any(fit(one.identity.engine, alone, asked.frame.take(rows)).status == "error" for rows in parts)
