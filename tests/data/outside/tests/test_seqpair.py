from seqpair import Seqpair

from ipcbench.testing import check_transport


def test_it_keeps_the_contract() -> None:
    check_transport(Seqpair)
