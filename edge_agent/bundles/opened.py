"""A bundle whose head was verified: what it says, and its golden frames. Made from a depot only."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.bundles import unpack
from edge_agent.bundles.believed import Target, TrustedManifest
from edge_agent.bundles.depot import Depot
from edge_agent.bundles.trust import TrustedSet
from protocol.bundles import MANIFEST, Variant


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is known of a bundle before any of its variants is touched."""

    target: Target
    manifest: TrustedManifest
    golden: bytes
    """A frame, as its bytes were signed for."""
    golden_outputs: bytes

    def blobs(self, variants: Iterable[Variant]) -> frozenset[str]:
        """Digests of the head and of these variants."""
        return frozenset({self.target.digest, *(variant.digest for variant in variants)})


def opened(trusted: TrustedSet, target: Target, depot: Depot) -> Bundle:
    """Return the bundle of a target whose head is in the depot. Raises `UntrustedError`."""
    data = depot.read(target.digest)
    files = unpack.head(data)
    manifest = trusted.manifest(target, data, files[MANIFEST])
    return Bundle(target, manifest, files[manifest.golden], files[manifest.golden_outputs])
