"""What the kernel grants runs out: one sentence, the right exit code, and the rest is measured."""

from pathlib import Path

import pytest

from tests.faults.scarce import (
    LATENCY,
    OPTIONS,
    command,
    explained,
    finished,
    limited,
    measured,
    ordinary_user,
    processes_of_user,
    refusal,
    unshared,
)

NO_IPV6 = "ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=1"
WITHOUT_SHM = """
mkdir -p dev
mount -t tmpfs tmpfs dev
for device in null urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount --rbind dev /dev
"""
TAKE_PORTS = """\
import socket
held = []
for port in (60000, 60001):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            end = socket.socket(family, kind)
            if family == socket.AF_INET6:
                end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            end.bind((host, port))
            end.set_inheritable(True)
            held.append(end)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_without_ipv6_its_transports_are_left_out_and_the_rest_is_measured(tmp_path: Path) -> None:
    done = finished([*unshared(["-n"], NO_IPV6), *command(*LATENCY)], tmp_path)
    assert "inet6 is left out: no IPv6 here: ::1 can't be bound" in explained(done, 0)
    assert measured(tmp_path / "run.json") == {"unix", "inet", "pipe", "sysv-shm"}


def test_without_ipv6_a_transport_that_was_named_is_refused_with_what_helps(
    tmp_path: Path,
) -> None:
    line = [*unshared(["-n"], NO_IPV6), *command("unix", "inet6-udp", *LATENCY)]
    said = refusal(finished(line, tmp_path))
    assert "inet6-udp can't run here: no IPv6 here" in said
    assert "try sysctl net.ipv6.conf.lo.disable_ipv6=0" in said


def test_when_all_local_ports_are_taken_only_what_needs_one_is_left_out(tmp_path: Path) -> None:
    setup = "ip link set lo up; sysctl -qw net.ipv4.ip_local_port_range='60000 60001'"
    line = [*unshared(["-n"], setup), *limited(f"exec({TAKE_PORTS!r})"), *command(*LATENCY)]
    said = explained(finished(line, tmp_path), 0)
    assert "inet is left out: 127.0.0.1 can't be bound: no port is free" in said
    assert "widen sysctl net.ipv4.ip_local_port_range" in said
    assert measured(tmp_path / "run.json") == {"unix", "pipe", "sysv-shm"}


def test_when_the_last_local_port_goes_to_the_listener_only_tcp_fails(tmp_path: Path) -> None:
    setup = "ip link set lo up; sysctl -qw net.ipv4.ip_local_port_range='60000 60000'"
    options = ("unix", "inet", *OPTIONS, "--workloads=latency,connect")
    said = explained(finished([*unshared(["-n"], setup), *command(*options)], tmp_path), 3)
    assert "latency/inet/64/python/cross-core: hand-shake: no port is free" in said
    assert "connect/inet/1/python/cross-core: timed batch: no port is free" in said
    assert measured(tmp_path / "run.json") == {"unix"}


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ("mount -t tmpfs tmpfs /dev/shm -o ro", "/dev/shm can't be written; mount a tmpfs there"),
        (WITHOUT_SHM, "/dev/shm isn't there; mount a tmpfs there"),
    ],
    ids=["read-only", "absent"],
)
def test_without_dev_shm_what_lives_there_is_left_out(
    setup: str, says: str, tmp_path: Path
) -> None:
    line = [*unshared(["-m"], f"cd {tmp_path}; {setup}"), *command("@python", *LATENCY)]
    said = explained(finished(line, tmp_path), 0)
    for name in ("mp-queue-pickle", "mp-simplequeue-pickle", "mp-shared-memory"):
        assert f"{name} is left out: {says}" in said
    assert measured(tmp_path / "run.json") == {"mp-pipe", "mp-connection", "mp-connection-inet"}


def test_a_full_dev_shm_makes_what_lives_there_not_available(tmp_path: Path) -> None:
    setup = "mount -t tmpfs tmpfs /dev/shm -o size=4k; head -c 4096 /dev/zero >/dev/shm/full"
    names = ("unix", "posix-shm", "mmap-file", "mp-queue-pickle", "mp-shared-memory")
    line = [*unshared(["-m"], setup), *command(*names, *LATENCY)]
    said = explained(finished(line, tmp_path), 0)
    assert "latency/posix-shm/64/python/cross-core: needs 12,288 bytes of /dev/shm and 0" in said
    assert measured(tmp_path / "run.json") == {"unix"}


def test_pairs_share_what_is_left_of_dev_shm_one_after_the_other(tmp_path: Path) -> None:
    setup = "mount -t tmpfs tmpfs /dev/shm -o size=12k"
    names = ("posix-shm", "mmap-file", "mp-shared-memory")
    line = [*unshared(["-m"], setup, "ls -A /dev/shm >left"), *command(*names, *LATENCY)]
    explained(finished(line, tmp_path), 0)
    assert measured(tmp_path / "run.json") == set(names)
    assert (tmp_path / "left").read_text() == ""


def test_shared_memory_without_room_fails_with_a_sentence_and_not_with_a_signal(
    tmp_path: Path,
) -> None:
    (tmp_path / "small").mkdir()
    setup = f"mount -t tmpfs tmpfs {tmp_path / 'small'} -o size=1m"
    options = ("mmap-file", "unix", *OPTIONS, "--workloads=throughput", "--sizes=1m")
    line = [*unshared(["-m"], setup), *command(*options)]
    said = explained(finished(line, tmp_path, {"TMPDIR": str(tmp_path / "small")}), 3)
    assert "set-up: no room for" in said
    assert "bytes of shared memory: No space left on device; make some" in said
    assert measured(tmp_path / "run.json") == {"unix"}


def test_posix_queues_are_measured_without_dev_mqueue(tmp_path: Path) -> None:
    pytest.importorskip("posix_ipc")
    setup = "test ! -e /dev/mqueue || mount -t tmpfs tmpfs /dev/mqueue -o ro"
    line = [*unshared(["-i", "-m"], setup), *command("posix-mq", *LATENCY)]
    explained(finished(line, tmp_path), 0)
    assert measured(tmp_path / "run.json") == {"posix-mq"}


@pytest.mark.parametrize(
    ("setting", "fails", "says"),
    [
        (
            "kernel.sem=250 250 100 1",
            {"sysv-shm", "sysv-sem"},
            "last number of kernel.sem",
        ),
        ("kernel.shmmni=0", {"sysv-shm", "sysv-shm-spin"}, "kernel.shmmni"),
        ("kernel.msgmni=0", {"sysv-msg"}, "kernel.msgmni"),
        ("fs.mqueue.queues_max=0", {"posix-mq"}, "see sysctl fs.mqueue"),
    ],
    ids=["SEMMNI", "SHMMNI", "MSGMNI", "queues_max"],
)
def test_a_limit_of_system_v_or_posix_objects_that_is_reached_is_named(
    setting: str, fails: set[str], says: str, tmp_path: Path
) -> None:
    asked = {"sysv-shm", "sysv-shm-spin", "sysv-msg", "sysv-sem"}
    if "posix-mq" in fails:
        pytest.importorskip("posix_ipc")
        asked = {"posix-mq", "unix"}
    tables = "cat /proc/sysvipc/sem /proc/sysvipc/shm /proc/sysvipc/msg >left"
    namespace = unshared(["-i"], f"sysctl -qw '{setting}' kernel.msgmax=8192", tables)
    # A user without privileges is the one whom fs.mqueue.queues_max binds.
    user = ordinary_user(tmp_path) if "posix-mq" in fails else []
    line = [*namespace, *user, *command(*sorted(asked), *LATENCY)]
    said = explained(finished(line, tmp_path, {"TMPDIR": str(tmp_path)}), 3)
    assert says in said
    assert measured(tmp_path / "run.json") == asked - fails
    assert all("key" in row for row in (tmp_path / "left").read_text().splitlines())


def test_with_32_open_files_all_are_measured_fewer_at_once(tmp_path: Path) -> None:
    names = ("unix", "unix-dgram", "socketpair", "inet", "pipe", "fifo", "sysv-shm", "posix-shm")
    few = limited("resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))")
    explained(finished([*few, *command(*names, "mp-queue-pickle", *LATENCY)], tmp_path), 0)
    assert measured(tmp_path / "run.json") == {*names, "mp-queue-pickle"}


def test_with_too_few_open_files_for_one_pair_the_run_is_refused(tmp_path: Path) -> None:
    few = limited("resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))")
    said = refusal(finished([*few, *command("unix", *LATENCY)], tmp_path))
    assert said == (
        "ipcbench: this process may open 12 files and measuring takes 23; raise the limit with"
        " ulimit -n 256"
    )


def test_with_few_processes_all_are_measured_fewer_at_once(tmp_path: Path) -> None:
    most = processes_of_user() + 4
    few = limited(f"resource.setrlimit(resource.RLIMIT_NPROC, ({most}, {most}))")
    line = [*ordinary_user(tmp_path), *few, *command("unix", "pipe", "inet", *LATENCY)]
    explained(finished(line, tmp_path, {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": None}), 0)
    assert measured(tmp_path / "run.json") == {"unix", "pipe", "inet"}


def test_without_a_process_to_spare_the_run_is_refused(tmp_path: Path) -> None:
    most = processes_of_user() + 2
    few = limited(f"resource.setrlimit(resource.RLIMIT_NPROC, ({most}, {most}))")
    line = [*ordinary_user(tmp_path), *few, *command("unix", *LATENCY)]
    said = refusal(finished(line, tmp_path, {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": None}))
    assert f"of at most {most} and measuring takes 3 more; end some, or raise the limit" in said


def test_an_address_space_that_is_just_large_enough_does(tmp_path: Path) -> None:
    little = limited("resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))")
    explained(finished([*little, *command("unix", "sysv-shm", *LATENCY)], tmp_path), 0)
    assert measured(tmp_path / "run.json") == {"unix", "sysv-shm"}


def test_an_address_space_that_is_too_small_is_said_before_the_first_launch(
    tmp_path: Path,
) -> None:
    little = limited("resource.setrlimit(resource.RLIMIT_AS, (150 << 20, 150 << 20))")
    said = refusal(finished([*little, *command("unix", *LATENCY)], tmp_path))
    assert "this process may map 150 MiB of memory and its tables need 256 MiB" in said


def test_on_one_cpu_both_ends_share_it_and_spinning_is_not_available(tmp_path: Path) -> None:
    alone = limited("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})")
    options = ("unix", "sysv-shm", "sysv-shm-spin", *LATENCY)
    said = explained(finished([*alone, *command(*options)], tmp_path), 0)
    assert "only one CPU can be used: both ends run on it" in said
    assert "n/a: latency/sysv-shm-spin/64/python/same-core: two ends that spin on one CPU" in said
    assert measured(tmp_path / "run.json") == {"unix", "sysv-shm"}
