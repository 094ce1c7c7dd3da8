"""What a unit of work leaves to be done once it is committed: both families of adapters do it by this."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog

from application.caching.forgetting import Forgetting
from application.ports.work import Message, Outbox
from domain.errors import BylineError

log = structlog.get_logger(__name__)


class AfterCommit:
    """First what is to be forgotten, then the steps. Without `forgetting` nothing is cached.

    Where the commit's answer is lost, nobody was told that it is done, and the relay forgets what it has changed.
    """

    def __init__(self, forgetting: Forgetting | None) -> None:
        self._forgetting = forgetting
        self._tags: set[str] = set()
        self._message: Message | None = None
        self._steps: list[Callable[[], Awaitable[None]]] = []

    def forget(self, tags: Iterable[str]) -> None:
        self._tags.update(tags)

    def add(self, step: Callable[[], Awaitable[None]]) -> None:
        self._steps.append(step)

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """What is to be forgotten by it is not."""
        before = set(self._tags)
        try:
            yield
        finally:
            self._tags = before

    async def promise(self, outbox: Outbox) -> None:
        """Within the transaction, as the last of it."""
        if self._forgetting is not None and self._tags:
            self._message = self._forgetting.message(self._tags)
            await outbox.add(self._message)

    async def __call__(self) -> None:
        """After the commit, with the connection given back."""
        if self._forgetting is not None and self._message is not None:
            await self._forgetting.at_once(self._message)
        for step in self._steps:
            try:
                await step()
            except BylineError as error:
                log.warning("after_commit_failed", reason=str(error))
            except Exception:
                log.warning("after_commit_failed", exc_info=True)
