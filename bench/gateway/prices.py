"""What the benchmark's model costs, such that every charge is a whole number of nano-dollars."""

# Dollars per million tokens.
PER_MILLION = {"prompt": "1", "completion": "2"}


def charge(prompt_tokens: int, completion_tokens: int) -> int:
    """Nano-dollars of one answer: a token at a dollar a million is 1,000 of them."""
    return 1_000 * prompt_tokens + 2_000 * completion_tokens
