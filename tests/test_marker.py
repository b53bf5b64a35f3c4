"""The member `paywall` is ours alone: a provider's is cut out where ours stands, and no other byte is touched."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.marker import removed, removed_from

FORGED = '{"decision": "insufficient_funds", "url": "https://evil.test/t/1"}'


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ('{"paywall": %s, "id": "x" }', '{ "id": "x" }'),
        ('{ "id": "x", "paywall" : %s}', '{ "id": "x"}'),
        ('{"a": 1, "paywall": %s , "b": [ ] }', '{"a": 1, "b": [ ] }'),
        ('{"paywall": null, "a": 1, "paywall": %s}', '{ "a": 1}'),
        ('{"paywall": %s}', "{}"),
        ('{"p\\u0061ywal\\u006C": %s, "a": 1}', '{ "a": 1}'),
        ('{"a": 1, "message": {"paywall": %s, "id": 1} }', '{"a": 1, "message": { "id": 1} }'),
        ('{"response" : { "id": 1, "paywall": %s } , "n": 2}', '{"response" : { "id": 1} , "n": 2}'),
        ('{"m\\u0065ssage": {"paywall": %s}}', '{"m\\u0065ssage": {}}'),
    ],
)  # fmt: skip
def test_a_forged_member_is_cut_out(sent: str, passed: str) -> None:
    body = (sent % FORGED).encode()
    assert removed(body) == passed.encode()
    for end in ("\n", "\r\n", "\r"):
        event = f"event: x{end}data: {body.decode()}{end}{end}".encode()
        assert removed_from(event) == f"event: x{end}data: {passed}{end}{end}".encode()


def test_a_member_over_several_data_lines_is_cut_out() -> None:
    event = b'data: {"a": 1,\ndata: "paywall"\ndata: : {},\ndata: "b": 2}\n\n'
    assert removed_from(event) == b'data: {"a": 1,\ndata: "b": 2}\n\n'


@pytest.mark.parametrize(
    "text",
    [
        '{"choices": [{"delta": {"content": "paywall"}}]}',
        '{"choices": [{"delta": {"content": "{\\"paywall\\": {}}"}}], "x-paywall": 1, "paywall_id": 2}',
        '{"choices": [{"message": {"paywall": 1, "role": "assistant"}}]}',
        '{"caf\\u00e9": "\\u0070", "paywalls": {"paywall": 1}, "Paywall": 2}',
        '{"message": "paywall", "response": ["paywall"]}',
        '["paywall", {"paywall": 1}]',
        '{"paywall": ',
        "[DONE]",
        '{"\\x": 1, "id": "paywall"}',
    ],
)
def test_what_only_looks_like_it_stays_byte_for_byte(text: str) -> None:
    assert removed(text.encode()) == text.encode()
    event = f': paywall"\ndata: {text}\n\n'.encode()
    assert removed_from(event) == event


KEYS = st.sampled_from(["paywall", "message", "response", "id", "é"]) | st.text(max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, VALUES), st.booleans(), st.sampled_from([None, 2]))
def test_the_rest_of_any_answer_means_what_it_meant(
    answer: dict[str, Any], escaped: bool, indent: int | None
) -> None:
    sent = json.dumps(answer, ensure_ascii=escaped, indent=indent).encode("utf-8", "surrogatepass")
    expected = {
        key: {k: v for k, v in value.items() if k != "paywall"}
        if key in ("message", "response") and isinstance(value, dict)
        else value
        for key, value in answer.items()
        if key != "paywall"
    }
    passed = removed(sent)
    assert json.loads(passed.decode("utf-8", "surrogatepass")) == expected
    if expected == answer:
        assert passed == sent
