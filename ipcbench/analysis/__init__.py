"""Stores, loads and analyses results. Nothing here measures."""
