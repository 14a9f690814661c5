"""Error responses of the HTTP functions."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from lib.database import QueryError


class FunctionError(Exception):
    """A refused request: HTTP status, a machine-readable code and a message for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.extra = extra

    def response(self) -> JSONResponse:
        """The error as a JSON response in the format of the HTTP contract."""
        error = {"code": self.code, "message": self.message, **self.extra}
        return JSONResponse(
            {"success": False, "error": error}, status_code=self.status, headers=self.headers
        )


def invalid_fields(message: str, problems: Sequence[Mapping[str, Any]]) -> FunctionError:
    """The error for invalid fields; each problem has field, problem and, if known, allowed."""
    return FunctionError(
        422, "invalid_field", message, field=problems[0]["field"], problems=problems
    )


def from_query_error(error: QueryError) -> FunctionError:
    """Translate an error raised by a SQL function into an HTTP error."""
    match error.sqlstate:
        case "DR404":
            return FunctionError(404, "model_not_found", error.message)
        case "DR409":
            return FunctionError(409, "duplicate", error.message)
        case "DR422":
            return invalid_fields(error.message, error.detail["problems"])
        case "DR429":
            limits = dict(error.detail)
            seconds = str(limits.pop("retry_after_seconds"))
            return FunctionError(
                429,
                "limit_reached",
                f"Generation limit reached. Try again in {seconds} seconds.",
                headers={"Retry-After": seconds},
                limits=limits,
            )
        case "DR430":
            seconds = str(error.detail["retry_after_seconds"])
            return FunctionError(
                429, "upload_limit_reached", error.message, headers={"Retry-After": seconds}
            )
        case "23503":
            return FunctionError(422, "unknown_user", "No such user.", field="user_id")
        case _:
            return FunctionError(400, "refused", error.message)
