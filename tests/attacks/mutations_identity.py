"""How each check of an identity is taken out, and the test that then must be red."""

from tests.attacks.mutations import Mutation

ROLL, ROLES = "cloud_core/identity/roll.py", "cloud_core/identity/roles.py"
REGISTRY, SERVERS = "cloud_core/identity/registry.py", "cloud_core/up/servers.py"
JOINS, WALL = (
    "tests/cloud_core/identity/test_registry.py",
    "tests/attacks/test_identity_subjects.py",
)
PROOFS, ENROLS = (
    "tests/attacks/test_identity_credentials.py",
    "tests/attacks/test_identity_enrolment.py",
)
TLS = "tests/attacks/test_identity_tls.py"
TWINS = "tests/attacks/test_identity_clones.py"
STATES, CLAIMS = "cloud_core/identity/states.py", "cloud_core/identity/claims.py"
CLONES, CREDENTIALS = "middle_tier/sight/clones.py", "edge_agent/identity/credentials.py"
AUTHORITY, SEEN = "tests/cloud_core/identity/test_authority.py", "tests/middle_tier/test_clones.py"

_ROWS = (
    ("the token's root", "edge_agent/identity/enrolment.py", "if digest_key(sha256(data).hexdigest()) != pinned:", "if False:", "tests/attacks/test_identity_enrolment.py::test_a_root_that_the_token_does_not_name_is_not_taken"),
    ("a root that is here", "edge_agent/identity/enrolment.py", "if path.exists() and path.read_bytes() != root:", "if False:", "tests/attacks/test_identity_enrolment.py::test_a_device_of_another_mesh_keeps_its_root"),
    ("an agent adverts itself", ROLES, "at(AdvertSubject, TIER, SITE, NAME),", 'at(AdvertSubject, "*", "*", "*"),', WALL),
    ("an agent's own events", ROLES, "at(EventSubject, SITE, NAME, _ANY),", 'at(EventSubject, "*", "*", _ANY),', WALL),
    ("an agent hears its own", ROLES, "subscribe=(at(AskSubject, SITE, NAME), at(ControlSubject, SITE, NAME, _ANY), INBOX),", 'subscribe=(">",),', WALL),
    ("an inbox is its owner's", ROLES, 'INBOX = f"_INBOX.{SITE}.{{{{subject()}}}}.>"', 'INBOX = "_INBOX.>"', WALL),
    ("a site's server speaks for it", ROLES, '"leaf",\n    publish=(', '"leaf",\n    publish=(\n        ">",', WALL),
    ("a site's server hears for it", ROLES, '        f"_INBOX.{SITE}.>",\n', '        ">",\n', WALL),
    ("a token can only enrol", ROLES, 'publish=(at(IdentitySubject, "enrol"),)', 'publish=(">",)', ENROLS),
    ("an observer is silent", CLAIMS, '{"allow": list(allowed)} if allowed else {"deny": [">"]}', '{"allow": list(allowed)}', WALL),
    ("clients and leaf nodes differ", CLAIMS, '"allowed_connection_types": list(template.connections),', "", PROOFS),
    ("the operator signs no account", CLAIMS, '"strict_signing_key_usage": True', '"strict_signing_key_usage": False', PROOFS),
    ("1 known token", ROLL, "if ticket is None:", "if False:", JOINS),
    ("2 token's end", ROLL, "if now >= ticket.expires:", "if False:", JOINS),
    ("3 token's proof", ROLL, 'nkeys.verify(nkeys.public_key(ticket.id, "U"), asked.by_token, said)', "pass", ENROLS),
    ("3 device's proof", ROLL, 'nkeys.verify(nkeys.public_key(asked.device, "U"), asked.by_device, said)', "pass", JOINS),
    ("4 token's uses", ROLL, "if len(ticket.used) >= ticket.uses:", "if False:", ENROLS),
    ("5 name is free", ROLL, 'if same and other.state != "revoked":', "if False:", JOINS),
    ("only the active get a JWT", REGISTRY, 'if identity.state != "active":', "if False:", JOINS),
    ("a renewal is the device's", REGISTRY, "nkeys.verify(key, asked.by_device, renewal(asked.device, asked.id))", "pass", JOINS),
    ("servers are told", REGISTRY, "        self._tell()\n        return changed", "        return changed", ENROLS),
    ("the barred are named", ROLL, "if known.identity.state in BARRED", "if False", ENROLS),
    ("the revoked stay so", STATES, '    ("pending", "approve"): "active",', '    ("pending", "approve"): "active",\n    ("revoked", "approve"): "active",', "tests/cloud_core/identity/test_states.py"),
    ("a clone is noticed", CLONES, "if for_s > self._after_s else None", "if False else None", f"{TWINS}::test_two_agents_with_one_identity_are_shut_out"),
    ("a last word is no clone", CLONES, "if for_s > self._after_s else None", "if for_s >= 0 else None", f"{TWINS}::test_the_last_words_of_a_process_that_was_replaced_are_no_clone"),
    ("what arrives late is no clone", CLONES, "if for_s > self._after_s else None", "if for_s >= 0 else None", f"{TWINS}::test_what_a_dead_process_had_sent_and_arrives_late_is_no_clone"),
    ("a dead connection is noticed", "edge_agent/bus/nats.py", "ping_interval=ping_s,", "ping_interval=3600,", f"{TWINS}::test_a_reconnect_that_leaves_a_half_open_connection_is_no_clone"),
    ("a half-open connection is none", CLONES, "if for_s > self._after_s else None", "if for_s >= 0 else None", SEEN),
    ("a site tells of its own clones", "cloud_core/identity/service.py", "if (subject.site, subject.node) != (message.site, message.node):", "if False:", ENROLS),
    ("credentials are of one key", CREDENTIALS, 'if claims_of(read.jwt).get("sub") != read.public:', "if False:", AUTHORITY),
    ("nothing before the handshake", "edge_agent/bus/persistent.py", 'options["tls_handshake_first"] = True', "pass", f"{TLS}::test_a_client_that_pins_says_nothing_to_a_server_without_tls"),
    ("the barred are known before anybody is told", REGISTRY, "return (self.mesh_jwt(),) if self.whole else ()", "return (self.mesh_jwt(),)", JOINS),
    ("the barred are in a backup", "cloud_core/federation.py", "follows={IDENTITIES: 1} if config.identity is not None else NO_MORE", "follows=NO_MORE", "tests/integration/test_backup.py"),
    ("no server in the clear", SERVERS, "{indent}  handshake_first: true\n", "", f"{TLS}::test_a_server_says_nothing_in_the_clear"),
)  # fmt: skip

IDENTITY = tuple(
    Mutation(f"identity: {name}", file, text, instead, test)
    for name, file, text, instead, test in _ROWS
)
