"""The addresses of an installation whose mail provider is Postmark."""

from __future__ import annotations

from newsletters import provider_events
from scheduler_site import urls

urlpatterns = [*provider_events.addresses_of("postmark"), *urls.urlpatterns]
