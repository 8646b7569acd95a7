"""What the sign-in page says to somebody who mistyped."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["anna", "nobody-of-that-name"])
def test_a_wrong_password_is_said_in_plain_words_the_same_for_every_name(client: Client, name: str) -> None:
    User.objects.create_user("anna", password="right", is_staff=True)
    html = client.post("/admin/login/", {"username": name, "password": "wrong"}).content.decode()
    assert "This name and this password do not go together." in html
    assert "staff account" not in html and f'value="{name}"' in html
