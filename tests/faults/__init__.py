"""The fault harness: real beats and workers are killed, stopped, cut off and starved, and then the ledger is counted.

``python -m tests.faults [--full] [--only T1,T5] [--markdown]``
"""
