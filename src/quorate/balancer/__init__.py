"""The memcache load balancer: one address on localhost in front of the memcached servers of all controllers.

One request's life:

  client ──bytes──► session.Client ──lone get──► routes.Route ──► session.Backend ──bytes──► memcached
                        │    ▲                  (key → slot → copies)      │
                        │    └── reply, in the client's order ◄── framed ◄─┘
                        └─anything else─► protocol.parse ─► Command ─► ops, gather (its copies, one home, all servers)

  nobody answers in time ─► worker.sweep: hedge ─► give up: reset, other copies, debt (health.Debt)
                                                     │ before the client hears "stored" or "deleted"
                                                     ▼
                                               registers: a quorum knows who missed what
                                                     │ the server is back
                                                     ▼
                                               mending: drain, replay or empty; filling: copy again; then it is read

Its laws: 1. Anything but a completely parsed reply kills that server connection. 2. A server that may have missed an
acknowledged change is not read until that is made good. 3. When in doubt a copy is deleted. 4. No client waits for a
dead, frozen or unreachable server longer than the stated bound. What is guaranteed: docs/decisions/0008-balancer.md.

Several workers are several such balancers: supervisor.py starts them, board.py is what they tell each other.

Standard library only, no import from the rest of the project: it is shipped to controllers as one file.
"""
