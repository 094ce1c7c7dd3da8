"""Rehearsals: what is written within is undone at their end, and the transaction goes on."""

from contextlib import suppress
from dataclasses import replace

import pytest

from domain.errors import BylineError, PostNotFound, SlugTaken, UsernameTaken, UserNotFound
from domain.imports import RowError
from domain.posts import Slug
from domain.users import User
from tests.builders import NOON, a_job, a_message, a_post, a_profile, a_session, a_token, a_user, an_account, imported
from tests.contract.adapters import Adapters, add, packed


class Interruption(Exception):
    pass


async def test_nothing_of_a_rehearsal_is_committed_and_all_around_it_is(adapters: Adapters, ann: User) -> None:
    job, kept = a_job(), a_post(author=ann.id, slug="kept")
    await adapters.keep(job, kept)
    before, after, rehearsed = a_user("before"), a_user("after"), a_user("rehearsed")
    post = a_post(author=rehearsed.id, source="blog", external_id="1")
    session = a_session(rehearsed)
    async with adapters.begin() as work:
        await work.users.add(before)
        async with work.rehearsal():
            for one in (rehearsed, an_account(rehearsed), session, a_token(session), a_job(), a_message()):
                await add(work, one)
            await work.posts.add_many(packed([imported(post, 3)], origin=job.id))
            await work.posts.save_many([replace(kept, slug=Slug("rehearsed"), author_id=rehearsed.id)])
            await work.users.save_profiles([replace(ann, profile=a_profile(bio="Rehearsed."))])
            await work.imports.add_errors(job.id, [RowError(1, None, "bad_row", "No.", None)])
            await work.imports.add_marks(job.id, [b"rehearsed"])
            assert await work.posts.get(post.id) == post
            assert await work.posts.slugs_taken(["kept", "rehearsed"]) == {"rehearsed"}
        with pytest.raises(PostNotFound):
            await work.posts.get(post.id)
        assert await work.posts.slugs_taken(["kept", "rehearsed"]) == {"kept"}
        assert await work.imports.marks_among(job.id, [b"rehearsed"]) == set()
        await work.imports.add_marks(job.id, [b"after"])
        await work.users.add(after)
        await work.commit()

    for user in (ann, before, after):
        assert await adapters.user(user.id) == user
    assert await adapters.post(kept.id) == kept
    async with adapters.begin() as work:
        with pytest.raises(UserNotFound):
            await work.users.get(rehearsed.id)
        assert list(await work.imports.errors(job.id, after=0, limit=1)) == []
        assert await work.imports.marks_among(job.id, [b"rehearsed", b"after"]) == {b"after"}
        assert await work.outbox.claim(10, at=NOON, until=NOON) == []


async def test_what_was_rehearsed_can_be_done(adapters: Adapters, ann: User) -> None:
    post = a_post(author=ann.id, source="blog", external_id="1")
    async with adapters.begin() as work:
        for _ in range(2):
            async with work.rehearsal():
                await work.posts.add_many(packed([imported(post, 3)]))
        await work.posts.add_many(packed([imported(post, 3)]))
        await work.commit()
    assert await adapters.post(post.id) == post


async def test_a_refusal_within_a_rehearsal_ends_it_alone(adapters: Adapters, ann: User) -> None:
    await adapters.keep(a_post(author=ann.id, slug="taken"))
    fine, user = a_post(author=ann.id, slug="fine"), a_user("bob")
    refused: list[type[BylineError]] = []
    async with adapters.begin() as work:
        for rows in ([fine, a_post(author=ann.id, slug="taken")], [fine, a_post()]):
            try:
                async with work.rehearsal():
                    await work.posts.add_many(packed([imported(post) for post in rows]))
            except BylineError as error:
                refused.append(type(error))
        with pytest.raises(UsernameTaken):
            async with work.rehearsal():
                await work.users.add(a_user("ann"))
        await work.users.add(user)
        await work.posts.add_many(packed([imported(fine)]))
        await work.commit()
    assert refused == [SlugTaken, UserNotFound]
    assert await adapters.post(fine.id) == fine
    assert await adapters.user(user.id) == user


async def test_a_rehearsal_that_is_interrupted_is_undone_too(adapters: Adapters) -> None:
    rehearsed, user = a_user(), a_user()
    async with adapters.begin() as work:
        with suppress(Interruption):
            async with work.rehearsal():
                await work.users.add(rehearsed)
                raise Interruption
        await work.users.add(user)
        await work.commit()
    assert await adapters.user(user.id) == user
    with pytest.raises(UserNotFound):
        await adapters.user(rehearsed.id)


async def test_a_refusal_before_a_rehearsal_is_not_forgiven(adapters: Adapters, ann: User) -> None:
    async with adapters.begin() as work:
        with pytest.raises(UsernameTaken):
            await work.users.add(a_user("ann"))
        with pytest.raises(RuntimeError):
            async with work.rehearsal():
                pass
        with pytest.raises(RuntimeError):
            await work.commit()


async def test_a_rehearsal_is_not_committed(adapters: Adapters) -> None:
    user = a_user()
    async with adapters.begin() as work:
        async with work.rehearsal():
            await work.users.add(user)
            with pytest.raises(RuntimeError):
                await work.commit()
        await work.commit()
    with pytest.raises(UserNotFound):
        await adapters.user(user.id)


async def test_what_is_checked_after_imported_posts_are_rehearsed_is_checked_as_ever(
    adapters: Adapters, ann: User
) -> None:
    async with adapters.begin() as work:
        async with work.rehearsal():
            await work.posts.add_many(packed([imported(a_post(author=ann.id))]))
        with pytest.raises(UserNotFound):
            await work.posts.add(a_post())
