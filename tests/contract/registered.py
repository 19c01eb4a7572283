"""A pytest plugin that registers the newcomer before the contract tests are collected."""

from ipcbench.transports.registry import TRANSPORTS
from tests.contract.newcomer import Seqpair

TRANSPORTS = (*TRANSPORTS, Seqpair())
