"""The two tokens of `up`: kept while they last, minted anew when they do not."""

import stat

from cloud_core.up.layout import Layout
from cloud_core.up.tokens import LIFETIME_S, RENEW_S, kept

NOW = 1_800_000_000.0


def test_they_are_kept_from_one_start_to_the_next(tmp_path):
    layout = Layout(tmp_path)
    assert kept(layout, NOW) == kept(layout, NOW + 1000)
    for tenant in ("operator", "demo"):
        assert stat.S_IMODE(layout.token(tenant).stat().st_mode) == 0o600


def test_one_that_is_about_to_end_is_minted_anew(tmp_path):
    layout = Layout(tmp_path)
    before = kept(layout, NOW)
    later = kept(layout, NOW + LIFETIME_S - RENEW_S + 1)
    assert before["operator"] != later["operator"]


def test_with_another_key_they_are_minted_anew(tmp_path):
    layout = Layout(tmp_path)
    before = kept(layout, NOW)
    layout.signing_key.unlink()
    assert kept(layout, NOW)["demo"] != before["demo"]


def test_a_file_that_holds_no_token_is_replaced(tmp_path):
    layout = Layout(tmp_path)
    before = kept(layout, NOW)
    layout.token("demo").write_text("nonsense")
    assert kept(layout, NOW)["demo"].count(".") == before["demo"].count(".")
