"""A file to import, as it arrives."""

from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from application.imports import NewImport
from domain import errors
from domain.import_options import ImportFormat
from interfaces.http import problems
from interfaces.http.access import App, OperatorNow
from interfaces.http.answers import address, encoded
from interfaces.http.openapi import BODY, LOCATION, PERMITTED, asks, fields_of, parameter, router, told
from interfaces.http.queries import upload_options_asked
from interfaces.http.refusals import invalid_field, invalid_header
from interfaces.http.schemas.imports import REPEATABLE_OPTIONS, ImportShown, UploadOptions
from interfaces.http.uploads import MultipartUpload, RawUpload, Upload, plain_file_name

routes = router("/v1/imports", tag="Imports")

IDEMPOTENCY_KEY_MAX = 255
# Around the file of a form: its fields and their heads.
_FORM_BYTES = 1024 * 1024
_RAW_FORMATS = {
    "text/csv": ImportFormat.CSV,
    "application/x-ndjson": ImportFormat.NDJSON,
    **dict.fromkeys(("application/json", "application/xml", "text/xml")),
    **dict.fromkeys(("application/gzip", "application/zstd", "application/octet-stream")),
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
                    "properties": {"file": _FILE, **fields_of(UploadOptions)},
                }
            },
            **{media_type: {"schema": _FILE} for media_type in _RAW_FORMATS},
        },
    }
}
_KEY = parameter(
    "Idempotency-Key",
    "A name of your own for this import: sent again with the same file and options, it answers with the same job.",
    f"^[ -~]{{1,{IDEMPOTENCY_KEY_MAX}}}$",
)
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` where the same request was made before, and made this job.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


@routes.post(
    "",
    status_code=202,
    response_model=ImportShown,
    responses=told(
        *(*BODY, *PERMITTED, problems.UPLOAD_STALLED, errors.StorageFull, errors.IdempotencyKeyReused),
        status=202,
        headers=LOCATION | _REPLAYED,
    ),
    openapi_extra={**asks(UploadOptions, _KEY), **_BODY_READ},
)
async def start_import(request: Request, app: App, actor: OperatorNow) -> Response:
    """The file is stored as it arrives, however large, compressed by gzip or zstd or not; a worker then imports it. The
    address of the job tells how it goes."""
    asked = upload_options_asked(request)
    key = _idempotency_key(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    upload = _upload(request, media_type)
    if isinstance(upload, RawUpload):
        _said(asked, upload).for_import()  # nothing more is said after the file
    _refuse_announced(request, upload, limit_bytes=app.receive_upload.max_bytes)
    if not await upload.has_file():
        raise invalid_field("file", "The form needs a file.", code="required")

    blob = await app.receive_upload(upload.chunks(), actor=actor)
    try:
        said = _said(asked, upload)
        file_name = upload.file_name or plain_file_name(said.filename or "")
        new = NewImport(
            blob,
            said.for_import(),
            # A name says more than a type: clients send files under the type of what they usually send.
            said.format or (None if file_name else _RAW_FORMATS.get(media_type)),
            file_name=file_name,
            default_author=said.default_author,
            started=said.start,
            idempotency_key=key,
        )
        started = await app.start_import(new, actor=actor)
    except errors.Unavailable:
        # The job may be there, and only the answer to its commit be lost: the sweep takes the file if not.
        raise
    except (RequestValidationError, errors.BylineError):
        await app.discard_upload(blob)
        raise
    headers = {"location": address(request, f"/v1/imports/{started.job.id}")}
    if started.is_replay:
        headers["idempotency-replayed"] = "true"
    return encoded(ImportShown.of(started.job), status=202, headers=headers)


def _upload(request: Request, media_type: str) -> Upload:
    """Raises HTTPException (400, 415)."""
    idle_s = request.app.state.upload_idle_timeout_s
    if media_type == "multipart/form-data":
        return MultipartUpload(request, idle_s=idle_s, repeatable=REPEATABLE_OPTIONS)
    if media_type in _RAW_FORMATS:
        return RawUpload(request, idle_s=idle_s)
    raise HTTPException(415, f"The body must be one of {_READABLE}.", headers={"accept-post": _READABLE})


def _refuse_announced(request: Request, upload: Upload, *, limit_bytes: int) -> None:
    """Raises TooLarge for a body that says that it is, before any of it is read."""
    around = 0 if isinstance(upload, RawUpload) else _FORM_BYTES
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes + around:
        raise errors.TooLarge("The upload", limit_bytes=limit_bytes)


def _idempotency_key(request: Request) -> str | None:
    """As draft-ietf-httpapi-idempotency-key-header has it, a string in quotes, or without them, as most clients send
    it. Raises RequestValidationError."""
    sent = request.headers.get("idempotency-key")
    if sent is None:
        return None
    key = sent[1:-1] if len(sent) > 1 and sent[0] == sent[-1] == '"' else sent
    if not 0 < len(key) <= IDEMPOTENCY_KEY_MAX or not (key.isascii() and key.isprintable()):
        wanted = f"It must be 1 to {IDEMPOTENCY_KEY_MAX} printable ASCII characters."
        raise invalid_header("Idempotency-Key", wanted, code="invalid")
    return key


def _said(asked: UploadOptions, upload: Upload) -> UploadOptions:
    """In the query and in the form. Raises RequestValidationError."""
    fields = {name: values if name in REPEATABLE_OPTIONS else values[0] for name, values in upload.fields.items()}
    try:
        return asked.over(UploadOptions.model_validate(fields))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None
