"""What `tiermesh doctor` finds of a mesh's signed bundles: whether they hold, and for how long."""

from collections.abc import Iterator

from cloud_core.cli.checks import Finding
from cloud_core.registry.repository import spoiled
from cloud_core.up.layout import Layout
from cloud_core.up.signed import repository
from protocol.errors import MeshError

SOON = 0.25
"""Of a signature's lifetime: with less left than this somebody should look."""
PUBLISH = "nodes run what is published: tiermesh bundles publish FOLDER --dir ..."
RENEW = "renew them: tiermesh bundles renew"


def findings(layout: Layout, now: float) -> Iterator[Finding]:
    made = repository(layout, lambda: now)
    if not made.store.exists:
        mend = "they are published where the cloud runs" if layout.founded else "tiermesh up"
        yield Finding("OK", "signed", f"no bundles are published in {layout.root}", mend)
        return
    try:
        trusted = made.believed()
    except MeshError as error:
        mend = "bring back the repository folder, or publish anew in another --dir"
        yield Finding("FAIL", "signed", f"the repository is not to be believed: {error}", mend)
        return
    catalog = trusted.catalog()
    wrong = {**trusted.strays(), **spoiled(made, catalog.values())}
    for path, fault in wrong.items():
        yield Finding("FAIL", "signed", f"{path}: {fault.error}", "publish that bundle again")
    left = made.left(trusted)
    for role, share in left.items():
        if share < SOON:
            said = f"{role} expires {trusted.expires(role):%Y-%m-%d %H:%M} UTC"
            yield Finding("FAIL" if share <= 0 else "WARN", "signed", said, RENEW)
    first = min(left, key=trusted.expires)
    said = f"{len(catalog) - len(wrong)} of {len(catalog)} versions hold"
    said += f"; first to expire: {first}, {trusted.expires(first):%Y-%m-%d}"
    yield Finding("OK", "signed", said, "" if catalog else PUBLISH)
