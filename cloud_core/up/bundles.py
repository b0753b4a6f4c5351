"""Where the demo bundles lie: beside the package in the source tree, inside it when installed."""

from pathlib import Path

from protocol.errors import UnknownError

_PACKAGE = Path(__file__).parents[1]
PLACES = (_PACKAGE.parent / "deploy" / "demo", _PACKAGE / "demo")


def demo() -> Path:
    """Return the folder of the bundles that come with Tiermesh."""
    for place in PLACES:
        if any(place.rglob("manifest.json")):
            return place
    raise UnknownError(
        "the demo bundles are missing", "reinstall tiermesh, or give --bundles DIR with your own"
    )
