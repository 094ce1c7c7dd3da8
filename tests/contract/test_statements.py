"""Every statement of every repository belongs to a unit of work that is still at work."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from application.ports.imports import ImportQuery, ImportRepository
from application.ports.repositories import (
    AccountRepository,
    PostRepository,
    SessionRepository,
    UserRepository,
    ViewBatch,
    ViewRepository,
    WarmingRepository,
)
from application.ports.work import Outbox, UnitOfWork
from domain.ids import WarmingId
from domain.imports import RowError
from domain.warmings import Warming, WarmingReason
from tests.builders import NOON, a_job, a_message, a_post, a_session, a_token, a_user, an_account, imported
from tests.contract.adapters import Adapters, packed

USER, POST, JOB, MESSAGE = a_user(), a_post(), a_job(), a_message()
SESSION, ACCOUNT = a_session(USER), an_account(USER)
TOKEN = a_token(SESSION)
BATCH = ViewBatch(uuid4(), 1, {POST.id: 1})
WARMING = Warming(WarmingId(uuid4()), WarmingReason.REQUEST, NOON)
STATEMENTS: dict[str, Callable[[UnitOfWork], Awaitable[object]]] = {
    "users.get": lambda work: work.users.get(USER.id),
    "users.lock": lambda work: work.users.lock(USER.id),
    "users.find_by_login": lambda work: work.users.find_by_login("ann"),
    "users.lock_active_admins": lambda work: work.users.lock_active_admins(),
    "users.add": lambda work: work.users.add(USER),
    "users.save": lambda work: work.users.save(USER),
    "users.delete": lambda work: work.users.delete(USER.id),
    "users.stored_by_login": lambda work: work.users.stored_by_login(["ann"]),
    "users.lock_many": lambda work: work.users.lock_many([USER.id]),
    "users.save_profiles": lambda work: work.users.save_profiles([USER]),
    "users.add_many": lambda work: work.users.add_many([USER], [ACCOUNT], origin=JOB.id),
    "posts.get": lambda work: work.posts.get(POST.id),
    "posts.lock": lambda work: work.posts.lock(POST.id),
    "posts.slugs_taken": lambda work: work.posts.slugs_taken(["one"]),
    "posts.add": lambda work: work.posts.add(POST),
    "posts.save": lambda work: work.posts.save(POST),
    "posts.delete": lambda work: work.posts.delete(POST.id),
    "posts.delete_by_author": lambda work: work.posts.delete_by_author(USER.id),
    "posts.exist_by_author": lambda work: work.posts.exist_by_author(USER.id),
    "posts.stored_by_slug": lambda work: work.posts.stored_by_slug(["one"]),
    "posts.stored_by_external_id": lambda work: work.posts.stored_by_external_id([("blog", "1")]),
    "posts.lock_many": lambda work: work.posts.lock_many([POST.id]),
    "posts.save_many": lambda work: work.posts.save_many([POST]),
    "posts.add_many": lambda work: work.posts.add_many(packed([imported(POST)], origin=JOB.id)),
    "accounts.add": lambda work: work.accounts.add(ACCOUNT),
    "accounts.get_of": lambda work: work.accounts.get_of(USER.id),
    "accounts.has_history": lambda work: work.accounts.has_history(USER.id),
    "accounts.delete_of": lambda work: work.accounts.delete_of(USER.id),
    "sessions.add": lambda work: work.sessions.add(SESSION),
    "sessions.lock": lambda work: work.sessions.lock(SESSION.id),
    "sessions.revoke": lambda work: work.sessions.revoke(SESSION.id, at=NOON),
    "sessions.revoke_of": lambda work: work.sessions.revoke_of(USER.id, at=NOON),
    "sessions.add_token": lambda work: work.sessions.add_token(TOKEN),
    "sessions.find_token": lambda work: work.sessions.find_token(TOKEN.digest),
    "sessions.mark_used": lambda work: work.sessions.mark_used(TOKEN),
    "sessions.delete_expired": lambda work: work.sessions.delete_expired(before=NOON, limit=1),
    "imports.get": lambda work: work.imports.get(JOB.id),
    "imports.lock": lambda work: work.imports.lock(JOB.id),
    "imports.newest": lambda work: work.imports.newest(ImportQuery(1)),
    "imports.find_by_key": lambda work: work.imports.find_by_key(USER.id, "key"),
    "imports.lock_key": lambda work: work.imports.lock_key(USER.id, "key"),
    "imports.claimable": lambda work: work.imports.claimable(1, at=NOON),
    "imports.blobs_needed": lambda work: work.imports.blobs_needed(["one"], finished_after=NOON),
    "imports.add": lambda work: work.imports.add(JOB),
    "imports.lock_to_claim": lambda work: work.imports.lock_to_claim(JOB.id, at=NOON),
    "imports.save_claim": lambda work: work.imports.save_claim(JOB),
    "imports.change": lambda work: work.imports.change(JOB),
    "imports.hold": lambda work: work.imports.hold(JOB),
    "imports.renew": lambda work: work.imports.renew(JOB, until=NOON),
    "imports.save_caution": lambda work: work.imports.save_caution(JOB),
    "imports.save": lambda work: work.imports.save(JOB),
    "imports.add_errors": lambda work: work.imports.add_errors(JOB.id, [RowError(1, None, "bad_row", "No.", None)]),
    "imports.errors": lambda work: work.imports.errors(JOB.id, after=0, limit=1),
    "imports.error_places": lambda work: work.imports.error_places(JOB.id, after=0, limit=1),
    "imports.delete_errors": lambda work: work.imports.delete_errors(finished_before=NOON, limit=1),
    "imports.add_marks": lambda work: work.imports.add_marks(JOB.id, [b"mark"]),
    "imports.marks_among": lambda work: work.imports.marks_among(JOB.id, [b"mark"]),
    "imports.delete_marks": lambda work: work.imports.delete_marks(finished_before=NOON, limit=1),
    "views.add": lambda work: work.views.add(BATCH, at=NOON),
    "views.forget_processes": lambda work: work.views.forget_processes(before=NOON, limit=1),
    "warmings.queue_up": lambda work: work.warmings.queue_up(),
    "warmings.get": lambda work: work.warmings.get(WARMING.id),
    "warmings.newest": lambda work: work.warmings.newest(1),
    "warmings.find_queued": lambda work: work.warmings.find_queued(),
    "warmings.add": lambda work: work.warmings.add(WARMING),
    "warmings.claim": lambda work: work.warmings.claim(at=NOON, until=NOON),
    "warmings.finish": lambda work: work.warmings.finish(WARMING),
    "warmings.delete_old": lambda work: work.warmings.delete_old(requested_before=NOON, kept=1),
    "outbox.add": lambda work: work.outbox.add(MESSAGE),
    "outbox.claim": lambda work: work.outbox.claim(1, at=NOON, until=NOON),
    "outbox.done_many": lambda work: work.outbox.done_many([MESSAGE.id]),
}


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_no_statement_is_made_in_an_ended_unit(adapters: Adapters, statement: str) -> None:
    async with adapters.begin() as work:
        await work.users.find_by_login("ann")
    with pytest.raises(RuntimeError):
        await STATEMENTS[statement](work)


def test_every_statement_of_every_repository_is_among_them() -> None:
    ports = {
        "users": UserRepository,
        "posts": PostRepository,
        "accounts": AccountRepository,
        "sessions": SessionRepository,
        "imports": ImportRepository,
        "views": ViewRepository,
        "warmings": WarmingRepository,
        "outbox": Outbox,
    }
    declared = {f"{name}.{method}" for name, port in ports.items() for method in vars(port) if method.islower()}
    assert {name for name in declared if not name.partition(".")[2].startswith("_")} == set(STATEMENTS)
