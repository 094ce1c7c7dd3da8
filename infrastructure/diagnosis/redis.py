"""Redis: reachable, and bounded in what it keeps."""

from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from infrastructure.diagnosis.findings import Finding
from infrastructure.settings import Settings

TIMEOUT_S = 2.0
MIB = 1024**2


async def redis(settings: Settings) -> AsyncIterator[Finding]:
    client = Redis.from_url(str(settings.redis_url), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        server = await client.info("server")
        memory = await client.info("memory")
    except AuthenticationError as error:
        yield Finding.wrong("Redis", f"It does not let Byline in: {error}", "Check the password in BYLINE_REDIS_URL.")
        return
    except (RedisError, OSError) as error:
        yield Finding.wrong(
            "Redis", f"It does not answer: {error}", "See that it runs and listens there, and check BYLINE_REDIS_URL."
        )
        return
    finally:
        await client.aclose()
    name, version = server.get("server_name", "redis"), server.get("valkey_version", server["redis_version"])
    yield Finding.ok("Redis", f"{name} {version} answers.")
    limit, policy = int(memory["maxmemory"]), memory["maxmemory_policy"]
    if limit == 0:
        yield Finding.warning(
            "Redis's memory",
            "It has no limit, and may take all of the machine's.",
            "Set maxmemory (256mb does) and maxmemory-policy (allkeys-lru, or noeviction) in its configuration.",
        )
    else:
        yield Finding.ok("Redis's memory", f"At most {limit // MIB} MiB, then {policy}.")
