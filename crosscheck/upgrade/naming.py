"""How do the terms of an answer get the names back that a reader knows?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from crosscheck.results import EstimationResult

_WORD = re.compile(r"[^\W\d]\w*")


def renamed(result: EstimationResult, names: Mapping[str, str]) -> EstimationResult:
    """Return an answer whose terms use other names of columns; what follows ``::`` is a level and stays."""
    if not names:
        return result

    def of(text: str) -> str:
        pieces = []
        for part in text.split(":") if "::" not in text else _parts(text):
            head, mark, level = part.partition("::")
            pieces.append(_WORD.sub(lambda m: names.get(m[0], m[0]), head) + mark + level)
        return ":".join(pieces)

    return result.with_(
        coefs=tuple(replace(row, term=of(row.term)) for row in result.coefs),
        vcov_terms=tuple(of(t) for t in result.vcov_terms),
        dropped=tuple(of(t) for t in result.dropped),
        conditions=tuple(
            replace(c, text=_WORD.sub(lambda m: names.get(m[0], m[0]), c.text)) for c in result.conditions
        ),
        reason=_WORD.sub(lambda m: names.get(m[0], m[0]), result.reason),
    )


def _parts(text: str) -> list[str]:
    """Split a term at single colons, and leave the double ones of ``i()``."""
    return [part.replace("\0", "::") for part in text.replace("::", "\0").split(":")]
