"""How each check of what nodes tell the audit log is taken out; the test then must be red."""

from tests.attacks.mutations import Mutation

GATHERING, BOUNDS = "cloud_core/audit/gathering.py", "cloud_core/audit/bounds.py"
REPORT, JOURNAL = "edge_agent/reports/report.py", "edge_agent/reports/journal.py"
GATE, REFUSED = "middle_tier/gate.py", "middle_tier/refused.py"
STREAMS, ROLES = "edge_agent/bus/natsstreams.py", "cloud_core/identity/roles.py"
ATTACKS = "tests/attacks/test_audit.py"
GATHERED, BOUND = (
    "tests/cloud_core/audit/test_gathering.py",
    "tests/cloud_core/audit/test_bounds.py",
)
READ, KEPT = "tests/edge_agent/reports/test_report.py", "tests/edge_agent/reports/test_journal.py"
TOLD, COUNTED = "tests/edge_agent/reports/test_telling.py", "tests/middle_tier/test_refused.py"
RECORDED = "tests/cloud_core/cli/test_recorded.py"

_ROWS = (
    ("reports leave a site", ROLES, 'EVENT_KINDS = ("audit", "cloned", "usage")', 'EVENT_KINDS = ("cloned", "usage")', f"{ATTACKS}::test_what_a_node_refuses_reaches_the_cloud_s_log_by_way_of_its_site"),
    ("a node reports for itself", ROLES, "at(EventSubject, SITE, NAME, _ANY),", 'at(EventSubject, SITE, "*", _ANY),', f"{ATTACKS}::test_a_node_writes_nothing_in_another_s_name"),
    ("a site reports for itself", ROLES, '*(at(EventSubject, SITE, "any", kind) for kind in EVENT_KINDS),', '"tm.v1.evt.>",', f"{ATTACKS}::test_a_site_s_server_lets_no_report_out_for_another_site"),
    ("whose it is", GATHERING, "site=whose.site, node=whose.node, **told)", 'site=told.get("what"), node=whose.node, **told)', GATHERED),
    ("once", GATHERING, "if not self._marks.new(whose.site, whose.node, report):", "if False:", GATHERED),
    ("once after a restart", GATHERING, "await asyncio.to_thread(self._marks.recall, self._audit.lines())", "pass", GATHERED),
    ("numbers are a node's own", GATHERING, "self._marks.take(whose.site, whose.node, report.journal", 'self._marks.take(whose.site, "cam-1", report.journal', GATHERED),
    ("journals are few", GATHERING, "if len(known) > MAX_JOURNALS:", "if False:", GATHERED),
    ("nonsense is bounded", GATHERING, "    def _refused(self, whose: EventSubject, error: DecodeError) -> None:\n        if self._bounds.admit(whose.site, whose.node, self._clock.now()):", "    def _refused(self, whose: EventSubject, error: DecodeError) -> None:\n        if True:", GATHERED),
    ("reports are bounded", GATHERING, "        if self._bounds.admit(whose.site, whose.node, self._clock.now()):\n            await", "        if True:\n            await", GATHERED),
    ("what was suppressed is said", GATHERING, "for one in self._bounds.due(self._clock.now()):", "for one in ():", GATHERED),
    ("a node's rate", BOUNDS, "for speaker in dict.fromkeys((own, whole)):", "for speaker in (whole,):", BOUND),
    ("a site's rate", BOUNDS, "for speaker in dict.fromkeys((own, whole)):", "for speaker in (own,):", BOUND),
    ("a site's nodes are few", BOUNDS, "                return self\n            self.nodes[name]", "                pass\n            self.nodes[name]", BOUND),
    ("the suppressed are counted", BOUNDS, "speaker.suppressed += 1", "pass", BOUND),
    ("a place in the stream", STREAMS, "config.discard_new_per_subject = True", "pass", f"{ATTACKS}::test_a_full_place_in_the_stream_is_the_flooding_node_s_own"),
    ("short messages", STREAMS, "config.max_msgs_per_subject, config.max_msg_size = most", "config.max_msgs_per_subject = most.messages", f"{ATTACKS}::test_what_is_too_long_is_not_even_kept"),
    ("length", REPORT, "if len(data) > MAX_BYTES:", "if False:", READ),
    ("kinds", REPORT, "    kind: Kind\n", "    kind: str\n", READ),
    ("no steering of terminals", REPORT, 'letter if letter.isprintable() else "\\ufffd"', "letter", READ),
    ("what is said is not repeated", REPORT, "from None", "from error", READ),
    ("only refusals are told", JOURNAL, "if kind not in KINDS:", "if False:", KEPT),
    ("a journal is bounded", JOURNAL, "if self._waiting >= MAX_WAITING or not", "if not", KEPT),
    ("a journal's rate", JOURNAL, " or not self._rate.take(self._clock.now()):", ":", KEPT),
    ("the unsaid are counted", JOURNAL, "            self._unsay()\n", "", KEPT),
    ("kept until taken", "edge_agent/reports/telling.py", "                await streams.put(item.subject, item.data, item.id)\n                await asyncio.to_thread(journal.taken, item.id)", "                await asyncio.to_thread(journal.taken, item.id)\n                await streams.put(item.subject, item.data, item.id)", TOLD),
    ("untrusted when loaded", "edge_agent/stock/warming.py", "if result.for_good:", "if False:", "tests/edge_agent/reports/test_loading.py"),
    ("a gate counts", GATE, "        except UnauthenticatedError as error:\n            self.refused.add(error.error, error.whose)\n            raise\n\n    def native", "        except UnauthenticatedError:\n            raise\n\n    def native", COUNTED),
    ("once a minute", REFUSED, "keys = [key for key in self._counts if key not in self._told]", "keys = list(self._counts)", COUNTED),
    ("reasons are few", REFUSED, "if key not in self._counts and len(self._counts) >= MAX_REASONS:", "if False:", COUNTED),
    ("entries are few", REFUSED, "keys[: MAX_REASONS - len(self._told)]", "keys", COUNTED),
    ("refused devices", "cloud_core/identity/service.py", '            self.refused.add(f"{asked.kind}: {error.error}")\n', "", "tests/attacks/test_identity_enrolment.py::test_a_replayed_token_lets_no_second_device_in"),
    ("one writes at a time", "cloud_core/audit/log.py", "fcntl.flock(descriptor, fcntl.LOCK_EX)", "pass", "tests/cloud_core/audit/test_log.py"),
    ("commands write where it is read", "cloud_core/cli/recorded.py", "return place.root / said.audit if said.audit is not None else place.audit", "return place.audit", RECORDED),
    ("nothing is done unrecorded", "cloud_core/cli/recorded.py", "    if not able:", "    if False:", RECORDED),
)  # fmt: skip

AUDIT = tuple(
    Mutation(f"audit: {name}", file, text, instead, test)
    for name, file, text, instead, test in _ROWS
)
