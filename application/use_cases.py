"""The table of contents: everything that Byline does, by name."""

from dataclasses import dataclass

from application.administrators import CreateAdmin, FindAdmin, PromoteToAdmin
from application.auth import Authenticate, Refresh, SignIn, SignOut, SweepSessions
from application.cache_control import CacheStats, ForgetPages
from application.caching.pages import CachedPages
from application.caching.reads import NoteReads
from application.health import CheckHealth
from application.importing.runs import RunImport
from application.imports import (
    CancelImport,
    DispatchImports,
    ExportImportErrors,
    ListImportErrors,
    ListImports,
    ResumeImport,
    RetryImport,
    ShowImport,
    StartImport,
    WatchImport,
)
from application.outbox import RelayOutbox
from application.pages import SiteShape
from application.ports.cache import HostTokens
from application.posts import ChangePost, CreatePost, DeletePost, PublishPost, UnpublishPost
from application.uploads import DiscardUpload, ReceiveUpload, SweepUploads
from application.users import ChangeUser, DeleteUser, RegisterUser
from application.views import SweepViewBatches, ViewCounter
from application.warmings import ListWarmings, RequestWarming, RunWarming, ShowWarming, SweepWarmings


@dataclass(frozen=True, slots=True)
class UseCases:
    # Signing in
    sign_in: SignIn
    refresh: Refresh
    sign_out: SignOut
    authenticate: Authenticate
    sweep_sessions: SweepSessions

    # Users
    register_user: RegisterUser
    change_user: ChangeUser
    delete_user: DeleteUser

    # Administrators, from the command line
    find_admin: FindAdmin
    create_admin: CreateAdmin
    promote_to_admin: PromoteToAdmin

    # Posts
    create_post: CreatePost
    change_post: ChangePost
    publish_post: PublishPost
    unpublish_post: UnpublishPost
    delete_post: DeletePost

    # Imports
    receive_upload: ReceiveUpload
    discard_upload: DiscardUpload
    start_import: StartImport
    show_import: ShowImport
    list_imports: ListImports
    watch_import: WatchImport
    cancel_import: CancelImport
    resume_import: ResumeImport
    retry_import: RetryImport
    list_import_errors: ListImportErrors
    export_import_errors: ExportImportErrors
    run_import: RunImport
    dispatch_imports: DispatchImports
    sweep_uploads: SweepUploads

    # The cache
    cache_stats: CacheStats
    forget_pages: ForgetPages
    request_warming: RequestWarming
    show_warming: ShowWarming
    list_warmings: ListWarmings
    run_warming: RunWarming
    sweep_warmings: SweepWarmings

    # Reading, and keeping the house
    pages: CachedPages
    views: ViewCounter
    note_reads: NoteReads
    sweep_view_batches: SweepViewBatches
    host_tokens: HostTokens
    site: SiteShape
    relay_outbox: RelayOutbox
    check_health: CheckHealth
