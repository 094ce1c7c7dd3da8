"""Files to import, and forms that carry them."""

import json
from typing import Any


def rows(*titles: str, author: str = "olga") -> bytes:
    return b"".join(json.dumps({"title": title, "author": author}).encode() + b"\n" for title in titles)


def form(*parts: tuple[str, bytes] | tuple[str, bytes, str]) -> dict[str, Any]:
    """A multipart body, its parts in the order given; those of three are files, named."""
    lines = []
    for name, value, *file_name in parts:
        named = f'; filename="{file_name[0]}"' if file_name else ""
        head = f'--limit\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        lines.append(head.encode("latin-1") + value + b"\r\n")
    return {
        "content": b"".join(lines) + b"--limit--\r\n",
        "headers": {"content-type": "multipart/form-data; boundary=limit"},
    }
