"""What would an engine say at another version of its package than the one installed here?

A pin is ``name@version``, such as ``pyfixest@0.50.1``. It is an engine like any other: its id says which version was
run, its module is the one of the unpinned engine, and its worker is started from an environment of its own
(:mod:`crosscheck.bridge.environments`), so that nothing of it is imported here.
"""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crosscheck.canon import sha256
from crosscheck.errors import EngineMissing, UsageError

if TYPE_CHECKING:
    from crosscheck.engines.base import Engine, Support
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

VERSION = re.compile(
    r"[0-9]{1,6}(\.[0-9]{1,6}){0,5}((a|b|rc)[0-9]{1,6})?(\.post[0-9]{1,6})?(\.dev[0-9]{1,6})?"
    r"(\+[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){0,3})?"
)
WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.!+]+)(-[0-9][A-Za-z0-9_.]*)?-[^-]+-[^-]+-[^-]+\.whl"
)
EXAMPLE = "name@version, such as pyfixest@0.50.1"

_wheels: dict[str, Path] = {}


@dataclass(frozen=True, slots=True)
class Pin:
    """An engine's name and the version of its package."""

    name: str
    version: str

    @property
    def id(self) -> str:
        """Return the engine id."""
        return f"{self.name}@{self.version}"


def pin_of(engine_id: str) -> Pin | None:
    """Split a pinned id; ``None`` for an id without a pin.

    Raises
    ------
    UsageError
        Where what follows ``@`` is not a version.
    """
    name, at, version = engine_id.partition("@")
    if not at:
        return None
    if not name or not VERSION.fullmatch(version):
        raise UsageError(
            f"{engine_id!r} pins no version",
            allowed=EXAMPLE,
            hint="a path or an address is no version; crosscheck upgrade takes a wheel on the command line",
        )
    return Pin(name, version)


class Pinned:
    """An engine at one version of its package.

    Parameters
    ----------
    base : Engine
        The unpinned engine; written in Python, with a package.
    pin : Pin
    """

    language: Literal["python", "r"] = "python"

    def __init__(self, base: Engine, pin: Pin) -> None:
        if base.language != "python" or not base.packages:
            raise UsageError(
                f"{base.id} cannot be pinned to a version",
                allowed="engines of a Python package, such as pyfixest@0.50.1",
                hint="recorded references keep what an R package said at the version it had",
            )
        self.base, self.pin = base, pin
        self.id = pin.id
        self.packages = base.packages

    @property
    def requirements(self) -> tuple[str, ...]:
        """Return what pip is asked to install: the pinned package, and what it needs and does not say."""
        needs = getattr(self.base, "needs", None)
        more: tuple[str, ...] = tuple(needs(self.pin.version)) if needs is not None else ()
        wheel = _wheels.get(self.id)
        first = str(wheel) if wheel is not None else f"{self.packages[0]}=={self.pin.version}"
        return (first, *self.packages[1:], *more)

    def supports(self, request: FitRequest) -> Support:
        """Say whether the engine gives exactly what the request asks for at this version, as far as is known."""
        at = getattr(self.base, "supports_at", None)
        known: Support = at(request, self.pin.version) if at is not None else self.base.supports(request)
        return known

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate, in a worker of the pinned environment.

        Raises
        ------
        EngineMissing
            Where this process has another version of the package: a number of it would bear the wrong name.
        """
        require_version(self.packages[0], self.pin.version)
        return self.base.fit(request, frame).with_(engine=self.id, version=self.pin.version)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return lines of code that reproduce the fit, headed by the version that they need."""
        return f"# pip install {self.packages[0]}=={self.pin.version}\n{self.base.code(request, data_path)}"


def pin_wheel(base: Engine, path: Path) -> Pin:
    """Pin an engine to a wheel on this machine, such as one built from a checkout.

    The version of the pin carries a hash of the wheel, so that two builds of one version are two engines.

    Raises
    ------
    UsageError
        Where there is no such file, or it is a wheel of another package.
    """
    match = WHEEL.fullmatch(path.name)
    package = base.packages[0] if base.packages else base.id
    if match is None or re.sub(r"[-_.]+", "-", match["name"]).lower() != re.sub(r"[-_.]+", "-", package).lower():
        raise UsageError(f"{path.name} is no wheel of {package}", allowed=f"{package}-VERSION-...-any.whl")
    version = match["version"].partition("+")[0]
    try:
        pin = Pin(base.id, f"{version}+wheel.{sha256(path.read_bytes())[:8]}")
    except OSError as error:
        raise UsageError("the wheel cannot be read", where=str(path), hint=str(error.strerror or error)) from error
    if not VERSION.fullmatch(pin.version):
        raise UsageError(f"the wheel has a version {version!r} that cannot be pinned", where=str(path))
    _wheels[pin.id] = path.resolve()
    return pin


def require_version(package: str, version: str) -> None:
    """Refuse to run where another version of a package is installed than the one that was named.

    Raises
    ------
    EngineMissing
    """
    found: Any
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found.partition("+")[0] != version.partition("+")[0]:
        raise EngineMissing(f"{package} {version} was asked for, and this environment has {found}")
