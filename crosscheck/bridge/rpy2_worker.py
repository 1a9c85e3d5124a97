"""What runs inside an rpy2 worker: R embedded in a Python process of its own, behind the same messages.

Usage: ``python -m crosscheck.bridge.rpy2_worker FOLDER [SCRIPT...]``. Never imported by the main process.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from crosscheck.bridge.py_worker import Refused, serve
from crosscheck.canon import dumps
from crosscheck.frame import decode


class BadSettings(RuntimeError):
    """R did not take the settings without which it is unsafe to embed."""


def start_r() -> Any:
    """Start R without profiles, not interactive, with a C stack limit; return rpy2's low-level interface.

    rpy2 by default switches R's check of the C stack off, so that deep recursion ends the process, and runs R as if
    interactive, so that ``readline()`` waits for ever. The names that change this are private: they are asserted.

    Raises
    ------
    BadSettings
        Where R came up interactive, or without a limit on its C stack.
    """
    embedded: Any = importlib.import_module("rpy2.rinterface_lib.embedded")
    embedded.set_initoptions(("rpy2", "--quiet", "--vanilla"))
    for name, value in (("_DEFAULT_C_STACK_LIMIT", 0), ("_DEFAULT_R_INTERACTIVE", False)):
        if not hasattr(embedded, name):
            raise BadSettings(f"this rpy2 has no {name}")
        setattr(embedded, name, value)
    ri: Any = importlib.import_module("rpy2.rinterface")
    callbacks: Any = importlib.import_module("rpy2.rinterface_lib.callbacks")
    ri.initr()
    callbacks.consolewrite_print = _print
    callbacks.consolewrite_warnerror = _print
    if ri.evalr("interactive()")[0]:
        raise BadSettings("R is interactive")
    if ri.evalr('is.na(Cstack_info()[["size"]])')[0]:
        raise BadSettings("R has no limit on its C stack")
    return ri


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Serve engines written in R."""
    folder, scripts = arguments[0], arguments[1:]
    ri = start_r()
    from crosscheck.bridge.rconvert import frame_to_r, to_r, unpack

    home = ri.evalr("new.env(parent = parent.env(globalenv()))")
    source = ri.baseenv["sys.source"]
    source(to_r(str(Path(folder) / "session.R")), home)
    home["cc_start"](to_r(folder), ri.StrSexpVector(scripts))
    functions = {name: home[f"cc_{name}"] for name in ("hello_packed", "put", "drop", "answer_packed")}

    def hello(_: dict[str, Any], __: bytes) -> dict[str, Any]:
        return dict(unpack(functions["hello_packed"]()))

    def put(header: dict[str, Any], payload: bytes) -> dict[str, Any]:
        frame = decode(header["columns"], payload, header["rows"])
        functions["put"](to_r(header["key"]), to_r(header["rows"]), frame_to_r(frame))
        return {}

    def drop(header: dict[str, Any], _: bytes) -> dict[str, Any]:
        functions["drop"](to_r(header["key"]))
        return {}

    def fit(item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        question = (to_r(item["engine"]), to_r(item["key"]), to_r(dumps(item["request"])))
        answer = unpack(functions["answer_packed"](*question))
        if not answer["ok"]:
            raise Refused(answer["error"]["message"])
        return answer["result"], bool(answer["retire"])

    serve({"hello": hello, "put": put, "drop": drop}, fit)


if __name__ == "__main__":
    main(sys.argv[1:])
