"""How the number of finished jobs grows, from the days before."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

MIN_DAYS = 7
"""Of history, for a forecast."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Jobs a day now, and by how many a day that grows, from the days before."""

    jobs_per_day: float
    growth_per_day: float

    def on_day(self, day: int) -> float:
        """Jobs that are expected on a day from now, 1 for tomorrow."""
        return max(self.jobs_per_day + self.growth_per_day * day, 0.0)


def growth(days: Sequence[int]) -> Growth | None:
    """The growth that the jobs of the last full days show; None with fewer than FEWEST_DAYS.

    The straight line with the least squares through the last four weeks: whole weeks, or the
    quiet weekend would look like a decline. With less than two weeks the mean.
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
    """How many finished jobs are kept at the end of each of the next `ahead` days.

    `kept` are kept now, `days` ended on the last days. With `retention` jobs are purged once they
    are so many days old, beginning tomorrow; None: never.
    """
    predicted = [trend.on_day(day) for day in range(1, days_ahead + 1)]
    if retention_days is None:
        return [stored + sum(predicted[: day + 1]) for day in range(days_ahead)]
    all_days = [*map(float, days), *predicted]
    # Where the days before are not known all of it is taken for younger than that.
    return [
        min(
            sum(all_days[max(end - retention_days, 0) : end]),
            stored + sum(predicted[: end - len(days)]),
        )
        for end in range(len(days) + 1, len(days) + days_ahead + 1)
    ]
