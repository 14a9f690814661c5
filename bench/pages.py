"""What do the pages' queries cost with a million jobs in the table? Prints milliseconds and scans.

    python -m bench.pages

Fails when a query reads the whole of job_queue or image_generations.
"""

import sys
from collections.abc import Iterator
from typing import Any

from bench.server import QUERIES, temporary_server
from lib.database import connect, load

PAGES = ("overview", "stuck_jobs", "generate")
LARGE = ("job_queue", "image_generations")


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """The large tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in LARGE:
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from scans(part)


def main() -> int:
    """Prints one line a query; returns 1 when one reads a large table from end to end."""
    found = 0
    with temporary_server() as url, connect(url) as connection:
        load("million", QUERIES).fill(connection)
        load("million", QUERIES).settle(connection)
        for page in PAGES:
            queries = load(page)
            for name in queries.available_queries:
                if name.endswith("_cursor"):
                    continue
                statement = "explain (analyze, format json) " + getattr(queries, name).sql
                [plan] = connection.execute(statement).fetchone()["QUERY PLAN"]
                bad = sorted(set(scans(plan["Plan"])))
                found += len(bad)
                note = f"reads all of {', '.join(bad)}" if bad else ""
                print(f"{page}.{name:20} {plan['Execution Time']:9.2f} ms  {note}".rstrip())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
