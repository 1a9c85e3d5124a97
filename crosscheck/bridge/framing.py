"""How does one message cross a pipe without being mistaken for another?

A message is a length, a JSON header and raw bytes (``docs/protocol.md``). The same bytes serve workers in Python and R.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from crosscheck.canon import dumps

PREFIX = struct.Struct("<I")
HEADER_LIMIT = 256 * 2**20


class ProtocolError(Exception):
    """What arrived is not a message of this protocol."""


def pack(header: Mapping[str, Any], payload: bytes | memoryview = b"") -> bytes:
    """Return the bytes of a message without its payload, whose length is written into the header."""
    text = dumps({**header, "payload": len(payload)}).encode("utf-8")
    return PREFIX.pack(len(text)) + text


def parse_header(text: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Return the header of a message.

    Raises
    ------
    ProtocolError
        Where the bytes are not a JSON object in UTF-8, or its payload length is not a count.
    """
    try:
        header = json.loads(bytes(text).decode("utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise ProtocolError(f"a header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise ProtocolError("a header is not a JSON object")
    size = header.get("payload", 0)
    if not isinstance(size, int) or size < 0:
        raise ProtocolError(f"a header announces a payload of {size!r} bytes")
    return header


def header_length(prefix: bytes | bytearray | memoryview) -> int:
    """Return how many bytes the header of a message has.

    Raises
    ------
    ProtocolError
        Where the length is one that no message has (the pipe carries something else).
    """
    (length,) = PREFIX.unpack(prefix)
    if not 2 <= length <= HEADER_LIMIT:
        raise ProtocolError(f"a header announces {length} bytes")
    return int(length)


def read_message(read: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read one message from a blocking stream; ``None`` at its end.

    Parameters
    ----------
    read : callable
        Returns exactly as many bytes as asked for, fewer only at the end of the stream.

    Raises
    ------
    ProtocolError
        Where the stream ends within a message or carries something else.
    """
    prefix = read(PREFIX.size)
    if not prefix:
        return None
    if len(prefix) < PREFIX.size:
        raise ProtocolError("the stream ended within a message")
    length = header_length(prefix)
    text = read(length)
    if len(text) < length:
        raise ProtocolError("the stream ended within a header")
    header = parse_header(text)
    size = header.get("payload", 0)
    payload = read(size) if size else b""
    if len(payload) < size:
        raise ProtocolError("the stream ended within a payload")
    return header, payload
