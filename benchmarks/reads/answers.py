"""Whether contestants give the same answer: asked before they are timed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from benchmarks.reads.clients import HOST, NoAnswer
from benchmarks.reads.contest import Contestant
from benchmarks.reads.stage import Server

_PATIENCE_S: Final = 30.0
_ALIKE: Final = 5
"""So many of the paths are compared."""


def ask(server: Server, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.get(
        f"http://{HOST}:{server.port}{path}", headers={"accept-encoding": "", **(headers or {})}, timeout=_PATIENCE_S
    )


def must_be_alike(contestants: Sequence[Contestant], *, status: int = 200, field: str | None = None) -> None:
    """Each gives that status and, but for views, the JSON that the first one gives, or its `field`. Raises NoAnswer."""
    for number in range(min(_ALIKE, min(len(contestant.gets.paths) for contestant in contestants))):
        given = [_given(contestant, number, status, field) for contestant in contestants]
        for contestant, answer in zip(contestants, given, strict=True):
            if answer != given[0]:
                path = contestant.gets.paths[number]
                raise NoAnswer(f"{contestant.name} answers {path} with {answer!r:.2000}, and not {given[0]!r:.2000}")


def _given(contestant: Contestant, number: int, status: int, field: str | None) -> object:
    gets = contestant.gets
    path = gets.paths[number]
    answer = ask(contestant.server, path, gets.headers)
    if answer.status_code != status or len(answer.content) != int(answer.headers.get("content-length", 0)):
        raise NoAnswer(f"{contestant.name} answers {path} with {answer.status_code}: {answer.text[:2000]}")
    if not answer.content:
        return None
    body = answer.json()
    return _without_views(body if field is None else body[field])


def _without_views(value: Any) -> Any:
    match value:
        case list():
            return [_without_views(item) for item in value]
        case dict():
            return {name: _without_views(item) for name, item in value.items() if name != "views"}
        case _:
            return value
