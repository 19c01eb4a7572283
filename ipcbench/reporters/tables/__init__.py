"""The tables that a person reads, as documents."""
