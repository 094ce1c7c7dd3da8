"""What `byline up` is to the embedded servers, and nothing more: `python -m tests.embedded.up FOLDER [PORT PORT]`.

Prints one line of JSON when both are ready: {"database_url", "redis_url", "seconds"}.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import structlog

from infrastructure.embedded.errors import EmbeddedError
from infrastructure.embedded.folder import DataFolder
from infrastructure.embedded.servers import prepare_servers
from infrastructure.embedded.supervisor import Supervisor


async def up(path: Path, *ports: int) -> None:
    began = time.perf_counter()
    with DataFolder.open(path) as folder:
        postgres_port, valkey_port = ports or (0, 0)
        async with Supervisor() as supervisor:
            prepared = await prepare_servers(folder, postgres_port=postgres_port, valkey_port=valkey_port)
            await supervisor.start(*prepared.children)
            ready = {"database_url": prepared.database_url, "redis_url": prepared.redis_url}
            print(json.dumps(ready | {"seconds": time.perf_counter() - began}), flush=True)
            await supervisor.wait()


if __name__ == "__main__":
    # Standard output is for the one line of JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(up(Path(sys.argv[1]), *map(int, sys.argv[2:])))
    except EmbeddedError as error:
        sys.exit(str(error))
