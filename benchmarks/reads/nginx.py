"""nginx, one worker, with a file of the same bytes and with the same headers."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from benchmarks.reads.clients import HOST
from benchmarks.reads.stage import Server, Stage
from infrastructure.embedded.ports import free_port

PATH: Final = "/post.json"

_OWN_HEADERS: Final = {"content-type", "content-length", "date", "server", "connection", "x-request-id"}
_CONFIGURATION: Final = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=100;
    default_type application/json;
    etag off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port} backlog=2048;
        root {folder}/files;
        add_header x-request-id $request_id;
        {headers}
    }}
}}
"""


def has_nginx() -> bool:
    return shutil.which("nginx") is not None


@contextmanager
def nginx(stage: Stage, body: bytes, headers: Mapping[str, str]) -> Iterator[Server]:
    """`headers` are those of the answer that it gives too."""
    folder, port = stage.folder / "nginx", free_port(0, HOST)
    (folder / "files").mkdir(parents=True)
    (folder / "files" / PATH.lstrip("/")).write_bytes(body)
    told = [f"add_header {name} {_quoted(value)};" for name, value in headers.items() if name not in _OWN_HEADERS]
    text = _CONFIGURATION.format(folder=folder, host=HOST, port=port, headers="\n        ".join(told))
    (folder / "nginx.conf").write_text(text)
    command = ("nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr")
    try:
        with stage.process(command, f"http://{HOST}:{port}{PATH}", dict(os.environ)) as pid:
            yield Server(pid, port)
    finally:
        shutil.rmtree(folder)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
