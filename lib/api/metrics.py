"""Monitoring endpoints: /metrics in the Prometheus format, and /healthz."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lib.api.loopback import is_local_request
from lib.database import AsyncPool, DatabaseError, DatabaseUnavailable, connected, load_async
from lib.settings import Settings

logger = logging.getLogger(__name__)

Rows = list[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class QueueCollector(Collector):
    """The results of `queries/metrics.sql` as Prometheus metrics."""

    state: Mapping[str, Any]
    ended: Rows
    times: Rows
    barriers: Rows
    firing: Rows

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its help text; all but the totals are gauges."""
        yield _gauge("jobs", "Pending and running jobs.", ["status"], [
            (["pending"], self.state["pending"]), (["processing"], self.state["processing"]),
        ])  # fmt: skip
        ended = CounterMetricFamily(
            "darkroom_jobs_ended",
            'Jobs that have ended. Refused jobs are counted as status "refused", not "failed".',
            labels=["job_type", "status"],
        )
        for row in self.ended:
            ended.add_metric([row["job_type"], row["status"]], row["jobs"])
        yield ended
        yield from map(self._simple_gauge, SIMPLE_GAUGES)
        for kind, help_text in TIME_GAUGES.items():
            yield _gauge(f"{kind}_seconds", help_text, ["quantile"], [
                ([quantile], row[column])
                for row in self.times if row["kind"] == kind
                for quantile, column in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))
            ])  # fmt: skip
        for name, (kind, help_text) in BARRIER_GAUGES.items():
            yield _gauge(name, help_text, [kind], [
                ([row["name"]], row["active"]) for row in self.barriers if row["kind"] == kind
            ])  # fmt: skip
        yield _gauge("alert_firing", "Firing alerts.", ["rule", "subject", "severity"], [
            ([row["rule"], row["subject"], row["severity"]], 1) for row in self.firing
        ])  # fmt: skip

    def _simple_gauge(self, spec: tuple[str, str, str]) -> Metric:
        name, column, help_text = spec
        return GaugeMetricFamily(f"darkroom_{name}", help_text, value=self.state[column])


SIMPLE_GAUGES = (
    ("oldest_due_seconds", "oldest_due_seconds", "Longest wait of a due job."),
    ("stuck_jobs", "stuck", "Running jobs with no heartbeat for at least stuck_after()."),
    ("workers", "workers", "Live workers."),
    ("worker_slots", "slots", "Jobs that live workers can run in parallel."),
    ("alert_notifications_waiting", "undelivered", "Undelivered notifications."),
    (
        "predictions_unknown",
        "predictions_unknown",
        "Predictions in the last 24 hours that may have been paid for twice.",
    ),
    ("alerts_evaluated_timestamp_seconds", "evaluated_at", "When the alerts were last evaluated."),
)
TIME_GAUGES = {
    "wait": "Time from due to start, for the newest 5,000 jobs that ended in the last 15 minutes.",
    "run": "Time from start to end, for the same jobs.",
}
BARRIER_GAUGES = {
    "provider_down": ("provider", "1 while a provider's circuit breaker is open."),
    "queue_paused": ("job_type", "1 while a job type (* for all) is paused."),
}


def _gauge(
    name: str, help_text: str, labels: list[str], values: list[tuple[list[str], float]]
) -> Metric:
    gauge = GaugeMetricFamily(f"darkroom_{name}", help_text, labels=labels)
    for label_values, value in values:
        gauge.add_metric(label_values, value)
    return gauge


def routes(
    pool: Callable[[], AsyncPool | None],
    worker_ended: Callable[[], bool],
    settings: Settings,
    has_role: Callable[[Request], bool] = lambda _: False,
) -> list[Route]:
    """GET /metrics and GET /healthz.

    `pool` returns None until the app has started, `worker_ended` whether its worker has ended,
    `has_role` whether the sender of a request has a role.
    """

    def sees_details(request: Request) -> bool:
        return _access_error(request, settings) is None or has_role(request)

    def unhealthy(request: Request, reason: str) -> Response:
        return JSONResponse({"status": reason if sees_details(request) else "critical"}, 503)

    def endpoint(
        answer: Callable[[Request, AsyncPool], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            ready = pool()
            if ready is None:
                return JSONResponse({"status": "starting"}, 503)
            try:
                return await answer(request, ready)
            except DatabaseUnavailable:
                return unhealthy(request, "database unavailable")
            except DatabaseError:
                logger.exception("%s could not be answered", request.url.path)
                return unhealthy(request, "database error")

        return call

    async def metrics(request: Request, pool: AsyncPool) -> Response:
        if refused := _access_error(request, settings):
            return refused
        return await _metrics(request, pool)

    async def healthz(request: Request, pool: AsyncPool) -> Response:
        if worker_ended():
            return unhealthy(request, "the worker stopped and is restarting")
        health = await _health(pool)
        if not health["known"]:
            # Without a recent evaluation we cannot claim to be healthy.
            return unhealthy(request, "alerts are not evaluated")
        return _health_response(health, named=sees_details(request))

    return [Route("/metrics", endpoint(metrics)), Route("/healthz", endpoint(healthz))]


def _access_error(request: Request, settings: Settings) -> Response | None:
    """The error response if the caller may not read the metrics, else None.

    Without a token, only this machine may, and no one once `public_url` is set: behind a proxy
    every client looks local.
    """
    if settings.metrics_token:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        if secrets.compare_digest(given.encode(), settings.metrics_token.encode()):
            return None
        return PlainTextResponse(
            "Send METRICS_TOKEN as a Bearer token.", 401, {"WWW-Authenticate": "Bearer"}
        )
    peer = request.client.host if request.client else None
    if settings.public_url is None and is_local_request(peer, request.headers):
        return None
    return PlainTextResponse("Set METRICS_TOKEN and send it as a Bearer token.", 403)


async def _metrics(request: Request, pool: AsyncPool) -> Response:
    sql = load_async("metrics")
    async with connected(pool) as connection:
        state = await sql.state(connection)
        rows = [
            [row async for row in query(connection)]
            for query in (sql.ended, sql.times, sql.barriers, sql.firing)
        ]
    registry = CollectorRegistry()
    registry.register(QueueCollector(state, *rows))
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(await asyncio.to_thread(encode, registry), media_type=media_type)


async def _health(pool: AsyncPool) -> Mapping[str, Any]:
    async with connected(pool) as connection:
        health: Mapping[str, Any] = await load_async("metrics").health(connection)
    return health


def _health_response(health: Mapping[str, Any], *, named: bool) -> Response:
    """Whether all is well, and if `named` also which rules are firing."""
    severities = {alert["severity"] for alert in health["firing"]}
    status = next((level for level in ("critical", "warning") if level in severities), "ok")
    details = {"alerts": health["firing"]} if named else {}
    return JSONResponse({"status": status} | details, 503 if status == "critical" else 200)
