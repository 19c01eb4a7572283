"""The ways to move a message between processes: the contract, the mechanisms, their registry."""
