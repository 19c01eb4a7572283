"""Evidence from recorded tables: parsers, matching, verdicts. Nothing here asks the kernel."""

import os
import struct

import pytest

from ipcbench.evidence import objects, sockets, tables, witness
from ipcbench.evidence.channels import Channel, Seen
from ipcbench.evidence.holdings import Descriptor, Holdings
from ipcbench.evidence.sockdiag import unix_answer, unix_request
from ipcbench.evidence.sockets import TcpFacts
from ipcbench.evidence.verdict import Claimed, Finding, judged
from ipcbench.transports.base import Claim, Workload

UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 30 /home/me/my dir/ipcbench-1/socket
0000000000000000: 00000003 00000000 00000000 0001 03 31
0000000000000000: 00000003 00000000 00000000 0001 03 32 /home/me/my dir/ipcbench-1/socket
0000000000000000: 00000003 00000000 00000000 0005 03 33 @ipcbench-0a
0000000000000000: 00000003 00000000 00000000 0002 03 34
"""
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:94BD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 40 1 0
   1: 0100007F:ED44 0100007F:94BD 01 00000000:00000000 00:00000000 00000000     0        0 41 1 0
   2: 0100007F:94BD 0100007F:ED44 01 00000040:00000000 01:00000014 00000000     0        0 42 2 0
   3: 0100007F:94BD 0100007F:ED45 06 00000000:00000000 03:00000014 00000000     0        0 0 3 0
"""
MAPS = """\
7f0000000000-7f0000001000 r--s 00000000 fe:00 9 /usr/lib/gconv-modules.cache
7f0000001000-7f0000002000 rw-p 00000000 00:00 0
7f0000002000-7f0000003000 rw-s 00000000 00:01 5 /SYSV00000000 (deleted)
7f0000003000-7f0000004000 rw-s 00000000 00:1b 6 /dev/shm/sem.k3Xp2q (deleted)
7f0000004000-7f0000005000 rw-s 00000000 fe:00 7 /home/me/my dir/mapped (deleted)
"""
SHM = """\
       key      shmid perms       size  cpid  lpid nattch   uid
         0          5  1600        320   100   100      2     0
"""
SEM = """\
       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
        11         61   600          1     0     0     0     0          1          1
        12         62   600          1     0     0     0     0          1          1
        13         63   600          1     0     0     0     0          1          1
"""
MSG = """\
       key      msqid perms      cbytes       qnum lspid lrpid   uid
         1         71   600           0          0   100   200     0
         2         72   600           0          0   200   100     0
         3         73   600           0          0   300   100     0
"""


def _sockets(pid: int, *inodes: int) -> Holdings:
    held = (Descriptor(n, "socket", f"socket:[{i}]", "") for n, i in enumerate(inodes, start=3))
    return Holdings(pid, tuple(held), ())


def _holding(pid: int, *descriptors: Descriptor) -> Holdings:
    return Holdings(pid, descriptors, ())


def _pipe(number: int, inode: int, how: str) -> Descriptor:
    identity = f"pipe:[{inode}]"
    return Descriptor(number, "pipe", identity, identity, how == "r", how == "w")


def _claimed(
    *claims: Claim, workload: Workload = "latency", sent: int = 0, control: bool = False
) -> Claimed:
    return Claimed(claims, control, workload, sent)


def _judged(claimed: Claimed, *found: Channel) -> Finding:
    return judged(claimed, Seen((), found))


def test_a_unix_table_tells_kind_listening_and_name_but_no_folder() -> None:
    rows = list(tables.unix_sockets(UNIX))
    assert [(row.inode, row.kind, row.listens) for row in rows] == [
        *((30, 1, True), (31, 1, False), (32, 1, False), (33, 5, False), (34, 2, False)),
    ]
    assert rows[0].name == "/home/me/my dir/ipcbench-1/socket"
    assert rows[0].line == "00000002 00000000 00010000 0001 01 30 socket"
    assert rows[1].name == ""
    assert rows[3].name == "@ipcbench-0a"


def test_a_name_with_a_line_break_hides_no_other_socket() -> None:
    hostile = "0: 00000002 00000000 00010000 0001 01 29 /x/a\nb c d e f\rg h\n"
    header, _, others = UNIX.partition("\n")
    rows = list(tables.unix_sockets(f"{header}\n{hostile}{others}"))
    assert [row.inode for row in rows] == [29, 30, 31, 32, 33, 34]


def test_a_tcp_table_tells_addresses_and_who_listens() -> None:
    rows = list(tables.inet_sockets(TCP))
    assert rows[0][:4] == (40, "127.0.0.1:38077", "0.0.0.0:0", True)
    assert rows[1][:4] == (41, "127.0.0.1:60740", "127.0.0.1:38077", False)


def test_an_ipv6_address_is_told_in_brackets() -> None:
    assert tables.inet_address("00000000000000000000000001000000:0050") == "[::1]:80"


def test_only_memory_that_is_shared_and_written_counts() -> None:
    found = list(tables.shared_mappings(MAPS))
    assert [row.inode for row in found] == [5, 6, 7]
    assert found[2].path == "/home/me/my dir/mapped (deleted)"
    assert found[2].line == "rw-s 00000000 fe:00 7 mapped (deleted)"


def test_a_descriptors_rights_and_an_eventfds_number_are_in_its_fdinfo() -> None:
    eventfd = "pos:\t0\nflags:\t02000002\nmnt_id:\t17\neventfd-count:    0\neventfd-id: 7\n"
    assert tables.file_info(eventfd) == (True, True, 7)
    assert tables.file_info("pos:\t0\nflags:\t0100000\n") == (True, False, None)
    assert tables.file_info("pos:\t0\nflags:\t0100001\n") == (False, True, None)


def test_a_peer_is_read_from_the_kernels_answer() -> None:
    # Recorded from Linux 6.18 for one end of a socket pair.
    answer = struct.pack("=IHHII", 48, 20, 0, 1, 7002) + bytes.fromhex(
        "0101010004e41f0001000000000000000800020005e41f000500060000000000"
    )
    assert unix_answer(answer) == 2_089_989
    assert len(unix_request(5)) == 40


def test_a_refused_question_is_an_error() -> None:
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 1, 7002, -2) + bytes(16)
    with pytest.raises(FileNotFoundError):
        unix_answer(refusal)


def test_unix_sockets_are_matched_by_peer_not_by_being_there() -> None:
    rows = list(tables.unix_sockets(UNIX))
    client, server = _sockets(100, 31), _sockets(200, 30, 32)

    def found(peers: dict[int, int]) -> list[Channel]:
        every = sockets.unix_channels(client, server, rows, peers.get, lambda _: "gone")
        return [channel for channel in every if not channel.listens]

    (channel,) = found({31: 32})
    assert channel.kind == "unix-stream"
    assert channel.traits == frozenset(("socket-file",))
    assert "/home" not in f"{channel.text}{channel.lines}"
    assert found({31: 99}) == []
    assert found({}) == []


def test_a_tcp_connection_is_matched_by_mirrored_addresses() -> None:
    rows = list(tables.inet_sockets(TCP))

    def found(client: int, server: int) -> list[Channel]:
        sides = _sockets(100, client), _sockets(200, server)
        facts = TcpFacts(nodelay=True, sent_bytes=640)
        return list(sockets.inet_channels(*sides, "tcp4", "tcp", rows, lambda _: facts))

    (channel,) = found(41, 42)
    assert (channel.kind, channel.moved_bytes) == ("tcp4", 640)
    assert channel.traits == frozenset(("nodelay",))
    (door,) = found(41, 40)
    assert door.listens
    assert found(41, 41) == []


def test_sockets_that_no_table_lists_are_not_passed_over() -> None:
    def found(client: Holdings, server: Holdings, has_table: bool) -> list[str]:
        listed = frozenset((1, 2))
        every = sockets.other_sockets(client, server, listed, lambda _: has_table)
        return [channel.kind for channel in every]

    both = _sockets(100, 1, 8), _sockets(200, 2, 9)
    assert found(*both, False) == ["other-socket"]
    assert found(_sockets(100, 1), _sockets(200, 9), False) == []
    assert found(*both, True) == []  # closed, then


def test_a_pipe_joins_only_a_writer_to_a_reader() -> None:
    def found(near: str, far: str) -> list[tuple[bool, bool]]:
        sides = _holding(100, _pipe(3, 5, near)), _holding(200, _pipe(4, 5, far))
        every = objects.descriptor_channels(*sides, lambda _: 65_536, None)
        return [(channel.forth, channel.back) for channel in every]

    assert found("w", "r") == [(True, False)]
    assert found("r", "w") == [(False, True)]
    assert found("r", "r") == []


def test_a_pipe_of_the_largest_size_is_told_as_such() -> None:
    sides = _holding(100, _pipe(3, 5, "w")), _holding(200, _pipe(4, 5, "r"))
    (large,) = objects.descriptor_channels(*sides, lambda _: 1_048_576, 1_048_576)
    (usual,) = objects.descriptor_channels(*sides, lambda _: 65_536, 1_048_576)
    assert large.traits == frozenset(("largest",))
    assert not usual.traits


def test_an_open_file_that_both_hold_is_told_unless_it_is_what_they_map() -> None:
    file = Descriptor(3, "file", "fe:00 7 /x/mapped", "/x/mapped")
    mapped = tables.Mapping("fe:00", 7, "/x/mapped", "")
    both = _holding(100, file), _holding(200, file)
    (channel,) = objects.descriptor_channels(*both, lambda _: None, None)
    assert channel.kind == "open-file"
    both = both[0]._replace(mappings=(mapped,)), both[1]
    assert not list(objects.descriptor_channels(*both, lambda _: None, None))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/SYSV00000000 (deleted)", "sysv-shm"),
        ("/memfd:ipcbench (deleted)", "memfd"),
        ("/dev/zero (deleted)", "anonymous-memory"),
        ("/dev/shm/sem.k3Xp2q (deleted)", "posix-sem"),
        ("/dev/shm/#12 (deleted)", "posix-shm"),
        ("/dev/shm/ipcbench-1/mapped (deleted)", "mapped-file"),
        ("/tmp/ipcbench-1/mapped (deleted)", "mapped-file"),
    ],
)
def test_the_name_of_a_mapping_tells_its_kind(path: str, kind: str) -> None:
    assert objects.mapping_kind(tables.Mapping("00:01", 1, path, "")) == kind


def test_memory_counts_when_both_map_it_and_a_segment_with_its_attachments() -> None:
    segment, *others = tables.shared_mappings(MAPS)
    client, server = Holdings(100, (), (segment, *others)), Holdings(200, (), (segment,))
    (channel,) = objects.mapping_channels(client, server, tables.rows(SHM))
    assert channel.text == "shmid 5 in both maps, 2 attached"
    assert channel.lines[-1] == "/proc/sysvipc/shm: 0 5 1600 320 100 100 2 0"


def test_semaphores_count_if_the_server_used_one() -> None:
    sides = Holdings(100, (), ()), Holdings(200, (), ())
    rows = list(tables.rows(SEM))

    def found(*users: int) -> list[str]:
        sets = [(row, (user,)) for row, user in zip(rows, users, strict=True)]
        return [channel.text for channel in objects.semaphore_channels(*sides, sets)]

    assert found(200, 100, 300) == [
        *("semid 61 last used by the server", "semid 62 last used by the client"),
    ]
    assert found(100, 100, 300) == []


def test_queues_count_by_who_sent_and_who_received_last() -> None:
    sides = Holdings(100, (), ()), Holdings(200, (), ())
    found = list(objects.queue_channels(*sides, tables.rows(MSG)))
    assert [(channel.forth, channel.back) for channel in found] == [(True, False), (False, True)]


def test_what_was_held_before_the_link_is_left_out() -> None:
    held = _holding(100, _pipe(3, 5, "w"), _pipe(4, 6, "w"))
    before = _holding(100, _pipe(3, 5, "w")).identities
    assert [descriptor.number for descriptor in held.without(before).descriptors] == [4]


PIPE = Channel("pipe", "inode 5 to the server", (), back=False)
PIPE_BACK = Channel("pipe", "inode 6 to the client", (), forth=False)
SEGMENT = Channel("sysv-shm", "shmid 5", ())
SEMAPHORE = Channel("sysv-sem", "semid 61", ())
EVENTFD = Channel("eventfd", "id 1", ())
CONNECTION = Channel("tcp4", "a <-> b", (), frozenset(("nodelay",)), moved_bytes=640)
DOOR = Channel("tcp4", "the server listens", (), listens=True)


def test_a_claim_is_proved_by_all_that_it_names_and_nothing_else() -> None:
    claimed = _claimed("sysv-shm", "sysv-sem")
    assert _judged(claimed, SEGMENT, SEMAPHORE).verdict == "proved"
    assert "no System V semaphore joins both" in _judged(claimed, SEGMENT).reason
    assert "there is eventfd too" in _judged(claimed, SEGMENT, SEMAPHORE, EVENTFD).reason
    assert _judged(claimed).verdict == "refuted"


def test_a_pipe_must_lead_where_the_workload_goes() -> None:
    assert _judged(_claimed("pipe"), PIPE, PIPE_BACK).verdict == "proved"
    assert "back to the client" in _judged(_claimed("pipe"), PIPE).reason
    assert _judged(_claimed("pipe", workload="throughput"), PIPE).verdict == "proved"
    assert "to the server" in _judged(_claimed("pipe", workload="throughput"), PIPE_BACK).reason


def test_a_connection_must_be_set_as_claimed() -> None:
    assert _judged(_claimed("tcp4", "nodelay"), CONNECTION).verdict == "proved"
    assert "nothing is nagle" in _judged(_claimed("tcp4", "nagle"), CONNECTION).reason


def test_a_trait_must_hold_for_every_channel_of_its_kind() -> None:
    named = Channel("unix-stream", "a", (), frozenset(("socket-file",)))
    nameless = Channel("unix-stream", "b", (), frozenset(("no-name",)))
    assert _judged(_claimed("unix-stream", "socket-file"), named).verdict == "proved"
    both = _judged(_claimed("unix-stream", "socket-file"), named, nameless)
    assert "not every AF_UNIX stream is socket-file" in both.reason


def test_a_connection_must_have_moved_the_payload() -> None:
    assert _judged(_claimed("tcp4", sent=640), CONNECTION).verdict == "proved"
    idle = _judged(_claimed("tcp4", sent=64_000), CONNECTION)
    assert "the kernel counted 640 of 64,000 bytes" in idle.reason


def test_a_listening_socket_proves_connections_only() -> None:
    assert _judged(_claimed("tcp4", "nodelay", workload="connect"), DOOR).verdict == "proved"
    assert "no TCP over IPv4 joins both" in _judged(_claimed("tcp4"), DOOR).reason


def test_what_leaves_no_trace_is_proved_by_there_being_nothing_else() -> None:
    claimed = _claimed("process-vm", "eventfd", sent=640)
    proved = _judged(claimed, EVENTFD)
    assert "nothing that could carry 640 bytes" in proved.reason
    assert _judged(claimed, EVENTFD, PIPE).verdict == "refuted"


def test_a_control_claims_that_nothing_joins_the_two() -> None:
    assert _judged(_claimed(control=True)).digest == "proved: nothing joins the two, as claimed"
    assert _judged(_claimed(control=True), PIPE).verdict == "refuted"


def test_a_mechanism_without_a_claim_is_not_witnessed() -> None:
    assert _judged(_claimed(), PIPE).digest == "not witnessed: the transport makes no claim"


@pytest.mark.parametrize("size", [0, 10, 18])
def test_an_answer_of_the_kernel_that_is_cut_short_is_no_witness(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = struct.pack("=IHHIIi", 20, 2, 0, 0, 0, -2)[:size]
    monkeypatch.setattr(witness, "look", lambda *_: unix_answer(answer))
    found = witness.witnessed(os.getpid(), frozenset(), _claimed())
    assert found.verdict == "not witnessed"
    assert found.reason.startswith("a table of this kernel has another form: error: ")
