"""What a router hears of nodes and sites: adverts, descriptions, summaries, into the view.

What the view makes of it is the view's business; queries come in through `routes`.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from edge_agent.background import beside
from edge_agent.bus.base import Bus, Delivery
from edge_agent.clock import Clock
from middle_tier.sight.clones import CLONE_AFTER_S, Clone, Clones
from middle_tier.view import View
from protocol.adverts import Capacity, Describe, Description, SiteCapacity
from protocol.codec import Frame
from protocol.errors import DecodeError, MeshError
from protocol.identity import Cloned
from protocol.subjects import AdvertSubject, ControlSubject, EventSubject, SummarySubject

log = logging.getLogger(__name__)

TICK_S = 0.5
"""How often silence is noticed: much less than an advert's period."""

STANDSTILL_S = 1.0
"""A tick later than this means that this process was stopped, or its machine far too busy."""


class Ears:
    """Hands what arrives to the view; asks a node that has changed to describe itself."""

    def __init__(
        self, bus: Bus, clock: Clock, view: View, site: str, *, clone_after_s: float = CLONE_AFTER_S
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._view = view
        self._site = site
        self._inbox = bus.inbox()
        self._clones = Clones(clone_after_s)

    @asynccontextmanager
    async def open(self, *, below: bool) -> AsyncIterator[None]:
        """Listen until the block ends; with `below`, to the summaries of other sites as well."""
        adverts = AdvertSubject.pattern(site=self._site)
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            await enter(self._bus.subscribe(f"{self._inbox}.*", self._described))
            await enter(self._bus.subscribe(adverts, self._advert))
            if below:
                await enter(self._bus.subscribe(SummarySubject.pattern(), self._summary))
            await enter(beside(self._tick(), "view-tick"))
            yield

    def _advert(self, delivery: Delivery) -> None:
        message = delivery.frame.message if delivery.frame is not None else None
        if not isinstance(message, Capacity):
            return
        try:
            subject = AdvertSubject.parse(delivery.subject)
        except DecodeError:
            return
        if (subject.tier, subject.site, subject.node) != (message.tier, message.site, message.node):
            log.warning("an advert on %s speaks for another node", delivery.subject)
            return
        if clone := self._clones.heard(message.node, message.boot, self._clock.now()):
            self._tell_of(clone, message)
        if self._view.advert(message, self._clock.now()):
            self._ask_for_description(message)

    def _tell_of(self, clone: Clone, advert: Capacity) -> None:
        log.warning("%s is two processes: %s and %s", advert.node, *clone.boots)
        told = Cloned(site=self._site, node=advert.node, boots=clone.boots, for_s=clone.for_s)
        try:
            self._bus.publish(str(EventSubject(self._site, advert.node, "cloned")), Frame(told))
        except MeshError as error:
            log.warning("nobody is told of the clone: %s", error)

    def _ask_for_description(self, advert: Capacity) -> None:
        subject = str(ControlSubject(advert.site, advert.node, "describe"))
        try:
            self._bus.publish(subject, Frame(Describe()), f"{self._inbox}.{advert.node}")
        except MeshError as error:
            log.warning("cannot ask %s to describe itself: %s", advert.node, error)

    def _described(self, delivery: Delivery) -> None:
        message = delivery.frame.message if delivery.frame is not None else None
        node = delivery.subject.rpartition(".")[2]
        if isinstance(message, Description) and (message.site, message.node) == (self._site, node):
            self._view.describe(message, self._clock.now())

    def _summary(self, delivery: Delivery) -> None:
        message = delivery.frame.message if delivery.frame is not None else None
        if not isinstance(message, SiteCapacity) or message.site == self._site:
            return
        if str(SummarySubject(message.site)) != delivery.subject:
            log.warning("a summary on %s speaks for another site", delivery.subject)
            return
        self._view.summary(message, self._clock.now())

    async def _tick(self) -> None:
        while True:
            due = self._clock.now() + TICK_S
            await self._clock.sleep(TICK_S)
            now = self._clock.now()
            if now - due > STANDSTILL_S:
                log.warning("stood still for %.1f s", now - due)
                self._view.deaf(now - due)
            self._view.tick(now)
