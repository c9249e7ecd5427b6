#!/bin/sh
# Write src/quorate/audit/known/ anew: which options every covered release of OpenStack knows.
#
#   tools/known_options.sh SCRATCH [RELEASE…]
#
# SCRATCH/RELEASE.txt is upper-constraints.txt of openstack/requirements for that release (branch stable/2025.1, or a
# tag such as 2024.2-eol), PYTHON a Python that it runs on: 3.11, from 2026.2 on 3.12. Each gets an environment in
# SCRATCH of about 700 MB, and SCRATCH/known/RELEASE.json, what its packages say; those that are there stay. Without
# RELEASE only the files are written anew.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(cd "$1" && pwd)
shift
mkdir -p "$scratch/known"
for release in "$@"; do
  # The first release that is covered, 2022.2, has Keystone 22; there are two a year, and majors go up by one.
  year=${release%.*} half=${release#*.}
  n=$(((year - 2022) * 2 + half - 2))
  grep -v -i -E '^(nova|keystone|neutron|glance|cinder|openstack-heat|openstack-placement|ceilometer)===' \
    "$scratch/$release.txt" >"$scratch/$release.pins"
  "$root/.venv/bin/uv" venv -q --clear --python "${PYTHON:-3.11}" "$scratch/$release"
  "$root/.venv/bin/uv" pip install -q --python "$scratch/$release/bin/python" -c "$scratch/$release.pins" "setuptools<81" \
    pyroute2 google-api-python-client \
    "keystone==$((22 + n)).*" "glance==$((25 + n)).*" "nova==$((26 + n)).*" "neutron==$((21 + n)).*" \
    "cinder==$((21 + n)).*" "openstack-heat==$((19 + n)).*" "openstack-placement==$((8 + n)).*" "ceilometer==$((19 + n)).*"
  "$scratch/$release/bin/python" -W ignore "$root/tools/known_options.py" list >"$scratch/known/$release.part"
  mv "$scratch/known/$release.part" "$scratch/known/$release.json"
done
"$root/.venv/bin/python" "$root/tools/known_options.py" join "$scratch/known" "$root/src/quorate/audit/known"
