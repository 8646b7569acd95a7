"""SQL that staff write and a second person approves: its parameters, who may approve it, and where it is run."""
