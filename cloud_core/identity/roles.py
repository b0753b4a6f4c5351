"""Pure. What each role may publish and subscribe to: templates of scoped signing keys.

The server fills in {{name()}}, {{subject()}} (the user's public key) and {{tag(...)}} from the JWT
of whoever connects; it carries no permissions of its own, so none can be too large.
"""

from dataclasses import dataclass

from protocol.subjects import (
    ROOT,
    AdvertSubject,
    AskSubject,
    BlobSubject,
    CancelSubject,
    ControlSubject,
    EventSubject,
    IdentitySubject,
    NativeSubject,
    RouteSubject,
    Subject,
    SummarySubject,
)

SITE, TIER, PARENT, NAME = "{{tag(site)}}", "{{tag(tier)}}", "{{tag(parent)}}", "{{name()}}"
INBOX = f"_INBOX.{SITE}.{{{{subject()}}}}.>"
"""Where replies to this user go: no other one may listen there."""
REPLIES_NS = 300 * 10**9
"""How long an ask may be answered, and a reply's subject is remembered by the server."""
CLIENT, LEAF = ("STANDARD",), ("LEAFNODE",)

DESIRED = ("policy", "catalog", "tenants", "profiles", "assignments")
"""Buckets that every site follows. Who is enrolled is in another, which none of them reads."""
HUB_READS = tuple(
    f"$JS.hub.API.{operation}.KV_{bucket}{rest}"
    for bucket in DESIRED
    for operation, rest in (("STREAM.INFO", ""), ("DIRECT.GET", ""), ("DIRECT.GET", ".>"))
)
"""Desired state at the hub, to read."""


@dataclass(frozen=True, slots=True)
class Template:
    """One role's permissions. What is not allowed is refused."""

    role: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    replies_ns: int = 0
    """How long whatever was asked may be answered; 0: it answers nothing."""
    connections: tuple[str, ...] = CLIENT


def at(kind: type[Subject], *tokens: str) -> str:
    """Return the subject of these tokens, which may be the server's placeholders."""
    return ".".join((ROOT, kind.word, *tokens))


_ANY = "*"
EVENT_KINDS = ("audit", "cloned", "usage")
"""Events that the cloud listens for, of any site. A hub tells a leaf node of a subscription with
wildcards only if that is within what the leaf node may publish, or a subject without wildcards is
within the subscription: so each kind is named once."""
AGENT = Template(
    "agent",
    publish=(
        at(AdvertSubject, TIER, SITE, NAME),
        at(EventSubject, SITE, NAME, _ANY),
        at(IdentitySubject, "renew"),
        at(BlobSubject, SITE),
    ),
    subscribe=(at(AskSubject, SITE, NAME), at(ControlSubject, SITE, NAME, _ANY), INBOX),
    replies_ns=REPLIES_NS,
)
SITE_ROLE = Template(
    "site",
    publish=(
        at(AdvertSubject, TIER, SITE, _ANY),
        at(AskSubject, SITE, _ANY),
        at(ControlSubject, SITE, _ANY, _ANY),
        at(EventSubject, SITE, _ANY, _ANY),
        at(SummarySubject, SITE),
        at(RouteSubject, _ANY),
        at(BlobSubject, PARENT),
        at(BlobSubject, SITE),
        at(IdentitySubject, "renew"),
        *HUB_READS,
    ),
    subscribe=(
        at(AdvertSubject, _ANY, SITE, _ANY),
        at(AskSubject, SITE, _ANY),
        at(ControlSubject, SITE, _ANY, _ANY),
        at(EventSubject, SITE, _ANY, _ANY),
        at(RouteSubject, SITE),
        at(NativeSubject, _ANY),
        at(CancelSubject, _ANY),
        at(BlobSubject, SITE),
        INBOX,
    ),
    replies_ns=REPLIES_NS,
)
CLOUD = Template(
    "cloud",
    publish=(f"{ROOT}.>", "$JS.API.>", "$JS.*.API.>", "$JS.ACK.>", "$KV.>", "$O.>"),
    subscribe=(f"{ROOT}.*.>", INBOX),
    replies_ns=REPLIES_NS,
)
OPERATOR = Template(
    "operator",
    publish=(at(ControlSubject, _ANY, _ANY, _ANY), at(RouteSubject, _ANY), *HUB_READS),
    subscribe=(
        at(AdvertSubject, _ANY, _ANY, _ANY),
        at(SummarySubject, _ANY),
        at(EventSubject, _ANY, _ANY, _ANY),
        INBOX,
    ),
)
OBSERVER = Template(
    "observer",
    publish=(),
    subscribe=(
        at(AdvertSubject, _ANY, _ANY, _ANY),
        at(SummarySubject, _ANY),
        at(EventSubject, _ANY, _ANY, _ANY),
    ),
)
BOOTSTRAP = Template("bootstrap", publish=(at(IdentitySubject, "enrol"),), subscribe=(INBOX,))
"""What an enrolment token may: nothing else."""
LEAF_ROLE = Template(
    "leaf",
    publish=(
        at(AdvertSubject, _ANY, SITE, _ANY),
        at(EventSubject, SITE, _ANY, _ANY),
        *(at(EventSubject, SITE, "any", kind) for kind in EVENT_KINDS),
        at(SummarySubject, SITE),
        at(RouteSubject, _ANY),
        at(BlobSubject, PARENT),
        at(IdentitySubject, _ANY),
        *HUB_READS,
        f"_INBOX.{PARENT}.>",
    ),
    subscribe=(
        at(AskSubject, SITE, _ANY),
        at(ControlSubject, SITE, _ANY, _ANY),
        at(RouteSubject, SITE),
        f"_INBOX.{SITE}.>",
    ),
    connections=LEAF,
)
"""A site's server at the hub: whatever connects to it can do no more than this beyond it."""

MESH_ROLES = {
    template.role: template
    for template in (AGENT, SITE_ROLE, CLOUD, OPERATOR, OBSERVER, BOOTSTRAP, LEAF_ROLE)
}

TENANT = Template("tenant", publish=("tiermesh.ask", "tiermesh.cancel"), subscribe=("_INBOX.>",))
"""In a tenant's own account, which nothing but its queries and their cancelling leaves."""

UPDATE = "$SYS.REQ.CLAIMS.UPDATE"
SYSTEM_ROLES = {
    "resolver": Template("resolver", publish=(UPDATE,), subscribe=(INBOX,)),
    "resolver-leaf": Template(
        "resolver-leaf", publish=(f"_INBOX.{PARENT}.>",), subscribe=(UPDATE,), connections=LEAF
    ),
}
"""Of the account SYS: the cloud tells servers of revocations, a site's server hears of them."""
