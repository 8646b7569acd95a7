"""Links and marks that were made before still open: what is derived once is what was derived each time."""

from __future__ import annotations

import hashlib
import hmac

from django.core import signing
from pytest_django import Settings

from newsletters import addresses, tokens, verp

KEY = "a key of this test"


def test_a_token_is_what_djangos_signer_makes(settings: Settings) -> None:
    settings.SECRET_KEY = KEY
    token = tokens.unsubscribe_token(tokens.Unsubscribe(7, 8, 9, (1, 2)))
    assert token == signing.Signer(key=KEY, salt="newsletters.unsubscribe", sep=".").sign("7.8.9.1-2")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [KEY]
    assert tokens.read_unsubscribe(token) == tokens.Unsubscribe(7, 8, 9, (1, 2))
    assert tokens.unsubscribe_token(tokens.Unsubscribe(7, 8, 9, (1, 2))) != token


def test_an_address_is_known_again_by_its_hash(settings: Settings) -> None:
    settings.SECRET_KEY = KEY
    derived = hashlib.sha256(b"newsletters.suppression:" + KEY.encode()).digest()
    wanted = hmac.new(derived, b"anna@example.org", hashlib.sha256).hexdigest()
    assert addresses.address_hash("anna@example.org") == wanted
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [KEY]
    assert wanted in addresses.address_hashes("anna@example.org")


def test_a_bounce_address_opens_under_a_former_key_only(settings: Settings) -> None:
    settings.BOUNCE_DOMAIN, settings.SECRET_KEY = "bounces.example.org", KEY
    address = verp.address(4711)
    settings.SECRET_KEY = "another"
    assert list(verp.deliveries_in(address)) == []
    settings.SECRET_KEY_FALLBACKS = [KEY]
    assert list(verp.deliveries_in(address)) == [4711]
