"""Finds shared pipes, queues, memory and semaphores. Pure: takes the tables as rows."""

from collections.abc import Callable, Iterable, Iterator

from ipcbench.evidence.channels import Carrier, CarrierKind
from ipcbench.evidence.holdings import Descriptor, Holdings, mapping_identity
from ipcbench.evidence.tables import MemoryMapping, Row, last_part
from ipcbench.transports.base import Medium


def descriptor_carriers(
    client: Holdings,
    server: Holdings,
    capacity_of: Callable[[int], int | None],
    largest_bytes: int | None,
) -> Iterator[Carrier]:
    """Pipes, FIFOs, eventfds, queues and files that both processes have open."""
    mapped = {mapping_identity(mapping) for mapping in client.mappings}
    ours, theirs = _by_identity(client), _by_identity(server)
    for identity, near in ours.items():
        far = theirs.get(identity)
        one = near[0]
        if far is None or one.kind in {"socket", "other"} or identity in mapped:
            continue
        to_server = any(held.writes for held in near) and any(held.reads for held in far)
        to_client = any(held.reads for held in near) and any(held.writes for held in far)
        if not (to_server or to_client):
            continue
        text, traits = _name_of(one), frozenset[Medium]()
        if one.kind in {"pipe", "fifo"}:
            capacity = capacity_of(one.number)
            text += f" {_direction(to_server, to_client)}"
            if capacity is not None:
                text += f", {capacity:,} bytes"
                traits = frozenset(("largest",) if capacity == largest_bytes else ())
        told = (*(_open(client, held) for held in near), *(_open(server, held) for held in far))
        kind: CarrierKind = "open-file" if one.kind == "file" else one.kind  # type: ignore[assignment]
        yield Carrier(kind, text, told, traits, to_server, to_client)


def mapping_carriers(
    client: Holdings, server: Holdings, segments: Iterable[Row]
) -> Iterator[Carrier]:
    """Shared memory that both processes map, by its origin."""
    theirs = {mapping_identity(mapping): mapping for mapping in server.mappings}
    attached = {row.numbers["shmid"]: row for row in segments}
    for mapping in client.mappings:
        far = theirs.pop(mapping_identity(mapping), None)
        if far is None:
            continue
        kind = mapping_kind(mapping)
        told = [f"/proc/{client.pid}/maps: {mapping.line}", f"/proc/{server.pid}/maps: {far.line}"]
        text = f"inode {mapping.inode} in both maps"
        row = attached.get(mapping.inode) if kind == "sysv-shm" else None
        if row is not None:
            text = f"shmid {mapping.inode} in both maps, {row.numbers['nattch']} attached"
            told.append(f"/proc/sysvipc/shm: {row.line}")
        yield Carrier(kind, text, tuple(told))


def mapping_kind(mapping: MemoryMapping) -> Medium:
    """The medium of a mapping, by its path. proc_pid_maps(5), shm_overview(7)."""
    path = mapping.path
    if path.startswith("/SYSV"):
        return "sysv-shm"
    if path.startswith("/memfd:"):
        return "memfd"
    if path.startswith(("/dev/zero", "/anon_hugepage")):
        return "anonymous-memory"
    folder, _, name = path.rpartition("/")
    if folder == "/dev/shm":  # noqa: S108  (where the C library keeps them)
        return "posix-sem" if name.startswith("sem.") else "posix-shm"
    return "mapped-file"


def semaphore_carriers(
    client: Holdings, server: Holdings, sets: Iterable[tuple[Row, tuple[int, ...]]]
) -> Iterator[Carrier]:
    """System V sets last used by one of the two, if the server used any; with their last users."""
    names = {client.pid: "the client", server.pid: "the server"}
    used = [(row, users) for row, users in sets if names.keys() & set(users)]
    if not any(server.pid in users for _, users in used):
        return
    for row, users in used:
        by = ", ".join(names.get(user, f"process {user}") for user in users)
        told = (
            f"/proc/sysvipc/sem: {row.line}",
            f"semctl: GETPID of {row.numbers['semid']} is {', '.join(map(str, users))}",
        )
        yield Carrier("sysv-sem", f"semid {row.numbers['semid']} last used by {by}", told)


def queue_carriers(client: Holdings, server: Holdings, queues: Iterable[Row]) -> Iterator[Carrier]:
    """System V queues whose last sender is one of the two, and last receiver the other."""
    for row in queues:
        ends = (row.numbers["lspid"], row.numbers["lrpid"])
        to_server, to_client = ends == (client.pid, server.pid), ends == (server.pid, client.pid)
        if to_server or to_client:
            text = f"msqid {row.numbers['msqid']} {_direction(to_server, to_client)}"
            told = (f"/proc/sysvipc/msg: {row.line}",)
            yield Carrier("sysv-msg", text, told, to_server=to_server, to_client=to_client)


def _by_identity(side: Holdings) -> dict[str, list[Descriptor]]:
    held: dict[str, list[Descriptor]] = {}
    for descriptor in side.descriptors:
        held.setdefault(descriptor.identity, []).append(descriptor)
    return held


def _open(side: Holdings, held: Descriptor) -> str:
    how = {(True, True): "reads and writes", (True, False): "reads", (False, True): "writes"}
    name = held.identity if held.kind == "eventfd" else last_part(held.target)
    rights = how[held.reads, held.writes]
    where = " (statfs: mqueue)" if held.kind == "posix-mq" else ""
    return f"/proc/{side.pid}/fd/{held.number}: {name}{where}, {rights}"


def _name_of(held: Descriptor) -> str:
    """Names a descriptor's object, without the folders of a path."""
    if held.kind in {"pipe", "eventfd"}:
        number = held.identity.partition("[")[2].removesuffix("]")
        return f"inode {number}" if held.kind == "pipe" else f"id {number}"
    return f"inode {held.identity.split()[1]}"


def _direction(to_server: bool, to_client: bool) -> str:
    if to_server and to_client:
        return "both ways"
    return "to the server" if to_server else "to the client"
