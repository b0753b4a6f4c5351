"""The policy's history as operators read it."""

from cloud_core.cli.policy import kept_rows

KEPT = [
    {"revision": number, "at": 60.0 * number, "by": "operator", "note": f"the {number}th"}
    for number in (4, 7)
]


def in_force(revision):
    rows = kept_rows({"in_force": revision, "revisions": KEPT})
    return [row[0] for row in rows if row[1] == "yes"]


def test_history_says_which_revision_is_in_force_and_after_a_withdrawal_none():
    assert (in_force(7), in_force(4), in_force(0)) == ([7], [4], [])
    assert kept_rows({"in_force": 7, "revisions": KEPT})[0] == (
        4, "", "1970-01-01 00:04:00 UTC", "operator", "the 4th",
    )  # fmt: skip
