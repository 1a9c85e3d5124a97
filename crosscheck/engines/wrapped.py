"""How is an engine made of another one, to try a change of a package or to see whether a campaign finds a fault?

>>> from crosscheck.engines.wrapped import Wrapped
>>> def fit(request, frame, base):
...     result = base(request, frame)
...     return result.with_(dropped=())
>>> ENGINE = Wrapped("pyfixest", fit, id="mine")

``crosscheck campaign --engines oracle,r.fixest,mine=mine.py:ENGINE`` then asks it what it asks the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from crosscheck import engines
from crosscheck.engines.base import Support
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

    Base = Callable[[FitRequest, Frame], EstimationResult]
    Around = Callable[[FitRequest, Frame, Base], EstimationResult]


class Wrapped:
    """An engine whose answers are those of ``fit`` around another engine, which says what it supports.

    Parameters
    ----------
    base : str
        Id of an engine written in Python. Differences of it that are known are known of this one too.
    fit : callable
        Takes the request, the frame, and the fit of the base engine; returns an ``EstimationResult``. It runs in a
        worker process of this engine's own, so that what it patches is patched for nobody else.
    id : str
        As on the command line.
    """

    language: Literal["python"] = "python"

    def __init__(self, base: str, fit: Around, *, id: str) -> None:
        self.id, self.base, self._fit = id, base, fit
        self._engine = engines.get(base)
        if self._engine.language != "python":
            raise UsageError(f"the engine {base} is not written in Python and cannot be wrapped")
        self.packages = self._engine.packages

    def supports(self, request: FitRequest) -> Support:
        """Say what the base engine says."""
        return self._engine.supports(request)

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Return what the callable makes of the base engine's answer."""
        return self._fit(request, frame, self._engine.fit).with_(engine=self.id)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return the base engine's code."""
        return self._engine.code(request, data_path)
