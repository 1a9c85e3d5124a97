"""What is a version of a package asked, and what else is known of the answer?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crosscheck.frame import Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade.calls import Call


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One estimation on one panel.

    Attributes
    ----------
    id : str
        Unique within a check, such as ``fatalities/table1/3`` or ``sentinel/nested-effects/crv1``.
    frame : Frame
        The rows, in the names that ``call`` uses.
    call : Call
    new_rows : Frame or None
        Rows to predict on, where ``call`` wants ``predict_new``.
    request : FitRequest or None
        The same question for witnesses (R live or recorded, closed forms); ``None`` where no other engine has it.
    witness_frame : Frame or None
        The rows in the names that ``request`` uses; ``None`` where they are those of ``frame``.
    truth : mapping of str to float
        Term to known effect.
    names : mapping of str to str
        Names in ``frame`` to those that a reader knows, where a package cannot read those; the terms of an answer are
        translated.
    title : str
        One line for people.
    topics : tuple of str
        What the case is for: ``singletons``, ``prediction``, ``weights``, ...
    """

    id: str
    frame: Frame
    call: Call
    new_rows: Frame | None = None
    request: FitRequest | None = None
    witness_frame: Frame | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    topics: tuple[str, ...] = ()
