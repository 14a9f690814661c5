"""The log of a running prediction is asked of the provider that runs it, if that can tell."""

from lib.database import load
from lib.database.pool import Connection
from lib.ui.parts.job_log import live_log

HOME, URL = "home/tiny", "http://127.0.0.1:9"
SCHEMA = '{"prompt": {"type": "string"}}'


def test_a_server_that_cannot_tell_is_not_asked_and_nor_is_any_other(db: Connection) -> None:
    db.execute(
        "select save_model_schema('Ann', %s, 'Tiny', null, %s, 'uri', '{}', 'cog', %s)",
        [HOME, SCHEMA, URL],
    )
    db.execute("select start_generation(null, 'A fox', %s)", [HOME])
    [job] = db.execute("select id, attempts from claim_next_job()").fetchall()
    [begun] = db.execute(
        "select * from begin_generation(%s, %s)", [job["id"], job["attempts"]]
    ).fetchall()
    [row] = load("job").predictions(db, generation_id=begun["generation_id"])
    assert (row["provider"], row["provider_url"]) == ("cog", URL)
    log, problem = live_log(str(row["provider_id"]), (row["provider"], row["provider_url"]))
    assert (log, problem) == ("", "The log appears here when the prediction ends.")
