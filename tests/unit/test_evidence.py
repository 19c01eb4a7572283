"""Evidence from recorded tables: parsers, matching, verdicts. Nothing here asks the kernel."""

import struct

import pytest

from ipcbench.evidence import objects, sockets, tables, witness
from ipcbench.evidence.channels import Carrier, Seen
from ipcbench.evidence.holdings import Descriptor, Holdings
from ipcbench.evidence.sockdiag import unix_answer, unix_request
from ipcbench.evidence.sockets import TcpFacts
from ipcbench.evidence.verdict import Expected, Finding, judged
from ipcbench.transports.base import Medium
from ipcbench.workloads import DEFINITIONS, Workload

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
MAPPED, LOOPBACK6, ANY6 = "0000000000000000FFFF00000100007F", f"{'0' * 24}01000000", "0" * 32
TCP6 = f"""\
  sl  local_address remote_address st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: {MAPPED}:94BD {ANY6}:0000 0A 0:0 00:0 0 0 0 40
   1: {MAPPED}:ED44 {MAPPED}:94BD 01 0:0 00:0 0 0 0 41
   2: {MAPPED}:94BD {MAPPED}:ED44 01 0:0 00:0 0 0 0 42
   3: {LOOPBACK6}:94BD {LOOPBACK6}:ED45 01 0:0 00:0 0 0 0 43
   4: {LOOPBACK6}:ED45 {LOOPBACK6}:94BD 01 0:0 00:0 0 0 0 44
"""
"""A connection of AF_INET6 sockets at 127.0.0.1, with its listener, and one at ::1."""
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


def _expected(
    *mediums: Medium, workload: Workload = "latency", sent: int = 0, control: bool = False
) -> Expected:
    row = DEFINITIONS[workload]
    connects = row.quantity == "connection"
    return Expected(mediums, control, replies=row.replies, connects=connects, sent_bytes=sent)


def _judged(expected: Expected, *found: Carrier) -> Finding:
    return judged(expected, Seen((), found))


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

    def found(peers: dict[int, int]) -> list[Carrier]:
        every = sockets.unix_carriers(client, server, rows, peers.get, lambda _: "gone")
        return [carrier for carrier in every if not carrier.listens]

    (carrier,) = found({31: 32})
    assert carrier.kind == "unix-stream"
    assert carrier.traits == frozenset(("socket-file",))
    assert "/home" not in f"{carrier.text}{carrier.lines}"
    assert found({31: 99}) == []
    assert found({}) == []


def test_a_tcp_connection_is_matched_by_mirrored_addresses() -> None:
    rows = list(tables.inet_sockets(TCP))

    def found(client: int, server: int) -> list[Carrier]:
        sides = _sockets(100, client), _sockets(200, server)
        facts = TcpFacts(nodelay=True, sent_bytes=640)
        return list(sockets.inet_carriers(*sides, "tcp4", "tcp", rows, lambda _: facts))

    (carrier,) = found(41, 42)
    assert (carrier.kind, carrier.moved_bytes) == ("tcp4", 640)
    assert not carrier.traits  # the server didn't tell its end
    (door,) = found(41, 40)
    assert door.listens
    assert found(41, 41) == []


def test_an_ipv6_socket_at_a_mapped_address_speaks_ipv4() -> None:
    rows = list(tables.inet_sockets(TCP6))

    def found(client: int, server: int) -> list[Carrier]:
        sides = _sockets(100, client), _sockets(200, server)
        facts = TcpFacts(nodelay=True, sent_bytes=640)
        return list(sockets.inet_carriers(*sides, "tcp6", "tcp6", rows, lambda _: facts))

    (mapped,) = found(41, 42)
    assert mapped.kind == "tcp4"
    assert "[::ffff:127.0.0.1]:60740 <-> [::ffff:127.0.0.1]:38077" in mapped.text
    (door,) = found(41, 40)
    assert (door.kind, door.listens) == ("tcp4", True)
    (own,) = found(44, 43)
    assert own.kind == "tcp6"


@pytest.mark.parametrize(
    ("client", "server", "trait"),
    [
        (True, True, "nodelay"),
        (False, False, "nagle"),
        (True, False, "nagle-at-server"),
        (False, True, "nagle-at-client"),
    ],
)
def test_a_tcp_connections_trait_is_that_of_both_ends(
    client: bool, server: bool, trait: Medium
) -> None:
    rows = list(tables.inet_sockets(TCP))
    there = _sockets(200, 42).with_nodelay({"socket:[42]": server})
    facts = TcpFacts(nodelay=client, sent_bytes=None)
    (carrier,) = sockets.inet_carriers(
        _sockets(100, 41), there, "tcp4", "tcp", rows, lambda _: facts
    )
    assert carrier.traits == frozenset((trait,))
    told = [line.rpartition(" is ")[2] for line in carrier.lines if "getsockopt" in line]
    words = {True: "on", False: "off"}
    assert told == [f"{words[client]} at the client", f"{words[server]} at the server"]


def test_sockets_that_no_table_lists_are_not_passed_over() -> None:
    def found(client: Holdings, server: Holdings, has_table: bool) -> list[str]:
        listed = frozenset((1, 2))
        every = sockets.other_sockets(client, server, listed, lambda _: has_table)
        return [carrier.kind for carrier in every]

    both = _sockets(100, 1, 8), _sockets(200, 2, 9)
    assert found(*both, False) == ["other-socket"]
    assert found(_sockets(100, 1), _sockets(200, 9), False) == []
    assert found(*both, True) == []  # closed, then


def test_a_pipe_joins_only_a_writer_to_a_reader() -> None:
    def found(near: str, far: str) -> list[tuple[bool, bool]]:
        sides = _holding(100, _pipe(3, 5, near)), _holding(200, _pipe(4, 5, far))
        every = objects.descriptor_carriers(*sides, lambda _: 65_536, None)
        return [(carrier.to_server, carrier.to_client) for carrier in every]

    assert found("w", "r") == [(True, False)]
    assert found("r", "w") == [(False, True)]
    assert found("r", "r") == []


def test_a_pipe_of_the_largest_size_is_told_as_such() -> None:
    sides = _holding(100, _pipe(3, 5, "w")), _holding(200, _pipe(4, 5, "r"))
    (large,) = objects.descriptor_carriers(*sides, lambda _: 1_048_576, 1_048_576)
    (usual,) = objects.descriptor_carriers(*sides, lambda _: 65_536, 1_048_576)
    assert large.traits == frozenset(("largest",))
    assert not usual.traits


def test_an_open_file_that_both_hold_is_told_unless_it_is_what_they_map() -> None:
    file = Descriptor(3, "file", "fe:00 7 /x/mapped", "/x/mapped")
    mapped = tables.MemoryMapping("fe:00", 7, "/x/mapped", "")
    both = _holding(100, file), _holding(200, file)
    (carrier,) = objects.descriptor_carriers(*both, lambda _: None, None)
    assert carrier.kind == "open-file"
    both = both[0]._replace(mappings=(mapped,)), both[1]
    assert not list(objects.descriptor_carriers(*both, lambda _: None, None))


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
    assert objects.mapping_kind(tables.MemoryMapping("00:01", 1, path, "")) == kind


def test_memory_counts_when_both_map_it_and_a_segment_with_its_attachments() -> None:
    segment, *others = tables.shared_mappings(MAPS)
    client, server = Holdings(100, (), (segment, *others)), Holdings(200, (), (segment,))
    (carrier,) = objects.mapping_carriers(client, server, tables.rows(SHM))
    assert carrier.text == "shmid 5 in both maps, 2 attached"
    assert carrier.lines[-1] == "/proc/sysvipc/shm: 0 5 1600 320 100 100 2 0"


def test_semaphores_count_if_the_server_used_one() -> None:
    sides = Holdings(100, (), ()), Holdings(200, (), ())
    rows = list(tables.rows(SEM))

    def found(*users: int) -> list[str]:
        sets = [(row, (user,)) for row, user in zip(rows, users, strict=True)]
        return [carrier.text for carrier in objects.semaphore_carriers(*sides, sets)]

    assert found(200, 100, 300) == [
        *("semid 61 last used by the server", "semid 62 last used by the client"),
    ]
    assert found(100, 100, 300) == []


def test_queues_count_by_who_sent_and_who_received_last() -> None:
    sides = Holdings(100, (), ()), Holdings(200, (), ())
    found = list(objects.queue_carriers(*sides, tables.rows(MSG)))
    assert [(carrier.to_server, carrier.to_client) for carrier in found] == [
        (True, False),
        (False, True),
    ]


def test_what_was_held_before_the_link_is_left_out() -> None:
    held = _holding(100, _pipe(3, 5, "w"), _pipe(4, 6, "w"))
    before = _holding(100, _pipe(3, 5, "w")).identities
    assert [descriptor.number for descriptor in held.without(before).descriptors] == [4]


PIPE = Carrier("pipe", "inode 5 to the server", (), to_client=False)
PIPE_BACK = Carrier("pipe", "inode 6 to the client", (), to_server=False)
SEGMENT = Carrier("sysv-shm", "shmid 5", ())
SEMAPHORE = Carrier("sysv-sem", "semid 61", ())
EVENTFD = Carrier("eventfd", "id 1", ())
CONNECTION = Carrier("tcp4", "a <-> b", (), frozenset(("nodelay",)), moved_bytes=640)
DOOR = Carrier("tcp4", "the server listens", (), listens=True)


def test_a_claim_is_proved_by_all_that_it_names_and_nothing_else() -> None:
    expected = _expected("sysv-shm", "sysv-sem")
    assert _judged(expected, SEGMENT, SEMAPHORE).outcome == "proved"
    assert "no System V semaphore joins both" in _judged(expected, SEGMENT).reason
    assert "there is eventfd too" in _judged(expected, SEGMENT, SEMAPHORE, EVENTFD).reason
    assert _judged(expected).outcome == "refuted"


def test_a_pipe_must_lead_where_the_workload_goes() -> None:
    assert _judged(_expected("pipe"), PIPE, PIPE_BACK).outcome == "proved"
    assert "back to the client" in _judged(_expected("pipe"), PIPE).reason
    assert _judged(_expected("pipe", workload="throughput"), PIPE).outcome == "proved"
    assert "to the server" in _judged(_expected("pipe", workload="throughput"), PIPE_BACK).reason


def test_a_connection_must_be_set_as_claimed() -> None:
    assert _judged(_expected("tcp4", "nodelay"), CONNECTION).outcome == "proved"
    assert "nothing is nagle" in _judged(_expected("tcp4", "nagle"), CONNECTION).reason


def test_a_trait_must_hold_for_every_channel_of_its_kind() -> None:
    named = Carrier("unix-stream", "a", (), frozenset(("socket-file",)))
    nameless = Carrier("unix-stream", "b", (), frozenset(("no-name",)))
    assert _judged(_expected("unix-stream", "socket-file"), named).outcome == "proved"
    both = _judged(_expected("unix-stream", "socket-file"), named, nameless)
    assert "not every AF_UNIX stream is socket-file" in both.reason


def test_a_connection_must_have_moved_the_payload() -> None:
    assert _judged(_expected("tcp4", sent=640), CONNECTION).outcome == "proved"
    idle = _judged(_expected("tcp4", sent=64_000), CONNECTION)
    assert "the kernel counted 640 of 64,000 bytes" in idle.reason


def test_a_listening_socket_proves_connections_only() -> None:
    assert _judged(_expected("tcp4", "nodelay", workload="connect"), DOOR).outcome == "proved"
    assert "no TCP over IPv4 joins both" in _judged(_expected("tcp4"), DOOR).reason


def test_what_leaves_no_trace_is_proved_by_there_being_nothing_else() -> None:
    expected = _expected("process-vm", "eventfd", sent=640)
    proved = _judged(expected, EVENTFD)
    assert "nothing that could carry 640 bytes" in proved.reason
    assert _judged(expected, EVENTFD, PIPE).outcome == "refuted"


def test_a_control_claims_that_nothing_joins_the_two() -> None:
    assert _judged(_expected(control=True)).digest == "proved: nothing joins the two, as claimed"
    assert _judged(_expected(control=True), PIPE).outcome == "refuted"


def test_a_mechanism_without_a_claim_is_not_witnessed() -> None:
    assert _judged(_expected(), PIPE).digest == "not witnessed: the transport makes no claim"


@pytest.mark.parametrize("size", [0, 10, 18])
def test_an_answer_of_the_kernel_that_is_cut_short_is_no_witness(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = struct.pack("=IHHIIi", 20, 2, 0, 0, 0, -2)[:size]
    monkeypatch.setattr(witness, "look", lambda *_: unix_answer(answer))
    found = witness.inspect(lambda: Holdings(1, (), ()), frozenset(), _expected())
    assert found.outcome == "not witnessed"
    assert found.reason.startswith("a table of this kernel has another form: error: ")
