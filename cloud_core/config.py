"""What an operator may change about the cloud's own process, and why. Read once, by `__main__`."""

from middle_tier.config import SiteConfig
from protocol.types import Name, Tier


class CloudConfig(SiteConfig):
    """A site like any other, at the top: it has no parent and takes the summaries of sites."""

    site: Name = "cloud"
    tier: Tier = "cloud"
