import pytest

from ipcbench.measure.payload import messages_to_check


@pytest.mark.parametrize(
    ("size_bytes", "in_flight", "messages"),
    [
        (0, 1, 32),
        (64, 1, 32),
        (48 * 1024, 1, 21),
        (2**20, 1, 2),
        (2**20, None, 2),
        (2**20, 4, 4),
        (48 * 1024, 4, 24),
    ],
)
def test_a_check_is_of_about_a_mebibyte_and_ends_with_a_reply(
    size_bytes: int, in_flight: int | None, messages: int
) -> None:
    assert messages_to_check(size_bytes, in_flight) == messages


def test_a_check_of_slow_messages_is_bounded_in_time() -> None:
    assert messages_to_check(64, 1, message_s=0.044) == 5
    assert messages_to_check(64, 1, message_s=10.0) == 2
    assert messages_to_check(64, 1, message_s=20e-6) == 32
    assert messages_to_check(64, 4, message_s=0.044) == 8
