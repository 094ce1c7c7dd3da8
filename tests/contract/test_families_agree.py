"""Whatever is done to both families, step by step, they answer alike and look alike in the end."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import product

import pytest

from application.pages import Order, Page, PostQuery, SortBy, Types, UserQuery
from application.ports.work import UnitOfWork
from domain.actors import Actor, Role
from domain.errors import BylineError, NotFound
from domain.posts import Post, Slug
from domain.users import EmailAddress, User, Username
from tests.builders import (
    NOON,
    SECOND,
    a_job,
    a_post,
    a_session,
    a_token,
    a_user,
    a_writing,
    an_account,
    an_actor,
    imported,
)
from tests.contract.adapters import Adapters, packed
from tests.contract.looks import decoded

Step = Callable[[UnitOfWork], Awaitable[object]]
NAMES = ["ann", "Ann", "bob", "cy", "di", "ed", "fay", "gus"]
SLUGS = ["one", "two", "three", "four", "five", "six", "seven"]


class Script:
    """Steps drawn at random over few names, so that they often collide. Versions are now and then those before."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.users: list[User] = [a_user()]
        self.posts: list[Post] = [a_post(author=self.users[0].id)]
        self.job = a_job()

    def step(self) -> Step:
        steps = [self.add_user, self.save_user, self.delete_user, self.add_post, self.add_post, self.save_post,
                 self.delete_post, self.import_posts, self.save_posts, self.rehearse, self.sign_in,
                 self.look]  # fmt: skip
        return self.chance.choice(steps)()

    def a_user(self) -> User:
        name = self.chance.choice(NAMES)
        return replace(
            self.chance.choice(self.users),
            username=Username(name),
            email=EmailAddress(f"{self.chance.choice(NAMES)}@example.com") if self.chance.random() < 0.7 else None,
            role=self.chance.choice(list(Role)),
            is_active=self.chance.random() < 0.7,
        )

    def a_post(self) -> Post:
        post = self.chance.choice(self.posts)
        by = self.chance.choice(self.users)
        changed = replace(
            post,
            slug=Slug(self.chance.choice(SLUGS)),
            writing=a_writing(self.chance.choice(NAMES), tags=tuple(self.chance.sample(NAMES, 2))),
        )
        author = Actor(post.author_id, Role.AUTHOR)
        return changed.publish(by=author, at=NOON + SECOND) if by.is_active else changed.unpublish(by=author, at=NOON)

    def add_user(self) -> Step:
        user = replace(self.a_user(), id=a_user().id, version=1)
        account = an_account(user)
        self.users.append(user)

        async def step(work: UnitOfWork) -> None:
            await work.users.add(user)
            if account.id.int % 2:
                await work.accounts.add(account)

        return step

    def save_user(self) -> Step:
        user, behind = self.a_user(), self.chance.choice([0, 0, 0, 1])

        async def step(work: UnitOfWork) -> object:
            stored = await work.users.get(user.id)
            return await work.users.save(replace(user, version=stored.version - behind))

        return step

    def delete_user(self) -> Step:
        user, with_account = self.chance.choice(self.users), self.chance.random() < 0.5

        async def step(work: UnitOfWork) -> None:
            if with_account:
                await work.accounts.delete_of(user.id)
            await work.users.delete(user.id)

        return step

    def add_post(self) -> Step:
        author = self.chance.choice(self.users)
        post = replace(
            self.a_post(),
            id=a_post().id,
            author_id=author.id,
            version=1,
            source="blog" if self.chance.random() < 0.5 else None,
            external_id=self.chance.choice(["1", "2", None]),
        )
        self.posts.append(post)
        return lambda work: work.posts.add(post)

    def import_posts(self) -> Step:
        added = [
            (replace(self.a_post(), id=a_post().id, slug=Slug(slug), version=1), self.chance.randrange(3))
            for slug in self.chance.sample(SLUGS, 2)
        ]
        self.posts += [post for post, _ in added]
        rows = [imported(post, views) for post, views in added]
        return lambda work: work.posts.add_many(packed(rows, origin=self.job.id))

    def save_posts(self) -> Step:
        posts = [
            replace(self.a_post(), author_id=self.chance.choice(self.users).id, slug=Slug(slug))
            for slug in self.chance.sample(SLUGS, 2)
        ]
        users = [replace(self.a_user(), updated_at=NOON + SECOND) for _ in range(2)]

        async def step(work: UnitOfWork) -> object:
            locked = (
                await work.users.lock_many([user.id for user in users]),
                await work.posts.lock_many([post.id for post in posts]),
            )
            await work.users.save_profiles(list({user.id: user for user in users}.values()))
            await work.posts.save_many(list({post.id: post for post in posts}.values()))
            return locked

        return step

    def rehearse(self) -> Step:
        steps = [self.add_user(), self.import_posts(), self.save_posts()]

        async def step(work: UnitOfWork) -> object:
            answers: list[object] = []
            try:
                async with work.rehearsal():
                    answers += [await step(work) for step in steps]
            except BylineError as refusal:
                answers += [type(refusal), str(refusal)]
            return answers

        return step

    def save_post(self) -> Step:
        post, behind = self.a_post(), self.chance.choice([0, 0, 0, 1])

        async def step(work: UnitOfWork) -> object:
            stored = await work.posts.get(post.id)
            return await work.posts.save(replace(post, version=stored.version - behind))

        return step

    def delete_post(self) -> Step:
        post, user = self.chance.choice(self.posts), self.chance.choice(self.users)
        if self.chance.random() < 0.2:
            return lambda work: work.posts.delete_by_author(user.id)
        return lambda work: work.posts.delete(post.id)

    def sign_in(self) -> Step:
        session = a_session(self.chance.choice(self.users))
        token = a_token(session)

        async def step(work: UnitOfWork) -> object:
            await work.sessions.add(session)
            await work.sessions.add_token(token)
            await work.sessions.revoke_of(session.user_id, at=NOON)
            return await work.sessions.find_token(token.digest), await work.sessions.lock(session.id)

        return step

    def look(self) -> Step:
        name, slug, user = self.chance.choice(NAMES), self.chance.choice(SLUGS), self.chance.choice(self.users)

        async def step(work: UnitOfWork) -> object:
            return (
                await work.users.find_by_login(name),
                await work.users.find_by_login(f"{name}@example.com"),
                await work.posts.slugs_taken(SLUGS),
                await work.posts.stored_by_slug([slug]),
                await work.posts.stored_by_external_id([("blog", "1"), ("blog", "2")]),
                await work.users.stored_by_login([name.lower(), f"{name.lower()}@example.com"]),
                await work.posts.exist_by_author(user.id),
                await work.users.lock_active_admins(),
            )

        return step


async def outcome(
    adapters: Adapters, steps: Sequence[Step], *, is_committed: bool
) -> tuple[list[object], type[BylineError] | None, str]:
    """What one unit of work of these steps came to: their results, and the refusal that ended it."""
    answers: list[object] = []
    try:
        async with adapters.begin() as work:
            answers += [await step(work) for step in steps]
            if is_committed:
                await work.commit()
    except BylineError as refusal:
        return answers, type(refusal), str(refusal)
    return answers, None, ""


async def everything(adapters: Adapters, script: Script) -> list[object]:
    """All that every kind of viewer is shown, and who may act."""
    shown: list[object] = [await adapters.actors.find(user.id) for user in script.users]
    for viewer in (None, an_actor(Role.OPERATOR), *(user.actor for user in script.users[:3])):
        for by, order in product(SortBy, Order):
            query = PostQuery(page_size=4, sort_by=by, order=order, type=Types.ALL)
            shown.append(decoded((await adapters.pages.posts(query, viewer=viewer)).body))
        users = await adapters.pages.users(UserQuery(page_size=100, include_posts=True), viewer=viewer)
        shown.append(decoded(users.body))
        shown += [await _shown(adapters.pages.post(post.id, viewer=viewer)) for post in script.posts]
        shown += [
            await _shown(adapters.pages.user(user.id, include_posts=True, viewer=viewer)) for user in script.users
        ]
    shown.append(decoded((await adapters.pages.emails(UserQuery(page_size=100))).body))
    return shown


async def _shown(reading: Awaitable[Page]) -> object:
    try:
        page = await reading
    except NotFound as refusal:
        return str(refusal)
    return decoded(page.body), page.public, page.etag.partition("-")[0]


@pytest.mark.parametrize("seed", range(5))
async def test_both_families_answer_alike(memory_adapters: Adapters, database_adapters: Adapters, seed: int) -> None:
    script = Script(seed)
    families = (memory_adapters, database_adapters)
    for adapters in families:
        await adapters.keep(*script.users, *script.posts, script.job)
    refusals = set()
    for number in range(80):
        steps = [script.step() for _ in range(script.chance.choice([1, 1, 1, 2, 3]))]
        is_committed = script.chance.random() < 0.9
        came_to = [await outcome(adapters, steps, is_committed=is_committed) for adapters in families]
        assert came_to[0] == came_to[1], f"step {number}"
        refusals.add(came_to[0][1])
    assert len(refusals - {None}) > 3
    in_memory, in_database = [await everything(adapters, script) for adapters in families]
    assert in_memory == in_database
    assert [adapters.checked_out() for adapters in families] == [0, 0]
