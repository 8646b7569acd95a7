"""The grammar of merge tags and how values are escaped."""

from __future__ import annotations

import pytest

from newsletters import mergetags
from newsletters.mergetags import MergeTagError, Place, Template


def test_it_puts_values_in() -> None:
    assert Template("Dear {{ name }}, {{email}}", Place.TEXT).render({"name": "Zoë", "email": "z@example.org"}) == (
        "Dear Zoë, z@example.org"
    )


@pytest.mark.parametrize("value", ["", "   ", "\r\n"])
def test_it_uses_the_fallback_for_an_empty_value(value: str) -> None:
    assert Template("Dear {{ name|there }}", Place.TEXT).render({"name": value}) == "Dear there"


def test_a_missing_value_without_fallback_is_nothing() -> None:
    assert Template("[{{ name }}]", Place.TEXT).render({}) == "[]"


def test_a_value_is_never_read_as_a_tag() -> None:
    assert Template("{{ name }}", Place.TEXT).render({"name": "{{ email }}", "email": "x"}) == "{{ email }}"


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (Place.HTML, '</p><script>"', "&lt;/p&gt;&lt;script&gt;&quot;"),
        (Place.TEXT, '</p><script>"', '</p><script>"'),
        (Place.LINE, "a\r\nBcc: x@example.org", "a Bcc: x@example.org"),
        (Place.LINE, "a\0b\u2028c\x85d", "a b c d"),
        (Place.URL, "a&b=c d/é", "a%26b%3Dc%20d%2F%C3%A9"),
    ],
)
def test_it_escapes_for_the_place(place: Place, value: str, expected: str) -> None:
    assert mergetags.escape(value, place) == expected


def test_in_a_link_a_value_is_encoded_and_our_own_address_is_not() -> None:
    source = '<a href="https://example.org/?q={{ city }}">{{ city }}</a><a href="{{ unsubscribe_url }}">x</a>'
    shown = Template(source, Place.HTML).render({"city": "A&B c", "unsubscribe_url": "https://x/u?a=1&b=2"})
    assert shown == '<a href="https://example.org/?q=A%26B%20c">A&amp;B c</a><a href="https://x/u?a=1&amp;b=2">x</a>'


def test_a_link_cannot_be_made_to_run_script() -> None:
    shown = Template('<a href="{{ site }}">x</a>', Place.HTML).render({"site": 'javascript:alert(1)" onclick="x'})
    assert shown == '<a href="javascript%3Aalert%281%29%22%20onclick%3D%22x">x</a>'


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("Hi {{ name", "not complete near “{{ name”"),
        ("Hi name }}", "not complete near “}}”"),
        ("{{ {{ name }} }}", "not complete"),
        ("{{}}", "is not a merge tag"),
        ("{{ na me }}", "{{ na me }}"),
        ("{{ name.upper }}", "name.upper"),
        ("{{ __class__ }}", "__class__"),
        ("{{ 7*7 }}", "7*7"),
        ("{{ nmae }}", "There is no merge tag {{ nmae }}. You can use {{ name }}"),
    ],
)
def test_it_refuses_and_names_what_is_wrong(source: str, words: str) -> None:
    with pytest.raises(MergeTagError) as refusal:
        mergetags.check(source)
    assert words in str(refusal.value)


def test_it_knows_the_readers_attributes() -> None:
    mergetags.check("{{ city|your town }} {{ name }}", ["city"])
