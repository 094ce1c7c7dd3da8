"""How an import goes, as it happens, and which of its rows failed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

import msgspec
from fastapi import Request, Response

from domain import errors
from domain.actors import Actor
from domain.ids import ImportId
from domain.import_options import ImportFormat
from domain.imports import ImportJob
from interfaces.http.access import App, OperatorNow, operator_of
from interfaces.http.answers import NO_STORE, encoded_list
from interfaces.http.openapi import INPUT, LINK, PERMITTED, asks, parameter, router, told
from interfaces.http.queries import ErrorListParameters, EventParameters, errors_asked, events_asked
from interfaces.http.refusals import invalid_header
from interfaces.http.schemas.imports import ImportShown, RowErrorList, RowErrorShown
from interfaces.http.streams import RETRY, Download, EventStream, begun, event

routes = router("/v1/imports", tag="Imports")

_LAST_EVENT_ID = parameter("Last-Event-ID", "The id of the last event that came: only later ones follow.", "^[0-9]+$")
_DISPOSITION = {
    "Content-Disposition": {
        "description": "The name to keep the file under.",
        "required": True,
        "schema": {"type": "string"},
    }
}
_TEXT = {"type": "string"}
# Of each event: before OpenAPI 3.2, a stream of them has no schema of its own.
_EVENT = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["progress", "finished"]},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/ImportShown"},
        },
    },
}
_MEDIA_TYPES = {ImportFormat.CSV: "text/csv; charset=utf-8", ImportFormat.NDJSON: "application/x-ndjson"}


@routes.get(
    "/{import_id:uuid}/events",
    response_class=Response,
    responses=told(*INPUT, *PERMITTED, errors.ImportNotFound, content={"text/event-stream": _EVENT})
    | {204: {"description": "It has finished, and its last event is the one you have"}},
    openapi_extra=asks(EventParameters, _LAST_EVENT_ID),
)
async def watch_import(import_id: UUID, request: Request, app: App, actor: OperatorNow) -> Response:
    """Server-sent events: `progress` with the import as data now and whenever it has changed, and `finished` as the
    last one, at which the stream ends. The id of an event is the import's `revision`.

    A stream that ends without `finished` did so for the service's own reasons, or since your access token is good no
    longer: come again with `Last-Event-ID`.
    """
    after = max(events_asked(request).after, _last_event_id(request))
    job = await app.show_import(ImportId(import_id), actor=actor)
    if job.is_finished and job.revision <= after:
        return Response(status_code=204, headers=NO_STORE)  # which tells an EventSource to come no more
    state = request.app.state
    return EventStream(
        _events(app.watch_import(job.id, after=after, actor=actor)),
        state.streams,
        check=lambda: operator_of(request),
        beat_s=state.event_beat_s,
        idle_s=state.upload_idle_timeout_s,
    )


@routes.get(
    "/{import_id:uuid}/errors",
    response_model=RowErrorList,
    responses=told(*INPUT, *PERMITTED, errors.ImportNotFound, headers=LINK),
    openapi_extra=asks(ErrorListParameters),
)
async def list_import_errors(import_id: UUID, request: Request, app: App, actor: OperatorNow) -> Response:
    """The rows that failed, in the order of the file, by cursor."""
    asked = errors_asked(request)
    found = await app.list_import_errors(ImportId(import_id), after=asked.after, limit=asked.page_size + 1, actor=actor)
    items = found[: asked.page_size]
    next_cursor = str(items[-1][0]) if len(found) > len(items) else None
    return encoded_list(request, [RowErrorShown.of(row) for _, row in items], asked.page_size, next_cursor)


@routes.get(
    "/{import_id:uuid}/errors.csv",
    response_class=Response,
    responses=told(*PERMITTED, errors.ImportNotFound, headers=_DISPOSITION, content={"text/csv": _TEXT}),
)
async def download_import_errors_as_csv(import_id: UUID, request: Request, app: App, actor: OperatorNow) -> Response:
    """The rows that failed, with `line field code message row`, to be mended and imported again. Cells that a
    spreadsheet would run are made harmless."""
    return await _errors_file(ImportId(import_id), ImportFormat.CSV, request, app, actor)


@routes.get(
    "/{import_id:uuid}/errors.ndjson",
    response_class=Response,
    responses=told(*PERMITTED, errors.ImportNotFound, headers=_DISPOSITION, content={"application/x-ndjson": _TEXT}),
)
async def download_import_errors_as_ndjson(import_id: UUID, request: Request, app: App, actor: OperatorNow) -> Response:
    """The same as a JSON object a line."""
    return await _errors_file(ImportId(import_id), ImportFormat.NDJSON, request, app, actor)


async def _errors_file(import_id: ImportId, form: ImportFormat, request: Request, app: App, actor: Actor) -> Response:
    return Download(
        await begun(app.export_import_errors(import_id, form, actor=actor)),
        media_type=_MEDIA_TYPES[form],
        idle_s=request.app.state.upload_idle_timeout_s,
        headers={**NO_STORE, "content-disposition": f'attachment; filename="import-{import_id}-errors.{form}"'},
    )


async def _events(jobs: AsyncGenerator[ImportJob]) -> AsyncGenerator[bytes]:
    yield RETRY
    async with aclosing(jobs):
        async for job in jobs:
            name = "finished" if job.is_finished else "progress"
            yield event(name, msgspec.json.encode(ImportShown.of(job)), number=job.revision)


def _last_event_id(request: Request) -> int:
    """Raises RequestValidationError."""
    sent = request.headers.get("last-event-id") or "0"
    if not (sent.isascii() and sent.isdecimal()):
        raise invalid_header("Last-Event-ID", "It must be the id of an event that came from here.", code="invalid")
    return int(sent[:20])
