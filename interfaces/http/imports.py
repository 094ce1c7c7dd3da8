"""Bulk imports: send a file, watch the job, read which rows failed."""

from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from application.imports import NewImport
from domain import errors
from domain.ids import ImportId
from domain.imports import ImportFormat, ImportKind
from interfaces.http import problems
from interfaces.http.access import App, OperatorNow
from interfaces.http.answers import NO_STORE, address
from interfaces.http.openapi import BODY, INPUT, LINK, LOCATION, PERMITTED, asks, router, told
from interfaces.http.queries import (
    ErrorListParameters,
    ImportListParameters,
    cursor_links,
    errors_asked,
    import_options_asked,
    imports_asked,
)
from interfaces.http.refusals import invalid_field
from interfaces.http.schemas.imports import (
    ImportList,
    ImportOptions,
    ImportShown,
    RowErrorList,
    RowErrorShown,
)
from interfaces.http.uploads import MultipartUpload, RawUpload, Upload, plain_file_name

routes = router("/v1/imports", tag="Imports")

_RAW_FORMATS = {
    "text/csv": ImportFormat.CSV,
    "application/x-ndjson": ImportFormat.NDJSON,
    "application/octet-stream": None,
}
_READABLE = f"multipart/form-data, {', '.join(_RAW_FORMATS)}"
_FILE = {"type": "string", "format": "binary"}
_BODY_READ: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A form with the file and its options in any order, or the file itself with them in the query.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": _FILE,
                        "kind": {"type": "string", "enum": ["users", "posts"]},
                        "format": {"type": "string", "enum": ["csv", "ndjson"]},
                    },
                }
            },
            **{media_type: {"schema": _FILE} for media_type in _RAW_FORMATS},
        },
    }
}


@routes.post(
    "",
    status_code=202,
    response_model=ImportShown,
    responses=told(*(*BODY, *PERMITTED, problems.UPLOAD_STALLED, errors.StorageFull), status=202, headers=LOCATION),
    openapi_extra={**asks(ImportOptions), **_BODY_READ},
)
async def start_import(request: Request, app: App, actor: OperatorNow) -> Response:
    """The file is stored as it arrives, however large; a worker then imports it. The address of the job tells how it
    goes."""
    asked = import_options_asked(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    upload = _upload(request, media_type)
    if not await upload.has_file():
        raise invalid_field("file", "The form needs a file.", code="required")
    judged = partial(_judged, asked, upload, _RAW_FORMATS.get(media_type))
    if isinstance(upload, RawUpload):
        judged()  # nothing more is said after the file

    blob = await app.receive_upload(upload.chunks(), actor=actor)
    try:
        kind, file_format, file_name = judged()
        job = await app.start_import(NewImport(blob, kind, file_format, file_name=file_name), actor=actor)
    except errors.Unavailable:
        # The job may be there, and only the answer to its commit be lost: the sweep takes the file if not.
        raise
    except (RequestValidationError, errors.BylineError):
        await app.discard_upload(blob)
        raise
    return _answer(ImportShown.of(job), status=202, headers={"location": address(request, f"/v1/imports/{job.id}")})


@routes.get(
    "",
    response_model=ImportList,
    responses=told(*INPUT, *PERMITTED, headers=LINK),
    openapi_extra=asks(ImportListParameters),
)
async def list_imports(request: Request, app: App, actor: OperatorNow) -> Response:
    """The newest first, by cursor."""
    asked = imports_asked(request)
    before = None if asked.after is None else ImportId(asked.after)
    found = await app.list_imports(limit=asked.page_size + 1, before=before, actor=actor)
    items = found[: asked.page_size]
    next_cursor = str(items[-1].id) if len(found) > len(items) else None
    return _list([ImportShown.of(job) for job in items], asked.page_size, next_cursor, request)


@routes.get("/{import_id:uuid}", response_model=ImportShown, responses=told(*PERMITTED, errors.ImportNotFound))
async def show_import(import_id: UUID, app: App, actor: OperatorNow) -> Response:
    """How it goes. It is over when `finished_at` is not null."""
    return _answer(ImportShown.of(await app.show_import(ImportId(import_id), actor=actor)))


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
    shown = [RowErrorShown(row.line, row.field, row.code, row.message, row.row) for _, row in items]
    return _list(shown, asked.page_size, next_cursor, request)


def _upload(request: Request, media_type: str) -> Upload:
    """Raises HTTPException (400, 415)."""
    idle_s = request.app.state.upload_idle_timeout_s
    if media_type == "multipart/form-data":
        return MultipartUpload(request, idle_s=idle_s)
    if media_type in _RAW_FORMATS:
        return RawUpload(request, idle_s=idle_s)
    raise HTTPException(415, f"The body must be one of {_READABLE}.", headers={"accept-post": _READABLE})


def _judged(
    asked: ImportOptions, upload: Upload, raw_format: ImportFormat | None
) -> tuple[ImportKind, ImportFormat, str | None]:
    """From the query, the form and the file's name. Raises RequestValidationError."""
    try:
        options = asked.merged(ImportOptions.model_validate(upload.fields))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None
    file_name = upload.file_name or plain_file_name(options.filename or "")
    if options.kind is None:
        raise invalid_field("kind", "Say kind=users or kind=posts, in the query or in the form.", code="required")
    file_format = options.format or ImportFormat.of_file_name(file_name) or raw_format
    if file_format is None:
        told = "Say format=csv or format=ndjson, or name the file .csv, .ndjson or .jsonl."
        raise invalid_field("format", told, code="required")
    return options.kind, file_format, file_name


def _list(items: list[Any], page_size: int, next_cursor: str | None, request: Request) -> Response:
    body = {
        "items": items,
        "page": None,
        "page_size": page_size,
        "total": None,
        "total_pages": None,
        "next_cursor": next_cursor,
    }
    return _answer(body, headers={"link": cursor_links(request, next_cursor)})


def _answer(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = {**NO_STORE, **(headers or {})}
    return Response(msgspec.json.encode(body), status, told, media_type="application/json")
