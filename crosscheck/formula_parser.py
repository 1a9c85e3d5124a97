"""How does the text of a formula become a raw tree, with its macros filled in?

A recursive descent parser with R's operator precedence. Macros are trees that are put in whole, so ``x*..controls`` is
``x*(a + b)``. The tree is only syntax: :mod:`crosscheck.formula` decides what each node may mean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from crosscheck.errors import FormulaError, nearest
from crosscheck.syntax import MAX_NESTING, Source, Token, check_name, error_at, listing, show, tokenize, unknown_name

FUNCTIONS = ("i", "factor", "C", "log", "exp", "sqrt", "abs", "I", "poly", "lag", "sunab")
OPERATORS = ("~", "+", "-", "*", "/", ":", "^", "|", "(", ")", ",", "=")
ALLOWED = "names (bare or in back-ticks), ..macros, numbers, quoted strings, ~ + : * ^ | - ( ), " + " ".join(
    f"{f}()" for f in FUNCTIONS
)
RESERVED = frozenset(
    ("if", "else", "repeat", "while", "function", "for", "next", "break", "in", "NULL", "Inf", "NaN", "NA")
)
_COMPARISON = "comparisons belong in sample.where"
HINTS = {
    ";": "one formula for each column of a table",
    "[": "varying slopes and subsets are not part of the language",
    "<": _COMPARISON,
    ">": _COMPARISON,
    "!": _COMPARISON,
    "\\": "lambdas and escapes are not part of the language",
}
MAX_SIZE = 5_000
MAX_DEPTH = 80

NodeKind = Literal["name", "number", "string", "bool", "call", "sum", "neg", "*", "/", ":", "^"]


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the raw tree.

    ``text`` is the name, the number, the string or the function; ``children`` the operands or arguments; ``signs``
    those of a sum (``+`` or ``-`` each); ``keywords`` the names of arguments (empty where positional).
    """

    kind: NodeKind
    source: Source
    position: int
    text: str = ""
    children: tuple[Node, ...] = ()
    signs: str = ""
    keywords: tuple[str, ...] = ()
    end: int = 0
    size: int = field(init=False, default=1, compare=False)
    depth: int = field(init=False, default=1, compare=False)

    def __post_init__(self) -> None:
        size = 1 + sum(c.size for c in self.children)
        depth = 1 + max((c.depth for c in self.children), default=0)
        if size > MAX_SIZE or depth > MAX_DEPTH:
            what = "the formula is too large" if size > MAX_SIZE else "the formula is nested too deeply"
            raise error_at(
                self.source, self.position, what, allowed=f"{MAX_SIZE} parts with macros expanded, depth {MAX_DEPTH}"
            )
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "depth", depth)

    def error(self, what: str, *, allowed: str = "", hint: str = "") -> FormulaError:
        """Make an error that points at this node."""
        return error_at(self.source, self.position, what, allowed=allowed, hint=hint)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch between two ``|``: a right-hand side, fixed effects, or (with ``instruments``) the IV part."""

    body: Node
    instruments: Node | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """A formula as cut by ``~`` and ``|``."""

    source: Source
    lhs: Node
    parts: tuple[Part, ...]


class Macros:
    """The macros of a study, parsed when first used; a macro that contains itself is an error.

    Parameters
    ----------
    texts : mapping of str to str
        Name without the dots to right-hand-side text.
    columns : collection of str or None
        Names that exist; ``None`` accepts any.
    """

    def __init__(self, texts: Mapping[str, str], columns: Collection[str] | None, where: str) -> None:
        self._texts = {name.removeprefix(".."): text for name, text in texts.items()}
        self._columns = columns
        self._where = where
        self._trees: dict[str, Node] = {}
        self._open: list[str] = []

    def tree(self, name: str, source: Source, position: int) -> Node:
        """Return the tree of ``..name``.

        Raises
        ------
        FormulaError
            Where the macro is unknown, malformed, or contains itself.
        """
        if name in self._trees:
            return self._trees[name]
        if name not in self._texts:
            raise error_at(
                source,
                position,
                f"there is no macro ..{name}",
                allowed=listing(f"..{m}" for m in sorted(self._texts)) or "none: [macros] is empty",
                hint=nearest(name, self._texts) or "declare it in [macros]",
            )
        if name in self._open or len(self._open) >= MAX_NESTING:
            chain = " -> ".join(f"..{m}" for m in (*self._open, name))
            raise error_at(source, position, f"the macro ..{name} contains itself: {chain}")
        self._open.append(name)
        parser = Parser(Source(self._texts[name], f"{self._where or 'macros'}, macro ..{name}"), self, self._columns)
        tree = parser.whole_sum()
        self._open.pop()
        self._trees[name] = tree
        return tree


class Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, source: Source, macros: Macros, columns: Collection[str] | None) -> None:
        self._source = source
        self._macros = macros
        self._columns = columns
        self._tokens = tokenize(source, OPERATORS, allowed=ALLOWED, hints=HINTS)
        self._at = 0
        self._nesting = 0

    def formula(self) -> Raw:
        """Parse ``lhs ~ part | part``."""
        if self._peek().kind == "end":
            raise self._error("the formula is empty", hint="write y ~ x")
        lhs = self._sum()
        if not self._take("~"):
            raise self._error(
                "a ~ is missing" if self._peek().kind == "end" else self._unexpected(), hint="write y ~ x"
            )
        parts = [self._part()]
        while self._take("|"):
            parts.append(self._part())
        self._finish()
        return Raw(self._source, lhs, tuple(parts))

    def whole_sum(self) -> Node:
        """Parse a text that is one sum and nothing else."""
        if self._peek().kind == "end":
            raise self._error("the macro is empty")
        tree = self._sum()
        self._finish()
        return tree

    def _part(self) -> Part:
        body = self._sum()
        return Part(body, self._sum()) if self._take("~") else Part(body)

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def _take(self, operator: str) -> bool:
        token = self._peek()
        found = token.kind == "op" and token.text == operator
        self._at += found
        return found

    def _error(self, what: str, *, hint: str = "") -> FormulaError:
        return error_at(self._source, self._peek().start, what, allowed=ALLOWED, hint=hint)

    def _unexpected(self) -> str:
        token = self._peek()
        return "the formula ends too early" if token.kind == "end" else f"{token.text!r} is not expected here"

    def _finish(self) -> None:
        if self._peek().kind == "end":
            return
        hint = ""
        if self._peek().text == "~":
            hint = "a formula has one ~, and one more in its last part for instruments"
        elif self._peek().text in "=,":
            hint = "comparisons belong in sample.where; an option of i() is written i(x, ref = 1)"
        raise self._error(self._unexpected(), hint=hint)

    def _sum(self) -> Node:
        start = self._peek().start
        signs, items = "+", [self._product()]
        while self._peek().kind == "op" and self._peek().text in "+-":
            signs += self._next().text
            items.append(self._product())
        if len(items) == 1:
            return items[0]
        return Node("sum", self._source, start, children=tuple(items), signs=signs)

    def _product(self) -> Node:
        left = self._colon()
        while self._peek().kind == "op" and self._peek().text in "*/":
            token = self._next()
            kind: NodeKind = "*" if token.text == "*" else "/"
            left = Node(kind, self._source, token.start, children=(left, self._colon()))
        return left

    def _colon(self) -> Node:
        left = self._unary()
        while self._peek().kind == "op" and self._peek().text == ":":
            token = self._next()
            left = Node(":", self._source, token.start, children=(left, self._unary()))
        return left

    def _unary(self) -> Node:
        if self._peek().kind == "op" and self._peek().text in "+-":
            self._enter()
            token = self._next()
            operand = self._unary()
            self._nesting -= 1
            return operand if token.text == "+" else Node("neg", self._source, token.start, children=(operand,))
        return self._power()

    def _power(self) -> Node:
        base = self._primary()
        token = self._peek()
        if not self._take("^"):
            return base
        self._enter()
        exponent = self._unary()
        self._nesting -= 1
        return Node("^", self._source, token.start, children=(base, exponent))

    def _enter(self) -> None:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._error(f"more than {MAX_NESTING} levels of nesting")

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return Node("number", self._source, token.start, token.text)
        if token.kind == "string":
            return Node("string", self._source, token.start, token.text)
        if token.kind == "macro":
            return self._macros.tree(token.text[2:], self._source, token.start)
        if token.kind == "quoted_name":
            return self._name(token)
        if token.kind == "name":
            if self._peek().kind == "op" and self._peek().text == "(":
                return self._call(token)
            if token.text in ("TRUE", "FALSE"):
                return Node("bool", self._source, token.start, token.text)
            if token.text in RESERVED:
                raise error_at(
                    self._source,
                    token.start,
                    f"{token.text} is a reserved word",
                    hint=f"if it is a column, write `{token.text}` in back-ticks",
                )
            return self._name(token)
        if token.kind == "op" and token.text == "(":
            self._enter()
            inner = self._sum()
            if not self._take(")"):
                raise self._error("a ) is missing")
            self._nesting -= 1
            return inner
        self._at -= token.kind != "end"
        raise self._error(self._unexpected())

    def _name(self, token: Token) -> Node:
        check_name(token.text, self._source, token.start)
        if self._columns is not None and token.text not in self._columns:
            raise unknown_name(self._source, token.start, token.text, self._columns)
        return Node("name", self._source, token.start, text=token.text)

    def _call(self, name: Token) -> Node:
        self._refuse_column_that_looks_like_a_call(name)
        if name.text not in FUNCTIONS:
            raise self._unknown_function(name)
        self._enter()
        self._next()
        children: list[Node] = []
        keywords: list[str] = []
        while not self._take(")"):
            if children and not self._take(","):
                raise self._error("a ) is missing" if self._peek().kind == "end" else self._unexpected())
            keyword = ""
            token, after = self._peek(), self._tokens[min(self._at + 1, len(self._tokens) - 1)]
            if token.kind == "name" and after.kind == "op" and after.text == "=":
                keyword = token.text
                self._at += 2
            children.append(self._sum())
            keywords.append(keyword)
        self._nesting -= 1
        return Node("call", self._source, name.start, name.text, tuple(children), keywords=tuple(keywords))

    def _refuse_column_that_looks_like_a_call(self, name: Token) -> None:
        if self._columns is None:
            return
        depth, end = 0, name.end
        for token in self._tokens[self._at :]:
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "op" else 0
            end = token.end
            if depth == 0:
                break
        written = self._source.text[name.start : end]
        squeezed = "".join(written.split())
        column = next((c for c in self._columns if "(" in c and "".join(c.split()) == squeezed), None)
        inner = written[len(name.text) :].strip().strip("()").strip("` ")
        if column is not None and (name.text not in FUNCTIONS or inner not in self._columns):
            raise error_at(
                self._source,
                name.start,
                f"{written} is the name of a column, not a function call",
                hint=f"write `{column}` in back-ticks",
            )

    def _unknown_function(self, name: Token) -> FormulaError:
        if name.text in ("sw", "csw", "sw0", "csw0", "mvsw"):
            hint = "stepwise formulas are not part of the language: write one [[table.column]] for each model"
        elif name.text in ("c", "cbind"):
            hint = "several left-hand sides are not part of the language: write one [[table.column]] for each model"
        elif name.text in ("l", "f", "d", "L"):
            hint = "write lag(x, 1); a lead is lag(x, -1)"
        elif name.text == "ln":
            hint = "write log(x), the natural logarithm"
        else:
            hint = nearest(name.text, FUNCTIONS)
        return error_at(
            self._source,
            name.start,
            f"{name.text if name.text.isprintable() else show(name.text[0])}() is not a function of the language",
            allowed=" ".join(f"{f}()" for f in FUNCTIONS),
            hint=hint,
        )
