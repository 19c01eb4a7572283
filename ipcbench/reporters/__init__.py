"""Frames in, tables and documents out. Nothing here measures or prints."""
