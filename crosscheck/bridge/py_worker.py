"""What runs inside a Python worker: read a message, run an engine, write its result.

Started by :class:`crosscheck.bridge.process.WorkerProcess`; never imported by the main process.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

from crosscheck import engines
from crosscheck.bridge.faults import describe_memory
from crosscheck.bridge.framing import pack, read_message
from crosscheck.errors import CrosscheckError, Unsupported
from crosscheck.frame import Frame, decode
from crosscheck.results import Condition, EstimationResult, failed
from crosscheck.spec import FitRequest

DEVELOPERS_ONLY = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
Handler = Callable[[dict[str, Any], bytes], dict[str, Any]]
Fitter = Callable[[dict[str, Any]], tuple[dict[str, Any], bool]]


class Refused(Exception):
    """The message itself cannot be answered."""


def pipes() -> tuple[BinaryIO, BinaryIO]:
    """Open the worker's two pipes; nothing that the worker starts inherits them."""
    numbers = (int(os.environ["CROSSCHECK_IN"]), int(os.environ["CROSSCHECK_OUT"]))
    for fd in numbers:
        os.set_inheritable(fd, False)
    return os.fdopen(numbers[0], "rb"), os.fdopen(numbers[1], "wb", buffering=0)


def serve(handlers: dict[str, Handler], fit: Fitter) -> None:
    """Answer messages until the pipe ends or ``quit`` comes.

    Parameters
    ----------
    handlers : dict
        Answers to operations other than ``batch`` and ``quit``.
    fit : callable
        Takes an item of a batch, returns its result as JSON and whether the worker should be replaced afterwards.
    """
    source, sink = pipes()

    def answer(header: dict[str, Any]) -> None:
        data = memoryview(pack(header))
        while data:
            data = data[sink.write(data) :]

    while True:
        message = read_message(source.read)
        if message is None or message[0].get("op") == "quit":
            return
        header, payload = message
        number = header.get("id")
        try:
            if header.get("op") == "batch":
                for item in header["items"]:
                    answer({"id": number, **_answered(fit, item)})
                continue
            handler = handlers.get(str(header.get("op")))
            if handler is None:
                raise Refused(f"there is no operation {header.get('op')!r}")
            answer({"ok": True, "id": number, **handler(header, payload)})
        except (Refused, CrosscheckError, KeyError, TypeError, ValueError) as error:
            answer({"id": number, **_refusal(error, str(header.get("op")))})


def _answered(fit: Fitter, item: dict[str, Any]) -> dict[str, Any]:
    """Answer one item of a batch; each gets exactly one answer."""
    try:
        result, retire = fit(item)
    except (Refused, CrosscheckError, KeyError, TypeError, ValueError) as error:
        return _refusal(error, "batch")
    return {"ok": True, "result": result, "retire": retire}


def _refusal(error: Exception, operation: str) -> dict[str, Any]:
    what = error.what if isinstance(error, CrosscheckError) else str(error)
    return {"ok": False, "error": {"class": type(error).__name__, "message": what, "call": operation}}


def run(engine_id: str, request: FitRequest, frame: Frame) -> tuple[EstimationResult, bool]:
    """Fit, and turn whatever the engine raises or warns of into data; also say whether memory ran out."""
    began = time.perf_counter()
    exhausted = False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = engines.get(engine_id).fit(request, frame)
        except Unsupported as error:
            result = failed(engine_id, error.what, status="unsupported")
        except MemoryError as error:
            exhausted = True
            result = failed(engine_id, describe_memory(_one_line(str(error))))
        except CrosscheckError as error:
            result = failed(engine_id, _one_line(error.what))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error}"
            condition = Condition(
                kind="error",
                text=f"{text} (in {where.name}, {os.path.basename(where.filename)}:{where.lineno})",
                cls=type(error).__name__,
            )
            result = failed(engine_id, _one_line(text), conditions=(condition,))
    conditions = [
        Condition(kind="warning", text=str(w.message), cls=w.category.__name__)
        for w in caught
        if not issubclass(w.category, DEVELOPERS_ONLY)
    ]
    return (
        result.with_(
            conditions=tuple(dict.fromkeys((*result.conditions, *conditions))),
            seconds=result.seconds or time.perf_counter() - began,
        ),
        exhausted,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def main() -> None:
    """Serve engines written in Python."""
    frames: dict[str, Frame] = {}

    def hello(_: dict[str, Any], __: bytes) -> dict[str, Any]:
        return {"language": "python", "version": platform.python_version(), "packages": {}, "platform": sys.platform}

    def put(header: dict[str, Any], payload: bytes) -> dict[str, Any]:
        frames[header["key"]] = decode(header["columns"], payload, header["rows"])
        return {}

    def drop(header: dict[str, Any], _: bytes) -> dict[str, Any]:
        frames.pop(header["key"], None)
        return {}

    def fit(item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        frame = frames.get(item["key"])
        if frame is None:
            raise Refused("the data of this fit were not sent")
        result, exhausted = run(item["engine"], FitRequest.model_validate(item["request"]), frame)
        return result.to_json(), exhausted

    serve({"hello": hello, "put": put, "drop": drop}, fit)


if __name__ == "__main__":
    main()
