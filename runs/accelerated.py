"""Leaves the sending of a file to the web server in front, where the environment says that there is one.

``FILES_ACCEL=nginx:/protected/`` names an ``internal`` location of nginx that stands for the folder of files;
``FILES_ACCEL=sendfile`` is for servers that take a path on the disk (Apache with mod_xsendfile, lighttpd).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.http import HttpResponse


def answer(path: Path, content_type: str) -> HttpResponse | None:
    """An answer without a body that names the file to the web server; None where Almanac sends it itself.

    The server sees the same Range and If-Range headers, and works out itself which part to send.
    """
    if not settings.FILES_ACCEL:
        return None
    response = HttpResponse(content_type=content_type)
    server, _, location = settings.FILES_ACCEL.partition(":")
    if server == "nginx":
        inside = path.relative_to(settings.FILES_DIR).as_posix()
        response.headers["X-Accel-Redirect"] = f"{location.rstrip('/')}/{quote(inside)}"
    else:
        response.headers["X-Sendfile"] = str(path)
    return response
