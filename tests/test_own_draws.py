"""Do the campaign's own draws find mutants that an earlier version of them never met?"""

from __future__ import annotations

import pytest

from tests.mutants import quiet
from tests.mutants_blind import BLIND, base_of
from tests.own_draws import PANELS, Room

ONCE_MISSED = ("25 overall with periods before", "28 balance one more", "24 controls within the window")


@pytest.fixture(scope="module")
def room():
    made = Room("oracle", others=("oracle",))
    yield made
    made.close()


@pytest.mark.parametrize("name", ONCE_MISSED)
def test_a_fault_that_was_missed_at_first_sight_is_found(name, room):
    assert base_of(name) == "oracle"
    with quiet():
        seen = next(room.sit(BLIND[name]), None)
    assert seen is not None
    assert seen.panels <= PANELS


def test_the_list_is_whole():
    assert len(BLIND) == 50
    assert [int(name.split(maxsplit=1)[0]) for name in BLIND] == list(range(1, 51))
