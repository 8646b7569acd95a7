"""The data sets that come with Almanac, in the order in which staff choose from them."""

from __future__ import annotations

from reports.datasets.activity import ACTIVITY
from reports.datasets.cleanups import CLEANUPS
from reports.datasets.deliveries import DELIVERIES
from reports.datasets.deliveries_per_day import DELIVERIES_PER_DAY
from reports.datasets.issues import ISSUES
from reports.datasets.reliability import RELIABILITY
from reports.datasets.runs import RUNS
from reports.datasets.runs_by_schedule import RUNS_BY_SCHEDULE
from reports.datasets.subscriber_growth import SUBSCRIBER_GROWTH

OURS = (
    DELIVERIES_PER_DAY,
    SUBSCRIBER_GROWTH,
    ISSUES,
    DELIVERIES,
    RUNS_BY_SCHEDULE,
    RELIABILITY,
    RUNS,
    CLEANUPS,
    ACTIVITY,
)
