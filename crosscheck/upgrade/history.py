"""Which release changed what? Versions in a row, all releases of a range, or as few of them as find the change."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import crosscheck
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.report.words import listing, plural
from crosscheck.runner import Workers, stamp, utc_now
from crosscheck.store import require_writable
from crosscheck.study import Study
from crosscheck.upgrade import eras
from crosscheck.upgrade.changes import quantity_class
from crosscheck.upgrade.check import Check, exit_code, upgrade_of
from crosscheck.upgrade.history_model import Entry, History, Mark, Row
from crosscheck.upgrade.history_render import write_history
from crosscheck.upgrade.make import Wanted, make_sources, sides_in_row
from crosscheck.upgrade.model import Moved, Upgrade
from crosscheck.upgrade.releases import between
from crosscheck.upgrade.sources import Answers, Source, ThinSource
from crosscheck.upgrade.standings import tells
from crosscheck.upgrade.state import told

if TYPE_CHECKING:
    from crosscheck.upgrade.command import UpgradeRequest

Make = Callable[[str], Source]


@dataclass
class Runs:
    """Versions that were asked, each once; what cannot be installed is skipped and said."""

    check: Check
    make: Make
    sources: dict[str, Source] = field(default_factory=dict)
    answers: dict[str, Answers] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def ask(self, version: str) -> Answers | None:
        """Return what a version says, or ``None`` where it cannot be run."""
        if version in self.skipped:
            return None
        if version not in self.answers:
            try:
                source = self.make(version)
                told(f"asking {source.row.id} {plural(len(self.check.questions), 'question')}")
                self.answers[version] = self.check.ask(source)
                self.sources[version] = source
            except EngineMissing as error:
                self.skipped[version] = error.what
                told(f"{version} is skipped: {error.what}")
                return None
        return self.answers[version]


class _InRow:
    """The versions of a range by name, and how each becomes a source beside the others."""

    def __init__(self, wanted: Wanted, listed: Sequence[str]) -> None:
        given = dict(zip(wanted.versions, wanted.pins, strict=True))
        between_ends = wanted.pins[0] if wanted.pins else ()
        if tuple(listed) == wanted.versions:
            sides = list(zip(wanted.versions, wanted.pins, strict=True))
        else:
            sides = [(v, given.get(v, between_ends)) for v in listed]
        twice = {v for v, n in Counter(v for v, _ in sides).items() if n > 1}
        self.names = tuple(f"{v} ({', '.join(pins) or 'as it is'})" if v in twice else v for v, pins in sides)
        self.wanted = replace(wanted, versions=tuple(v for v, _ in sides), pins=tuple(pins for _, pins in sides))
        self.thin = sides_in_row(self.wanted) if wanted.package in eras.packages() else None

    def build(self, names: Sequence[str]) -> dict[str, str]:
        """Build some of them, with the same dependencies as far as each allows; return why others cannot be had."""
        if self.thin is None:
            return {}
        failed = self.thin.some(self.names.index(name) for name in names)
        for index, error in failed.items():
            told(f"{self.names[index]} is skipped: {error.what}")
        return {self.names[index]: error.what for index, error in failed.items()}

    def make(self, name: str) -> Source:
        """Return one as a source, its environment built where there is none."""
        index = self.names.index(name)
        if self.thin is not None:
            return ThinSource(side=self.thin.one(index))
        one = replace(self.wanted, versions=(self.wanted.versions[index],), pins=(self.wanted.pins[index],))
        return make_sources(one)[0]


def run_history(request: UpgradeRequest, wanted: Wanted, studies: Sequence[Study], sentinel: bool, began: float) -> int:
    """Compare several versions in a row and write ``history.html``, ``.md`` and ``.json``.

    Raises
    ------
    UsageError
        Where the versions make no range.
    EngineMissing
        Where fewer than two of them can be run.
    """
    from crosscheck.upgrade.command import make_check

    if wanted.libraries or wanted.recorded:
        raise UsageError("libraries of R are two sides, and no range", hint="leave out --all-between and --bisect")
    mode = "bisect" if request.bisect else "all between" if request.all_between else "listed"
    listed = wanted.versions
    if mode != "listed":
        if wanted.package not in eras.packages():
            raise UsageError(f"the releases of {wanted.package} are not known", allowed=", ".join(eras.packages()))
        listed = between(eras.era_file(wanted.package).distribution, wanted.versions[0], wanted.versions[1])
    out = request.out or Path("reports") / f"upgrade-{wanted.package}-history"
    require_writable(out, "the folder of the reports", hint="name another folder with --out")

    row = _InRow(wanted, listed)

    with Workers() as workers:
        check = make_check(request, wanted, studies, sentinel, workers)
        runs = Runs(check=check, make=row.make)

        def step(a: str, b: str) -> Upgrade:
            return upgrade_of(
                check, runs.answers[a], runs.answers[b], runs.sources[b], runs.sources[a],
                command=request.command, fail_on=request.fail_on, began=time.perf_counter(),
            )  # fmt: skip

        runs.skipped |= row.build(row.names if mode != "bisect" else (row.names[0], row.names[-1]))
        if mode == "bisect":
            versions = bisect(row.names, runs, step, request)
        else:
            versions = [v for v in row.names if runs.ask(v) is not None]
        if len(versions) < 2:
            why = "; ".join(f"{v}: {reason}" for v, reason in runs.skipped.items())
            raise EngineMissing(f"fewer than two of the versions can be run: {why}")
        steps = [step(a, b) for a, b in itertools.pairwise(versions)]
    history = folded(request, wanted.package, mode, row.names, versions, runs, steps, began)
    write_history(history, out, request.format)
    return history.exit_code


def bisect(
    listed: Sequence[str], runs: Runs, step: Callable[[str, str], Upgrade], request: UpgradeRequest
) -> list[str]:
    """Ask the ends, then the middle of each stretch whose ends differ, until every change lies between two neighbours.

    A stretch whose ends agree is left alone: a change that was taken back within it is not found, and is none for who
    upgrades. A version that cannot be run is stepped over.
    """
    asked: list[int] = []

    def have(index: int) -> bool:
        if runs.ask(listed[index]) is None:
            return False
        if index not in asked:
            asked.append(index)
        return True

    low, high = 0, len(listed) - 1
    if not have(low) or not have(high):
        return []
    stretches = [(low, high)]
    while stretches:
        a, b = stretches.pop()
        if b - a < 2 or not _differ(step(listed[a], listed[b]), request):
            continue
        middle = (a + b) // 2
        order = sorted(range(a + 1, b), key=lambda i: abs(i - middle))
        chosen = next((i for i in order if have(i)), None)
        if chosen is not None:
            stretches += [(a, chosen), (chosen, b)]
    return [listed[i] for i in sorted(asked)]


def _differ(upgrade: Upgrade, request: UpgradeRequest) -> bool:
    """Say whether anything moved, broke or was lost or gained between two versions that a bisection looks for."""
    del request
    kinds = ("number", "term gone", "term new", "error new", "error gone")
    return any(c.kind in kinds and c.size != "drift" for c in upgrade.changes)


def folded(
    request: UpgradeRequest,
    package: str,
    mode: str,
    listed: Sequence[str],
    versions: Sequence[str],
    runs: Runs,
    steps: Sequence[Upgrade],
    began: float,
) -> History:
    """Fold the steps into a matrix of quantities by versions."""
    rows: dict[tuple[str, str], list[Entry]] = {}
    titles = {q.id: q.title for q in runs.check.questions}
    for number, upgrade in enumerate(steps, 1):
        for key, entry in _entries(upgrade).items():
            line = rows.setdefault(key, [Entry(mark="first")] + [Entry(mark="same")] * (len(versions) - 1))
            line[number] = entry
    for index, version in enumerate(versions):
        for (question, _), line in rows.items():
            result = runs.answers[version].results.get(question)
            status = result.status if result is not None else "unsupported"
            if status != "ok":
                line[index] = replace(line[index], mark="error" if status == "error" else "unsupported")
    made = tuple(
        Row(question=q, title=titles.get(q, ""), quantity=quantity, entries=tuple(line))
        for (q, quantity), line in sorted(rows.items())
    )
    total = {
        (q, quantity_class(name))
        for answers in runs.answers.values()
        for q, result in answers.results.items()
        for _, name, _ in result.quantities()
    }
    codes = [exit_code(u.studies, request.fail_on) for u in steps]
    return History(
        crosscheck=crosscheck.__version__,
        command=request.command,
        started=stamp(utc_now()),
        seconds=round(time.perf_counter() - began, 1),
        package=package,
        mode=mode,
        sides=tuple(runs.answers[v].row for v in versions),
        skipped=dict(runs.skipped),
        rows=made,
        steps=tuple(u for u in steps if u.changes),
        unchanged=len(total - set(rows)),
        left_out=tuple(v for v in listed if v not in versions and v not in runs.skipped),
        fail_on=request.fail_on,
        summary=_summary(package, versions, listed, steps, runs.skipped),
        exit_code=1 if 1 in codes else 3 if all(c == 3 for c in codes) else 0,
    )


def _entries(upgrade: Upgrade) -> dict[tuple[str, str], Entry]:
    """Return the marks of one step, by question and class of quantity: that of the number that moved most."""
    found: dict[tuple[str, str], list[Moved]] = {}
    for change in upgrade.changes:
        for m in change.moved:
            if m.kind in ("report new", "report gone", "renamed"):
                continue
            found.setdefault((m.question, quantity_class(m.quantity)), []).append(m)
        if not change.moved and change.kind in ("error new", "error gone", "unsupported new", "unsupported gone"):
            for question in change.questions:
                found.setdefault((question, "fit"), [])
    return {key: _entry(moved) for key, moved in found.items()}


def _entry(moved: Sequence[Moved]) -> Entry:
    if not moved:
        return Entry(mark="moved")
    steady = [m for m in moved if m.kind != "not repeatable"]
    if not steady:
        return Entry(mark="unsteady", relative=max((m.relative or 0.0 for m in moved), default=None))
    kinds = {m.kind for m in steady}
    relative = max((m.relative for m in steady if m.relative is not None), default=None)
    causes = tuple(dict.fromkeys(e.title for m in steady for e in m.explanations[:1]))
    mark: Mark
    if kinds in ({"term gone"}, {"term new"}):
        return Entry(mark="gone" if kinds == {"term gone"} else "new", causes=causes)
    if all(m.size == "drift" for m in steady):
        return Entry(mark="drift", relative=relative, causes=causes)
    said = [w for m in steady if m.size == "break" for w in m.witnesses]
    sides = {w.side for w in said}
    mark = "moved" if not sides else "toward" if sides <= {"new", "both"} and "new" in sides else "away"
    if sides and mark == "away" and "old" not in sides:
        mark = "neither" if sides <= {"neither", "both"} else "toward"
    names = tuple(dict.fromkeys(w.name for w in said if w.side in ("new", "old")))
    return Entry(mark=mark, relative=relative, names=names, causes=causes)


def _summary(
    package: str,
    versions: Sequence[str],
    listed: Sequence[str],
    steps: Sequence[Upgrade],
    skipped: Mapping[str, str],
) -> str:
    head = f"{package} {versions[0]} -> {versions[-1]}, {plural(len(versions), 'version')}: "
    names = []
    for (old, new), upgrade in zip(itertools.pairwise(versions), steps, strict=True):
        if any(tells(c) and c.standing != "note" for c in upgrade.changes):
            near = listed.index(new) - listed.index(old) == 1
            names.append(new if near else f"between {old} and {new}")
    text = f"numbers changed at {listing(names, 12)}" if names else "no release changed a number"
    more = f"; {plural(len(skipped), 'version')} could not be run" if skipped else ""
    return head + text + more + "."
