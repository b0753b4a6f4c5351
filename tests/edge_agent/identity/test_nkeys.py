"""NATS keys as text. What the server makes of them is tested in tests/attacks."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.identity import nkeys
from protocol.errors import UntrustedError

RAW = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(RAW)


@pytest.mark.parametrize("role", ["O", "A", "U"])
def test_a_key_says_what_it_is_and_comes_back(role):
    public, seed = nkeys.public_text(KEY, role), nkeys.seed_text(KEY, role)
    assert (public[0], seed[:2]) == (role, f"S{role}")
    assert (len(public), len(seed)) == (56, 58)
    assert nkeys.public_key(public, role).public_bytes_raw() == KEY.public_key().public_bytes_raw()
    assert nkeys.private_key(seed, role).private_bytes_raw() == RAW


def test_a_key_of_another_role_is_refused():
    with pytest.raises(UntrustedError, match="not a public key of role U"):
        nkeys.public_key(nkeys.public_text(KEY, "A"), "U")
    with pytest.raises(UntrustedError, match="not a seed of role U"):
        nkeys.private_key(nkeys.seed_text(KEY, "O"), "U")


@given(st.integers(0, 55), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_mistyped_key_is_refused(place, letter):
    text = nkeys.public_text(KEY, "U")
    typed = text[:place] + letter + text[place + 1 :]
    if typed == text:
        return
    with pytest.raises(UntrustedError):
        nkeys.public_key(typed, "U")


@given(st.text(max_size=80))
def test_text_that_is_no_key_is_refused_and_not_repeated(text):
    with pytest.raises(UntrustedError) as refused:
        nkeys.private_key(text, "U")
    assert len(text) < 8 or text not in refused.value.error


def test_a_signature_verifies_with_its_key_and_message_only():
    signature = nkeys.signed(KEY, b"nonce")
    nkeys.verify(KEY.public_key(), signature, b"nonce")
    for key, message in ((KEY, b"other"), (Ed25519PrivateKey.generate(), b"nonce")):
        with pytest.raises(UntrustedError):
            nkeys.verify(key.public_key(), signature, message)
    with pytest.raises(UntrustedError):
        nkeys.verify(KEY.public_key(), "not base64!", b"nonce")
