"""What the kernel says joins two processes. It never asks the measuring code what it opened."""
