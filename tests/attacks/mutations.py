"""Which checks there are to break: file, exact text, what stands there instead, and the test."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """One check taken out."""

    name: str
    file: str
    text: str
    instead: str
    test: str
    """What pytest is given: a file, or a test in it."""


B = "tests/attacks/bundles"
TRUST, ENVELOPES = "edge_agent/bundles/trust.py", "edge_agent/bundles/envelopes.py"
UNPACK, PT2 = "edge_agent/bundles/unpack.py", "edge_agent/bundles/pt2.py"
FETCH, DEPOT = "edge_agent/bundles/fetch.py", "edge_agent/bundles/depot.py"
STORE, UPDATER = "edge_agent/bundles/store.py", "edge_agent/bundles/updater.py"

TRUSTED = (
    ("0 threshold", ENVELOPES, "if len({_public(key) for key in result.signed.values()}) < result.threshold:", "if False:", "test_signatures.py"),
    ("0 one key, two names", ENVELOPES, "len({_public(key) for key in result.signed.values()})", "len(result.signed)", "test_signatures.py"),
    ("1 the old root's keys", TRUST, 'vouched(self.root, "root", sealed)\n        signed = parsed(sealed, Root)', "signed = parsed(sealed, Root)", "test_signatures.py"),
    ("2 the new root's keys", TRUST, 'keys = vouched(signed, "root", sealed)\n        # 3.', 'keys = ("k",)\n        # 3.', "test_signatures.py"),
    ("3 the next root", TRUST, "if signed.version != self.root.version + 1:", "if False:", "test_signatures.py"),
    ("4 floor of the root", TRUST, "if floor is not None and self.root.version < floor.version:", "if False:", "test_versions.py"),
    ("5 expired root", TRUST, 'fresh(self.root, "root", now)', "pass", "test_versions.py"),
    ("6 timestamp's keys", TRUST, 'keys = vouched(self.root, "timestamp", sealed)', 'keys = tuple(self.root.roles["timestamp"].keyids)', "test_signatures.py"),
    ("7 older timestamp", TRUST, "if floor is not None and signed.version < floor.version:", "if False:", "test_versions.py"),
    ("7 other timestamp", TRUST, "if floor is not None and signed.version == floor.version and floor.digest != digest:", "if False:", "test_versions.py"),
    ("8 older snapshot", TRUST, 'not_below(self._floor("snapshot"), "snapshot", signed.snapshot_meta.version)', "pass", "test_versions.py"),
    ("9 expired timestamp", TRUST, 'fresh(signed, "timestamp", now)', "pass", "test_versions.py"),
    ("10 the snapshot's bytes", TRUST, 'exactly(self.timestamp.snapshot_meta, data, "snapshot")', "pass", "test_versions.py"),
    ("11 snapshot's keys", TRUST, 'keys = vouched(self.root, "snapshot", sealed)', 'keys = tuple(self.root.roles["snapshot"].keyids)', "test_signatures.py"),
    ("12 snapshot's version", TRUST, 'same_version(self.timestamp.snapshot_meta, signed.version, "snapshot")', "pass", "test_versions.py"),
    ("13 older or lost roles", TRUST, "self._no_role_older(signed)", "pass", "test_versions.py"),
    ("14 expired snapshot", TRUST, 'fresh(signed, "snapshot", now)', "pass", "test_versions.py"),
    ("15 the targets' bytes", TRUST, 'exactly(meta, data, "targets")', "pass", "test_versions.py"),
    ("16 targets' keys", TRUST, 'vouched(self.root, "targets", sealed)', "pass", "test_signatures.py"),
    ("17 targets' version", TRUST, 'same_version(meta, signed.version, "targets")', "pass", "test_versions.py"),
    ("18 expired targets", TRUST, 'fresh(signed, "targets", now)', "pass", "test_versions.py"),
    ("19 a publisher's bytes", TRUST, "exactly(meta, data, name)", "pass", "test_versions.py"),
    ("20 a publisher's keys", TRUST, "vouched(self.targets, name, sealed)", "pass", "test_signatures.py"),
    ("21 a publisher's version", TRUST, "same_version(meta, signed.version, name)", "pass", "test_versions.py"),
    ("22 expired publisher", TRUST, "fresh(signed, name, now)", "pass", "test_versions.py"),
    ("23 delegated paths", TRUST, "if not role.is_delegated_path(path):", "if False:", "test_publishers.py"),
    ("24 signed for", TRUST, "if self.catalog().get(signed.path) != signed:", "if False:", "test_publishers.py"),
    ("25 the head's bytes", TRUST, "if len(head) != signed.size_bytes or", "if False and", "test_publishers.py"),
    ("26 names itself", TRUST, "if (said.publisher, said.bundle, said.version) != (*signed.key, signed.version):", "if False:", "test_publishers.py"),
    ("27 rights: task", TRUST, "if not signed.rights.permits(said.task.name):", "if False:", "test_publishers.py"),
    ("28 rights: code", TRUST, "and not signed.rights.code:", "and False:", "test_publishers.py"),
    ("time floor", TRUST, "return max(wall, self._time_floor(), self.time)", "return wall", "test_versions.py"),
    ("floors fall with keys", ENVELOPES, "return floor if len(still) >= authorised.threshold else None", "return floor", "test_versions.py"),
)  # fmt: skip
PACKED = (
    ("1 no compression", UNPACK, 'mode="r:"', 'mode="r"', "test_archives.py"),
    ("2 links", UNPACK, "if entry.issym() or entry.islnk():", "if False:", "test_archives.py"),
    ("3 devices", UNPACK, "if entry.isdev():", "if False:", "test_archives.py"),
    ("4 plain files", UNPACK, "if entry.type != tarfile.REGTYPE or entry.pax_headers:", "if False:", "test_archives.py"),
    ("5 paths", UNPACK, "if not _NAME.fullmatch(entry.name):", "if False:", "test_archives.py"),
    ("6 duplicates", UNPACK, "if entry.name in files:", "if False:", "test_archives.py"),
    ("7 case", UNPACK, "if entry.name.lower() in {name.lower() for name in files}:", "if False:", "test_archives.py"),
    ("8 too many", UNPACK, "if len(files) >= caps.files:", "if False:", "test_archives.py"),
    ("9 too large", UNPACK, "if entry.size > caps.file_bytes or total > caps.total_bytes:", "if False:", "test_archives.py"),
    ("10 nothing else", UNPACK, "if packed(files) != data:", "if False:", "test_archives.py"),
    ("11 a manifest", UNPACK, "if MANIFEST not in files:", "if False:", "test_archives.py"),
    ("12 what it names", UNPACK, "if named != set(files):", "if False:", "test_archives.py"),
)  # fmt: skip
SCREENED = (
    ("1 one zip", PT2, 'if not data.startswith(b"PK\\x03\\x04") or archive.comment or data[-22:-18] != b"PK\\x05\\x06":', "if False:", "test_code.py"),
    ("2 entries", PT2, "if not _ENTRY.fullmatch(name):", "if False:", "test_code.py"),
    ("3 twice", PT2, "if name in infos or len(roots) > 1:", "if False:", "test_code.py"),
    ("4 compressed", PT2, "if info.compress_type != zipfile.ZIP_STORED or _too_large(info, name):", "if False:", "test_code.py"),
    ("5 sample inputs", PT2, "if SAMPLES in infos and infos[SAMPLES].file_size:", "if False:", "test_code.py"),
    ("6 form", PT2, 'or archive.read(infos[FORMAT]) != b"pt2":', "or False:", "test_code.py"),
    ("7 use_pickle", PT2, 'or payload.get("use_pickle") is not False:', "or False:", "test_code.py"),
    ("8 custom objects", PT2, 'if not _PAYLOAD.fullmatch(str(payload.get("path_name"))):', "if False:", "test_code.py"),
    ("9 expressions", PT2, "if not (isinstance(value, str) and _arithmetic(value)):", "if False:", "test_code.py"),
    ("10 guards", PT2, 'if model.get("guards_code"):', "if False:", "test_code.py"),
    ("11 operators", PT2, "if not _OPERATOR.fullmatch(str(value)):", "if False:", "test_code.py"),
    ("12 names", PT2, 'if not _IDENTIFIER.fullmatch(str(value) or "_"):', "if False:", "test_code.py"),
    ("13 trees", PT2, 'if key == "type" and kind not in _CONTAINERS:', "if False:", "test_code.py"),
    ("14 metadata", PT2, "if not isinstance(value, dict) or value.keys() - _HARMLESS:", "if False:", "test_code.py"),
    ("15 objects", PT2, 'if key in _REFUSED or (key == "custom_obj_values" and value):', "if False:", "test_code.py"),
    ("screened at load", STORE, "pt2.screen(data)", "pass", "test_code.py"),
)  # fmt: skip
FETCHED = (
    ("total deadline", FETCH, "if now > self._end:", "if False:", "test_downloads.py"),
    ("drip", FETCH, "if self._received < self._limits.min_bytes_per_s * self._limits.window_s:", "if False:", "test_downloads.py"),
    ("1 largest file", FETCH, "if size_bytes > limits.blob_bytes:", "if False:", "test_downloads.py"),
    ("2 signed length", FETCH, "if piece.total_bytes != wanted.size_bytes:", "if False:", "test_downloads.py"),
    ("3 exact parts", FETCH, "if piece.offset != offset or len(piece.data) != length:", "if False:", "test_downloads.py"),
    ("4 endless metadata", FETCH, "if total > at_most:", "if False:", "test_downloads.py"),
    ("hash of what came", DEPOT, "if digest_key(self._hash.hexdigest()) != self._digest:", "if False:", "test_downloads.py"),
    ("hash on reading", DEPOT, "if digest_key(sha256(data).hexdigest()) != digest:", "if False:", "test_loading.py"),
    ("length at load", STORE, "if len(data) != variant.size_bytes:", "if False:", "test_loading.py"),
    ("hash at load", STORE, "if digest_key(sha256(data).hexdigest()) != variant.digest:", "if False:", "test_loading.py"),
    ("runtime's version", STORE, "if pin not in variant.runtimes:", "if False:", "test_loading.py"),
    ("hardware", STORE, "if made_for and hardware and not any(", "if False and not any(", "test_loading.py"),
    ("bad ones remembered", UPDATER, "if target.digest in self._bad:", "if False:", "test_loading.py"),
    ("switched in, signed for", UPDATER, "if trusted is None or target is None or target.digest != version.digest:", "if trusted is None or target is None:", "test_publishers.py"),
    ("golden outputs", "edge_agent/bundles/trial.py", "smoke.check(runtime, inputs, outputs, variant.tolerance)", "pass", "test_loading.py"),
    ("synced before switched", "edge_agent/bundles/disk.py", "        self.sync(draft)\n", "", "test_power.py"),
    ("revoked are switched out", UPDATER, "gone = [key for key in self._installed.all() if key not in signed]", "gone = []", "test_publishers.py"),
)  # fmt: skip

TOKENS, GATE, REGISTER = "protocol/tokens.py", "middle_tier/gate.py", "middle_tier/register.py"
BUDGETS, ISSUERS, OIDC = "middle_tier/budgets.py", "cloud_core/issuers.py", "cloud_core/oidc.py"
CHAIN, METERING = "cloud_core/audit/chain.py", "middle_tier/usage/metering.py"
A, M, S = "tests/attacks/test_tokens.py", "tests/middle_tier", "tests/attacks/test_sign_in.py"
T = "tests/attacks/test_tenants.py"
NOT_HERE = f"{A}::test_a_token_of_ours_that_is_not_for_here_and_now"

KEPT = (
    ("1 whose metadata", "cloud_core/registry/store.py", "        draft.believed()\n", "", "tests/cloud_core/registry/test_vault.py"),
    ("1 a changed file", "cloud_core/registry/vault.py", "if digest_key(found.hexdigest()) != digest:", "if False:", "tests/cloud_core/registry/test_vault.py"),
    ("1 a tampered object", "edge_agent/bundles/depot.py", "if digest_key(self._hash.hexdigest()) != self._digest:", "if False:", "tests/cloud_core/registry/test_vault.py"),
    ("the demo stays revoked", "cloud_core/up/signed.py", "    if made.revoked(DEMO):", "    if False:", "tests/cloud_core/up/test_signed.py"),
    ("the operator stays revoked", "cloud_core/up/signed.py", "    if not made.store.exists:\n        made.create()\n", "    if not made.store.exists:\n        made.create()\n    if True:\n", "tests/cloud_core/up/test_signed.py"),
    ("the revoked are told", "cloud_core/registry/repository.py", "    if _revoked(trusted, publisher):", "    if False:", "tests/cloud_core/cli/test_bundles.py"),
)  # fmt: skip

TENANTS = (
    ("2 algorithm", TOKENS, 'if header.get("alg") != ALGORITHM or key is None:', "if key is None:", f"{A}::test_alg_none"),
    ("4 audience", TOKENS, "if claims.aud != AUDIENCE:", "if False:", NOT_HERE),
    ("4 issuer", TOKENS, "if claims.iss != ISSUER:", "if False:", NOT_HERE),
    ("5 expired", TOKENS, "if now >= claims.exp + LEEWAY_S:", "if False:", NOT_HERE),
    ("5 not valid yet", TOKENS, "if now < max(claims.iat, claims.nbf or 0) - LEEWAY_S:", "if False:", NOT_HERE),
    ("6 revoked", TOKENS, "if claims.jti in revoked:", "if False:", "tests/protocol/test_tokens.py"),
    ("scope", TOKENS, "if scope not in self.scopes:", "if False:", f"{T}::test_asking_without_the_scope"),
    ("task", TOKENS, "if task is not None and self.tasks is not None and task not in self.tasks:", "if False:", f"{T}::test_another_tenants_task"),
    ("a known token's end", GATE, "if caller is not None and now < caller.claims.exp + LEEWAY_S:", "if caller is not None:", f"{M}/test_gate.py"),
    ("what has changed", GATE, "register.changed = self.forget", "pass", f"{M}/test_gate.py"),
    ("one account a tenant", GATE, "accounts = [self.accounts.of(claims.sub, budget, now, wall)]", "accounts = [self.accounts.of(claims.jti, budget, now, wall)]", f"{M}/test_gate.py"),
    ("before it was heard", REGISTER, "if not self.heard:\n            raise", "if False:\n            raise", f"{M}/test_gate.py"),
    ("who is no tenant", REGISTER, "if tenant is None:", "if tenant is None:\n            return claims\n        if tenant is None:", NOT_HERE),
    ("the tenant's scopes", REGISTER, "tuple(scope for scope in claims.scopes if scope in tenant.scopes)", "claims.scopes", f"{T}::test_a_tenant_cannot_take_the_scope_to_operate"),
    ("the tenant's tasks", REGISTER, '"tasks": _both(claims.tasks, tenant.tasks),', "", f"{T}::test_a_token_that_claims_more_tasks_than_its_tenant_may"),
    ("the tenant's tiers", REGISTER, '"tiers": _both(claims.tiers, tenant.tiers),', "", f"{T}::test_a_tier_that_is_not_permitted"),
    ("rate", BUDGETS, "if self.level < 1.0:", "if False:", f"{T}::test_a_rate_that_is_used_up"),
    ("concurrency", BUDGETS, "if budget.concurrency is not None and self.running >= budget.concurrency:", "if False:", f"{M}/test_budgets.py"),
    ("cost", BUDGETS, "if budget.usd_per_day is not None and self.spent(wall) >= budget.usd_per_day:", "if False:", f"{T}::test_a_budget_that_is_spent"),
    ("headers once", "middle_tier/http/ingress.py", "if twice is not None:", "if False:", f"{A}::test_two_authorization_headers"),
    ("whose request id", "middle_tier/http/inference.py", "(claims.sub, oip.check_id(key))", '("", oip.check_id(key))', f"{T}::test_another_tenants_idempotency_id"),
    ("whose sign-in", ISSUERS, "if len(found) != 1:", "if not found:", S),
    ("a day at most", ISSUERS, 'min(_time(payload, "exp"), issued + MAX_LIFETIME_S)', '_time(payload, "exp")', S),
    ("the key's algorithm", OIDC, 'if header.get("alg") != key.algorithm_name:', "if False:", S),
    ("asymmetric keys", OIDC, "return key if key.algorithm_name in ALGORITHMS else None", "return key", S),
    ("whose discovery", OIDC, 'if found.get("issuer") != issuer.issuer:', "if False:", S),
    ("withdrawn keys", OIDC, "            self.withdrawn()\n", "            pass\n", S),
    ("a changed entry", CHAIN, "if _hash(body) != claimed:", "if False:", "tests/cloud_core/audit"),
    ("entries in order", CHAIN, "if entry.n != head.n + 1 or entry.prev != head.hash:", "if False:", "tests/cloud_core/audit"),
    ("the known head", CHAIN, "if not passed and known is not None:", "if False:", "tests/cloud_core/audit"),
    ("whose usage", METERING, "if batch.site != site:", "if False:", f"{M}/usage"),
    ("usage once", "middle_tier/usage/ledger.py", "if row is not None and batch.number <= row[0]:", "if False:", f"{M}/usage"),
    ("who has their share", "middle_tier/fairness.py", "if self._active < 2 or self.total < self.window or self._below(party):", "if True:", f"{M}/test_fairness.py"),
    ("a place among keys", "cloud_core/backup.py", "if file is None or not placed or", "if file is None or", "tests/cloud_core/test_backup.py"),
)  # fmt: skip

MUTATIONS = tuple(
    Mutation(f"{file.rpartition('/')[2]}: {name}", file, text, instead, test)
    for name, file, text, instead, test in (
        *(
            (name, file, text, instead, f"{B}/{test}")
            for name, file, text, instead, test in (*TRUSTED, *PACKED, *SCREENED, *FETCHED)
        ),
        *KEPT,
        *TENANTS,
    )
)
