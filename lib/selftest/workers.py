"""Is anyone there to run jobs?"""

from lib.formats import duration
from lib.selftest.check import CheckFailed
from lib.selftest.trial import Trial

START = (
    "Start a worker: python -m lib.worker\nWith the embedded database the app runs one itself:"
    " restart the app (streamlit run app.py). Where cron wakes process-jobs instead, look at the"
    " schedule: it must call process-jobs with the secret key at least every two minutes."
)


async def someone_works(trial: Trial) -> str:
    """A worker has shown life in the last minute, or process-jobs was called in the last two."""
    found = await trial.ask("worker")
    if not (found["alive"] or trial.ours):
        return "Workers that are not Darkroom's leave no sign; the generation below shows them."
    if not found["alive"]:
        seen = found["seen_seconds"]
        ago = f"The last one was seen {duration(seen)} ago." if seen is not None else ""
        raise CheckFailed(f"No worker for generate-image is alive. {ago}".strip(), START)
    return f"{found['alive']} alive."
