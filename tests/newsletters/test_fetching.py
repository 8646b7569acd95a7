"""Fetching from outside: what is refused before a byte is sent, and what ends an answer that never ends."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import certifi
import pytest
from pytest_django import Settings

from newsletters import fetching, public_addresses
from newsletters.fetching import FetchProblem, fetch, probe
from tests.newsletters.web_server import WebServer, page, redirect

CERTIFICATE = Path(__file__).with_name("news_example_org.pem")
"""For these tests alone, with its key."""


@pytest.fixture
def web(settings: Settings) -> Iterator[WebServer]:
    """A server that we may reach, although it is not public."""
    settings.FETCH_ALLOW = [ipaddress.ip_network("127.0.0.1/32")]
    server = WebServer()
    yield server
    server.stop()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b".")
        handler.wfile.flush()
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(600):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" if _ == 0 else b"X")
        handler.wfile.flush()
        time.sleep(0.05)


def without_length(handler: BaseHTTPRequestHandler) -> None:
    """Megabytes without saying so."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x" * 65_536)


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")


def test_it_fetches_under_our_own_name_without_cookies(web: WebServer) -> None:
    web.pages["/there"] = page(b"hello", Content_Type="text/xml", Set_Cookie="a=b")
    web.pages["/feed"] = page(b"", 302, Location="/there", Set_Cookie="a=b")
    got = fetch(f"{web.url}/feed", 1000, 5)
    assert (got.body, got.content_type, got.url) == (b"hello", "text/xml", f"{web.url}/there")
    assert web.headers[0]["User-Agent"] == fetching.USER_AGENT
    assert web.headers[0]["Host"] == f"127.0.0.1:{web.port}"
    assert not any("Cookie" in sent for sent in web.headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/", "http://localhost/", "http://10.1.2.3/", "http://192.168.0.1/", "http://172.16.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/", "http://0.0.0.0/", "http://[::1]/",
        "http://[::]/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[fec0::1]/", "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:7f00:2]/", "http://[2002:a00:1::]/", "http://[64:ff9b::a00:1]/", "http://224.0.0.1/",
        "http://[ff02::1]/", "http://255.255.255.255/", "http://2130706434/", "http://0177.0.0.2/", "http://127.2/",
        "http://198.18.0.1/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(url: str, settings: Settings) -> None:
    settings.FETCH_ALLOW = []
    with pytest.raises(FetchProblem, match="not a public address"):
        fetch(url, 1000, 2)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert public_addresses.is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "data:text/plain,x", "", "example.org/feed",
     "https://", "http://user:secret@example.org/", "http://example.org:99999/", "http://exa mple.org/",
     "http://example.org/\r\nX: y", "http://" + "a" * 3000],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(FetchProblem):
        fetch(url, 1000, 2)


def test_a_redirect_to_an_inner_address_is_refused(web: WebServer) -> None:
    web.pages["/"] = redirect(f"http://127.0.0.2:{web.port}/secret")
    with pytest.raises(FetchProblem, match="not a public address"):
        fetch(f"{web.url}/", 1000, 5)
    assert web.asked == [("GET", "/")]


def test_a_redirect_to_a_file_is_refused(web: WebServer) -> None:
    web.pages["/"] = redirect("file:///etc/passwd")
    with pytest.raises(FetchProblem, match="begin with https"):
        fetch(f"{web.url}/", 1000, 5)


def test_endless_redirects_end(web: WebServer) -> None:
    web.pages["/"] = redirect("/")
    with pytest.raises(FetchProblem, match="more than 5 times"):
        fetch(f"{web.url}/", 1000, 5)
    assert len(web.asked) == 6


def test_a_name_that_changes_its_mind_is_connected_to_as_it_was_checked(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer is an address that would be refused, and nobody asks for it."""
    real = socket.getaddrinfo
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])
    asked: list[Any] = []

    def answer(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "news.example.org":
            return real(host, *args, **kwargs)
        asked.append(host)
        return real(next(answers), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    web.pages["/"] = page(b"fine")
    assert fetch(f"http://news.example.org:{web.port}/", 1000, 5).body == b"fine"
    assert web.headers[0]["Host"] == f"news.example.org:{web.port}" and len(asked) == 1


def test_one_inner_address_among_public_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(2, 1, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: entries)
    with pytest.raises(FetchProblem, match="not a public address"):
        fetch("http://news.example.org/", 1000, 5)


@pytest.mark.parametrize("answer", [drip, drip_headers])
def test_a_server_that_sends_byte_after_byte_is_cut_off(web: WebServer, answer: Any) -> None:
    web.pages["/"] = answer
    started = time.monotonic()
    with pytest.raises(FetchProblem, match=r"within 0\.5 seconds"):
        fetch(f"{web.url}/", 10_000, 0.5)
    assert time.monotonic() - started < 2


def test_a_server_that_says_nothing_is_left(web: WebServer) -> None:
    web.pages["/"] = lambda handler: time.sleep(3)
    with pytest.raises(FetchProblem, match=r"within 0\.3 seconds"):
        fetch(f"{web.url}/", 10_000, 0.3)


@pytest.mark.parametrize("answer", [page(b"x" * 2_000_000), without_length])
def test_too_much_is_refused(web: WebServer, answer: Any) -> None:
    web.pages["/"] = answer
    with pytest.raises(FetchProblem, match="more than 1 MB"):
        fetch(f"{web.url}/", 1024**2, 5)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(web: WebServer) -> None:
    web.pages["/"] = page(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(FetchProblem, match="more than 1 MB"):
        fetch(f"{web.url}/", 1024**2, 5)


def test_a_compressed_answer_is_unpacked(web: WebServer) -> None:
    web.pages["/"] = page(gzip.compress(b"hello"), Content_Encoding="gzip")
    assert fetch(f"{web.url}/", 1000, 5).body == b"hello"


def test_an_answer_that_breaks_off_is_no_answer(web: WebServer) -> None:
    web.pages["/"] = cut_short
    with pytest.raises(FetchProblem, match="broke off"):
        fetch(f"{web.url}/", 10_000, 5)


def test_nobody_there_and_no_success_are_said(web: WebServer) -> None:
    with pytest.raises(FetchProblem, match="answered 404"):
        fetch(f"{web.url}/gone", 1000, 5)
    port = web.port
    web.stop()
    with pytest.raises(FetchProblem, match="cannot be reached"):
        fetch(f"http://127.0.0.1:{port}/", 1000, 5)


@pytest.fixture
def secure(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server with a certificate for news.example.org, a name that leads to it."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **more: real("127.0.0.1", *args, **more))
    server = WebServer(certificate=CERTIFICATE)
    server.pages["/"] = page(b"secret")
    yield server
    server.stop()


def test_a_certificate_is_checked_for_the_name_although_an_address_is_connected_to(
    secure: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(CERTIFICATE))
    assert fetch(f"https://news.example.org:{secure.port}/", 1000, 5).body == b"secret"
    with pytest.raises(FetchProblem, match="does not prove who it is"):
        fetch(f"https://other.example.org:{secure.port}/", 1000, 5)


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: WebServer) -> None:
    with pytest.raises(FetchProblem, match="does not prove who it is"):
        fetch(f"https://news.example.org:{secure.port}/", 1000, 5)
    assert secure.asked == []


def test_probe_asks_for_the_head_and_again_where_that_is_refused(web: WebServer) -> None:
    def no_head(handler: BaseHTTPRequestHandler) -> None:
        page(b"x", 405 if handler.command == "HEAD" else 200)(handler)

    web.pages |= {"/": page(b"x"), "/no-head": no_head}
    assert probe(f"{web.url}/").answers
    assert probe(f"{web.url}/no-head").answers
    assert probe(f"{web.url}/gone").why == "The server answered 404 (not found)."
    assert [method for method, _ in web.asked] == ["HEAD", "HEAD", "GET", "HEAD", "GET"]


def test_probe_reads_no_body(web: WebServer) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        page(b"", 405)(handler) if handler.command == "HEAD" else drip(handler)

    web.pages["/"] = endless
    started = time.monotonic()
    assert probe(f"{web.url}/", 5).answers
    assert time.monotonic() - started < 2


def test_probe_says_why_not(settings: Settings) -> None:
    settings.FETCH_ALLOW = []
    found = probe("http://127.0.0.1/")
    assert not found.answers and found.status is None and "not a public address" in found.why
