"""A form is read alike however it is cut into chunks, and never held whole."""

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from interfaces.http.uploads import MultipartUpload, plain_file_name

CONTENT = b"--limi\r\n--limi \r\n\r\n-\r-\n--\r\n--limitx\r\n--limix"
FORM = (
    b"\r\n--limit\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=before\r\n\r\n1\r\n"
    b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a\\"b.csv"\r\nContent-Type: text/csv\r\n\r\n'
    + CONTENT
    + b'\r\n--limit\r\nContent-Disposition: form-data; name="after"\r\n\r\n\xc3\xa9\r\n--limit--\r\nepilogue'
)


def uploaded(chunks: list[bytes]) -> MultipartUpload:
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return messages.pop(0)

    headers = [(b"content-type", b'multipart/form-data; boundary="limit"')]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return MultipartUpload(Request(scope, receive), idle_s=10)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 61, 10_000])
async def test_a_form_is_read_alike_in_chunks_of_any_size(size: int) -> None:
    upload = uploaded([FORM[at : at + size] for at in range(0, len(FORM), size)])

    assert await upload.has_file()
    assert upload.fields["before"] == ["1"]
    assert upload.file_name == 'a"b.csv'
    assert b"".join([chunk async for chunk in upload.chunks()]) == CONTENT
    assert upload.fields == {"before": ["1"], "after": ["é"]}


async def test_no_more_is_read_than_is_asked_for() -> None:
    head, tail = FORM.split(CONTENT)
    taken = 0

    async def arriving() -> AsyncIterator[bytes]:
        nonlocal taken
        for chunk in (head, *[b"x" * 100] * 50, tail):
            taken += 1
            yield chunk

    chunks = arriving()

    async def receive() -> Message:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    headers = [(b"content-type", b"multipart/form-data; boundary=limit")]
    upload = MultipartUpload(Request({"type": "http", "method": "POST", "headers": headers}, receive), idle_s=10)
    assert await upload.has_file()
    assert taken == 1
    file = upload.chunks()
    for read in range(1, 20):
        await anext(file)
        assert taken <= read + 2


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("archive.csv", "archive.csv"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\a b.csv", "a b.csv"),
        ("a\0b\n\u202e.csv", "ab.csv"),
        ("été.csv", "été.csv"),
        ("x" * 300, "x" * 255),
        ("/", None),
        ("..", None),
        ("", None),
    ],
)
def test_a_file_name_is_its_last_part_without_what_it_should_not_hold(sent: str, kept: str | None) -> None:
    assert plain_file_name(sent) == kept
