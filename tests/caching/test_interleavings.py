"""Few writers and readers in all interleavings; tests/soak has more of them. And: what is not the protocol is found."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from application.caching.forgetting import Forgetting
from application.caching.reading import ReadThrough, packed
from domain.errors import Unavailable
from infrastructure.cache.redis import RedisCache
from tests.caching.explorer import explore
from tests.caching.processes import KEY, NOW, TTL_S, Code, Kind, Process, Stale
from tests.caching.stepping import RememberedValkey
from tests.caching.world import Plan

Load = Callable[[], Awaitable[Any]]

ONE_WRITER = Plan(hosts=(0, 0), readers=(0, 0), writers=(1,))
GIVEN_UP = Plan(hosts=(0, 0), readers=(0,), writers=(1,), is_warm=True, losses=4)
TWO_WRITERS = Plan(hosts=(0, 0, 0), readers=(0,), writers=(1, 2))


@pytest.fixture
def valkey(redis_url: str) -> Iterator[RememberedValkey]:
    valkey = RememberedValkey(redis_url)
    yield valkey
    valkey.close()


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(replace(ONE_WRITER, flushes=1), id="flushed"),
        pytest.param(replace(ONE_WRITER, readers=(0,), tags=("post:1", "all"), evictions=2), id="evicted"),
        pytest.param(replace(ONE_WRITER, at_once=True, with_refresh=True), id="at once, and loaded anew early"),
        pytest.param(replace(ONE_WRITER, readers=(0,), is_warm=True, losses=1), id="connections lost"),
        pytest.param(replace(ONE_WRITER, at_once=True, surrenders=1), id="given up"),
        pytest.param(replace(TWO_WRITERS, flushes=1), id="two writers"),
        pytest.param(Plan(hosts=(0, 0), readers=(0, 1), writers=(1,)), id="two processes of a host"),
        pytest.param(GIVEN_UP, id="two processes of a host, one of which cannot have it forgotten"),
        pytest.param(Plan(hosts=(0, 1), readers=(0, 1), writers=(1,)), id="two hosts"),
    ],
)
def test_no_read_is_older_than_a_write_acknowledged_before_it_and_nothing_stale_is_left(
    plan: Plan, valkey: RememberedValkey
) -> None:
    explored = explore(plan, valkey)

    assert explored.ends > 0
    assert explored.states > 100


def found_guilty(plan: Plan, valkey: RememberedValkey) -> None:
    with pytest.raises(Stale):
        explore(plan, valkey)


class TokensAfterTheLoad(ReadThrough):
    async def read(
        self, key: str, tags: Sequence[str], load: Load, form: Any, *, fresh_for_s: float = 0.0
    ) -> tuple[Any, bool]:
        look = await self.cache.look(key, tags)
        joined = b"".join(token or b"" for token in look.tokens)
        if look.entry is not None and None not in look.tokens and look.entry.startswith(joined):
            return look.entry[len(joined) + 12 :], True
        value = await load()
        tokens = await self.cache.tokens(tags)
        self.cache.store(key, packed(tokens, NOW + TTL_S, 0.0, value), ttl_s=TTL_S)
        return value, False


def test_the_explorer_finds_tokens_that_are_read_after_the_load(valkey: RememberedValkey) -> None:
    found_guilty(replace(ONE_WRITER, with_l1=False, code=Code(read=TokensAfterTheLoad)), valkey)


class BlindRead(ReadThrough):
    async def read(
        self, key: str, tags: Sequence[str], load: Load, form: Any, *, fresh_for_s: float = 0.0
    ) -> tuple[Any, bool]:
        look = await self.cache.look(key, tags)
        if look.entry is not None:
            return look.entry, True
        value = await load()
        self.cache.store(key, value, ttl_s=TTL_S)
        return value, False


class DeletingCache(RedisCache):
    async def forget(self, tags: Collection[str]) -> None:
        await self._present().transaction([("UNLINK", self._link.names.page(KEY))])


def test_the_explorer_finds_a_blind_set_beside_a_delete_after_the_commit(valkey: RememberedValkey) -> None:
    found_guilty(replace(ONE_WRITER, with_l1=False, code=Code(read=BlindRead, cache=DeletingCache)), valkey)


class CountingCache(RedisCache):
    """Of eight digits, as many as a token has bytes."""

    async def tokens(self, tags: Sequence[str]) -> tuple[bytes, ...]:
        names = [self._link.names.tag(tag) for tag in tags]
        await self._present().transaction([("SET", name, b"10000000", "NX") for name in names])
        return tuple(await self._present().transaction([("GET", name) for name in names]))

    async def forget(self, tags: Collection[str]) -> None:
        names = [self._link.names.tag(tag) for tag in tags]
        await self._present().transaction(
            [command for name in names for command in (("SET", name, b"10000000", "NX"), ("INCR", name))]
        )


COUNTED = replace(TWO_WRITERS, readers=(0, 0), with_l1=False, code=Code(cache=CountingCache), can_rename=False)


def test_the_explorer_finds_counters_instead_of_tokens_where_a_tag_is_evicted(valkey: RememberedValkey) -> None:
    found_guilty(replace(COUNTED, evictions=1), valkey)


def test_counters_are_innocent_where_nothing_is_evicted(valkey: RememberedValkey) -> None:
    explore(COUNTED, valkey)


class HostFirst(Forgetting):
    async def __call__(self, tags: Collection[str]) -> None:
        self.host.forget(tags)
        await self.shared.forget(tags)


def test_the_explorer_finds_a_host_that_forgets_before_the_shared_cache_does(valkey: RememberedValkey) -> None:
    found_guilty(replace(ONE_WRITER, code=Code(forgetting=HostFirst)), valkey)


class AnyFlight(ReadThrough):
    async def _flown(self, key: str, tokens: tuple[bytes, ...], load: Load, form: Any) -> Any:
        flight = self._flights.get(key)
        return await super()._flown(key, tokens if flight is None else flight.tokens, load, form)


def test_the_explorer_finds_a_reader_that_joins_a_load_of_other_tokens(valkey: RememberedValkey) -> None:
    found_guilty(replace(ONE_WRITER, code=Code(read=AnyFlight)), valkey)


class Forgetful(RedisCache):
    async def forget(self, tags: Collection[str]) -> None:
        if self._link.wire is None:
            raise Unavailable("Redis")
        await self._forget(self._link.wire, self._link.names, tags, sender=self._host_id)


class Undoubting(RedisCache):
    def __init__(self, *arguments: Any, doubt: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._link._doubt = doubt


def test_the_explorer_finds_a_process_that_does_not_share_its_hosts_doubt(valkey: RememberedValkey) -> None:
    found_guilty(replace(GIVEN_UP, code=Code(cache=Undoubting)), valkey)


class Uncaring(Forgetting):
    async def at_once(self, message: Any) -> None:
        await super().at_once(message)
        self._done[message.id] = None


def test_the_explorer_finds_a_failed_write_that_is_taken_for_forgotten(valkey: RememberedValkey) -> None:
    code = Code(cache=Forgetful, forgetting=Uncaring)
    found_guilty(replace(ONE_WRITER, is_warm=True, losses=1, code=code), valkey)


def test_the_explorer_knows_all_that_the_code_under_test_keeps(valkey: RememberedValkey) -> None:
    """Where this fails, see whether `Process.state` still tells apart what will do different things."""
    process = Process(Kind(0, ("all",), ("all",), True, Code()), lambda *asked: valkey.run((), *asked)[0])

    kept = {
        type(each).__name__: " ".join(vars(each))
        for each in (process.cache, process.cache._link, process.line.wire, process.local)
    }
    kept |= {each.__name__: " ".join(field.name for field in fields(each)) for each in (ReadThrough, Forgetting)}

    assert kept == {
        "RedisCache": "_host_id _token_ttl_s _now _channel _doubt _looks _loose _link _counts",
        "Link": "wire names missed counts _address _deadline_s _connect_s _forget _connected _doubt _run_id _lost "
        "_wanted _waiting _hangs _refusals _tried _keeping",
        "Wire": "asked answered writes is_dead refused _deadline_s _dropped _loop _transport _reader _outgoing "
        "_waiting _alike _unanswered _timer _is_congested",
        "LocalPages": "is_on _host _table _kept _reads _taken _loads _bytes _max_bytes _ttl_s",
        "ReadThrough": "cache ttl_s patience_s now counts _flights _turns _waiting _loose",
        "Forgetting": "shared host clock ids grace _done _under_way",
    }
