"""The one door to Prefect: run the day as flows, name the runs, publish artifacts.

Imported only by ``flows/`` and, lazily, by commands that were told of a Prefect server.
Parameters, run names, logs and artifacts carry stages, days, ids and counts, never a person.
"""

import gc
import logging

from winback.logs import redact_logs
from winback.orchestration.days import SECRET_BLOCKS, opened_day, within
from winback.orchestration.publishing import (
    publish_counts,
    publish_day,
    publish_needs,
    publish_overtaken,
    publish_rehearsal,
    publish_report,
)
from winback.orchestration.runs import (
    flush_logs,
    is_overtaken,
    name_of_run,
    note_failure,
    run_name,
    run_reactivate,
    told,
    was_done_since,
    watched,
)
from winback.orchestration.schedules import scheduled_dates

__all__ = [
    "SECRET_BLOCKS",
    "flush_logs",
    "is_overtaken",
    "name_of_run",
    "note_failure",
    "opened_day",
    "publish_counts",
    "publish_day",
    "publish_needs",
    "publish_overtaken",
    "publish_rehearsal",
    "publish_report",
    "run_name",
    "run_reactivate",
    "scheduled_dates",
    "told",
    "was_done_since",
    "watched",
    "within",
]

# Prefect has handlers of its own; what its runs say need not stand on our terminal twice.
logging.getLogger("prefect").propagate = False
# Prefect sends what is logged to its server: the net stands there too (FACTS.md SEC-22).
redact_logs("prefect", "prefect.flow_runs", "prefect.task_runs")

# As the command line does for itself: a day makes many short-lived objects and few cycles.
gc.set_threshold(50_000, 10, 10)
