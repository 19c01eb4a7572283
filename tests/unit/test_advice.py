"""Remedies of `doctor` that work for whoever asks."""

import pytest

from ipcbench.checks.advice import ORDINARY, Standing, set_sysctl, suited, write

ROOT = Standing(True, True, None, False, lambda _path: True, lambda _path: False)
IN_DOCKER = Standing(
    True, False, "docker (/.dockerenv)", False, lambda _path: False, lambda _path: True
)
IN_LXC = IN_DOCKER._replace(container="lxc (/proc/1/environ)")
USER_IN_DOCKER = IN_DOCKER._replace(is_root=False)
USER_WITH_ROOT = USER_IN_DOCKER._replace(root_may_all=True, is_read_only=lambda _path: False)
WITHOUT_SUDO = ORDINARY._replace(has_sudo=False)
LIMITED_ROOT = IN_DOCKER._replace(container=None)

PIPES = set_sysctl("fs.pipe-user-pages-soft=16384")
QUEUES = set_sysctl("kernel.msgmax=65536")
SETS = set_sysctl("kernel.sem=250 32000 32 128")
QUOTA = write("max", "/sys/fs/cgroup/one/cpu.max")
SWAP = "sudo swapoff -a"


@pytest.mark.parametrize(
    ("remedy", "who", "said"),
    [
        (QUEUES, ORDINARY, "sudo sysctl -w kernel.msgmax=65536"),
        (QUEUES, ROOT, "sysctl -w kernel.msgmax=65536"),
        (QUEUES, WITHOUT_SUDO, "as root: sysctl -w kernel.msgmax=65536"),
        (
            QUEUES,
            IN_DOCKER,
            "start the container anew: docker run --sysctl kernel.msgmax=65536 ...",
        ),
        (
            SETS,
            IN_DOCKER,
            "start the container anew: docker run --sysctl 'kernel.sem=250 32000 32 128' ...",
        ),
        (QUEUES, IN_LXC, "on the host, as root: sysctl -w kernel.msgmax=65536"),
        (PIPES, IN_DOCKER, "on the host, as root: sysctl -w fs.pipe-user-pages-soft=16384"),
        (QUOTA, ROOT, "echo max | tee /sys/fs/cgroup/one/cpu.max"),
        (QUOTA, ORDINARY, "echo max | sudo tee /sys/fs/cgroup/one/cpu.max"),
        (QUOTA, IN_DOCKER, "on the host, as root: echo max | tee /sys/fs/cgroup/one/cpu.max"),
        (SWAP, ROOT, "swapoff -a"),
        (SWAP, ORDINARY, "sudo swapoff -a"),
        (SWAP, IN_DOCKER, "on the host, as root: swapoff -a"),
        (SWAP, LIMITED_ROOT, "as a root who may (this one isn't allowed to): swapoff -a"),
        (
            QUEUES,
            USER_IN_DOCKER,
            "start the container anew: docker run --sysctl kernel.msgmax=65536 ...",
        ),
        (SWAP, USER_IN_DOCKER, "on the host, as root: swapoff -a"),
        (QUEUES, USER_WITH_ROOT, "as root: sysctl -w kernel.msgmax=65536"),
        (SWAP, USER_WITH_ROOT, "as root: swapoff -a"),
        ("ulimit -n 1024", IN_DOCKER, "ulimit -n 1024"),
    ],
)
def test_a_remedy_is_told_to_whom_it_helps(remedy: str, who: Standing, said: str) -> None:
    assert suited(remedy, who) == said


def test_a_container_whose_root_may_write_the_file_needs_no_host() -> None:
    trusted = IN_DOCKER._replace(may_write=lambda path: path == "/proc/sys/kernel/msgmax")
    assert suited(QUEUES, trusted) == "sysctl -w kernel.msgmax=65536"
    assert suited(PIPES, trusted).startswith("on the host, as root: ")


def test_the_file_of_an_ordinary_user_is_written_without_sudo() -> None:
    owner = ORDINARY._replace(may_write=lambda path: path == "/sys/fs/cgroup/one/cpu.max")
    assert suited(QUOTA, owner) == "echo max | tee /sys/fs/cgroup/one/cpu.max"
