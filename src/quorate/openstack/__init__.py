"""What all OpenStack services have in common, so that one of them is a page of values in a folder of `systems/`.

- `service.py`: what a service is made of, as values (APIs, daemons, schemas), and its section of the cloud file
- `options.py`: the options that every service needs (accounts, database, cache, messages), and how they become a file
- `resources.py`: the service → packages, files and units on a controller; what it offers and claims
- `programs.py`: the small Python programs that run on a controller, as text
- `probe.py`, `judge.py`: what is asked of a controller, and what to make of the answers
- `form.py`: schema, what is to be done once, the first start
- `accounts.py`: users, roles and catalog at Keystone, for what services claim there
- `system.py`: all of it together, as a `System`
- `client.py`: the client of drills that asks an API
"""
