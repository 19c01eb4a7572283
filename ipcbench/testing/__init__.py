"""The contract of a transport as a test: `check_transport`, for other packages' pytest, too.

It needs no test runner. Each rule is tried in processes of its own, within a limit, so that a
transport which hangs, crashes or leaves things behind breaks a rule and nothing else.
"""

from ipcbench.testing.check import BrokenRule, check_transport

__all__ = ["BrokenRule", "check_transport"]
