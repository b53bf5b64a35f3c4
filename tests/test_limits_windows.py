"""How a minute is counted: a sliding window, its edges, and how long one has to wait."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.windows import WINDOW, Window, shown

limits = st.integers(1, 1_000)


@st.composite
def windows(draw):
    left = draw(st.integers(1, 60_000)) / 1000
    previous, current = draw(st.integers(0, 2_000)), draw(st.integers(0, 2_000))
    return Window(previous, left, current, left + WINDOW)


def later(window, seconds):
    """The window when so many seconds have gone by without a request."""
    left = window.current_ttl - WINDOW - seconds
    if left > 0:
        return Window(window.previous, left, window.current, left + WINDOW)
    if left > -WINDOW:
        return Window(window.current, left + WINDOW, 0, 0.0)
    return Window()


class TestWhatCounts:
    def test_nothing_at_first(self):
        assert Window().used == 0

    def test_the_window_before_counts_by_what_the_last_minute_covers_of_it(self):
        assert Window(previous=10, previous_ttl=60.0).used == 10
        assert Window(previous=10, previous_ttl=30.0, current=2, current_ttl=90.0).used == 7
        assert Window(previous=10, previous_ttl=5.9).used == 0

    def test_what_is_taken_opens_a_window(self):
        assert Window().plus(3) == Window(current=3, current_ttl=2 * WINDOW)
        assert Window(current=1, current_ttl=70.0).plus(3) == Window(current=4, current_ttl=70.0)


class TestWaiting:
    def test_nobody_waits_for_room_that_is_there(self):
        assert Window(current=4, current_ttl=100.0).wait(1, 5) == 0

    def test_the_first_of_ten_fades_a_tenth_into_the_next_window(self):
        window = Window(current=10, current_ttl=2 * WINDOW)
        assert window.wait(1, 10) == 60.0

    def test_all_of_it_takes_nearly_two_windows(self):
        window = Window(current=10, current_ttl=2 * WINDOW)
        assert window.reset(10) == 60 + 60 - 6

    @given(windows(), limits, st.data())
    def test_who_waits_as_long_as_told_is_let_in(self, window, limit, data):
        amount = data.draw(st.integers(1, limit))
        wait = window.wait(amount, limit)
        assert wait >= 0
        assert later(window, wait + 0.002).used + amount <= limit

    @given(windows(), limits, st.data())
    def test_who_waits_less_is_not(self, window, limit, data):
        amount = data.draw(st.integers(1, limit))
        wait = window.wait(amount, limit)
        if wait > 0.004:
            assert later(window, wait - 0.002).used + amount > limit


class TestShown:
    def test_as_openai_writes_durations(self):
        assert [shown(seconds) for seconds in (0, 0.0171, 1, 7.2, 60, 90, 119.5)] == [
            "0ms",
            "18ms",
            "1s",
            "8s",
            "1m0s",
            "1m30s",
            "2m0s",
        ]
