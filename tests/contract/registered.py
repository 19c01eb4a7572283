"""A pytest plugin that registers the newcomer before the contract tests are collected."""

from ipcbench.transports.registry import TRANSPORTS

TRANSPORTS["seqpair"] = ("tests.contract.newcomer", "Seqpair")
