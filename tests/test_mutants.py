"""Does the campaign notice an estimator with a fault, on few panels and down to a few rows?"""

from __future__ import annotations

import os
import statistics

import pytest

from tests.mutants import MUTANTS, OTHERS, PANELS, examined, quiet, shrunk, sit
from tests.mutants_more import FAULTS, ITERATED

MOST_ROWS = 12
ALL = os.environ.get("CROSSCHECK_ALL_MUTANTS") == "1"
"""Else each third; ``python benchmarks/mutants.py`` sits the whole exam."""
BY_RELATIONS = (
    "stale cache",
    "order of a set",
    "last row ignored",
    "missing values are zero",
    "missing values anywhere lose the row",
    "rows taken to be sorted",
    "clusters taken by position",
    "weights ignored",
    "one-sided p",
    "interval from the normal",
    "t of N - K with clusters",
    "sign of IV",
    "HC1 is HC0",
)
"""Found without any closed form."""


def test_every_mutant_is_found_and_shrunk_to_a_few_rows():
    assert len(FAULTS) >= 100
    rows = {}
    with quiet():
        for name, make in list(FAULTS.items())[:: 1 if ALL else 3]:
            found = examined(make, iterated=name in ITERATED)
            assert found is not None, name
            assert found.panels <= PANELS
            rows[name] = shrunk(make, found).nrows
    assert statistics.median(rows.values()) <= MOST_ROWS, rows
    assert max(rows.values()) <= 2 * MOST_ROWS, rows


@pytest.mark.parametrize("name", BY_RELATIONS)
def test_relations_alone_find_mutants_without_a_reference(name):
    with quiet():
        found = next(sit(MUTANTS[name], properties=OTHERS, panels=40), None)
    assert found is not None
