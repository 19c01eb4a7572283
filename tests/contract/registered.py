"""A pytest plugin that registers the newcomer before the contract tests are collected."""

from ipcbench import transports
from tests.contract.newcomer import Seqpair

transports.TRANSPORTS = (*transports.TRANSPORTS, Seqpair())
