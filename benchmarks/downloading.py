"""Readers of one file, as many at once as asked for."""

from __future__ import annotations

import hashlib
import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def session_of(name: str) -> str:
    """The cookie of somebody who has signed in."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username=name))
    return f"sessionid={client.cookies['sessionid'].value}"


def take(port: int, path: str, cookie: str, artefact: Any, *, readers: int) -> int:
    """All of them read the whole file; returns how many bytes they got together."""
    with ThreadPoolExecutor(readers) as pool:
        return sum(pool.map(lambda _: _one(port, path, cookie, artefact), range(readers)))


def _one(port: int, path: str, cookie: str, artefact: Any) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    _connect(connection)
    connection.request("GET", path, headers={"Cookie": cookie, "Host": "localhost"})
    response = connection.getresponse()
    assert response.status == 200, f"{response.status}: {response.read()[:300]!r}"
    digest, size = hashlib.sha256(), 0
    while block := response.read(256 * 1024):
        digest.update(block)
        size += len(block)
    assert digest.hexdigest() == artefact.sha256
    connection.close()
    return size


def _connect(connection: http.client.HTTPConnection) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            connection.connect()
            return
        except ConnectionRefusedError:  # it starts
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
