"""The page: results in, one HTML document out."""
