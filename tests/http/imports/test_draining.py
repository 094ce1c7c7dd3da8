"""`byline serve` is told to end while somebody listens."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest

from application.users import Registration
from domain.actors import Role
from infrastructure.container import Container
from infrastructure.container import running as opened
from infrastructure.settings import Settings
from tests.cli.running import BOUND_S, Running, a_free_port, answers, eventually, running
from tests.http.byline import PASSWORD
from tests.http.imports.sending import rows

pytestmark = pytest.mark.e2e

SECRET_KEY = "k" * 40


@dataclass(frozen=True, slots=True)
class Served:
    command: Running
    http: httpx.AsyncClient


@pytest.fixture
async def served(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Served]:
    """The API alone, so that imports wait, with a client who has signed in as an operator."""
    url = f"http://127.0.0.1:{a_free_port()}"
    folder = {"data_dir": tmp_path, "host_tokens": tmp_path / "host_tokens"}
    settings = Settings.model_validate(
        {"database_url": database_url, "redis_url": redis_url, "secret_key": SECRET_KEY, **folder}
    )
    async with opened(Container(settings=settings)) as use_cases:
        await use_cases.register_user.register(Registration("olga", "olga@example.com", PASSWORD, role=Role.OPERATOR))
        tokens = await use_cases.sign_in("olga", PASSWORD)
    async with (
        running(
            tmp_path,
            "serve",
            BYLINE_DATABASE_URL=database_url,
            BYLINE_REDIS_URL=redis_url,
            BYLINE_PORT=url.rpartition(":")[2],
            BYLINE_SECRET_KEY=SECRET_KEY,
        ) as command,
        httpx.AsyncClient(
            base_url=url,
            trust_env=False,
            timeout=BOUND_S,
            headers={"authorization": f"Bearer {tokens.access_token}"},
        ) as http,
    ):
        await eventually(lambda: answers(url), "the API answers")
        yield Served(command, http)


async def test_streams_end_as_a_whole_when_the_service_is_told_to_end(served: Served) -> None:
    """One that the service was killed with would break off, and the client see an error."""
    headers = {"content-type": "application/x-ndjson"}
    sent = await served.http.post("/v1/imports?kind=posts", content=rows("One"), headers=headers)
    assert sent.status_code == 202, sent.text

    async with served.http.stream("GET", f"{sent.headers['location']}/events") as answer:
        coming = answer.aiter_text()
        heard = await anext(coming)
        while "event: progress" not in heard:
            heard += await anext(coming)
        served.command.process.send_signal(SIGTERM)
        rest = "".join([piece async for piece in coming])

    assert "finished" not in rest
    assert await served.command.status() == 0
    assert "Killing" not in served.command.said
