"""The composition root: which adapter stands behind which port, and how use cases are put together.

`Container(settings=...)` is the service; `.override(MemoryAdapters())` rebuilds it on memory alone. It is synchronous;
what needs opening and closing is opened and closed by `running`.
"""

import operator
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from dependency_injector import containers, providers

from application import administrators, auth, cache_control, health, imports, outbox, posts, uploads, users, warmings
from application.caching.forgetting import Forgetting
from application.caching.pages import CachedPages, CachedTotals
from application.caching.reading import ReadThrough
from application.caching.reads import NoteReads
from application.caching.warming import WarmCache
from application.importing import rows, runs
from application.pages import Pages, SiteShape
from application.ports.cache import HostTokens, SharedCache
from application.ports.formats import ReadLimits
from application.ports.imports import PackPosts
from application.ports.services import Actors, BlobStorage, HealthProbe, JobQueue
from application.ports.work import BeginWork, Message
from application.use_cases import UseCases
from application.views import SweepViewBatches, ViewCounter
from infrastructure.cache.host import LocalHostTokens, SharedHostTokens, host_tokens_path
from infrastructure.cache.lifetimes import token_ttl_s
from infrastructure.cache.memory import MemoryCache
from infrastructure.cache.none import NoCache
from infrastructure.cache.push import ForgottenListener
from infrastructure.cache.redis import RedisCache
from infrastructure.clock import SystemClock, Uuid7Ids
from infrastructure.database import post_copy as database_posts
from infrastructure.database.actors import SqlActors
from infrastructure.database.database import import_database, service_database
from infrastructure.database.health import ServersHealth
from infrastructure.database.pages import SqlPages
from infrastructure.embedded.secrets import kept_secret
from infrastructure.formats.html import clean_html
from infrastructure.formats.readers import FormatReaders
from infrastructure.memory import posts as memory_posts
from infrastructure.memory.actors import MemoryActors
from infrastructure.memory.health import MemoryHealth
from infrastructure.memory.pages import MemoryPages
from infrastructure.memory.queue import MemoryQueue
from infrastructure.memory.storage import MemoryBlobs
from infrastructure.memory.store import MemoryStore
from infrastructure.queue.arq import ArqQueue
from infrastructure.security.passwords import Argon2Hasher
from infrastructure.security.tokens import JwtTokens
from infrastructure.settings import BadSettings, Settings
from infrastructure.slugs import slug_words
from infrastructure.storage.files import FileBlobs


def _deliveries(queue: JobQueue) -> dict[str, outbox.Deliver]:
    async def start_import(message: Message) -> None:
        await queue.wake(message.topic, str(message.body["import_id"]))

    return {outbox.START_IMPORT: start_import}


def _tokens(settings: Settings) -> JwtTokens:
    if settings.secret_key is not None:
        return JwtTokens(settings.secret_key.get_secret_value())
    return JwtTokens(kept_secret(settings.data_dir / "secret_key", lambda: secrets.token_urlsafe(48)))


def _host_tokens(settings: Settings) -> HostTokens:
    path = settings.host_tokens or host_tokens_path(settings.data_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return SharedHostTokens(path)
    except OSError as error:
        advice = "Remove it while nothing of Byline runs, make room for it, or name another file"
        raise BadSettings([f"BYLINE_HOST_TOKENS: {path} cannot be used ({error.strerror}). {advice}."]) from None


def _shared_cache(settings: Settings, host: LocalHostTokens) -> SharedCache:
    if settings.cache == "none" or settings.redis_url is None:
        return NoCache()
    return RedisCache(
        str(settings.redis_url),
        host_id=host.id,
        deadline_s=settings.redis_timeout_s,
        token_ttl_s=token_ttl_s(settings.page_ttl_s),
        doubt=host.doubt,
    )


def _cache_connections(cache: SharedCache) -> list[RedisCache]:
    return [cache] if isinstance(cache, RedisCache) else []


def _listeners(settings: Settings, host: LocalHostTokens, cache: SharedCache) -> list[ForgottenListener]:
    """Without Redis no other host is told anything, nor tells."""
    return [ForgottenListener(str(settings.redis_url), host)] if isinstance(cache, RedisCache) else []


def _is_warmed_unasked(settings: Settings) -> bool:
    """Without a cache that all processes share there is nothing to be warmed."""
    return settings.warm_every_s > 0 and settings.cache == "redis" and settings.redis_url is not None


def _site(settings: Settings) -> SiteShape:
    return SiteShape(
        name=settings.site_name,
        description=settings.site_description,
        language=settings.site_language,
        currency=settings.currency,
        registration=settings.registration,
        version=version("byline"),
    )


class Container(containers.DeclarativeContainer):
    settings = providers.Dependency(instance_of=Settings)
    option = settings.provided

    # Adapters: what `MemoryAdapters` overrides.
    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(Uuid7Ids)
    host_tokens: providers.Provider[HostTokens] = providers.Singleton(_host_tokens, settings)
    cache: providers.Provider[SharedCache] = providers.Singleton(_shared_cache, settings, host_tokens)
    forgetting = providers.Singleton(Forgetting, cache, host_tokens, clock, ids)
    # Half of a request's time: some answers need two pages.
    patience_s = providers.Callable(operator.truediv, option.request_timeout_s, 2.0)
    read_through = providers.Singleton(ReadThrough, cache, option.page_ttl_s, patience_s)
    database = providers.Singleton(service_database, settings, forgetting)
    import_database = providers.Singleton(import_database, settings, forgetting)
    begin: providers.Provider[BeginWork] = database.provided.begin
    begin_import: providers.Provider[BeginWork] = import_database.provided.begin
    source: providers.Provider[Pages] = providers.Singleton(
        SqlPages, database, providers.Singleton(CachedTotals, read_through)
    )
    actors: providers.Provider[Actors] = providers.Singleton(SqlActors, database)
    queue = providers.Singleton(ArqQueue, option.redis_url, timeout_s=option.redis_timeout_s)
    pack: providers.Provider[PackPosts] = providers.Object(database_posts.pack_posts)
    blobs: providers.Provider[BlobStorage] = providers.Singleton(FileBlobs, option.data_dir)
    probe: providers.Provider[HealthProbe] = providers.Singleton(ServersHealth, database, queue)
    opened = providers.List(database, import_database, queue)
    cache_connections = providers.Singleton(_cache_connections, cache)
    listeners = providers.Singleton(_listeners, settings, host_tokens, cache)

    # Adapters that need no server.
    slugger = providers.Object(slug_words)
    formats = providers.Singleton(FormatReaders)
    clean = providers.Object(clean_html)
    tokens = providers.Singleton(_tokens, settings)
    hasher = providers.Singleton(Argon2Hasher, threads=option.password_hash_threads, waiting=option.password_hash_queue)
    deliveries = providers.Singleton(_deliveries, queue)
    site = providers.Singleton(_site, settings)
    pages = providers.Singleton(CachedPages, source, read_through)
    views = providers.Singleton(ViewCounter, begin, clock, ids)

    read_limits = providers.Factory(
        ReadLimits,
        max_row_bytes=option.max_row_bytes,
        max_text_bytes=option.max_text_bytes,
        max_ratio=option.max_text_ratio,
    )

    # Use cases.
    issue_tokens = providers.Factory(
        auth.IssueTokens,
        tokens=tokens,
        clock=clock,
        access_ttl=providers.Factory(timedelta, seconds=option.access_token_ttl_s),
        refresh_ttl=providers.Factory(timedelta, seconds=option.refresh_token_ttl_s),
    )
    register_user = providers.Factory(
        users.RegisterUser,
        begin=begin,
        hasher=hasher,
        clock=clock,
        ids=ids,
        currency=option.currency,
        is_open=providers.Callable(operator.eq, option.registration, "open"),
    )
    use_cases = providers.Singleton(
        UseCases,
        sign_in=providers.Factory(auth.SignIn, begin=begin, hasher=hasher, issue=issue_tokens, clock=clock, ids=ids),
        refresh=providers.Factory(
            auth.Refresh,
            begin=begin,
            issue=issue_tokens,
            tokens=tokens,
            clock=clock,
            grace=providers.Factory(timedelta, seconds=option.refresh_grace_s),
        ),
        sign_out=providers.Factory(auth.SignOut, begin=begin, tokens=tokens, clock=clock),
        authenticate=providers.Factory(auth.Authenticate, tokens=tokens, actors=actors, clock=clock),
        sweep_sessions=providers.Factory(auth.SweepSessions, begin=begin, clock=clock),
        register_user=register_user,
        change_user=providers.Factory(users.ChangeUser, begin=begin, hasher=hasher, clock=clock),
        delete_user=providers.Factory(users.DeleteUser, begin=begin, clock=clock),
        find_admin=providers.Factory(administrators.FindAdmin, begin=begin),
        create_admin=providers.Factory(administrators.CreateAdmin, register_user=register_user),
        promote_to_admin=providers.Factory(administrators.PromoteToAdmin, begin=begin, clock=clock),
        create_post=providers.Factory(posts.CreatePost, begin=begin, clock=clock, ids=ids, slugger=slugger),
        change_post=providers.Factory(posts.ChangePost, begin=begin, clock=clock),
        publish_post=providers.Factory(posts.PublishPost, begin=begin, clock=clock),
        unpublish_post=providers.Factory(posts.UnpublishPost, begin=begin, clock=clock),
        delete_post=providers.Factory(posts.DeletePost, begin=begin),
        receive_upload=providers.Factory(
            uploads.ReceiveUpload, blobs=blobs, ids=ids, max_bytes=option.max_upload_bytes
        ),
        discard_upload=providers.Factory(uploads.DiscardUpload, blobs=blobs),
        start_import=providers.Factory(
            imports.StartImport,
            begin=begin,
            blobs=blobs,
            formats=formats,
            queue=queue,
            clock=clock,
            ids=ids,
            limits=read_limits,
        ),
        show_import=providers.Factory(imports.ShowImport, begin=begin),
        watch_import=providers.Factory(imports.WatchImport, begin=begin),
        cancel_import=providers.Factory(imports.CancelImport, begin=begin, clock=clock),
        resume_import=providers.Factory(imports.ResumeImport, begin=begin, queue=queue, clock=clock, ids=ids),
        retry_import=providers.Factory(
            imports.RetryImport, begin=begin, blobs=blobs, queue=queue, clock=clock, ids=ids
        ),
        export_import_errors=providers.Factory(imports.ExportImportErrors, begin=begin, formats=formats),
        list_imports=providers.Factory(imports.ListImports, begin=begin),
        list_import_errors=providers.Factory(imports.ListImportErrors, begin=begin),
        run_import=providers.Factory(
            runs.RunImport,
            begin=begin_import,
            blobs=blobs,
            formats=formats,
            hasher=hasher,
            clean=clean,
            pack=pack,
            clock=clock,
            ids=ids,
            slugger=slugger,
            limits=providers.Factory(
                rows.ImportLimits,
                chunk_rows=option.import_chunk_rows,
                chunk_bytes=option.import_chunk_bytes,
                reading=read_limits,
                lease=providers.Factory(timedelta, seconds=option.import_lease_s),
                share=option.import_share,
            ),
            currency=option.currency,
        ),
        sweep_uploads=providers.Factory(
            uploads.SweepUploads,
            begin=begin,
            blobs=blobs,
            clock=clock,
            kept=providers.Factory(timedelta, seconds=option.upload_kept_s),
        ),
        dispatch_imports=providers.Factory(imports.DispatchImports, begin=begin, queue=queue, clock=clock),
        cache_stats=providers.Factory(cache_control.CacheStats, cache=cache, read=read_through),
        forget_pages=providers.Factory(cache_control.ForgetPages, begin=begin),
        request_warming=providers.Factory(
            warmings.RequestWarming,
            begin=begin,
            queue=queue,
            clock=clock,
            ids=ids,
            is_wanted=providers.Callable(_is_warmed_unasked, settings),
        ),
        show_warming=providers.Factory(warmings.ShowWarming, begin=begin),
        list_warmings=providers.Factory(warmings.ListWarmings, begin=begin),
        run_warming=providers.Factory(
            warmings.RunWarming,
            begin=begin,
            clock=clock,
            warm=providers.Factory(
                WarmCache,
                cache=cache,
                read=read_through,
                source=source,
                pages_max=option.warm_pages_max,
                max_s=option.warm_max_s,
                every_s=option.warm_every_s,
            ),
        ),
        sweep_warmings=providers.Factory(warmings.SweepWarmings, begin=begin, clock=clock),
        pages=pages,
        views=views,
        note_reads=providers.Factory(NoteReads, cache),
        sweep_view_batches=providers.Factory(SweepViewBatches, begin=begin, clock=clock),
        host_tokens=host_tokens,
        site=site,
        relay_outbox=providers.Factory(
            outbox.RelayOutbox, begin=begin, clock=clock, deliveries=deliveries, forgetting=forgetting
        ),
        check_health=providers.Factory(health.CheckHealth, probe=probe),
    )


class MemoryAdapters(containers.DeclarativeContainer):
    """Every outside thing in memory: `container.override(MemoryAdapters())`."""

    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(Uuid7Ids)
    host_tokens = providers.Singleton(LocalHostTokens)
    cache = providers.Singleton(MemoryCache)
    forgetting = providers.Singleton(Forgetting, cache, host_tokens, clock, ids)
    store = providers.Singleton(MemoryStore, forgetting)
    begin = store.provided.begin
    begin_import = store.provided.begin
    source = providers.Singleton(MemoryPages, store)
    actors = providers.Singleton(MemoryActors, store)
    pack = providers.Object(memory_posts.pack_posts)
    queue = providers.Singleton(MemoryQueue)
    blobs = providers.Singleton(MemoryBlobs)
    probe = providers.Singleton(MemoryHealth)
    opened = providers.List()
    cache_connections = providers.List()
    listeners = providers.List()


@asynccontextmanager
async def running(container: Container, *, listening: bool = False) -> AsyncIterator[UseCases]:
    """The use cases, with everything they stand on opened; closed again in reverse order. `listening`: to what other
    hosts forget, as whoever keeps pages in its own process must."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(container.hasher().close)
        listeners = container.listeners() if listening else ()
        for resource in (*container.opened(), *container.cache_connections(), *listeners):
            stack.push_async_callback(resource.close)
            await resource.open()
        stack.push_async_callback(container.forgetting().idle)
        stack.push_async_callback(container.read_through().idle)
        yield container.use_cases()
