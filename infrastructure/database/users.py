"""Users with their profiles."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ARRAY, Row, Select, Uuid, any_, delete, func, insert, literal, select, update

from application.ports.repositories import Stored
from domain.accounts import Account
from domain.actors import Role
from domain.errors import Conflict, EmailTaken, StaleVersion, UserHasPosts, UsernameTaken, UserNotFound
from domain.ids import ImportId, UserId
from domain.users import EmailAddress, Profile, User, Username
from infrastructure.database.accounts import copy_accounts
from infrastructure.database.errors import Refusals
from infrastructure.database.tables import profiles, users
from infrastructure.database.transaction import Transaction

_USER_COLUMNS = (
    "id", "username", "email", "password_hash", "role", "is_active", "created_at", "updated_at", "version", "origin"
)  # fmt: skip
_PROFILE_COLUMNS = ("user_id", "display_name", "bio", "avatar_url", "website")

_BY_LOGIN: Final = """
    SELECT lower(username) AS login, id, origin FROM users WHERE lower(username) = ANY($1::text[])
    UNION ALL SELECT lower(email), id, origin FROM users WHERE lower(email) = ANY($2::text[])
"""
_SAVE_PROFILES: Final = """
    WITH new AS (
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[])
            AS new (id, updated_at, display_name, bio, avatar_url, website)
    ), touched AS (
        UPDATE users SET updated_at = new.updated_at, version = users.version + 1 FROM new WHERE users.id = new.id
    )
    UPDATE profiles SET
        display_name = new.display_name, bio = new.bio, avatar_url = new.avatar_url, website = new.website
    FROM new WHERE profiles.user_id = new.id
"""


class SqlUsers:
    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, user_id: UserId) -> User:
        return await self._one(_users().where(users.c.id == user_id), user_id)

    async def lock(self, user_id: UserId) -> User:
        # Not FOR UPDATE, which would also keep others from adding posts of this author meanwhile. And of both tables:
        # after a wait, PostgreSQL looks again at the rows that it locks, and shows the others as they were before.
        locked = _users().where(users.c.id == user_id).with_for_update(key_share=True)
        return await self._one(locked, user_id)

    async def find_by_login(self, login: str) -> User | None:
        folded = login.lower()
        if not _is_possible(folded):
            return None
        column = users.c.email if "@" in folded else users.c.username
        row = (await self._tx.execute(_users().where(func.lower(column) == folded))).first()
        return _user(row) if row else None

    async def lock_active_admins(self) -> list[UserId]:
        admins = select(users.c.id).where(users.c.role == Role.ADMIN, users.c.is_active).order_by(users.c.id)
        return list((await self._tx.execute(admins.with_for_update(key_share=True))).scalars())

    async def add(self, user: User) -> None:
        made = insert(users).values(id=user.id, created_at=user.created_at, version=user.version, **_values(user))
        await self._tx.execute(made, refusals=_refusals(user))
        await self._tx.execute(insert(profiles).values(user_id=user.id, **_profile_values(user.profile)))

    async def save(self, user: User) -> User:
        saved = replace(user, version=user.version + 1)
        changed = (
            update(users)
            .where(users.c.id == user.id, users.c.version == user.version)
            .values(version=saved.version, **_values(user))
        )
        if (await self._tx.execute(changed, refusals=_refusals(user))).rowcount == 0:
            raise StaleVersion(await self._version(user.id))
        described = update(profiles).where(profiles.c.user_id == user.id).values(**_profile_values(user.profile))
        await self._tx.execute(described)
        return saved

    async def delete(self, user_id: UserId) -> None:
        refusals: Refusals = {
            "fk_posts_author_id": lambda _: UserHasPosts(),
            "fk_accounts_owner_id": lambda _: Conflict("The user has an account."),
        }
        await self._tx.execute(delete(users).where(users.c.id == user_id), refusals=refusals)

    async def stored_by_login(self, logins: Collection[str]) -> dict[str, Stored[UserId]]:
        names = [login for login in logins if "@" not in login and _is_possible(login)]
        addresses = [login for login in logins if "@" in login and _is_possible(login)]
        found = await self._tx.fetch(_BY_LOGIN, names, addresses)
        return {row["login"]: Stored(row["id"], row["origin"]) for row in found}

    async def lock_many(self, user_ids: Collection[UserId]) -> list[User]:
        asked = _users().where(users.c.id == any_(literal(list(user_ids), ARRAY(Uuid)))).order_by(users.c.id)
        return [_user(row) for row in await self._tx.execute(asked.with_for_update(key_share=True))]

    async def save_profiles(self, changed: Sequence[User]) -> None:
        described = [
            (u.id, u.updated_at, p.display_name, p.bio, p.avatar_url, p.website) for u in changed for p in (u.profile,)
        ]
        if described:
            await self._tx.fetch(_SAVE_PROFILES, *zip(*described, strict=True))

    async def add_many(self, users_: Sequence[User], accounts: Sequence[Account], *, origin: ImportId) -> None:
        made = (
            (u.id, u.username.value, u.email.value if u.email else None, u.password_hash, u.role, u.is_active,
             u.created_at, u.updated_at, u.version, origin)
            for u in users_
        )  # fmt: skip
        await self._tx.copy(users, _USER_COLUMNS, made)
        described = ((u.id, p.display_name, p.bio, p.avatar_url, p.website) for u in users_ for p in (u.profile,))
        await self._tx.copy(profiles, _PROFILE_COLUMNS, described)
        await copy_accounts(self._tx, accounts)

    async def _one(self, statement: Select[Any], user_id: UserId) -> User:
        row = (await self._tx.execute(statement)).first()
        if row is None:
            raise UserNotFound(user_id)
        return _user(row)

    async def _version(self, user_id: UserId) -> int | None:
        found = await self._tx.execute(select(users.c.version).where(users.c.id == user_id))
        return found.scalar_one_or_none()


def _users() -> Select[Any]:
    return select(users, profiles).join_from(users, profiles, profiles.c.user_id == users.c.id)


def _is_possible(login: str) -> bool:
    """Usernames and addresses are ASCII; PostgreSQL takes no NUL at all."""
    return login.isascii() and "\x00" not in login


def _user(row: Row[Any]) -> User:
    return User(
        id=UserId(row.id),
        username=Username(row.username),
        email=EmailAddress(row.email) if row.email is not None else None,
        role=Role(row.role),
        created_at=row.created_at,
        updated_at=row.updated_at,
        profile=Profile(row.display_name, row.bio, row.avatar_url, row.website),
        password_hash=row.password_hash,
        is_active=row.is_active,
        version=row.version,
    )


def _values(user: User) -> dict[str, object]:
    return {
        "username": user.username.value,
        "email": user.email.value if user.email else None,
        "password_hash": user.password_hash,
        "role": user.role.value,
        "is_active": user.is_active,
        "updated_at": user.updated_at,
    }


def _profile_values(profile: Profile) -> dict[str, object]:
    return {
        "display_name": profile.display_name,
        "bio": profile.bio,
        "avatar_url": profile.avatar_url,
        "website": profile.website,
    }


def _refusals(user: User) -> Refusals:
    return {
        "uq_users_username": lambda _: UsernameTaken(user.username.value),
        "uq_users_email": lambda _: EmailTaken(),
    }
