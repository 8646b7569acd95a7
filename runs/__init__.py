"""What happened: the ledger, its only writer, and the page that explains each run."""
