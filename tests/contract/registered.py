"""A pytest plugin that lists the package of tests/data/outside before the tests are collected."""

from ipcbench.transports.registry import TRANSPORTS

TRANSPORTS["seqpair"] = ("seqpair", "Seqpair")
