"""What does a user of a package write, as data that every version of the package can be asked?

A :class:`Call` is one estimation in the spelling of the newest version. Options that are left out are left to the
package, so that a changed default shows. It crosses to the thin worker as JSON; what an older version spells otherwise,
or lacks, is said by the tables in ``crosscheck/upgrade/eras``.

Columns are named as the package takes them: as text where it takes text (pyfixest), and as ``{"column": "w"}`` or
``{"columns": ["a", "b"]}`` where it takes arrays (statsmodels, linearmodels).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crosscheck.canon import digest
from crosscheck.errors import UsageError, nearest
from crosscheck.upgrade.known import PACKAGES

WANTS = ("coefs", "stats", "vcov", "fitted", "residuals", "predict_new", "fixef")
DEFAULT_WANT = ("coefs", "stats", "vcov", "fitted", "residuals")
DTYPES = ("str", "object", "category", "int64", "int32", "float64", "float32", "bool", "datetime")
FUNCTIONS = frozenset(
    {"C", "I", "i", "log", "exp", "sqrt", "abs", "poly", "scale", "center", "Treatment"}
    | {"sw", "sw0", "csw", "csw0", "mvsw", "np.log", "np.exp", "np.sqrt", "np.abs", "np.power", "contr.treatment"}
)
LONGEST = 20_000

_QUOTED = re.compile(r"`[^`\\]*`|'[^'\"\\]*'|\"[^'\"\\]*\"")
_CALLED = re.compile(r"([A-Za-z_][\w.]*)?\s*\(")
_TOKENS = re.compile(r"(?:[^\W\d]\w*(?:\.[^\W\d]\w*)*|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|[\s~|+\-*/:^(),=.\[\]])*")
_WORD = re.compile(r"[^\W\d]\w*")
_TWICE = re.compile(r"[)\]]\s*\(")
_DOTTED = re.compile(r"([^\W\d]\w*)\.(?=[^\W\d])")


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One estimation as a user of a package would write it.

    Attributes
    ----------
    package, function : str
        Such as ``pyfixest`` and ``feols``; those of :data:`crosscheck.upgrade.known.PACKAGES`.
    formula : str
        As the package reads it; always written by our own code. Empty where the function takes none.
    arguments : mapping
        Only what the user wrote; plain JSON.
    fit : mapping of str to mapping
        Further steps by the name of their method (``{"fit": {"cov_type": "HC1"}}``, ``{"vcov": {"vcov": "HC2"}}``,
        ``{"aggte": {"typec": "group"}}``) with their arguments. Arguments alone are taken for those of ``fit``.
    want : tuple of str
        Of :data:`WANTS`. What a model does not have is left out of the answer.
    new_rows : str
        A name for the rows to predict on; the case carries them. Empty for none.
    dtypes : mapping of str to str
        Columns that the user holds in another dtype than the one that pandas gives by itself (:data:`DTYPES`).
    blanks : mapping of str to float
        Columns of numbers in which a value stands for a missing one, such as the cohort 0 of the never treated.
    """

    package: str
    function: str
    formula: str = ""
    arguments: Mapping[str, Any] = None  # type: ignore[assignment]
    fit: Mapping[str, Any] = None  # type: ignore[assignment]
    want: tuple[str, ...] = DEFAULT_WANT
    new_rows: str = ""
    dtypes: Mapping[str, str] = None  # type: ignore[assignment]
    blanks: Mapping[str, float] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for name in ("arguments", "fit", "dtypes", "blanks"):
            object.__setattr__(self, name, dict(getattr(self, name) or {}))
        object.__setattr__(self, "want", tuple(self.want))
        _validate(self)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that crosses to workers and that is hashed."""
        return {
            "package": self.package,
            "function": self.function,
            "formula": self.formula,
            "arguments": dict(self.arguments),
            "fit": {k: dict(v) for k, v in self.fit.items()},
            "want": list(self.want),
            "new_rows": self.new_rows,
            "dtypes": dict(self.dtypes),
            **({"blanks": dict(self.blanks)} if self.blanks else {}),
        }

    @cached_property
    def hash(self) -> str:
        """Hash of the whole call."""
        return digest(self.to_json())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def with_(self, **changes: Any) -> Call:
        """Return a copy with fields replaced, such as ``arguments`` with an old default written out."""
        return Call(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changes})


def call_from_json(raw: Mapping[str, Any]) -> Call:
    """Rebuild a call from :meth:`Call.to_json`.

    Raises
    ------
    UsageError
        Where it has an unknown field, or names what no package here has.
    """
    unknown = set(raw) - set(Call.__dataclass_fields__)
    if unknown:
        raise UsageError(f"a call has no field {min(unknown)!r}", allowed=", ".join(Call.__dataclass_fields__))
    return Call(**{**raw, "want": tuple(raw.get("want", DEFAULT_WANT))})


def _validate(call: Call) -> None:
    functions = PACKAGES.get(call.package)
    if functions is None:
        raise UsageError(f"no calls of {call.package!r} are known", allowed=", ".join(PACKAGES))
    known = functions.get(call.function)
    if known is None:
        raise UsageError(
            f"{call.package} has no function {call.function!r} here",
            allowed=", ".join(functions),
            hint=nearest(call.function, tuple(functions)),
        )
    if call.fit and not set(call.fit) <= set(known.steps):
        if "fit" not in known.steps:
            unknown = min(set(call.fit) - set(known.steps))
            raise UsageError(f"{call.function} has no step {unknown!r}", allowed=", ".join(known.steps) or "none")
        object.__setattr__(call, "fit", {"fit": dict(call.fit)})
    _known(call.arguments, known.arguments, f"{call.package}.{call.function}()")
    for step, words in call.fit.items():
        if not isinstance(words, Mapping):
            raise UsageError(f"the step {step!r} of {call.function} takes a mapping of its arguments")
        _known(words, known.steps[step], f"{call.function}(...).{step}()")
    for group, allowed in ((call.want, WANTS), (call.dtypes.values(), DTYPES)):
        for word in group:
            if word not in allowed:
                raise UsageError(f"a call cannot name {word!r}", allowed=", ".join(allowed))
    require_formula(call.formula)
    for text in _texts([call.arguments, call.fit, call.blanks]):
        if "(" in text or "__" in text:
            require_formula(text)


def _known(words: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    for name in words:
        if name not in allowed:
            raise UsageError(
                f"{where} takes no argument {name!r} here",
                allowed=", ".join(sorted(allowed)),
                hint=nearest(name, tuple(sorted(allowed))),
            )


def _texts(value: Any) -> Iterator[str]:
    """Yield every text of a JSON-like value; refuse what is none."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise UsageError(f"a text of a call has {len(value)} characters", allowed=f"at most {LONGEST}")
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
    elif not (value is None or isinstance(value, bool | int | float)):
        raise UsageError(f"a call holds {type(value).__name__}", allowed="plain JSON")


def require_formula(text: str) -> None:
    """Refuse a formula with anything but names, numbers, operators and known functions: packages evaluate theirs.

    Raises
    ------
    UsageError
    """
    bare = _QUOTED.sub(" q ", text)
    fault = ""
    if len(text) > LONGEST:
        fault = f"it has more than {LONGEST} characters"
    elif any(keyword.iskeyword(w) for w in _WORD.findall(bare)) or _TWICE.search(bare):
        fault = "it holds a word or call of Python"
    elif "__" in text or not _TOKENS.fullmatch(bare):
        fault = "it holds a character or name that no formula needs"
    else:
        fault = next((f"it calls {f}()" for f in _CALLED.findall(bare) if f and f not in FUNCTIONS), "")
        dotted = next((name for name in _DOTTED.findall(bare) if name not in ("np", "contr")), "")
        fault = fault or (f"it takes something from {dotted!r}" if dotted else "")
    if fault:
        raise UsageError(f"the formula {text[:80]!r} is refused: {fault}", allowed=", ".join(sorted(FUNCTIONS)))
