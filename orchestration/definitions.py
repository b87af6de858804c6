"""What Dagster loads: `dagster dev -m orchestration.definitions`. It only assembles.

Loading needs no network, services or secrets; it does need METERHOUSE_ENVIRONMENT (which schedules and sensors run here
is data in lib/environments.py, without a default).
"""

from dagster import Definitions, in_process_executor

from orchestration.defs import alerts, dbt, ingest, prices, quality
from orchestration.lib.resources import Clock, MeterhouseResource

definitions = Definitions.merge(
    ingest.definitions,
    dbt.definitions,
    prices.definitions,
    quality.definitions,
    alerts.definitions,
    # A run is a process already; one more a step would load all definitions again to run one statement.
    Definitions(resources={"meterhouse": MeterhouseResource(), "clock": Clock()}, executor=in_process_executor),
)
