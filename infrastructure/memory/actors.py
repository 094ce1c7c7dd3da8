"""Who asks, looked up in memory."""

from domain.actors import Actor
from domain.ids import UserId
from infrastructure.memory.store import MemoryStore


class MemoryActors:
    def __init__(self, store: MemoryStore) -> None:
        self._users = store.tables.users

    async def find(self, user_id: UserId) -> Actor | None:
        stored = self._users.rows.get(user_id)
        return stored.user.actor if stored and stored.user.is_active else None
