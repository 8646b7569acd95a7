"""The certificates that vouch for mail servers, read once: reading them takes longer than sending a hundred mails."""

from __future__ import annotations

import functools
import ssl


def context() -> ssl.SSLContext:
    """Shared by all connections of this process, until the environment names other certificates."""
    return _made_for(ssl.get_default_verify_paths())


@functools.lru_cache(maxsize=4)
def _made_for(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """``paths`` is what SSL_CERT_FILE and SSL_CERT_DIR say."""
    return ssl.create_default_context()
