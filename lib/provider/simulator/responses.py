"""The simulator's responses: predictions and errors in Replicate's JSON format."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse

from lib.provider.simulator.predictions import Record

BAR_WIDTH = 10


class Problem(Exception):
    """An error response in the format of RFC 7807."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        invalid_fields: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers
        self.invalid_fields = invalid_fields

    def response(self) -> JSONResponse:
        """The error as a response."""
        body: dict[str, Any] = {"title": self.title, "detail": self.detail, "status": self.status}
        if self.invalid_fields:
            body["invalid_fields"] = self.invalid_fields
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


def invalid_input(fields: Sequence[tuple[str, str, str]]) -> Problem:
    """The error for invalid fields of a request: type, field and description of each."""
    return Problem(
        422,
        "Input validation failed",
        "".join(f"- {field or 'body'}: {description}\n" for _, field, description in fields),
        invalid_fields=[
            {"type": kind, "field": field, "description": description}
            for kind, field, description in fields
        ],
    )


def not_found() -> Problem:
    """The error for anything unknown."""
    return Problem(404, "Not found", "The requested resource could not be found.")


def throttled(seconds: float) -> Problem:
    """The error for exceeding a rate limit."""
    wait = math.ceil(seconds)
    detail = f"Request was throttled. Your rate limit resets in ~{wait}s."
    return Problem(429, "Too many requests", detail, headers={"Retry-After": str(wait)})


def describe(record: Record, now: float, base_url: str) -> dict[str, Any]:
    """The prediction as JSON. `base_url` is the simulator's URL as seen by the caller."""
    status = record.status(now)
    started = min(now, record.ends_at) >= record.started_at
    ended = now >= record.ends_at
    removed = record.data_removed(now)
    api = f"{base_url}/v1/predictions/{record.id}"
    return {
        "id": record.id,
        "model": record.model,
        # Replicate hides the versions of official models.
        "version": record.model_details.version or "hidden",
        "input": {} if removed else dict(record.input),
        "logs": "" if removed else _logs(record, now),
        "output": _output(record, base_url) if status == "succeeded" and not removed else None,
        "data_removed": removed,
        "error": record.error if status == "failed" else None,
        "source": "api",
        "status": status,
        "created_at": _timestamp(record.created_at),
        "started_at": _timestamp(record.started_at) if started else None,
        "completed_at": _timestamp(record.ends_at) if ended else None,
        "metrics": _metrics(record, started) if ended else {},
        "urls": {
            "get": api,
            "cancel": f"{api}/cancel",
            "web": f"{base_url}/p/{record.id}",
            "stream": f"{base_url}/stream/{record.id}",
        },
    }


def describe_page(
    records: Sequence[Record], now: float, base_url: str, next_url: str | None
) -> dict[str, Any]:
    """A page of the list of predictions as JSON; `previous` is not implemented."""
    described = [describe(record, now, base_url) for record in records]
    for prediction in described:
        # Replicate lists no logs.
        del prediction["logs"]
    return {"next": next_url, "previous": None, "results": described}


def _output(record: Record, base_url: str) -> str | list[str]:
    urls = [f"{base_url}/files/{record.id}/{name}" for name in record.files]
    return urls[0] if record.model_details.single_output else urls


def _metrics(record: Record, started: bool) -> dict[str, float]:
    metrics = {"total_time": round(record.ends_at - record.created_at, 6)}
    if started:
        metrics["predict_time"] = round(record.ends_at - record.started_at, 6)
    if record.ends_at == record.finished_at and not record.error:
        metrics["image_count"] = record.image_count
    return metrics


def _logs(record: Record, now: float) -> str:
    ran = min(now, record.ends_at) - record.started_at
    if ran < 0:
        return ""
    requested = record.input.get("num_inference_steps") or record.input.get("steps")
    steps = (
        requested
        if isinstance(requested, int) and 0 < requested <= 100
        else record.model_details.steps
    )
    done = int(record.progress(now) * steps)
    lines = [f"Using seed: {record.seed}"]
    lines += [_progress_bar(step, steps, ran * step / max(done, 1)) for step in range(done + 1)]
    return "\n".join(lines) + "\n"


def _progress_bar(step: int, steps: int, seconds: float) -> str:
    # As tqdm prints it.
    bar = "█" * (BAR_WIDTH * step // steps)
    speed = f"{step / seconds:.2f}it/s" if step and seconds else "?it/s"
    left = _clock(seconds / step * (steps - step)) if step else "?"
    percent = 100 * step // steps
    counts = f"{step}/{steps} [{_clock(seconds)}<{left}, {speed}]"
    return f"{percent:3d}%|{bar:<{BAR_WIDTH}}| {counts}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _timestamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
