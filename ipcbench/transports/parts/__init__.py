"""Parts that mechanisms are built from."""
