"""One file per format that a report can be written in."""
