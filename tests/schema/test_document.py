"""Requests made of the OpenAPI document: no answer is a server error, and each is as the document says.

`make schemathesis` does the same with a running service.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from application.imports import NewImport
from application.posts import NewPost
from application.use_cases import UseCases
from application.users import Registration
from domain.actors import Actor, Role
from domain.ids import ImportId
from domain.import_options import ImportFormat, ImportKind, ImportOptions
from domain.posts import PostStatus, Writing
from infrastructure.container import running
from infrastructure.settings import Settings
from interfaces.http.app import HttpOptions, create_app
from tests.http.byline import PASSWORD, container_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 10
repeatable = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

# Of the Byline in memory that is asked. `known` are path parameters of what it holds, lest all requests end in 404.
tokens: dict[str, str] = {}
known: dict[str, str] = {}


@asynccontextmanager
async def inhabited() -> AsyncIterator[UseCases]:
    container = container_of(Settings.model_validate({"secret_key": "k" * 40}), in_memory=True)
    async with running(container) as app:
        for role in (Role.ADMIN, Role.AUTHOR):
            email = f"{role}@example.com"
            user = await app.register_user.register(Registration(role.value, email, PASSWORD, role=role))
            tokens[role.value] = (await app.sign_in(email, PASSWORD)).access_token
            writing = Writing(f"By the {role}", "Words.", excerpt="Word.", tags=("a",))
            post = await app.create_post(NewPost(writing, status=PostStatus.PUBLISHED), actor=user.actor)
            known.update(user_id=str(user.id), ref=post.slug.value)
            if role is Role.ADMIN:
                known["import_id"] = str(await an_import(app, user.actor))
        yield app


async def an_import(app: UseCases, actor: Actor) -> ImportId:
    """It has finished, with rows that failed, so that every request about it can be answered at once."""

    async def content() -> AsyncIterator[bytes]:
        yield b'{"title": "One", "author": "admin"}\n{"title": "Two", "author": "nobody"}\nnot json\n'

    blob = await app.receive_upload(content(), actor=actor)
    new = NewImport(blob, ImportOptions(ImportKind.POSTS), ImportFormat.NDJSON)
    job = (await app.start_import(new, actor=actor)).job
    await app.run_import(job.id)
    return job.id


def document() -> BaseSchema:
    """Bound to the application, which starts with the first request."""
    config = SchemathesisConfig()
    config.projects.default.generation.update(max_examples=EXAMPLES)
    app = create_app(inhabited, HttpOptions(max_body_bytes=100_000))
    loaded = schemathesis.openapi.from_dict(app.openapi(), config=config)
    loaded.app = app
    loaded.location = "/openapi.json"
    return loaded


# A file of rows is bytes to it, as any other file.
for media_type in ("application/x-ndjson", "application/gzip", "application/zstd"):
    schemathesis.serializer.alias(media_type, "application/octet-stream")
schema = document()
every_second_time = cycle((True, False))


def ask(case: Case[Any], by: str | None) -> None:
    for name, value in known.items():
        if name in case.path_parameters and next(every_second_time):
            case.path_parameters[name] = value
    headers = {"authorization": f"Bearer {tokens[by]}"} if by in tokens else {}
    case.call_and_validate(headers=headers, checks=CHECKS)


@schema.parametrize()
@repeatable
def test_every_answer_to_a_stranger_is_documented(case: Case[Any]) -> None:
    ask(case, None)


@schema.parametrize()
@repeatable
def test_every_answer_to_an_administrator_is_documented(case: Case[Any]) -> None:
    ask(case, "admin")
