"""Who asks, looked up in PostgreSQL."""

from domain.actors import Actor, Role
from domain.ids import UserId
from infrastructure.database.database import Database

_ROLE = "SELECT role FROM users WHERE id = $1 AND is_active"


class SqlActors:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: UserId) -> Actor | None:
        async with self._database.reading() as reading:
            role = await reading.fetchval(_ROLE, user_id)
        return None if role is None else Actor(user_id, Role(role))
