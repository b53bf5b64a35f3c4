"""The APIs that a provider may speak, by the names that configurations use."""

from urllib.parse import urlsplit

CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES = (
    "chat",
    "completions",
    "embeddings",
    "messages",
    "responses",
)

SURFACES = (CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES)


def spoken_at(base_url: str) -> tuple[str, ...]:
    """What a provider speaks where its operator doesn't say: the sandbox chats, Anthropic has an API of its own."""
    address = urlsplit(base_url)
    if address.scheme == "sandbox":
        return (CHAT,)
    if (address.hostname or "").endswith("anthropic.com"):
        return (CHAT, MESSAGES)
    return (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)
