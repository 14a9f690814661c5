"""The checks of the deployment, as all viewers share them."""

from datetime import UTC, datetime

import streamlit as st

from lib.checks.deployment.apply_migrations import PendingFile, needed_repair, preview
from lib.checks.deployment.catalogue import CHECKS
from lib.checks.deployment.progress import Checklist, checklist
from lib.checks.selftest.target import target
from lib.settings import settings
from lib.ui.dashboard import app_url, pool

REFRESH_SECONDS = 10.0


# Expires before the next refresh of a panel.
@st.cache_data(ttl=REFRESH_SECONDS - 2, show_spinner=False)
def run_checks() -> tuple[Checklist, list[PendingFile], datetime]:
    """The checklist, the pending migrations, and when both were looked at."""
    return checklist(pool(), target(settings(), app_url())), preview(pool()), datetime.now(UTC)


@st.cache_data(ttl=REFRESH_SECONDS - 2, show_spinner=False)
def repair_command() -> str:
    """The command of the Supabase CLI for files that it would apply again; empty for none."""
    return needed_repair(pool())


def need_attention(count: int) -> str:
    """How many checks found something, such as "2 of 18 checks need attention"."""
    return f"{count} of {len(CHECKS)} checks {'needs' if count == 1 else 'need'} attention"
