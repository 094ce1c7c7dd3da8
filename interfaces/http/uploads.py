"""Files as they arrive: a multipart form or the raw body, never more of it in memory than a chunk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from pathlib import PurePath, PureWindowsPath
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

FIELD_MAX = 1_000
FIELDS_MAX = 100
FILE_NAME_MAX = 255


class Upload(Protocol):
    """`fields`, each a list of its values, are complete once `chunks` has come to its end: they may follow the file."""

    fields: dict[str, list[str]]
    file_name: str | None

    async def has_file(self) -> bool:
        """Reads up to where the file begins."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises HTTPException: 400 for a form that is malformed or cut short, 408 after `idle_s` without a byte.
        Raises ClientDisconnect."""
        ...


class RawUpload:
    """The whole body is the file."""

    def __init__(self, request: Request, *, idle_s: float) -> None:
        self._body = _arriving(request, idle_s)
        self.fields: dict[str, list[str]] = {}
        self.file_name: str | None = None

    async def has_file(self) -> bool:
        return True

    def chunks(self) -> AsyncIterator[bytes]:
        return self._body


class MultipartUpload:
    """multipart/form-data (RFC 7578) with one file, `file`, and short fields before and after it, of which those in
    `repeatable` may come more than once."""

    def __init__(self, request: Request, *, idle_s: float, repeatable: Collection[str] = ()) -> None:
        """Raises HTTPException (400) without a boundary."""
        _, options = parse_options_header(request.headers.get("content-type"))
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._extend_header_name,
                    "on_header_value": self._extend_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_content,
                    "on_part_data": self._extend_content,
                    "on_part_end": self._end_part,
                    "on_end": self._end_form,
                },
            )
        except (KeyError, FormParserError):
            raise HTTPException(400, "The Content-Type multipart/form-data needs a boundary.") from None
        self._body = _arriving(request, idle_s)
        self.fields: dict[str, list[str]] = {}
        self.file_name: str | None = None
        self._repeatable = repeatable
        self._count = 0
        self._found = False
        self._complete = False
        self._pending: list[bytes] = []
        self._name = ""
        self._value = bytearray()
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""

    async def has_file(self) -> bool:
        while not self._found and await self._read():
            pass
        return self._found

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            pending, self._pending = self._pending, []
            for chunk in pending:
                yield chunk
            if not await self._read():
                return

    async def _read(self) -> bool:
        """Takes in one chunk of the body; False at its end."""
        chunk = await anext(self._body, None)
        if chunk is None:
            if not self._complete:
                raise HTTPException(400, "The form is cut short.")
            return False
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise HTTPException(400, f"The form is malformed: {error}.") from None
        return True

    def _begin_part(self) -> None:
        self._header_name, self._header_value, self._disposition = b"", b"", b""
        self._value.clear()

    def _extend_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _extend_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name, self._header_value = b"", b""

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        is_there = self._found if self._name == "file" else self._name in self.fields
        if is_there and self._name not in self._repeatable:
            raise HTTPException(400, f"The form holds more than one {self._name!r}.")
        if self._name == "file":
            self._found = True
            self.file_name = plain_file_name(options.get(b"filename", b"").decode(errors="replace"))
            return
        self._count += 1
        if self._count > FIELDS_MAX:
            raise HTTPException(400, f"The form holds more than {FIELDS_MAX} fields.")

    def _extend_content(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._pending.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_MAX:
            raise HTTPException(400, f"The field {self._name!r} is longer than {FIELD_MAX} bytes.")

    def _end_part(self) -> None:
        if self._name != "file":
            self.fields.setdefault(self._name, []).append(self._value.decode(errors="replace"))

    def _end_form(self) -> None:
        self._complete = True


def plain_file_name(name: str) -> str | None:
    """The last part of a path of any system, without what no file name should hold; None where nothing is left."""
    last = PurePath(PureWindowsPath(name).name).name
    kept = "".join(c for c in last if c.isprintable())[:FILE_NAME_MAX]
    return kept if kept.strip(". ") else None


async def _arriving(request: Request, idle_s: float) -> AsyncGenerator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await anext(stream, None)
        except TimeoutError:
            stalled = f"Nothing came for {idle_s:g} s."
            raise HTTPException(408, stalled, headers={"connection": "close"}) from None
        if chunk is None:
            return
        if chunk:
            yield chunk
