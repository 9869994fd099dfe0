# syntax=docker/dockerfile:1
# Targets: relay (the default: service and workers) and sandbox (the provider's stand-in).

FROM python:3.11-slim AS dependencies
COPY requirements.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r /requirements.txt

FROM python:3.11-slim AS runtime
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin fluxrelay
COPY --from=dependencies /venv /venv
WORKDIR /app

FROM runtime AS sandbox
COPY sandbox sandbox
RUN python -c "import sandbox.__main__"
USER 10001:10001
ENV SANDBOX_HOST=0.0.0.0
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('SANDBOX_PORT', '8090') + '/sandbox/healthz', timeout=2)"]
CMD ["python", "-m", "sandbox"]

FROM runtime AS relay
COPY LICENSE ./
COPY core core
COPY service service
COPY worker worker
# A missing file or dependency fails the build, not the first start.
RUN python -c "import core, service, worker" \
    && python -c "import service.__main__, worker.__main__"
USER 10001:10001
# Inside a container the loopback address reaches nobody.
ENV FLUXRELAY_HOST=0.0.0.0
EXPOSE 8080
# For the service; a worker listens on no port, so switch it off there.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('FLUXRELAY_PORT', '8080') + '/livez', timeout=2)"]
CMD ["python", "-m", "service"]
