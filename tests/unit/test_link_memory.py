"""Memory of a link in the kernel, and of a server: recorded tables, and sums over their rows."""

import socket
import struct

import pytest

from ipcbench.evidence import tables
from ipcbench.evidence.memory import LinkMemory, added_up, of_inet, of_mapping, of_pipe, of_unix
from ipcbench.evidence.sockdiag import Buffers, buffers_in, inet_request, unix_request
from ipcbench.measure.memory import ProcessMemory, of_link, of_server, rolled_up

PROTOCOLS = """\
protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re
TCPv6     2432      0     353   no     192   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y
UNIX-STREAM 1152     15      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n
UNIX      1152      0      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n
TCP       2304      1     353   no     192   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y
"""
SLABS = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>
sock_inode_cache     224    285    832   19    4 : tunables    0    0    0 : slabdata     15     15
inode_cache          429    429    624   13    2 : tunables    0    0    0 : slabdata     33     33
filp                2013   2436    192   21    1 : tunables    0    0    0 : slabdata    116    116
dentry             52483  53550    200   21    1 : tunables    0    0    0 : slabdata   2550   2550
"""
ROLLUP = """\
55df4de2d000-7ffc996b0000 ---p 00000000 00:00 0                          [rollup]
Rss:                1752 kB
Pss:                 245 kB
Pss_Dirty:           116 kB
Shared_Clean:       1596 kB
Shared_Dirty:          0 kB
Private_Clean:        40 kB
Private_Dirty:       116 kB
Locked:                0 kB
"""
# Recorded from Linux 6.18: one end of a socket pair that has sent 100 bytes, which nobody has read,
UNIX_ANSWER = struct.pack("=IHHII", 80, 20, 0, 0, 3500) + bytes.fromhex(
    "01010100a47706006302000000000000"
    "280005000000000000400300000300000040030000000000000000000000000000000000"
    "000000000500060000000000"
)
# and one end of a TCP connection with 1000 bytes to read.
INET_ANSWER = struct.pack("=IHHII", 164, 20, 0, 0, 3315) + bytes.fromhex(
    "020100009d7fd6d27f0000010000000000000000000000007f000001000000000000000000000000"
    "00000000640200000000000000000000e80300000000000000000000ac770600"
    "050008000000000008000f00000000000c00150001000000000000000600160052000000"
    "28000700280700000000020000000000001e3c00d808000000000000000000000000000000000000"
)
IDLE = Buffers(0, 131_072, 0, 87_040, 0, 0, 0, 0)


def test_the_memory_of_a_unix_socket_is_read_from_the_kernels_answer() -> None:
    found = buffers_in(UNIX_ANSWER, 16, 5)
    assert found == Buffers(0, 212_992, 768, 212_992, 0, 0, 0, 0)
    assert (found.waiting, found.charged) == (768, 768)
    assert len(unix_request(5, 32)) == 40


def test_the_memory_of_a_tcp_socket_is_read_from_the_kernels_answer() -> None:
    found = buffers_in(INET_ANSWER, 72, 7)
    assert found == Buffers(1832, 131_072, 0, 3_939_840, 2264, 0, 0, 0)
    assert (found.waiting, found.charged) == (1832, 4096)


def test_an_answer_without_memory_tells_none() -> None:
    assert buffers_in(UNIX_ANSWER, 16, 7) is None


def test_a_refused_question_about_memory_is_an_error() -> None:
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 1, 7002, -2) + bytes(16)
    with pytest.raises(FileNotFoundError):
        buffers_in(refusal, 72, 7)


def test_a_tcp_socket_is_asked_for_by_its_addresses() -> None:
    # Recorded beside the answer above.
    asked = inet_request(
        socket.AF_INET, socket.IPPROTO_TCP, ("127.0.0.1", 40_319), ("127.0.0.1", 54_994)
    )
    assert asked == bytes.fromhex(
        "4800000014000100000000000000000002064000ffffffff9d7fd6d27f000001000000000000000000000000"
        "7f00000100000000000000000000000000000000ffffffffffffffff"
    )


def test_of_what_is_queued_and_on_its_way_the_larger_counts() -> None:
    assert Buffers(1, 0, 20, 0, 300, 50, 4000, 5).waiting == 56
    assert Buffers(1, 0, 20, 0, 300, 10, 4000, 5).charged == 4326


def test_sizes_are_read_from_the_kernels_tables() -> None:
    assert tables.protocol_sizes(PROTOCOLS)["UNIX-STREAM"] == 1152
    assert tables.protocol_sizes(PROTOCOLS)["TCP"] == 2304
    assert tables.slab_sizes(SLABS)["dentry"] == 200
    assert rolled_up(ROLLUP) == ProcessMemory(245 * 1024, 156 * 1024)


def test_a_shared_mapping_has_its_size() -> None:
    line = "7f00a000-7f00c000 rw-s 00000000 00:01 5    /SYSV00000000 (deleted)"
    (mapping,) = tables.shared_mappings(line)
    assert mapping.size_bytes == 8192


def test_both_ends_of_a_unix_socket_are_charged_for_what_they_send() -> None:
    found = added_up([of_unix(1152, IDLE)] * 2, tables.slab_sizes(SLABS))
    assert found[:3] == (2 * 1152, 2 * (1152 + 87_040), 2 * (832 + 200 + 192))
    assert found.read == (
        "sockets: SK_MEMINFO of sock_diag, structures by /proc/net/protocols;"
        " around them: sizes of /proc/slabinfo"
    )


def test_both_ends_of_tcp_are_charged_for_both_directions() -> None:
    busy = IDLE._replace(reserved=4096)
    found = added_up([of_inet(2304, IDLE), of_inet(2304, busy)], tables.slab_sizes(SLABS))
    assert found[:2] == (2 * 2304 + 4096, 2 * (2304 + 131_072 + 87_040))


def test_pipes_take_nothing_while_they_are_empty() -> None:
    found = added_up([of_pipe(65_536)] * 2, tables.slab_sizes(SLABS))
    assert found[:3] == (0, 131_072, 2 * (624 + 200 + 2 * 192))


def test_shared_memory_is_all_there_and_has_nothing_around_it() -> None:
    assert added_up([of_mapping(8192)], {}) == LinkMemory(
        8192, 8192, None, "shared memory: its size in /proc/PID/maps"
    )


def test_slabs_that_cant_be_read_are_left_out_with_the_reason() -> None:
    needs_root = "left out, since /proc/slabinfo needs root"
    found = added_up([of_pipe(65_536)], {}, needs_root)
    assert (found.limit_bytes, found.slabs_bytes) == (65_536, None)
    assert found.read.endswith(f"; around them: {needs_root}")
    merged = added_up([of_pipe(65_536)], {"filp": 192, "dentry": 200})  # slab_nomerge isn't set
    assert (merged.slabs_bytes, merged.read.rpartition(": ")[2]) == (
        None,
        "/proc/slabinfo lists no inode_cache",
    )


def test_a_link_without_anything_that_has_a_size_says_so() -> None:
    assert added_up([], {})[:3] == (None, None, None)


def test_facts_are_those_of_a_link_that_are_known() -> None:
    assert of_link(LinkMemory(100, 1000, None, "how")) == {
        "link_memory": "how",
        "link_idle_bytes": 100,
        "link_limit_bytes": 1000,
    }
    assert of_link(LinkMemory(None, None, None, "not read: why")) == {
        "link_memory": "not read: why"
    }


def test_a_server_whose_process_is_gone_has_no_memory() -> None:
    assert of_server([2**22 + 1]) == {}
    assert of_server([]) == {}
