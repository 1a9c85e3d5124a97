"""What must an engine offer so that crosscheck can ask it?

An engine module declares what it can do without importing its library; only :meth:`Engine.fit` does, and it runs in a
worker process. ``CONTRIBUTING.md`` shows how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

Reach = Literal["yes", "notimpl", "notyet", "never"]


@dataclass(frozen=True, slots=True)
class Support:
    """Whether an engine can answer a request; anything but ``yes`` carries a reason.

    ``notimpl``: crosscheck does not wrap it yet. ``notyet``: the package lacks it. ``never``: it cannot exist there.
    """

    reach: Reach = "yes"
    reason: str = ""

    def __post_init__(self) -> None:
        if self.reach != "yes" and not self.reason:
            raise ValueError("an engine that does not support something says why")

    def __bool__(self) -> bool:
        return self.reach == "yes"


YES = Support()


@runtime_checkable
class Engine(Protocol):
    """One implementation of estimators.

    Attributes
    ----------
    id : str
        Such as ``pyfixest`` or ``r.fixest``.
    language : str
        ``python`` or ``r``.
    packages : tuple of str
        The distributions (or R packages) whose versions decide its numbers; the first gives the engine's version.
    """

    id: str
    language: Literal["python", "r"]
    packages: tuple[str, ...]

    def supports(self, request: FitRequest) -> Support:
        """Say whether this engine gives exactly what the request asks for (never something near it)."""
        ...

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate. Runs in a worker process. Raises :class:`crosscheck.errors.Unsupported` or any error."""
        ...

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return lines of code, in the engine's language, that reproduce the fit from the data file by hand."""
        ...
