"""State and helpers that the checks of a self-test run share."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx

from lib.checks.expected_schema import Difference, differences
from lib.checks.selftest.target import Target
from lib.database import AsyncPool, SchemaMissing, connected, load_async, translated


@dataclass(frozen=True, slots=True)
class Answer:
    """Response of a function."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """Error code, or empty."""
        error = self.body.get("error")
        return str(error.get("code", "")) if isinstance(error, dict) else ""

    def __str__(self) -> str:
        error = self.body.get("error")
        message = (
            error.get("message", "") if isinstance(error, dict) else self.body.get("message", "")
        )
        return " ".join(filter(None, (f"HTTP {self.status}", self.code, str(message)))).strip()


class Unreachable(Exception):
    """A function gave no readable response; the message has the details."""


@dataclass(slots=True)
class RunContext:
    """Context of one run: its id, the deployment, and results of earlier checks."""

    target: Target
    pool: AsyncPool
    http: httpx.AsyncClient
    run: UUID = field(default_factory=uuid4)
    sql: Any = field(default_factory=lambda: load_async("self_test"))
    is_darkroom: bool = True
    """False if a project's own functions respond under the same names."""
    generation_id: UUID | None = None
    """The generation that the end-to-end check follows."""
    user: UUID | None = None
    """The run's user, once signed in."""
    token: str | None = field(default=None, repr=False)
    """That user's access token."""

    @property
    def job_type(self) -> str:
        """A job type that no worker or other run claims."""
        return f"self-test-{self.run.hex}"

    @asynccontextmanager
    async def rolled_back(self) -> AsyncIterator[Any]:
        """A connection in a transaction that is always rolled back. Raises DatabaseError."""
        with translated():
            async with (
                self.pool.connection() as connection,
                connection.transaction(force_rollback=True),
            ):
                yield connection

    async def query(self, query_name: str, **parameters: Any) -> Any:
        """Run and commit a query of queries/self_test.sql; returns its value, row or count.

        Raises DatabaseError.
        """
        async with connected(self.pool) as connection:
            return await getattr(self.sql, query_name)(connection, **parameters)

    async def differences(self, *kinds: str) -> list[Difference]:
        """What is not as in the snapshot of the schema. Raises DatabaseError."""
        async with connected(self.pool) as connection:
            rows = [row async for row in load_async("schema").objects(connection)]
        return differences(rows, *kinds)

    async def call(
        self,
        function: str,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
        *,
        token: str | None = None,
    ) -> Answer:
        """Call a function, optionally with an API key and a user's access token.

        Raises Unreachable, and SchemaMissing if the function reports a missing schema.
        """
        url = f"{self.target.functions_url}/functions/v1/{function}"
        try:
            headers = {"apikey": key} if key else {}
            # Legacy keys are JWTs, which third-party functions expect as bearer token.
            if bearer := token or (key if key and key.startswith("eyJ") else None):
                headers["Authorization"] = f"Bearer {bearer}"
            response = await self.http.post(url, json=body or {}, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"No response from {url}: {type(error).__name__}.") from error
        try:
            answer = Answer(response.status_code, response.json(), response.headers)
        except ValueError as error:
            raise Unreachable(
                f"{url} returned HTTP {response.status_code} without JSON."
            ) from error
        if not isinstance(answer.body, dict):
            raise Unreachable(f"{url} returned HTTP {answer.status} without a JSON object.")
        if answer.code == "schema_missing":
            raise SchemaMissing(str(answer))
        return answer
