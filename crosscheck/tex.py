r"""How does a line of text become TeX that prints it as it is?

Characters beyond Latin letters become ``\crosscheckchar``, which the document defines (:data:`MACRO`).
"""

from __future__ import annotations

import unicodedata

MACRO = (
    r"\ifdefined\crosscheckchar\else\ifdefined\Umathchar"
    r"\def\crosscheckchar#1#2{#2}\else\def\crosscheckchar#1#2{\texttt{U+#1}}\fi\fi"
)

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    '"': "''",
    "`": r"\`{}",
    "²": r"\ensuremath{^2}",
    "−": r"\ensuremath{-}",
    "–": "--",
    "—": "---",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "…": r"\dots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "\u00a0": "~",
    "ß": r"{\ss}",
    "æ": r"{\ae}",
    "Æ": r"{\AE}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
    "œ": r"{\oe}",
    "Œ": r"{\OE}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "ı": r"{\i}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}


def escape(text: str) -> str:
    """Return text that TeX typesets as it is, on one line, and that can call no macro."""
    return "".join(_char(c) for c in " ".join(text.split()))


def _char(c: str) -> str:
    if c in _TEX:
        return _TEX[c]
    if c.isascii():
        return c if c.isprintable() else ""
    apart = unicodedata.normalize("NFD", c)
    if len(apart) == 2 and apart[0].isascii() and apart[1] in _ACCENTS:
        base = rf"\{apart[0]}{{}}" if apart[0] in "ij" else apart[0]
        return rf"\{_ACCENTS[apart[1]]}{{{base}}}"
    return rf"\crosscheckchar{{{ord(c):04X}}}{{{c}}}" if c.isprintable() else ""
