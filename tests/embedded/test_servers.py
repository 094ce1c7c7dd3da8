"""The embedded servers as a process tree: first start, later starts, ends of every kind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own
import psutil
import pytest
from redis.asyncio import Redis

from infrastructure.embedded.users import ServerUser
from tests.embedded.trees import ROOT, Tree, all_gone, eventually, is_alive, refusal, tree

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["open", "closed"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A data folder that is not there yet, below one that everybody or only its owner may enter."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755 if request.param == "open" else 0o700)
        yield Path(above, "data")


@pytest.fixture(scope="session")
async def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after a first start."""
    path = tmp_path_factory.mktemp("made") / "data"
    async with tree(path) as first:
        await first.end(signal.SIGTERM)
    return path


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    subprocess.run(["cp", "-a", made, tmp_path / "data"], check=True)
    return tmp_path / "data"


@asynccontextmanager
async def busy_backend(running: Tree) -> AsyncIterator[psutil.Process]:
    """A backend that computes for longer than any test waits, and looks neither at its client nor at its postmaster."""
    connection = await asyncpg.connect(running.database_url)
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    query = asyncio.create_task(connection.fetchval("SELECT count(*) FROM generate_series(1, 1000000000000)"))
    try:
        active = f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {pid}"

        async def is_busy() -> bool:
            return await running.sql(active) is True

        await eventually(is_busy, "the backend computes")
        yield psutil.Process(pid)
    finally:
        query.cancel()
        with suppress(asyncio.CancelledError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await query
        connection.terminate()


def supplementary_groups(process: psutil.Process) -> list[str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith("Groups:"))


def after(statements: str) -> tuple[str, ...]:
    """A command that runs the one it is given in a process that `statements` have changed."""
    return sys.executable, "-c", f"import os, sys; {statements}; os.execv(sys.argv[1], sys.argv[1:])"


@contextmanager
def stranger(*, like: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with Byline, of the user who owns `like`."""
    owner = like.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=owner) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_what_was_written_is_there_at_the_next_start(folder: Path) -> None:
    async with tree(folder) as first:
        await first.sql("CREATE TABLE kept AS SELECT 42 AS answer")
        async with Redis.from_url(first.redis_url) as redis:
            await redis.set("kept", "42")
        everyone = first.everyone()
        assert await first.end(signal.SIGTERM) == 0
        await all_gone(everyone)
    async with tree(folder) as second:
        assert await second.sql("SELECT answer FROM kept") == 42
        async with Redis.from_url(second.redis_url) as redis:
            assert await redis.get("kept") == b"42"
        assert await second.end(signal.SIGINT) == 0
    log = (folder / "logs" / "postgres.log").read_text()
    assert log.count("database system was shut down at") == 2
    assert "was interrupted" not in log


async def test_kill_9_of_the_top_leaves_nobody_and_loses_nothing(data: Path) -> None:
    async with tree(data) as first:
        await first.sql("CREATE TABLE kept AS SELECT 42 AS answer")
        async with Redis.from_url(first.redis_url) as redis:
            await redis.set("kept", "42")
        async with busy_backend(first) as backend:
            everyone = first.everyone()
            assert backend in everyone
            await first.end(signal.SIGKILL)
            await all_gone(everyone)
    async with tree(data) as second:
        assert await second.sql("SELECT answer FROM kept") == 42
        async with Redis.from_url(second.redis_url) as redis:
            assert await redis.get("kept") == b"42"


async def test_a_server_that_dies_is_started_again_on_its_port(data: Path) -> None:
    async with tree(data) as running:
        await running.sql("CREATE TABLE kept AS SELECT 42 AS answer")
        for name in ("postgres", "valkey-server"):
            dead = running.child(name)
            async with busy_backend(running):
                dead.kill()
                await all_gone([dead])
                await eventually(running.answers, f"{name} is back")
            assert running.child(name).pid != dead.pid
        assert await running.sql("SELECT answer FROM kept") == 42


async def test_a_backend_that_outlived_everybody_is_ended_by_the_next_start(data: Path) -> None:
    async with tree(data) as first, busy_backend(first) as backend:
        postmaster = first.child("postgres")
        first.top.suspend()  # so that it starts no other one
        postmaster.kill()
        await first.end(signal.SIGKILL)
        await all_gone([postmaster])
        assert is_alive(backend)
        async with tree(data) as second:
            assert not is_alive(backend)
            assert await second.answers()


async def test_a_stale_pid_file_that_names_a_living_process_does_not_keep_postgres_down(data: Path) -> None:
    with stranger(like=data / "postgres") as process:
        pid_file = f"{process.pid}\n{data}/postgres\n0\n0\n\n\n\nready\n"
        (data / "postgres" / "postmaster.pid").write_text(pid_file)
        async with tree(data) as running:
            assert await running.answers()
        assert process.poll() is None


async def test_a_port_that_is_taken_moves_the_server_to_the_next(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        taken = one.getsockname()[1], other.getsockname()[1]
        async with tree(data, *taken) as running:
            assert not set(taken) & set(running.ports())
            assert await running.answers()


async def test_a_second_start_on_a_folder_in_use_is_refused(data: Path) -> None:
    async with tree(data) as first:
        said = await refusal(data)
        assert f"{data} is in use by another Byline (process {first.process.pid})" in said
        assert await first.answers()


async def test_data_of_another_postgres_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    assert "was written by PostgreSQL 17" in await refusal(tmp_path)
    (tmp_path / "postgres" / "PG_VERSION").rename(tmp_path / "postgres" / "notes")
    assert "something else than PostgreSQL's data" in await refusal(tmp_path)
    assert (tmp_path / "postgres" / "notes").read_text() == "17\n"


async def test_a_first_start_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.draft").mkdir()
    (tmp_path / "postgres.draft" / "PG_VERSION").write_text("18\n")
    async with tree(tmp_path) as running:
        assert await running.answers()
    assert not (tmp_path / "postgres.draft").exists()


async def test_a_lost_password_file_is_made_anew(data: Path) -> None:
    async with tree(data) as first:
        await first.sql("CREATE TABLE kept AS SELECT 42 AS answer")
        await first.end(signal.SIGTERM)
    (data / "postgres_password").unlink()
    (data / "valkey_password").unlink()
    async with tree(data) as second:
        assert second.database_url.split("@")[0] != first.database_url.split("@")[0]
        assert await second.answers()
        assert await second.sql("SELECT answer FROM kept") == 42


async def test_nobody_but_its_owner_gets_in(data: Path) -> None:
    async with tree(data) as running:
        assert (
            await running.sql("SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = 'byline'")
            is False
        )
        assert await running.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'byline'") == "byline"
        postgres_port, valkey_port = running.ports()
        for user, password in (("byline", "wrong"), ("postgres", ""), ("postgres", "postgres")):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(
                    host="127.0.0.1", port=postgres_port, user=user, password=password, database="byline"
                )
        async with Redis(host="127.0.0.1", port=valkey_port or 0) as redis:
            with pytest.raises(Exception, match="Authentication required"):
                await redis.ping()
        listening = [
            connection.laddr
            for process in running.everyone()
            for connection in process.net_connections("all")
            if connection.status == psutil.CONN_LISTEN or (connection.family == socket.AF_UNIX and connection.laddr)
        ]
        assert {tuple(address) for address in listening} == {("127.0.0.1", postgres_port), ("127.0.0.1", valkey_port)}
        secrets = [(data / name).read_text() for name in ("postgres_password", "valkey_password")]
        for process in running.everyone():
            assert not any(secret in " ".join(process.cmdline()) for secret in secrets)
        for kept in (data / "postgres_password", data / "valkey_password", data / "logs" / "postgres.log"):
            assert kept.stat().st_mode & 0o077 == 0
        for log in (data / "logs").iterdir():
            assert not any(secret in log.read_text() for secret in secrets)


async def test_the_database_is_one_for_every_language(data: Path) -> None:
    async with tree(data) as running:
        assert (
            await running.sql("SELECT lower('ÉCOLE') || upper('ß') || current_setting('server_encoding')")
            == "écoleßUTF8"
        )
        assert await running.sql("SELECT datlocale FROM pg_database WHERE datname = 'byline'") == "C.UTF-8"
        assert await running.sql("SELECT datcollate || datctype FROM pg_database WHERE datname = 'byline'") == "CC"


async def test_the_role_may_do_what_imports_and_jobs_need(data: Path) -> None:
    async with tree(data) as running:
        await running.sql("SET session_replication_role = replica")
        async with busy_backend(running) as backend:
            assert await running.sql(f"SELECT pg_terminate_backend({backend.pid})") is True
            await all_gone([backend])


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test shows this already when root does not run them")
async def test_whoever_is_not_root_starts_them_as_themselves(tmp_path: Path) -> None:
    nobody = ServerUser.of(tmp_path)
    assert nobody is not None
    if not nobody.can_run(Path(sys.executable)) or not nobody.can_reach(ROOT / "tests"):
        pytest.skip("this Python, or this checkout, lies where nobody but root can reach it")
    with tempfile.TemporaryDirectory() as own:
        os.chown(own, nobody.uid, nobody.gid)
        become = f"os.setgroups([]); os.setgid({nobody.gid}); os.setuid({nobody.uid})"
        async with tree(Path(own, "data"), prefix=after(become)) as running:
            assert {process.uids().real for process in running.everyone()} == {nobody.uid}
            assert await running.answers()
            everyone = running.everyone()
            await running.end(signal.SIGKILL)
            await all_gone(everyone)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
async def test_root_starts_servers_as_an_unprivileged_user(folder: Path) -> None:
    async with tree(folder, prefix=after("os.setgroups([0, 1])")) as running:
        top, *servers = running.everyone()
        assert supplementary_groups(top) == ["0", "1"]
        assert top.uids().real == 0
        assert len(servers) > 2
        for server in servers:
            assert set(server.uids()) == {(folder / "postgres").stat().st_uid}
            assert 0 not in server.uids()
            assert 0 not in server.gids()
            assert supplementary_groups(server) == []
