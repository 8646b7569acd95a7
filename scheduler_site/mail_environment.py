"""Reads and checks what the environment says about bounces and signatures."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from scheduler_site.environment import ConfigurationError, Environment

MAILBOX_SCHEMES = ("imap", "imaps", "pop3", "pop3s")
PROVIDERS = {
    "brevo": "", "mailersend": "MAILERSEND_SIGNING_SECRET", "mailgun": "MAILGUN_WEBHOOK_SIGNING_KEY", "mailjet": "",
    "postmark": "", "sendgrid": "", "sparkpost": "",
}  # fmt: skip
"""Providers whose webhooks are understood, and the setting of django-anymail for their signing key, where they sign."""
_DOMAIN = re.compile(r"(?=.{4,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_SELECTOR = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


SENDING_MODES = ("strict", "fast")
_DOMAIN_LIMIT = re.compile(r"([a-z0-9.-]+)=([1-9][0-9]{0,7})/(second|minute|hour|day)")


def sending_mode(env: Environment) -> str:
    """How many mails may be in doubt when a process that sends is killed."""
    mode = env.text("SENDING_MODE", "strict").lower()
    if mode not in SENDING_MODES:
        raise ConfigurationError(f"SENDING_MODE is {mode!r}; write strict or fast.")
    return mode


def domain_limits(env: Environment) -> dict[str, tuple[int, str]]:
    """How many mails single mail providers get from us, as (number, period)."""
    limits = {}
    for part in env.listed("SENDING_DOMAIN_LIMITS", ""):
        match = _DOMAIN_LIMIT.fullmatch(part.lower())
        if match is None:
            raise ConfigurationError(
                f"SENDING_DOMAIN_LIMITS has {part!r}; write limits such as gmail.com=20/second,example.org=500/hour."
            )
        limits[match[1]] = (int(match[2]), match[3])
    return limits


def bounce_domain(env: Environment) -> str:
    """The domain that bounces come back to; empty where they go to the newsletter's own address."""
    domain = env.text("BOUNCE_DOMAIN").lower().rstrip(".")
    if domain and not _DOMAIN.fullmatch(domain):
        raise ConfigurationError(f"BOUNCE_DOMAIN is {domain!r}; write a domain such as bounces.example.org.")
    return domain


def bounce_mailbox_url(env: Environment) -> str:
    """Where the mailbox of bounces is read; the message never repeats it, because it holds a password."""
    url = env.text("BOUNCE_MAILBOX_URL")
    if not url:
        return ""
    example = "write imaps://user:password@mail.example.org/INBOX or pop3s://user:password@mail.example.org"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError on a port that is no number
    except ValueError as error:
        raise ConfigurationError(f"BOUNCE_MAILBOX_URL does not parse; {example}.") from error
    if parts.scheme not in MAILBOX_SCHEMES or not parts.hostname or not parts.username:
        raise ConfigurationError(f"BOUNCE_MAILBOX_URL is no mailbox's address with a user; {example}.")
    return url


def dkim(env: Environment) -> tuple[str, str, str]:
    """The private key (PEM), its selector and its domain; three empty texts where mail is not signed here."""
    key, selector, domain = env.text("DKIM_KEY"), env.text("DKIM_SELECTOR"), env.text("DKIM_DOMAIN").lower()
    if not (key or selector or domain):
        return "", "", ""
    if not (key and selector and domain):
        raise ConfigurationError("Signing needs all of DKIM_KEY_FILE, DKIM_SELECTOR and DKIM_DOMAIN, or none of them.")
    if not _SELECTOR.fullmatch(selector):
        raise ConfigurationError(f"DKIM_SELECTOR is {selector!r}; write a short name such as mail2026.")
    if not _DOMAIN.fullmatch(domain):
        raise ConfigurationError(f"DKIM_DOMAIN is {domain!r}; write the domain that signs, such as example.org.")
    from dkim.crypto import UnparsableKeyError, parse_pem_private_key  # slow, and most installations do not sign

    try:
        bits = int(parse_pem_private_key(key.encode())["modulus"]).bit_length()
    except (UnparsableKeyError, ValueError, TypeError, KeyError, IndexError) as error:
        raise ConfigurationError(
            "DKIM_KEY_FILE holds no RSA private key in PEM form; make one with: openssl genrsa -out dkim.pem 2048."
        ) from error
    if bits < 1024:
        raise ConfigurationError(f"The key in DKIM_KEY_FILE has {bits} bits; mail servers ask for 1024, better 2048.")
    return key, selector, domain


def provider(env: Environment) -> tuple[str, dict[str, str]]:
    """The provider whose webhook is listened to and what django-anymail has to know; empty where there is none."""
    name, secret, key = (
        env.text(setting) for setting in ("MAIL_PROVIDER", "MAIL_WEBHOOK_SECRET", "MAIL_WEBHOOK_SIGNING_KEY")
    )
    name = name.lower()
    if not (name or secret or key):
        return "", {}
    if name not in PROVIDERS:
        raise ConfigurationError(f"MAIL_PROVIDER is {name!r}; write one of {', '.join(PROVIDERS)}.")
    user, _, password = secret.partition(":")
    if not user or len(password) < 16:
        raise ConfigurationError(
            "MAIL_WEBHOOK_SECRET must be a name, a colon and a password of at least 16 characters; give the provider the "
            "address https://name:password@your.address/webhooks/mail/."
        )
    if PROVIDERS[name] and not key:
        raise ConfigurationError(
            f"{name} signs what it posts: set MAIL_WEBHOOK_SIGNING_KEY to the key that it shows you."
        )
    signing = {PROVIDERS[name]: key} if PROVIDERS[name] else {}
    return name, {"WEBHOOK_SECRET": secret, **signing}
