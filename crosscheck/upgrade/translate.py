"""Which call of a package's user asks what a column of a study asks?"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping

from crosscheck.study import Study
from crosscheck.upgrade import translation
from crosscheck.upgrade.cases import Case


def calls_of(study: Study, package: str) -> Mapping[translation.Key, Case | str]:
    """Return the calls of a study's columns, or why a column has none; empty for a package without a translator.

    A translator is a module with a function ``written``, which turns a request and its rows into a call.
    """
    name = f"crosscheck.upgrade.translate_{package.replace('-', '_')}"
    if importlib.util.find_spec(name) is None:
        return {}
    return translation.calls_of(study, importlib.import_module(name).written)
