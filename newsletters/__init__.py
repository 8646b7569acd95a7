"""What goes out to readers: newsletters, their audience, issues and deliveries."""
