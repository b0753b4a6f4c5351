"""Signatures renewed before they expire, as far as their keys are at hand."""

import asyncio
import logging
from pathlib import Path

from cloud_core.registry.keys import Keyring
from cloud_core.registry.repository import Repository
from cloud_core.registry.store import RegistryStore
from edge_agent.audit import Audit
from edge_agent.clock import Clock
from protocol.errors import MeshError

log = logging.getLogger(__name__)

PERIOD_S = 3600.0


async def renewing(folder: Path, keys: Path, clock: Clock, audit: Audit) -> None:
    """Renew what is due, every hour."""
    repository = Repository(RegistryStore(folder), Keyring(keys), clock.wall, audit=audit)
    while True:
        try:
            renewed = await asyncio.to_thread(repository.renew)
        except (MeshError, OSError) as error:
            log.warning("signatures are not renewed: %s", error)
        else:
            if renewed:
                log.info("signed anew: %s", ", ".join(renewed))
        await clock.sleep(PERIOD_S)
