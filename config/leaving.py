"""How our server says that a client has left: an ASGI extension, in `scope["extensions"]`.

ASGI itself says it to who waits in `receive()`, for which each request would need a task of its own.
"""

from collections.abc import Callable

EXTENSION = "tollgate.left"

# Given a function, it has that called once the connection is lost, and answers one that ends the watch.
Watch = Callable[[Callable[[], None]], Callable[[], object]]
