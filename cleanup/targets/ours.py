"""The targets that come with the house and need nobody else's functions, in the order staff see them.

Those that do (recipients whose numbers are kept, people who are erased, report files) are put together in
scheduler_site/cleaning.py.
"""

from __future__ import annotations

from cleanup.targets.deliveries import READER_EVENTS
from cleanup.targets.orphan_files import ORPHAN_FILES
from cleanup.targets.records import (
    ACTIVITY_LOG,
    ADMIN_LOG,
    ALERTS,
    CLEANINGS,
    FAILED_SIGN_INS,
    FEEDBACK,
    IMPORTS,
    NOTICES,
    PREVIEWS,
    SESSIONS,
)
from cleanup.targets.registry import AnyTarget
from cleanup.targets.report_records import DOWNLOADS, REPORT_RECORDS
from cleanup.targets.runs import RUNS
from cleanup.targets.unconfirmed_subscriptions import LEFT_ON_NO_LIST, UNCONFIRMED_SUBSCRIPTIONS

OURS: tuple[AnyTarget, ...] = (
    SESSIONS, FAILED_SIGN_INS, RUNS, UNCONFIRMED_SUBSCRIPTIONS, LEFT_ON_NO_LIST, READER_EVENTS, FEEDBACK, IMPORTS,
    REPORT_RECORDS, DOWNLOADS, ORPHAN_FILES, NOTICES, ALERTS, ACTIVITY_LOG, ADMIN_LOG, PREVIEWS, CLEANINGS,
)  # fmt: skip
