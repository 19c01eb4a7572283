"""The tables and lines that a person reads, as parts of the model."""
