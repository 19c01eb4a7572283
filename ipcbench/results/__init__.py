"""Result files: read, checked, written, found."""
