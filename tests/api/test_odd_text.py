"""Odd text and payloads: kept exactly and run to an image, or refused by the field's name."""

import json
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GENERATION = {"prompt": "A lighthouse", "model_id": "stability-ai/sdxl", "test": True}
PLANES = [chr(plane << 16 | low) for plane in range(17) for low in (0xFFFD, 0xFFFE, 0xFFFF)]
ODD_TEXTS = {
    "one of each plane, with non-characters": "".join(PLANES),
    "assigned in planes 1, 2, 3, 14": "\U0001f3a8\U00020bb7\U00030edd\U000e0041",
    "private use": "\ue000\uf8ff\U000f0000\U0010fffd",
    "non-characters": "".join(map(chr, range(0xFDD0, 0xFDF0))),
    "right to left, with overrides": "\u05e9\u05dc\u05d5\u05dd \u202egnp.exe\u202c \u0645\u0631",
    "joined emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\u200d\u2620\ufe0f",
    "combining, not normalised": "e\u0301 \u00e9 " + "z" + "\u0351" * 200,
    "invisible": "a\ufeff\u200b\u2060\u00ad\u2028\u2029\x85b",
    "controls": "a" + "".join(map(chr, range(1, 32))) + "\x7f\x80b",
    "markup and escapes": "<script>$1 %s {0} \\u0000 \\x00 ' \" ; -- \\ `",
}


def stored(db, answer):
    """What is kept of a generation that was asked for."""
    assert answer.status_code == 200
    return db.execute(
        "select g.prompt, g.parameters ->> 'negative_prompt' as negative,"
        " q.payload ->> 'prompt' as queued"
        " from public.image_generations g, public.job_queue q where g.id = %s and q.id = %s",
        (answer.json()["generation_id"], answer.json()["job_id"]),
    ).fetchone()


def test_odd_text_is_stored_as_it_was_sent(call, db, subtests):
    for (name, text), ascii_only in product(ODD_TEXTS.items(), (True, False)):
        with subtests.test(name, ascii_only=ascii_only):
            body = GENERATION | {"prompt": text, "negative_prompt": text}
            raw = json.dumps(body, ensure_ascii=ascii_only).encode()
            kept = stored(db, call("start-generation", content=raw))
            assert kept == {"prompt": text, "negative": text, "queued": text}


def test_any_text_is_stored_as_it_was_sent(call, db):
    @settings(
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1), max_size=200))
    def check(text):
        # White space around a prompt is dropped, so it stands between letters.
        text = f"a{text}z"
        answer = call("start-generation", GENERATION | {"prompt": text, "negative_prompt": text})
        assert stored(db, answer) == {"prompt": text, "negative": text, "queued": text}

    check()


def test_odd_prompts_run_to_an_image(call, db):
    for text in ODD_TEXTS.values():
        call("start-generation", GENERATION | {"prompt": text, "negative_prompt": text})
    while call("process-jobs").json()["processed"]:
        pass
    rows = db.execute("select prompt, status from public.image_generations").fetchall()
    assert {row["prompt"]: row["status"] for row in rows} == dict.fromkeys(
        ODD_TEXTS.values(), "completed"
    )


# Payloads enqueued by hand, in SQL, and whether they run.
RUN = [
    {"prompt": "x" * 2**20},
    {"prompt": {"a": 1}},
    {"prompt": 7},
    {"prompt": "x", "model_id": None, "generation_id": None},
    {"prompt": "x", "parameters": "text", "test": "yes"},
]
FAIL = [
    {},
    {"prompt": None},
    {"prompt": "x", "generation_id": []},
    {"prompt": "x", "generation_id": 7},
    {"prompt": "x", "model_id": {}},
    {"prompt": "x", "model_id": "../../models?#"},
    {"prompt": "x", "model_id": "\U0001f3a8/\u202e\n"},
    {"prompt": "x", "parameters": {"width": "wide"}},
    {"prompt": "x", "parameters": {"width": 10**30}},
    {"prompt": "x", "parameters": {"a": 10**4000, "": {"": [[[]]]}}},
]
BEYOND_PYTHON = ["[" * 3000 + "]" * 3000, "9" * 5000]


def test_payloads_enqueued_by_hand_run_or_fail_in_words(call, db):
    def enqueue(payload):
        row = db.execute(
            "select public.enqueue_job('generate-image', %s::jsonb) as id", (payload,)
        ).fetchone()
        return row["id"]

    run = [enqueue(json.dumps(payload)) for payload in RUN]
    fail = [enqueue(json.dumps(payload)) for payload in FAIL]
    beyond = [
        enqueue(f'{{"prompt": "x", "parameters": {{"a": {value}}}}}') for value in BEYOND_PYTHON
    ]
    while call("process-jobs").json()["processed"]:
        pass
    jobs = {
        row["id"]: row
        for row in db.execute(
            "select id, status, attempts, error_message from public.job_queue"
        ).fetchall()
    }
    assert {row["attempts"] for row in jobs.values()} == {1}
    assert [jobs[id]["status"] for id in run] == ["completed"] * len(run)
    assert [jobs[id]["status"] for id in fail] == ["failed"] * len(fail)
    assert {jobs[id]["status"] for id in beyond} <= {"failed", "pending"}
    assert all(jobs[id]["error_message"] for id in fail + beyond)


def test_what_the_database_cannot_store_is_refused_by_name(call, db, subtests):
    fields = ("prompt", "model_id", "negative_prompt", "user_id", "seed", "style")
    odd_texts = ("\x00", "\ud800", "\udfff", "\udc00\ud800")
    odd = [*odd_texts, *(f"before {text} after" for text in odd_texts)]
    requests = [("start-generation", GENERATION | {f: t}, f) for f, t in product(fields, odd)]
    requests += [("process-generation", {"generation_id": t}, "generation_id") for t in odd]
    # A name that is itself no text can only be placed in the body.
    requests += [("start-generation", GENERATION | {"a\ud800": 1}, "body")]
    requests += [("start-generation", GENERATION | {"a\x00": 1}, "a\x00")]
    raw = [(function, json.dumps(body), field) for function, body, field in requests]
    # JSON numbers that no double holds.
    for number in ("1e400", "-1e999"):
        beyond = json.dumps(GENERATION | {"guidance": "N"}).replace('"N"', number)
        raw.append(("start-generation", beyond, "guidance"))
    for function, body, field in raw:
        with subtests.test(function=function, body=ascii(body)):
            answer = call(function, content=body)
            assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert db.execute("select from public.image_generations").fetchone() is None
    assert db.execute("select from public.job_queue").fetchone() is None
