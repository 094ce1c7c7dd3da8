"""Bulk imports: list the jobs, see how one goes, cancel it, resume it, try its failed rows again."""

from uuid import UUID

from fastapi import Request, Response

from application.ports.imports import ImportQuery
from domain import errors
from domain.ids import ImportId
from domain.imports import ImportJob
from interfaces.http.access import App, OperatorNow
from interfaces.http.answers import address, encoded, encoded_list
from interfaces.http.openapi import BODY, INPUT, LINK, LOCATION, PERMITTED, asks, router, told
from interfaces.http.queries import ImportListParameters, imports_asked
from interfaces.http.schemas.imports import ImportList, ImportShown, RetryBody

routes = router("/v1/imports", tag="Imports")


@routes.get(
    "",
    response_model=ImportList,
    responses=told(*INPUT, *PERMITTED, headers=LINK),
    openapi_extra=asks(ImportListParameters),
)
async def list_imports(request: Request, app: App, actor: OperatorNow) -> Response:
    """The newest first, by cursor."""
    asked = imports_asked(request)
    query = ImportQuery(
        limit=asked.page_size + 1,
        before=None if asked.after is None else ImportId(asked.after),
        state=asked.state,
        kind=asked.kind,
        parent_id=None if asked.parent_id is None else ImportId(asked.parent_id),
    )
    found = await app.list_imports(query, actor=actor)
    items = found[: asked.page_size]
    next_cursor = str(items[-1].id) if len(found) > len(items) else None
    return encoded_list(request, [ImportShown.of(job) for job in items], asked.page_size, next_cursor)


@routes.get("/{import_id:uuid}", response_model=ImportShown, responses=told(*PERMITTED, errors.ImportNotFound))
async def show_import(import_id: UUID, app: App, actor: OperatorNow) -> Response:
    """How it goes. It is over when `finished_at` is not null."""
    return _shown(await app.show_import(ImportId(import_id), actor=actor))


@routes.post(
    "/{import_id:uuid}/cancel",
    response_model=ImportShown,
    responses=told(*PERMITTED, errors.ImportNotFound, errors.WrongState),
)
async def cancel_import(import_id: UUID, app: App, actor: OperatorNow) -> Response:
    """What was imported stays. A running one is `cancelling` until its worker is done with the chunk at hand."""
    return _shown(await app.cancel_import(ImportId(import_id), actor=actor))


@routes.post(
    "/{import_id:uuid}/resume",
    status_code=202,
    response_model=ImportShown,
    responses=told(*PERMITTED, errors.ImportNotFound, errors.WrongState, status=202),
)
async def resume_import(import_id: UUID, app: App, actor: OperatorNow) -> Response:
    """One that is `uploaded`, `cancelled` or `failed` goes on from where it was."""
    return _shown(await app.resume_import(ImportId(import_id), actor=actor), status=202)


@routes.post(
    "/{import_id:uuid}/retry",
    status_code=202,
    response_model=ImportShown,
    responses=told(
        *(*BODY, *PERMITTED, errors.ImportNotFound, errors.WrongState, errors.BlobNotFound),
        status=202,
        headers=LOCATION,
    ),
)
async def retry_import(
    import_id: UUID, request: Request, app: App, actor: OperatorNow, body: RetryBody | None = None
) -> Response:
    """A new import of the rows that failed, and of those alone, from the same file; done otherwise where the body says
    so."""
    options = (body or RetryBody()).options()
    job = await app.retry_import(ImportId(import_id), options, actor=actor)
    return _shown(job, status=202, headers={"location": address(request, f"/v1/imports/{job.id}")})


def _shown(job: ImportJob, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return encoded(ImportShown.of(job), status=status, headers=headers)
