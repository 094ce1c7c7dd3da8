"""`byline up`, whole: on empty folders, with real servers, killed in every way."""

import asyncio
import json
import socket
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import httpx
import pytest

from tests.cli.running import BYLINE, all_gone, answers, byline, eventually, running

pytestmark = pytest.mark.e2e

SAMPLE = Path(__file__).parents[2] / "interfaces/cli/sample/posts.ndjson"


def number_of_posts(url: str) -> int:
    answer = httpx.get(f"{url}/v1/posts?type=all&page_size=1", trust_env=False).raise_for_status()
    total: int = answer.json()["total"]
    return total


async def in_a_shell(lines: list[str], cwd: Path) -> list[str]:
    """What each of the `lines` prints, run in one POSIX shell."""
    script = "\necho\n".join(lines)
    shell = await asyncio.create_subprocess_exec("/bin/sh", "-c", script, cwd=cwd, stdout=asyncio.subprocess.PIPE)
    stdout, _ = await shell.communicate()
    return stdout.decode().split("\n")


async def test_an_empty_folder_becomes_a_running_service_with_a_sample(tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("username,email\nada,ada@example.com\nbad name,bad@example.com\n")

    async with running(tmp_path, "up") as up:
        url = await up.ready()

        published = number_of_posts(url)
        assert 0 < published <= len(SAMPLE.read_text().splitlines())
        lines = [line for line in up.said.splitlines() if line.startswith(("TOKEN=", "curl "))]
        _, listed, written = await in_a_shell(lines, tmp_path)
        assert len(json.loads(listed)["items"]) == 3
        assert json.loads(written)["title"] == "Hello"

        second = await byline(tmp_path, "up")
        assert second.status == 1
        assert f"running on this data folder already, at {url}" in second.stderr

        imported = await byline(tmp_path, "import", "users.csv")
        assert imported.status == 3, imported
        assert "2 rows read, 1 created, 1 failed" in imported.stdout

        doctor = await byline(tmp_path, "doctor", "--json")
        assert doctor.status == 0, doctor
        checks = {finding["check"] for finding in json.loads(doctor.stdout)}
        assert checks >= {"Database", "Migrations", "Administrator", "Redis", "Port", "Privileges"}

        everyone = up.everyone()
        assert await up.end(SIGINT) == 0
    await all_gone(everyone)
    assert not (tmp_path / "data/state.json").exists()

    async with running(tmp_path, "up") as again:
        assert number_of_posts(await again.ready()) == published
        assert "sample" not in again.said


async def test_what_dies_comes_back_and_what_kills_the_top_leaves_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ours = False
        with suppress(OSError):  # somebody else's, who may let it go at any moment
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
            ours = True
        async with running(tmp_path, "up", BYLINE_SAMPLE="false") as up:
            url = await up.ready()
            assert not (ours and url.endswith(":8000"))
            assert number_of_posts(url) == 0

            serving = up.serving()
            [answering] = serving.children()
            answering.kill()
            await eventually(lambda: serving.children() not in ([], [answering]), "another process answers")
            await eventually(lambda: answers(url), "the API is ready again")
            serving.kill()
            await eventually(lambda: not serving.is_running(), "the API is dead")
            await eventually(lambda: answers(url), "the API is ready again")
            assert up.serving().pid != serving.pid

            everyone = up.everyone()
            await up.end(SIGKILL)
            await all_gone(everyone)

    async with running(tmp_path, "/bin/sh", "-c", f"BYLINE_UP_WITH_PARENT=$$ {BYLINE} up; true") as shell:
        assert number_of_posts(await shell.ready()) == 0
        everyone = shell.everyone()
        await shell.end(SIGKILL)
        await all_gone(everyone)
        await shell.says("Byline has stopped.")


@pytest.mark.parametrize("after_s", [0.0, 0.4])
async def test_a_stop_as_it_starts_leaves_nothing(after_s: float, tmp_path: Path) -> None:
    async with running(tmp_path, "up") as up:
        await up.says("Starting the servers")
        await asyncio.sleep(after_s)
        everyone = up.everyone()
        assert await up.end(SIGTERM) == 0
    await all_gone(everyone)


async def test_a_port_that_was_asked_for_and_is_taken_is_an_error_that_says_so(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        outcome = await byline(tmp_path, "up", BYLINE_PORT=str(port))

    assert outcome.status == 1
    assert f"Port {port} on 127.0.0.1 is taken" in outcome.stderr
    assert not (tmp_path / "data/postgres").exists()


async def test_a_host_that_is_not_here_is_an_error_that_says_so(tmp_path: Path) -> None:
    outcome = await byline(tmp_path, "up", BYLINE_HOST="192.0.2.1")

    assert outcome.status == 2
    assert "BYLINE_HOST: must be an address of this machine (it is '192.0.2.1')" in outcome.stderr
