"""What tenants with a daily budget have spent at all gates, told to every gate.

So a budget of a day binds the whole mesh, as far as it has been told: a gate counts its own part
at once, and that of the others as this says it, seconds late; with the uplink cut, as it was then.
"""

import asyncio
import logging
from collections import defaultdict

from edge_agent.bus.kv import Bucket
from edge_agent.clock import Clock
from middle_tier.register import Register, Spent
from middle_tier.usage.metering import Meter
from protocol.errors import MeshError

log = logging.getLogger(__name__)

TELL_S = 5.0


async def telling(meter: Meter, register: Register, bucket: Bucket, clock: Clock) -> None:
    """Write what has changed into the bucket `tenants`, every few seconds, for ever."""
    told: dict[str, Spent] = {}
    while True:
        await clock.sleep(TELL_S)
        await meter.look()
        try:
            for tenant, spent in (await _spent(meter, register)).items():
                if told.get(tenant) != spent:
                    await bucket.put(f"spent.{tenant}", spent.model_dump_json().encode())
                    told[tenant] = spent
        except MeshError as error:
            log.debug("what was spent is not told yet: %s", error)


async def _spent(meter: Meter, register: Register) -> dict[str, Spent]:
    """Of the tenants that have a budget: others need not be told of."""
    usd: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for tenant, gate, spent in await asyncio.to_thread(meter.ledger.spent, meter.today):
        known = register.tenants.get(tenant)
        if known is not None and known.budget.usd_per_day is not None:
            usd[tenant][gate] = spent
    return {tenant: Spent(day=meter.today, usd=gates) for tenant, gates in usd.items()}
