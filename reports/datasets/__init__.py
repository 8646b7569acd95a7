"""What reports can list: one file per data set, and the registry of them."""
