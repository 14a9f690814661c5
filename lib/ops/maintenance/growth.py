"""Growth of finished jobs: trend and forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

MIN_DAYS = 7
"""Days of history needed for a trend."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Linear trend: jobs per day today, and its daily change."""

    jobs_per_day: float
    growth_per_day: float

    def on_day(self, day: int) -> float:
        """Expected jobs on a future day; 1 is tomorrow."""
        return max(self.jobs_per_day + self.growth_per_day * day, 0.0)


def growth(days: Sequence[int]) -> Growth | None:
    """Trend of the jobs per day, given the latest full days; None with fewer than MIN_DAYS.

    Linear regression over up to four weeks. Only whole weeks count, or a quiet weekend would look
    like a decline. With less than two weeks, the mean without growth.
    """
    weeks = min(len(days) // 7, 4)
    if len(days) < MIN_DAYS:
        return None
    last = days[-7 * weeks :]
    if weeks < 2:
        return Growth(fmean(last), 0.0)
    means = [fmean(last[7 * week : 7 * week + 7]) for week in range(weeks)]
    slope, start = linear_regression([7 * week + 3 for week in range(weeks)], means)
    return Growth(max(start + slope * (7 * weeks - 1), 0.0), slope)


def forecast(
    days: Sequence[int], trend: Growth, stored: int, days_ahead: int, retention_days: int | None
) -> list[float]:
    """Finished jobs stored at the end of each of the next `days_ahead` days.

    `stored` is the current number, `days` the jobs that ended on each of the last days. From
    tomorrow on, jobs older than `retention_days` are purged; None means never.
    """
    predicted = [trend.on_day(day) for day in range(1, days_ahead + 1)]
    if retention_days is None:
        return [stored + sum(predicted[: day + 1]) for day in range(days_ahead)]
    all_days = [*map(float, days), *predicted]
    # Jobs from before the known days count as younger than the retention.
    return [
        min(
            sum(all_days[max(end - retention_days, 0) : end]),
            stored + sum(predicted[: end - len(days)]),
        )
        for end in range(len(days) + 1, len(days) + days_ahead + 1)
    ]
