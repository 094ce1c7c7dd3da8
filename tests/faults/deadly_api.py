"""`python -m tests.faults.deadly_api STEP`: an API process that dies by SIGKILL at that step from a commit to its
answer."""

import os
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

import uvicorn
from dependency_injector import providers

from application.caching.forgetting import Forgetting
from application.ports.work import Message
from infrastructure.cache.host import LocalHostTokens
from infrastructure.cache.redis import RedisCache
from infrastructure.container import Container
from infrastructure.settings import Settings


class Step(StrEnum):
    COMMITTED = "committed"
    FORGOTTEN_IN_REDIS = "forgotten_in_redis"
    FORGOTTEN = "forgotten"


Take = Callable[[Step], None]


def deadly(step: Step) -> Take:
    def take(taken: Step) -> None:
        if taken is step:
            os.kill(os.getpid(), signal.SIGKILL)

    return take


class SteppedCache(RedisCache):
    def __init__(self, settings: Settings, host: LocalHostTokens, take: Take) -> None:
        super().__init__(str(settings.redis_url), host_id=host.id)
        self._take = take

    async def forget(self, tags: Collection[str]) -> None:
        await super().forget(tags)
        self._take(Step.FORGOTTEN_IN_REDIS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedForgetting(Forgetting):
    take: Take

    async def at_once(self, message: Message) -> None:
        self.take(Step.COMMITTED)
        await Forgetting.at_once(self, message)
        self.take(Step.FORGOTTEN)


def override(take: Take) -> None:
    adapters = Container
    cache = providers.Singleton(SteppedCache, adapters.settings, adapters.host_tokens, take)
    adapters.cache.override(cache)
    adapters.forgetting.override(
        providers.Singleton(SteppedForgetting, cache, adapters.host_tokens, adapters.clock, adapters.ids, take=take)
    )


if __name__ == "__main__":
    override(deadly(Step(sys.argv[1])))
    from interfaces.http.main import app

    uvicorn.run(app, port=int(os.environ["BYLINE_PORT"]), log_config=None)
