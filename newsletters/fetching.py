"""The one way to fetch from outside: public addresses only, within limits of size, time and redirects."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import certifi
import idna
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from newsletters import public_addresses
from newsletters.public_addresses import Address

USER_AGENT = "Almanac (feeds and links of newsletters)"
MAX_REDIRECTS = 5
MAX_URL = 2000
_CHUNK = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)


class FetchProblem(Exception):
    """Nothing usable came back; the message says why, in words."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """What the server answered, where it did."""


@dataclass(frozen=True)
class Fetched:
    """What an address holds."""

    url: str
    """After redirects."""
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Probe:
    """Whether an address answers."""

    answers: bool
    status: int | None
    why: str
    """Why not, in words; empty when it does."""


def fetch(url: str, max_bytes: int, seconds: float) -> Fetched:
    """The content of an http or https address.

    The host's addresses are looked up once for each hop, checked, and connected to as they were checked; no cookies
    and no proxies. ``seconds`` is the time for everything together, name server and redirects included.

    Raises:
        FetchProblem: not a public web address, no answer, an answer that is no success, too large or too slow.
    """
    with _answer("GET", url, seconds) as (final, response, deadline):
        _require_success(response.status)
        body = _body(response, max_bytes, deadline)
        return Fetched(final, response.status, response.headers.get("Content-Type", ""), body)


def probe(url: str, seconds: float = 10) -> Probe:
    """Asks whether an address answers, without reading what it holds. Never raises."""
    deadline = time.monotonic() + seconds
    found = _probe("HEAD", url, seconds)
    # Some servers refuse HEAD, or answer it wrongly, although the page is there.
    if not found.answers and found.status is not None:
        found = _probe("GET", url, max(1.0, deadline - time.monotonic()))
    return found


def _probe(method: str, url: str, seconds: float) -> Probe:
    try:
        with _answer(method, url, seconds) as (_, response, _):
            _require_success(response.status)
            return Probe(True, response.status, "")
    except FetchProblem as problem:
        return Probe(False, problem.status, str(problem))


@contextmanager
def _answer(method: str, url: str, seconds: float) -> Iterator[tuple[str, urllib3.BaseHTTPResponse, _Deadline]]:
    """The answer at the end of the redirects, its body not read yet."""
    with _Deadline(seconds) as deadline:
        for _ in range(MAX_REDIRECTS + 1):
            with _one_answer(method, url, deadline) as response:
                target = response.headers.get("Location")
                if response.status not in _REDIRECTS or not target:
                    yield url, response, deadline
                    return
                url = urljoin(url, target)
        raise FetchProblem(f"The address leads on to another one more than {MAX_REDIRECTS} times.")


@contextmanager
def _one_answer(method: str, url: str, deadline: _Deadline) -> Iterator[urllib3.BaseHTTPResponse]:
    parts = _parts(url)
    host = _host(parts)
    address = _checked_address(host, parts, deadline)
    with _in_words(host, deadline), _pool(parts, host, address, deadline) as pool:
        response = pool.urlopen(
            method,
            quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{_query(parts.query)}" if parts.query else ""),
            headers={
                "Host": _host_header(parts, host),
                "User-Agent": USER_AGENT,
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            },
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            yield response
        finally:
            response.close()


def _pool(parts: SplitResult, host: str, address: Address, deadline: _Deadline) -> urllib3.HTTPConnectionPool:
    """A pool for one connection to exactly this address; the name is for TLS and the Host header alone."""
    timeout = urllib3.Timeout(connect=deadline.left(), read=deadline.left())
    port = _port(parts)
    kind: type[urllib3.HTTPConnectionPool] = urllib3.HTTPConnectionPool
    more: dict[str, Any] = {}
    if parts.scheme == "https":
        kind = urllib3.HTTPSConnectionPool
        more = {
            "server_hostname": host,
            "assert_hostname": host,
            "cert_reqs": "CERT_REQUIRED",
            "ca_certs": certifi.where(),
        }
    pool = kind(str(address), port, timeout=timeout, maxsize=1, **more)
    pool.ConnectionCls = _leashed(pool.ConnectionCls, deadline)
    return pool


def _leashed(kind: Any, deadline: _Deadline) -> Any:
    """The connection class, whose sockets end with the deadline even while a server sends byte after byte."""
    base: type[HTTPConnection | HTTPSConnection] = kind

    class Leashed(base):  # type: ignore[misc,valid-type]
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            deadline.hold(made)
            return made

    return Leashed


class _Deadline:
    """Ends everything at one moment: a timeout of sockets alone begins anew with every byte."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        self._seconds = seconds
        self._held: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for held in self._held:
                held.close()
            self._held.clear()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._at

    def left(self) -> float:
        """The seconds that are left. Raises FetchProblem when there are none."""
        if self.is_over:
            raise self.problem()
        return max(0.01, self._at - time.monotonic())

    def problem(self) -> FetchProblem:
        return FetchProblem(f"No complete answer within {self._seconds:g} seconds.")

    def hold(self, made: socket.socket) -> None:
        """Cuts this connection when the time is over. A duplicate, because TLS takes the socket itself over."""
        with self._lock:
            self._held.append(made.dup())

    def _cut(self) -> None:
        with self._lock:
            for held in self._held:
                try:
                    held.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was faster


def _parts(url: str) -> SplitResult:
    refusal = FetchProblem(f"“{url[:100]}” is not a web address. Write one such as https://example.org/news.")
    if len(url) > MAX_URL or any(ord(sign) < 33 or ord(sign) == 127 for sign in url):
        raise refusal
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError on a port that is no number
    except ValueError as error:
        raise refusal from error
    if parts.scheme not in ("http", "https"):
        raise FetchProblem("Only addresses that begin with https:// or http:// can be fetched.")
    if not parts.hostname:
        raise refusal
    if parts.username is not None or parts.password is not None:
        raise FetchProblem("An address with a name and a password in it cannot be fetched.")
    return parts


def _host(parts: SplitResult) -> str:
    host = str(parts.hostname).rstrip(".")
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise FetchProblem(f"“{host}” cannot be the name of a server.") from error


def _host_header(parts: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port}" if parts.port else shown


def _query(query: str) -> str:
    return quote(query, safe="/?%:@!$&'()*+,;=~-._[]")


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _checked_address(host: str, parts: SplitResult, deadline: _Deadline) -> Address:
    """The address to connect to, looked up once. One address that is not public refuses them all."""
    try:
        found = public_addresses.look_up(host, _port(parts), deadline.left())
    except public_addresses.UnknownHost as error:
        raise FetchProblem(f"There is no server of the name {host}.") from error
    except TimeoutError as error:
        raise deadline.problem() from error
    for address in found:
        if not public_addresses.is_allowed(address):
            raise FetchProblem(f"{host} is not a public address, so it is not fetched.")
    return found[0]


def _require_success(status: int) -> None:
    if not 200 <= status < 300:
        try:
            words = f" ({HTTPStatus(status).phrase.lower()})"
        except ValueError:
            words = ""
        raise FetchProblem(f"The server answered {status}{words}.", status)


def _body(response: urllib3.BaseHTTPResponse, max_bytes: int, deadline: _Deadline) -> bytes:
    too_large = FetchProblem(f"It holds more than {_size(max_bytes)}; that is too much.")
    declared = response.headers.get("Content-Length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise too_large
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(_CHUNK):
        size += len(piece)
        if size > max_bytes:
            raise too_large
        pieces.append(piece)
    if deadline.is_over:  # a cut connection looks like an end
        raise deadline.problem()
    body = b"".join(pieces)
    # Asked for or not, some servers compress; a few bytes may then stand for gigabytes.
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        body = zlib.decompressobj(47).decompress(body, max_bytes + 1)
        if len(body) > max_bytes:
            raise too_large
    elif encoding not in ("", "identity"):
        raise FetchProblem(f"The server compresses in a way that we cannot read ({encoding[:20]}).")
    return body


@contextmanager
def _in_words(host: str, deadline: _Deadline) -> Iterator[None]:
    """Says in words what the network layers raise."""
    try:
        yield
    except FetchProblem:
        if deadline.is_over:
            raise deadline.problem() from None
        raise
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError, zlib.error) as error:
        if deadline.is_over:
            raise deadline.problem() from error
        if isinstance(error, urllib3.exceptions.NewConnectionError):  # which urllib3 takes for a timeout, too
            raise FetchProblem(f"{host} cannot be reached.") from error
        if isinstance(error, urllib3.exceptions.TimeoutError):
            raise deadline.problem() from error
        if isinstance(error, urllib3.exceptions.SSLError):
            raise FetchProblem(f"{host} does not prove who it is: its certificate is not valid.") from error
        raise FetchProblem(f"{host} broke off, or gave an answer that cannot be read.") from error


def _size(number: int) -> str:
    return f"{number // 1024**2} MB" if number >= 1024**2 else f"{number // 1024} KB"
