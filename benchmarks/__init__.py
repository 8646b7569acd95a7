"""Scripts that measure; each prints JSON lines."""
