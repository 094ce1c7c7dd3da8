# One image for the API (its default command), the worker (`byline worker`) and migrations (`byline migrate upgrade`).
# The servers of `byline up` are not in it: BYLINE_DATABASE_URL and BYLINE_REDIS_URL name real ones.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# The build's own tools stay in this stage; the application gets an environment that holds nothing else.
COPY requirements-build.lock requirements.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements-build.lock \
    && python -m venv --without-pip /opt/byline \
    && uv pip install --no-cache --compile-bytecode --python /opt/byline/bin/python --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY application application
COPY infrastructure infrastructure
COPY interfaces interfaces
COPY workers workers
COPY migrations migrations
RUN python -m hatchling build --target wheel --directory /dist \
    && uv pip install --no-cache --offline --compile-bytecode --python /opt/byline/bin/python --no-deps /dist/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Byline" \
      org.opencontainers.image.description="A headless publishing service: API and worker" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that volumes and orchestrators that know users by number agree with the image.
RUN groupadd --system --gid 10001 byline \
    && useradd --system --uid 10001 --gid byline --no-create-home --home-dir /var/lib/byline --shell /usr/sbin/nologin byline \
    && install --directory --owner byline --group byline --mode 0750 /var/lib/byline
COPY --from=build /opt/byline /opt/byline
ENV PATH="/opt/byline/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BYLINE_HOST=0.0.0.0 \
    BYLINE_PORT=8000 \
    BYLINE_DATA_DIR=/var/lib/byline
WORKDIR /var/lib/byline
VOLUME ["/var/lib/byline"]
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without proxies: an http_proxy in the environment must not carry the question out of the container.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['BYLINE_PORT'] + '/health/live', timeout=2)"]
CMD ["byline", "serve"]
