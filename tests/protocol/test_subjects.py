"""Subjects and names: built and parsed by one class, and no hostile name gets into one."""

import re
from contextlib import suppress
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadNameError, DecodeError
from protocol.names import check_name, check_variant
from protocol.subjects import (
    AdvertSubject,
    AskSubject,
    BlobSubject,
    ControlSubject,
    EventSubject,
    IdentitySubject,
    NativeSubject,
    RouteSubject,
    SummarySubject,
)

KINDS = [
    AdvertSubject, AskSubject, BlobSubject, ControlSubject,
    EventSubject, IdentitySubject, RouteSubject, SummarySubject,
]  # fmt: skip
SHAPE = re.compile(r"tm\.v1\.[a-z]+(\.[a-z0-9-]{1,63}){1,3}")
names = st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True)
HOSTILE = [
    "",
    " ",
    ".",
    "*",
    ">",
    "a.b",
    "a.*",
    "a.>",
    "a b",
    "a\n",
    "a\r\nPUB tm.v1.x 0",
    "a\t",
    "a\0",
    "A",
    "a_b",
    "a/../b",
    "$SYS",
    "_INBOX",
    "é",
    "а",  # noqa: RUF001  # a Cyrillic letter on purpose
    "١",  # noqa: RUF001  # an Arabic digit on purpose
    "\udc80",
    "a" * 64,
]


@st.composite
def subjects(draw):
    kind = draw(st.sampled_from(KINDS))
    tokens = [
        draw(st.sampled_from(kind.allowed[f.name]) if f.name in kind.allowed else names)
        for f in fields(kind)
    ]
    return kind(*tokens)


def tokens_of(kind):
    return [kind.allowed.get(field.name, ("ok",))[0] for field in fields(kind)]


@given(subjects())
def test_what_is_built_is_parsed_again(subject):
    assert type(subject).parse(str(subject)) == subject


@given(subjects())
def test_a_subject_belongs_to_one_kind(subject):
    for other in KINDS:
        if other is not type(subject):
            with pytest.raises(DecodeError):
                other.parse(str(subject))


@given(st.sampled_from(KINDS), st.text(max_size=70), st.data())
def test_a_subject_has_the_shape_or_is_not_built(kind, token, data):
    tokens = tokens_of(kind)
    tokens[data.draw(st.integers(0, len(tokens) - 1))] = token
    try:
        built = str(kind(*tokens))
    except BadNameError:
        return
    assert SHAPE.fullmatch(built)
    assert built.count(".") == len(tokens) + 2


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.word)
def test_a_hostile_name_builds_no_subject_and_no_pattern(kind, hostile):
    for place, field in enumerate(fields(kind)):
        tokens = tokens_of(kind)
        tokens[place] = hostile
        with pytest.raises(BadNameError):
            kind(*tokens)
        with pytest.raises(BadNameError):
            kind.pattern(**{field.name: hostile})


@given(st.text(max_size=90))
def test_any_text_parses_or_is_refused(text):
    for kind in KINDS:
        for subject in (text, f"tm.v1.{kind.word}.{text}"):
            with suppress(DecodeError):
                assert str(kind.parse(subject)) == subject


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "tm.v1",
        "tm.v1.ask",
        "tm.v1.ask.site",
        "tm.v1.ask.site.node.more",
        "tm.v1.ask.site.*",
        "tm.v1.ask..node",
        "tm.v2.ask.site.node",
        "tm.v1.tm.v1.ask.site.node",
        "x.tm.v1.ask.site.node",
        "tm.v1.ask.site.node\n",
    ],
)
def test_what_is_not_an_ask_subject_is_refused(subject):
    with pytest.raises(DecodeError):
        AskSubject.parse(subject)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (AdvertSubject("edge", "s", "n"), "tm.v1.ad.edge.s.n"),
        (AskSubject("s", "n"), "tm.v1.ask.s.n"),
        (RouteSubject("s"), "tm.v1.route.s"),
        (SummarySubject("s"), "tm.v1.sum.s"),
        (ControlSubject("s", "n", "drain"), "tm.v1.ctl.s.n.drain"),
        (EventSubject("s", "n", "started"), "tm.v1.evt.s.n.started"),
        (IdentitySubject("enrol"), "tm.v1.id.enrol"),
        (BlobSubject("site-1"), "tm.v1.blob.site-1"),
    ],
    ids=str,
)
def test_the_wire_form_is_as_published(subject, text):
    assert str(subject) == text


@pytest.mark.parametrize(("kind", "tokens"), [
    (AdvertSubject, ("moon", "s", "n")),
    (ControlSubject, ("s", "n", "explode")),
    (IdentitySubject, ("steal",)),
])  # fmt: skip
def test_a_closed_set_admits_no_other_token(kind, tokens):
    with pytest.raises(BadNameError, match="not a"):
        kind(*tokens)


def test_a_pattern_has_a_star_for_each_token_not_given():
    assert AdvertSubject.pattern(site="s") == "tm.v1.ad.*.s.*"
    assert SummarySubject.pattern() == "tm.v1.sum.*"


def test_a_misspelt_token_does_not_widen_a_pattern():
    with pytest.raises(TypeError, match="sight"):
        AdvertSubject.pattern(sight="s")


@pytest.mark.parametrize(
    "hostile",
    [name for name in HOSTILE if name not in (".", "A", "a.b", "a_b", "_INBOX", "a" * 64)],
    ids=ascii,
)
def test_a_hostile_variant_is_refused(hostile):
    with pytest.raises(BadNameError):
        check_variant(hostile)
    with pytest.raises(BadNameError):
        check_variant("v" * 129)


@given(st.text(max_size=200))
def test_a_refused_name_is_not_repeated_at_length(text):
    for check in (lambda name: check_name(name, "task"), check_variant):
        with suppress(BadNameError):
            assert check(text) == text
            continue
        with pytest.raises(BadNameError) as caught:
            check(text)
        assert len(caught.value.error) < 1000
        assert caught.value.error.isprintable()
        assert caught.value.hint


ACCOUNT = "A" + "B2" * 27 + "C"


def test_a_native_subject_names_an_account_and_nothing_else():
    subject = f"tm.v1.native.{ACCOUNT}"
    assert str(NativeSubject(ACCOUNT)) == subject
    assert NativeSubject.parse(subject) == NativeSubject(ACCOUNT)
    assert NativeSubject.pattern() == "tm.v1.native.*"
    for hostile in ("acme", "*", ACCOUNT.lower(), f"U{ACCOUNT[1:]}", f"{ACCOUNT}A", f"{ACCOUNT}\n"):
        with pytest.raises(DecodeError):
            NativeSubject.parse(f"tm.v1.native.{hostile}")
