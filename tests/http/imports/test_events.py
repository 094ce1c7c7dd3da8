"""An import is followed as it goes, over a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from domain.actors import Role
from domain.imports import Tally
from interfaces.http.app import HttpOptions
from tests.http.byline import Byline, Json, Member, refused
from tests.http.conftest import StartByline
from tests.http.imports.sending import advanced, claimed, imported, job_at, rows, saved, without_a_worker
from tests.http.listening import BOUND_S, listening, until

Event = tuple[str, int, Json]


def at(job: Json, query: str = "") -> str:
    return f"/v1/imports/{job['id']}/events{query}"


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    """As an EventSource reads them."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            yield fields["event"], int(fields["id"]), json.loads(fields["data"])
        fields = {}


async def heard(http: httpx.AsyncClient, by: Member, path: str, **headers: str) -> list[Event]:
    """All until the stream ends."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("GET", path, headers={**by.auth, **told}) as answer:
        assert answer.status_code == 200
        return [event async for event in events(answer)]


@pytest.fixture
async def job(byline: Byline, olga: Member) -> Json:
    """Queued, for a worker that this test plays."""
    without_a_worker(byline)
    return await imported(byline, olga, rows("One", "Two"))


async def test_each_change_is_an_event_and_the_last_one_says_that_it_is_over(
    byline: Byline, olga: Member, job: Json
) -> None:
    async with listening(byline.app) as http, http.stream("GET", at(job), headers=olga.auth) as answer:
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        coming = events(answer)
        name, number, shown = await anext(coming)
        assert (name, number, shown) == ("progress", job["revision"], job)

        at_work = await claimed(byline, job)
        name, number, shown = await anext(coming)
        assert (name, shown["state"], shown["revision"]) == ("progress", "running", number)

        at_work = await advanced(byline, at_work, Tally(created=1), bytes_read=job["bytes_total"] // 2)
        name, following, shown = await anext(coming)
        assert (name, shown["created"], shown["rows_per_s"]) == ("progress", 1, 0.3)
        assert following > number

        await byline.http.post(f"/v1/imports/{job['id']}/cancel", headers=olga.auth)
        assert (await anext(coming))[2]["state"] == "cancelling"
        await saved(byline, at_work.stopped(at=byline.container.clock().now()))
        name, _, shown = await anext(coming)
        assert (name, shown["state"], shown["created"]) == ("finished", "cancelled", 1)
        assert shown == await job_at(byline, olga, f"/v1/imports/{job['id']}")
        assert await anext(coming, None) is None


async def test_a_stream_is_taken_up_where_it_broke_off(byline: Byline, olga: Member, job: Json) -> None:
    async with listening(byline.app) as http:
        async with http.stream("GET", at(job), headers=olga.auth) as answer:
            _, last, _ = await anext(events(answer))
        await until(lambda: byline.app.state.streams.open == 0)
        await byline.http.post(f"/v1/imports/{job['id']}/cancel", headers=olga.auth)

        ((name, final, shown),) = await heard(http, olga, at(job), last_event_id=str(last))
        assert (name, final > last, shown) == ("finished", True, await job_at(byline, olga, f"/v1/imports/{job['id']}"))

        assert await heard(http, olga, at(job, f"?after={last}")) == [(name, final, shown)]
        assert await heard(http, olga, at(job)) == [(name, final, shown)]


async def test_who_has_heard_the_end_is_told_to_come_no_more(byline: Byline, olga: Member, job: Json) -> None:
    final = (await byline.http.post(f"/v1/imports/{job['id']}/cancel", headers=olga.auth)).json()["revision"]

    for path, headers in ((at(job, f"?after={final}"), {}), (at(job), {"last-event-id": str(final)})):
        answer = await byline.http.get(path, headers={**olga.auth, **headers})
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("sent", ["x", "-1", "1.5", "²"])
async def test_an_id_that_never_came_is_refused(byline: Byline, olga: Member, job: Json, sent: str) -> None:
    headers: dict[str, Any] = {**olga.auth, "last-event-id": sent.encode("latin-1")}
    (wrong,) = refused(await byline.http.get(at(job), headers=headers), 422, "validation")["errors"]
    assert wrong["header"] == "Last-Event-ID"
    for query in ("?after=x", "?after=-1", f"?after={2**63}", "?since=1"):
        refused(await byline.http.get(at(job, query), headers=olga.auth), 422, "validation")


async def test_a_client_that_leaves_is_polled_for_no_longer(byline: Byline, olga: Member, job: Json) -> None:
    async with listening(byline.app) as http:
        async with http.stream("GET", at(job), headers=olga.auth) as answer:
            await anext(events(answer))
            assert byline.app.state.streams.open == 1
        await until(lambda: byline.app.state.streams.open == 0)


async def test_whoever_is_an_operator_no_longer_hears_no_more(start: StartByline) -> None:
    byline = await start(options=HttpOptions(event_beat_s=0.05))
    olga = await byline.member("olga", role=Role.OPERATOR)
    admin = await byline.member(role=Role.ADMIN)
    job = await imported(byline, olga, rows("One"), start="false")

    async with listening(byline.app) as http, http.stream("GET", at(job), headers=olga.auth) as answer:
        coming = events(answer)
        assert (await anext(coming))[0] == "progress"
        changed = await byline.send("PATCH", f"/v1/users/{olga.id}", {"role": "author"}, admin.auth)
        assert changed.status_code == 200, changed.text
        async with asyncio.timeout(BOUND_S):
            assert [event async for event in coming] == []


async def test_no_more_than_so_many_are_listened_to(start: StartByline) -> None:
    byline = await start(options=HttpOptions(event_streams_max=1))
    olga = await byline.member("olga", role=Role.OPERATOR)
    job = await imported(byline, olga, rows("One"), start="false")

    async with listening(byline.app) as http, http.stream("GET", at(job), headers=olga.auth):
        answer = await http.get(at(job), headers=olga.auth)
        assert refused(answer, 503, "busy")["detail"]
        assert answer.headers["retry-after"]


async def test_a_head_of_events_is_answered_at_once(byline: Byline, olga: Member, job: Json) -> None:
    answer = await byline.http.head(at(job), headers=olga.auth)

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
