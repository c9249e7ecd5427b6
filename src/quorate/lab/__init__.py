"""The lab: three or more real machines on this one, on which everything is tried and broken.

Each machine is a systemd-nspawn container with its own systemd, network card, address, disk and power button.

::

    names.py     what a lab's things are called on this host: every process, mount, link and cgroup is found by its name
    spec.py      what a lab is (a value): machines, subnet, release, image; stored as lab.json
    needs.py     what this host lacks, all of it in one error
    sources.py   which Debian mirror the host uses (pure)
    image.py     the golden root that all machines share, built once and cached; recipe.py is how it is made
    cgroups.py   where a machine's processes live: cgroup v2 alone, or beside v1; systemd as PID 1 or not
    network.py   the bridge, the cables, and cutting them
    machine.py   one machine: disk, boot, power cut, freeze
    lab.py       the whole: up, down, and the API that tests and demonstrations use
    identity.py  the keys, certificates and machine ids that are made for a lab
    folder.py    what `lab up` writes for the user: cloud.yaml, secrets.yaml, the key, known_hosts
    sweep.py     removes all that carries a lab's name, also after a crash
    power.py     the daemon that plays the machines' BMCs; redfish.py is what it answers
    command.py   runs the host's programs, and waiting.py waits for conditions and locks: both never for ever
    witness.py   watches the bridge: who used an address, and when; sightings.py judges it (pure)

It imports nothing of the rest of Quorate but the errors: the machines are ordinary machines to everybody else.
"""
