"""What Dagster loads: the assets of the store that the environment names; the shop in ``data/shop`` by default.

FEATURESTORE_ROOT          the store's directory
FEATURESTORE_DEFINITIONS   module with OBJECTS and TIMEZONE, such as featurestore.shop, or the path of a Python file
FEATURESTORE_FIRST_MONTH   first partition, such as 2016-01
FEATURESTORE_LAST_MONTH    last partition; without it, the months go on with the calendar
FEATURESTORE_AUTOMATION    on: all schedules and sensors run; off, the default: each is switched on in the UI
FEATURESTORE_ALERT_URLS    receivers of alerts, apprise URLs separated by spaces
"""

import dagster as dg

from featurestore_pipelines.build import build_definitions
from featurestore_pipelines.partitions import partitions_from_environment
from featurestore_pipelines.resources import store_from_environment
from featurestore_pipelines.schedules import is_automatic

store = store_from_environment()
defs: dg.Definitions = build_definitions(
    store.objects, store, partitions=partitions_from_environment(store.timezone), is_automatic=is_automatic()
)
