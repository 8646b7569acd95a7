"""Template tags of the schedules' pages."""
