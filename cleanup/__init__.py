"""What is removed: policies over registered targets, previews and bounded batches."""
