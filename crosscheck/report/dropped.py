"""Which observations did one side of a comparison leave out, and why?"""

from __future__ import annotations

import csv
import io

from crosscheck.report.model import RunReport

HEAD = ("table", "column", "reference", "candidate", "left_out_by", "row", "observation", "reason")


def dropped_csv(report: RunReport) -> str:
    """Return a CSV of all observations that one side left out (rows of the data file, from 1); empty without any."""
    rows = [
        (c.table, c.column, c.reference, c.candidate, d.side, d.row, d.what, d.reason)
        for c in report.cells
        for e in c.explanations[:1]
        for d in e.dropped
    ]
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(rows)
    return out.getvalue()
