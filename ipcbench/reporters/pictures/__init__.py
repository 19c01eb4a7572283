"""Pictures of results: which there are, their charts, scales and colours."""
