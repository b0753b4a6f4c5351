"""How each check of a gate's TLS is taken out; the test then must be red."""

from tests.attacks.mutations import Mutation

SHOWN, PINNED = "middle_tier/http/certificate.py", "middle_tier/http/pinned.py"
CONFIG, DOOR = "middle_tier/config.py", "middle_tier/http/door.py"
SEEN, HELD = "tests/attacks/test_gate_tls.py", "tests/middle_tier/test_door.py"

_ROWS = (
    ("no plain HTTP to the network", CONFIG, "if not local and self.tls is None and not self.plain_http:", "if False:", HELD),
    ("a certificate has its key", CONFIG, "if (self.tls_certificate is None) != (self.tls_key is None):", "if False:", HELD),
    ("TLS is spoken", DOOR, "ssl=None if shown is None else shown.context,", "ssl=None,", SEEN),
    ("old TLS", SHOWN, "    context.set_ciphers(CIPHERS)\n", '    context.minimum_version = ssl.TLSVersion.TLSv1\n    context.set_ciphers("ALL:@SECLEVEL=0")\n', SEEN),
    ("the newest is shown", SHOWN, "            self._shown = _context(*self._files)\n", "            _context(*self._files)\n", HELD),
    ("half a renewal", SHOWN, "        except (OSError, ValueError) as error:\n            log.warning", "        except KeyError as error:\n            log.warning", HELD),
    ("a client looks at the name", PINNED, "    context.minimum_version", "    context.check_hostname = False\n    context.minimum_version", HELD),
    ("a client looks at the signature", PINNED, "    context.minimum_version", "    context.check_hostname = False\n    context.verify_mode = ssl.CERT_NONE\n    context.minimum_version", SEEN),
    ("trust lies apart", "cloud_core/up/layout.py", 'self.root / "trust" / "1.root.json"', 'self.repository / "metadata" / "1.root.json"', "tests/cloud_core/up/test_signed.py"),
    ("trust is not replaced", "cloud_core/up/signed.py", "    if not layout.bundle_root.exists():\n", "    if True:\n", "tests/cloud_core/up/test_signed.py"),
    ("init gives gates TLS", "cloud_core/identity/founding.py", '        "tls_key": f"{plan.etc}/tls/{GATE}.key",\n', "", SEEN),
)  # fmt: skip

GATES = tuple(
    Mutation(f"gate: {name}", file, text, instead, test)
    for name, file, text, instead, test in _ROWS
)
