"""How long the server takes for some pages: ``python -m benchmarks.page_times SETTINGS REQUESTS PATH…`` prints JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from statistics import median


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"], count = sys.argv[1], int(sys.argv[2])
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import setup_test_environment

    user = User.objects.filter(username="boss").first() or User.objects.create_superuser("boss")
    setup_test_environment(debug=False)
    client = Client()
    client.force_login(user)
    print(json.dumps({path: _median_ms(client, path, count) for path in sys.argv[3:]}))


def _median_ms(client: object, path: str, count: int) -> float:
    took = []
    for number in range(count + 5):
        started = time.perf_counter()
        answer = client.get(path)  # type: ignore[attr-defined]
        took.append((time.perf_counter() - started) * 1000)
        is_whole_list = "?" not in path and "/change/" not in path
        assert answer.status_code == 200, (path, answer.status_code)
        assert answer.content.count(b"<tr") > 50 or not is_whole_list, path
        if number == 4:
            took.clear()  # templates and connections are warm from here on
    return median(took)


if __name__ == "__main__":
    main()
