"""What runs on a controller: scripts of the standard library, sent over stdin, that leave nothing behind.

`request.py` sends the files that a verb needs, then one request as JSON on stdin; the reply is one line of JSON on
stdout. serve.py reads and answers, program.py runs programs, files.py writes atomically and locks, and each verb is a
file: observe.py, act.py (with install.py and ledger.py), kept.py, lease.py, gather.py. They import each other and the
standard library only, and of that as little as they can: every import is paid on every look at every controller.

observe, all of it in parallel; what could not be seen, or not in the time that the caller has (the environment says
it), is "unknown", and one that fails does not hurt the others. A question that begins with `python3 -c` is run by a
copy of the process, which has imported what they need: that costs less than a new interpreter::

    → {"verb": "observe", "root": "", "nice": 0,
       "resources": [{"id": "package:haproxy", "kind": "package", "name": "haproxy"},      package, sysctl, unit: name
                     {"id": "file:/etc/hosts", "kind": "path", "path": "/etc/hosts"}],
       "questions": {"galera": [{"name": "status", "argv": ["mysql", "-e", "…"], "timeout": 2.0}]}}
    ← {"os": "debian-13",
       "resources": {"package:haproxy": {"seen": "package", "version": "3.0.11-1"}, …},    Seen of core/observed.py
       "answers": {"galera": {"status": {"code": 0, "out": "…", "err": ""}}}}   Answer or Unknown

act, in order, up to the first that fails; refused (and nothing done) unless the token holds this host's lease::

    → {"verb": "act", "root": "", "run": "20261120-1", "lease": "TOKEN", "wait": 3.0, "acts": [Act of core/act.py, …],
       "about": {"began": "2026-11-20T13:02:11.123+00:00", "verb": "apply", "operator": "ann@desk"}}
    ← {"refused": "", "results": [{"ok": true, "note": "was absent"}, {"ok": false, "note": "exit code 1: …"}]}

lease, who may act; its time is CLOCK_BOOTTIME, and one that has expired may be taken::

    → {"verb": "lease", "root": "", "do": "acquire" | "renew" | "release", "token": "TOKEN", "ttl": 30.0,
       "holder": {"operator": "ann@desk", …}, "steal_from": "" | "the token of an operator who is proved dead"}
    ← {"granted": false, "holder": {"operator": "bob@desk", …}, "remaining": 12.5, "why": "held by another run"}

kept, reading only: what is kept of runs, and of those since then all records, and how that lies now::

    → {"verb": "kept", "root": "", "since": null | "2026-11-20T13:02:11.123+00:00"}
    ← HostKept of core/kept.py

gather, reading only: the files whose paths a regular expression is found in, and the versions of packages::

    → {"verb": "gather", "root": "", "names": "/haproxy.cfg$|…", "packages": ["haproxy", …]}
    ← {"os": "debian-13", "packages": {"haproxy": "3.0.11-1"},
       "files": [{"path": "/etc/haproxy/haproxy.cfg", "mode": 416, "text": "…"}],
       "unread": [{"path": "/etc/nova/nova.conf", "why": "Permission denied"}]}

What could not be answered at all: `{"error": "…"}`.

State, each path below `root`: /run/quorate/{lease.json,lease.lock,act.lock}; /var/lib/quorate/stamps/UNIT.json (what
a unit has loaded), backup/RUN/PATH (each file as it was before this run first wrote it), backup/RUN.jsonl (what the run
did, ledger.py; the newest 30 runs are kept), policy-rc.d (the machine's own while packages are being installed);
/etc/sysctl.d/60-quorate-NAME.conf (a kernel setting that is kept).

A symbolic link: one to a directory is seen, and given its mode, as that directory (a data directory on another disk);
any other is seen as "other" and a written file takes its place, never the place of what it points to.
"""
