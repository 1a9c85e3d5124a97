"""Engines with known faults: they prove that the comparator and the workers catch each.

Every fake takes the oracle's honest answer and spoils it in one way. They are reached through CROSSCHECK_ENGINES.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from dataclasses import replace

from crosscheck.engines.base import YES, Support
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import Unsupported

_counter = itertools.count()


class Fake:
    """An engine that spoils the oracle's answer."""

    language = "python"
    packages = ("numpy",)

    def __init__(self, name, spoil=None, before=None):
        self.id = f"fake.{name}"
        self.spoil, self.before = spoil, before

    def supports(self, request) -> Support:
        return YES

    def fit(self, request, frame):
        if self.before is not None:
            self.before()
        result = ORACLE.fit(request, frame).with_(engine=self.id)
        return self.spoil(result) if self.spoil else result

    def code(self, request, data_path) -> str:
        return f"# {self.id}"


def rows(change):
    """Spoil every coefficient row."""
    return lambda r: r.with_(coefs=tuple(change(c) for c in r.coefs))


def first(change):
    """Spoil the first coefficient row only."""
    return lambda r: r.with_(coefs=(change(r.coefs[0]), *r.coefs[1:]))


def last_se(factor):
    """Multiply the last standard error, leaving the inference as it was."""
    return lambda r: r.with_(coefs=(*r.coefs[:-1], replace(r.coefs[-1], std_error=r.coefs[-1].std_error * factor)))


def _off_by_one_ssc(result):
    n, k = result.stats.nobs, result.conventions.k or len(result.coefs)
    factor = ((n - k) / (n - k - 1)) ** 0.5
    return rows(lambda c: replace(c, std_error=c.std_error * factor))(result)


def _permute(result):
    terms = [c.term for c in result.coefs]
    return result.with_(
        coefs=tuple(replace(c, term=t) for c, t in zip(result.coefs, terms[1:] + terms[:1], strict=True))
    )


def _jitter(result):
    factor = 1 + 1e-3 * (next(_counter) + 1 + hash("a set has no order") % 97)
    return rows(lambda c: replace(c, estimate=c.estimate * factor))(result)


def _hang():
    time.sleep(3600)


def _eat():
    hoard = []
    while True:
        hoard.append(bytearray(64 << 20))


def _raise():
    raise ValueError("the matrix was cross")


def _refuse():
    raise Unsupported("not on a Monday")


HONEST = Fake("honest")
DROPS = Fake("drops", lambda r: r.with_(coefs=r.coefs[1:]))
EXTRA = Fake("extra", lambda r: r.with_(coefs=(*r.coefs, replace(r.coefs[0], term="phantom"))))
NAN_SE = Fake("nan_se", first(lambda c: replace(c, std_error=float("nan"))))
NONE_SE = Fake("none_se", first(lambda c: replace(c, std_error=None)))
SSC = Fake("ssc", _off_by_one_ssc)
SIGN = Fake("sign", first(lambda c: replace(c, estimate=-c.estimate)))
PERMUTED = Fake("permuted", _permute)
REORDERED = Fake("reordered", lambda r: r.with_(coefs=r.coefs[::-1]))
SE_1E7 = Fake("se_1e7", last_se(1 + 1e-7))
SE_1E5 = Fake("se_1e5", last_se(1 + 1e-5))
NOBS = Fake("nobs", lambda r: r.with_(stats=replace(r.stats, nobs=r.stats.nobs - 1)))
NOTHING = Fake("nothing", lambda r: r.with_(coefs=(), stats=replace(r.stats, nobs=None, r2=None)))
NONDETERMINISTIC = Fake("nondeterministic", _jitter)
HANGS = Fake("hangs", before=_hang)
CRASHES = Fake("crashes", before=lambda: os.kill(os.getpid(), signal.SIGSEGV))
ABORTS = Fake("aborts", before=os.abort)
QUITS = Fake("quits", before=lambda: os._exit(7))
EXITS = Fake("exits", before=lambda: (_ for _ in ()).throw(SystemExit(3)))
EATS = Fake("eats", before=_eat)
RAISES = Fake("raises", before=_raise)
REFUSES = Fake("refuses", before=_refuse)
PRINTS = Fake("prints", before=lambda: print("noise on stdout", flush=True))

ALL = {f.id: f"tests.fakes:{name}" for name, f in list(globals().items()) if isinstance(f, Fake)}
ENVIRONMENT = ",".join(f"{engine}={target}" for engine, target in ALL.items())
