"""What people do to a site, one use case each, to whatever users and posts there are."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from application.administrators import PromoteToAdmin
from application.posts import NewPost, PostChanges
from application.users import Registration, UserChanges
from domain.actors import Actor, Role
from domain.ids import PostId
from domain.posts import PostStatus, PostType
from domain.users import User
from infrastructure.memory.store import MemoryStore
from tests.application.house import PASSWORD, CountingArgon2, House
from tests.builders import SECOND, a_writing
from tests.caching.recording import Recording

TAGS = ("red", "blue")
_TITLES, _SLUGS, _NAMES = ("One", "Two"), ("one", "two", "three"), ("dan", "eve", "fay")


@dataclass
class Site:
    """Some users, who have written something, and an administrator, who does it all."""

    recording: Recording = field(default_factory=Recording)

    async def open(self) -> None:
        self.store = MemoryStore(self.recording.forgetting)
        self.house = House(self.store, self.recording.clock)
        self.admin: Actor = (await self.house.a_member("admin", role=Role.ADMIN)).actor
        for name in ("ann", "bob", "cat"):
            await self.house.a_member(name)
        posts = (("ann", ("red",)), ("ann", ()), ("bob", ("red", "blue")))
        for number, (name, tags) in enumerate(posts):
            self.recording.clock.advance(SECOND)
            status = PostStatus.DRAFT if number == 1 else PostStatus.PUBLISHED
            await self.house.create_post(
                NewPost(a_writing(f"Of {name}", tags=tags), status=status), actor=self.user(1 + number // 2).actor
            )

    def user(self, number: int) -> User:
        users = sorted(stored.user.id for stored in self.store.tables.users.rows.values())
        return self.store.tables.users.rows[users[number % len(users)]].user

    def post(self, number: int) -> PostId:
        """Of none where there is none."""
        posts = sorted(self.store.tables.posts.rows)
        return posts[number % len(posts)] if posts else PostId(self.house.ids.next())


@dataclass(frozen=True)
class Step:
    """`prepare` is what happened before, past all use cases."""

    async def prepare(self, site: Site) -> None:
        """Nothing, most of the time."""

    async def __call__(self, site: Site) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Register(Step):
    name: str
    role: Role

    async def __call__(self, site: Site) -> None:
        request = Registration(self.name, f"{self.name}@example.com", PASSWORD, role=self.role)
        await site.house.register_user(request, actor=site.admin)


@dataclass(frozen=True)
class ChangeUser(Step):
    number: int
    changes: UserChanges

    async def __call__(self, site: Site) -> None:
        await site.house.change_user(site.user(self.number).id, self.changes, actor=site.admin)


@dataclass(frozen=True)
class DeleteUser(Step):
    number: int
    with_posts: bool
    with_history: bool

    async def prepare(self, site: Site) -> None:
        tables = site.store.tables
        account = tables.account_owners.rows.get(site.user(self.number).id)
        if self.with_history and account is not None:
            tables.entries.rows[account] = 1

    async def __call__(self, site: Site) -> None:
        await site.house.delete_user(site.user(self.number).id, actor=site.admin, with_posts=self.with_posts)


@dataclass(frozen=True)
class Promote(Step):
    number: int

    async def __call__(self, site: Site) -> None:
        promote = PromoteToAdmin(site.store.begin, site.recording.clock)
        await promote(site.user(self.number).username.value)


@dataclass(frozen=True)
class SignIn(Step):
    """With a password whose hash is of an older kind."""

    number: int

    async def prepare(self, site: Site) -> None:
        user = site.user(self.number)
        if user.password_hash is not None:
            await site.house.saved(user, password_hash=CountingArgon2(time_cost=2).hash(PASSWORD))

    async def __call__(self, site: Site) -> None:
        await site.house.sign_in(site.user(self.number).username.value, PASSWORD)


@dataclass(frozen=True)
class Write(Step):
    author: int
    post: NewPost

    async def __call__(self, site: Site) -> None:
        await site.house.create_post(self.post, actor=site.user(self.author).actor)


@dataclass(frozen=True)
class ChangePost(Step):
    number: int
    changes: PostChanges

    async def __call__(self, site: Site) -> None:
        await site.house.change_post(site.post(self.number), self.changes, actor=site.admin)


@dataclass(frozen=True)
class Publish(Step):
    number: int

    async def __call__(self, site: Site) -> None:
        await site.house.publish_post(site.post(self.number), actor=site.admin)


@dataclass(frozen=True)
class Unpublish(Step):
    number: int

    async def __call__(self, site: Site) -> None:
        await site.house.unpublish_post(site.post(self.number), actor=site.admin)


@dataclass(frozen=True)
class DeletePost(Step):
    number: int

    async def __call__(self, site: Site) -> None:
        await site.house.delete_post(site.post(self.number), actor=site.admin)


EACH_ALONE = (
    Register("dan", Role.AUTHOR),
    ChangeUser(1, UserChanges(username="dan")),
    ChangeUser(1, UserChanges(profile={"display_name": "Dan"})),
    ChangeUser(1, UserChanges(profile={"bio": "Writes."})),
    ChangeUser(1, UserChanges(email="dan@example.org")),
    ChangeUser(1, UserChanges(password="another password")),
    ChangeUser(1, UserChanges(is_active=False)),
    ChangeUser(3, UserChanges(profile={"display_name": "Dan"})),
    DeleteUser(3, with_posts=False, with_history=False),
    DeleteUser(3, with_posts=False, with_history=True),
    DeleteUser(1, with_posts=True, with_history=False),
    DeleteUser(1, with_posts=True, with_history=True),
    Promote(1),
    SignIn(1),
    Write(1, NewPost(a_writing(tags=TAGS), status=PostStatus.PUBLISHED)),
    ChangePost(0, PostChanges(title="Another")),
    ChangePost(0, PostChanges(slug="another")),
    ChangePost(0, PostChanges(tags=("blue",))),
    ChangePost(0, PostChanges(type=PostType.PAGE)),
    ChangePost(0, PostChanges(status=PostStatus.DRAFT)),
    ChangePost(1, PostChanges(status=PostStatus.PUBLISHED)),
    Publish(1),
    Unpublish(0),
    DeletePost(0),
)
"""Each changes something that strangers see, on a site that is new."""


def _maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


_NUMBERS = st.integers(0, 5)
_TAGS = st.lists(st.sampled_from(TAGS), max_size=2, unique=True).map(tuple)
_PROFILES = st.dictionaries(
    st.sampled_from(("display_name", "bio", "website")), st.sampled_from(("", "https://a.example", "https://b.example"))
)
_USER_CHANGES = st.builds(
    UserChanges,
    username=_maybe(st.sampled_from(_NAMES)),
    email=_maybe(st.sampled_from(("x@example.com", "y@example.com"))),
    profile=_maybe(_PROFILES),
    role=_maybe(st.sampled_from(Role)),
    is_active=_maybe(st.booleans()),
    password=_maybe(st.just("another password")),
)
_POST_CHANGES = st.builds(
    PostChanges,
    title=_maybe(st.sampled_from(_TITLES)),
    slug=_maybe(st.sampled_from(_SLUGS)),
    content=_maybe(st.sampled_from(("Words.", "More."))),
    tags=_maybe(_TAGS),
    type=_maybe(st.sampled_from(PostType)),
    status=_maybe(st.sampled_from(PostStatus)),
)
_NEW_POSTS = st.builds(
    NewPost,
    st.builds(a_writing, st.sampled_from(_TITLES), tags=_TAGS, type=st.sampled_from(PostType)),
    slug=_maybe(st.sampled_from(_SLUGS)),
    status=st.sampled_from(PostStatus),
)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Register, st.sampled_from(_NAMES), st.sampled_from(Role)),
    st.builds(ChangeUser, _NUMBERS, _USER_CHANGES),
    st.builds(ChangeUser, _NUMBERS, st.builds(UserChanges, profile=_PROFILES)),
    st.builds(DeleteUser, _NUMBERS, st.booleans(), st.booleans()),
    st.builds(Promote, _NUMBERS),
    st.builds(SignIn, _NUMBERS),
    st.builds(Write, _NUMBERS, _NEW_POSTS),
    st.builds(ChangePost, _NUMBERS, _POST_CHANGES),
    st.builds(Publish, _NUMBERS),
    st.builds(Unpublish, _NUMBERS),
    st.builds(DeletePost, _NUMBERS),
)
