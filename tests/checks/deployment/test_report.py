"""The checklist as a file."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lib.checks.deployment.catalogue import CHECKS, MANUAL
from lib.checks.deployment.progress import tick
from lib.checks.deployment.report import report

HOSTILE = "<script>alert(1)</script> & **bold**"


def test_every_point_is_in_it_and_quoted_text_stays_text(deployed):
    deployed.db.execute(
        "insert into public.audit_log (actor, action, affected, details)"
        """ values (%s, 'self_test', 0, '{"report": {"outcome": "failed", "checks": []}}')""",
        [HOSTILE],
    )
    tick(deployed.pool, HOSTILE, MANUAL[0].name, True)
    at = datetime(2026, 11, 4, 23, 30, tzinfo=UTC)
    text = report(deployed.look(), deployed.target, at, HOSTILE, ZoneInfo("Europe/Paris"))
    assert "05 Nov 2026 00:30" in text
    missing = [point.title for point in (*CHECKS, *MANUAL) if point.title not in text]
    assert missing == []
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; **bold**") == 3
    assert "python -m lib.worker" in text
    assert deployed.target.keys.secret not in text


def test_what_is_to_do_stands_out(deployed):
    tick(deployed.pool, "Kim", MANUAL[0].name, True)
    seen = deployed.look()
    at = datetime(2026, 11, 4, 23, 30, tzinfo=UTC)
    text = report(seen, deployed.target, at, "Kim", ZoneInfo("UTC"))
    assert "manual checks done. Checked 04 Nov 2026 23:30 by Kim." in text
    to_do = len(seen.open_checks()) + len(MANUAL) - 1
    assert to_do > 1
    assert text.count("<td class=open>To do</td>") == text.count("To do") == to_do
    assert f"<td>Done</td><td><b>{MANUAL[0].title}</b>" in text
