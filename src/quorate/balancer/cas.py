"""CAS tokens that say which server gave them, and in which of its lives.

A memcached's tokens are its own counter: another server's, or those of the same server before a restart, look just
as valid. So a client gets `server | generation | token`, 6 + 6 + 52 bits, most significant first.

- 6 bits of server: 63 servers; number 63 marks a token that cannot be sealed.
- 6 bits of generation: how often the server was given up or taken back, counted 1 to 63 and round again. A token
  would have to be kept while its server goes and comes 63 times to be mistaken. 0 is never used, so that a small
  number that a client made up (`cas key 0 0 1 5`) belongs to nobody.
- 52 bits of token: memcached counts stores from 1; at a million a second that lasts 142 years. Only a token that a
  client chose itself (the meta flag E) can be wider; it becomes one that matches nothing.
"""

from __future__ import annotations

SERVERS = 63
"""How many servers a token can name: 0 to 62."""
GENERATIONS = 63
"""How many lives of a server are told apart: 1 to 63."""
NEVER = 2**64 - 1
"""A token that no memcached gives out: sent for a foreign one, so that the server still tells EXISTS from NOT_FOUND."""
_TOKEN_BITS = 52
_MASK = 2**_TOKEN_BITS - 1
_UNSEALABLE = SERVERS << 58


def seal(token: int, server: int, generation: int) -> int:
    """Return the client's token. 0 (nothing was stored) stays 0; one wider than 52 bits will match nothing."""
    if not token:
        return 0
    if token > _MASK or server >= SERVERS:
        return _UNSEALABLE
    return (server << 58) | ((generation & 63) << _TOKEN_BITS) | token


def unseal(sealed: int) -> tuple[int, int, int]:
    """Return (token, server, generation) of any number; a foreign one has generation 0 or no such server."""
    return sealed & _MASK, (sealed >> 58) & 63, (sealed >> _TOKEN_BITS) & 63


def next_generation(generation: int) -> int:
    """Return the one after `generation`, never 0."""
    return generation % GENERATIONS + 1
