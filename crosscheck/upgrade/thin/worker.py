"""How does a version of a package answer calls, in an environment where crosscheck is not installed?

Speaks docs/protocol.md. An item of a batch is ``{engine, key, request, adapter, new_rows}``: a call as JSON, the
adapter of this version, and the key of the rows to predict on where there are any.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import struct
import sys
import time
import traceback
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != HERE]

PREFIX = struct.Struct("<I")
HEADER_LIMIT = 256 * 2**20
SILENT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning, SyntaxWarning)
NAME = "crosscheck_thin"


COLLECT = gc.collect


def youngest(generation=0):
    """Collect the youngest objects only: pyfixest collects all after every fit, most of its time in a worker."""
    return COLLECT(0)


def adopt():
    """Make the drivers importable under a name of their own, from this folder alone."""
    spec = importlib.util.spec_from_file_location(
        NAME, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    if spec is None or spec.loader is None:
        raise ImportError(HERE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


adopt()
from crosscheck_thin import common, compiled  # noqa: E402
from crosscheck_thin.common import Refused, Unsupported, plain  # noqa: E402


def pipes():
    """Open the worker's two pipes; nothing that the worker starts inherits them."""
    numbers = int(os.environ["CROSSCHECK_IN"]), int(os.environ["CROSSCHECK_OUT"])
    for fd in numbers:
        os.set_inheritable(fd, False)
    return os.fdopen(numbers[0], "rb"), os.fdopen(numbers[1], "wb", buffering=0)


def read(source):
    """Read one message; ``None`` at the end of the pipe."""
    prefix = source.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    (length,) = PREFIX.unpack(prefix)
    if length > HEADER_LIMIT:
        return None
    header = json.loads(source.read(length).decode("utf-8"))
    size = header.get("payload", 0)
    return header, source.read(size) if size else b""


def write(sink, header):
    """Write one message without payload."""
    text = json.dumps(plain({**header, "payload": 0}), allow_nan=False, ensure_ascii=False).encode("utf-8", "replace")
    data = memoryview(PREFIX.pack(len(text)) + text)
    while data:
        data = data[sink.write(data) :]


class Server:
    """Keeps the frames that were sent and answers calls on them."""

    def __init__(self):
        self.frames = {}
        self.drivers = {}

    def hello(self, header, payload):
        """Say what runs here."""
        found = {}
        for distribution in importlib.metadata.distributions():
            name = distribution.metadata["Name"]
            if name:
                found[name.lower().replace("_", "-")] = distribution.version
        return {
            "language": "python",
            "version": platform.python_version(),
            "packages": found,
            "platform": platform.platform(),
            "hash_seed": os.environ.get("PYTHONHASHSEED", ""),
        }

    def put(self, header, payload):
        """Keep a frame."""
        self.frames[header["key"]] = common.columns_of(header["columns"], payload, header["rows"])
        return {}

    def drop(self, header, payload):
        """Forget a frame."""
        self.frames.pop(header["key"], None)
        return {}

    def driver(self, package, adapter):
        """Return the module that speaks to a package."""
        if package not in self.drivers:
            name = package.replace("-", "_")
            if not os.path.exists(os.path.join(HERE, name + "_driver.py")):
                raise Refused("there is no driver for " + repr(package))
            compiled.keep()
            self.drivers[package] = importlib.import_module(NAME + "." + name + "_driver")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                common.warm(adapter)
            gc.collect = youngest
        return self.drivers[package]

    def answer(self, item):
        """Fit, and turn whatever the package raises or warns of into data; also say whether memory ran out."""
        engine, call, adapter = item["engine"], item["request"], item.get("adapter") or {}
        wanted = [key for key in (item["key"], item.get("new_rows")) if key]
        for key in wanted:
            if key not in self.frames:
                raise Refused("the data of this call were not sent")
        driver = self.driver(call["package"], adapter)
        held = call.get("dtypes") or {}, call.get("blanks") or {}
        began, exhausted = time.perf_counter(), False
        result = {"engine": engine, "version": str(adapter.get("version", "")), "status": "ok"}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                data = common.frame_of(self.frames[item["key"]], *held)
                new = item.get("new_rows")
                rows = common.frame_of(self.frames[new], *held) if new else None
                result.update(driver.run(call, data, rows, adapter))
            except Unsupported as error:
                result.update(status="unsupported", reason=str(error))
            except MemoryError as error:
                exhausted = True
                result.update(status="error", reason=("memory exhausted: " + common.one_line(error)).rstrip(": "))
            except Exception as error:
                result.update(status="error", **common.failure(error, traceback.extract_tb(error.__traceback__)))
        conditions = list(result.get("conditions", ()))
        for warning in caught:
            if not issubclass(warning.category, SILENT) and not compiled.about_cache(warning):
                found = {"kind": "warning", "text": str(warning.message), "cls": warning.category.__name__}
                if found not in conditions:
                    conditions.append(found)
        result["conditions"] = conditions
        result["seconds"] = time.perf_counter() - began
        return result, exhausted


def refusal(error, operation):
    """Return the answer to a message that cannot be answered."""
    return {"ok": False, "error": {"class": type(error).__name__, "message": str(error), "call": operation}}


def main():
    """Answer messages until the pipe ends or ``quit`` comes."""
    source, sink = pipes()
    server = Server()
    while True:
        message = read(source)
        if message is None or message[0].get("op") == "quit":
            return
        header, payload = message
        number, operation = header.get("id"), str(header.get("op"))
        if operation == "batch":
            for item in header["items"]:
                try:
                    result, retire = server.answer(item)
                    answer = {"ok": True, "result": result, "retire": retire}
                except (Refused, KeyError, TypeError, ValueError, ImportError) as error:
                    answer = refusal(error, operation)
                write(sink, {"id": number, **answer})
            continue
        try:
            if operation not in ("hello", "put", "drop"):
                raise Refused("there is no operation " + repr(operation))
            answer = {"ok": True, **getattr(server, operation)(header, payload)}
        except (Refused, KeyError, TypeError, ValueError) as error:
            answer = refusal(error, operation)
        write(sink, {"id": number, **answer})


if __name__ == "__main__":
    main()
