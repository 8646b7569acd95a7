"""Looks a server's addresses up, and says which of them are public: the only ones that are fetched from."""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Any

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class UnknownHost(Exception):
    """No server has this name."""


def look_up(host: str, port: int, seconds: float) -> list[Address]:
    """The addresses of a server, IPv4 first: more machines can reach it.

    Raises:
        UnknownHost: there is none.
        TimeoutError: the name server did not answer in time.
    """
    answer: list[Any] = []
    # In a thread of its own: a name server that hangs is beyond every timeout of ours.
    thread = threading.Thread(target=_ask_name_server, args=(host, port, answer), daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError
    if isinstance(answer[0], Exception):
        raise UnknownHost from answer[0]
    return sorted(
        {ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in answer[0]},
        key=lambda address: (address.version, int(address)),
    )


def _ask_name_server(host: str, port: int, answer: list[Any]) -> None:
    try:
        answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        answer.append(error)


def is_allowed(address: Address) -> bool:
    """Whether we may connect: public, or named in the setting FETCH_ALLOW."""
    inner = _inner(address)
    if any(inner in network for network in settings.FETCH_ALLOW if network.version == inner.version):
        return True
    is_local = isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified or is_local)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
