"""Which call of a package's user asks what a column of a study asks?"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping

from crosscheck.study import Study
from crosscheck.upgrade.cases import Case


def calls_of(study: Study, package: str) -> Mapping[tuple[str, str], Case | str]:
    """Return the calls of a study's columns, or why a column has none; empty for a package without a thin worker."""
    name = f"crosscheck.upgrade.translate_{package.replace('-', '_')}"
    if importlib.util.find_spec(name) is None:
        return {}
    found: Mapping[tuple[str, str], Case | str] = importlib.import_module(name).calls_of(study)
    return found
