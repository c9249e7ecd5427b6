#!/bin/sh
# Install the Debian packages that the lab and its tests need, and those that are named; nothing where they are there already.
set -eu
wanted="memcached nutcracker libmemcached-tools debootstrap systemd-container iproute2 nftables openssh-client openssh-server procps $*"
missing=""
for package in $wanted; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "quorate: not root, so these Debian packages stay missing:$missing" >&2
  echo "quorate: without them the lab does not work; make check does" >&2
  exit 5
fi
echo "quorate: installing Debian packages:$missing"
if [ ! -e /usr/sbin/policy-rc.d ]; then # what is only needed for tests is not started, now or at the next boot
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
fi
apt-get update -q >/dev/null
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
for unit in memcached nutcracker; do
  case " $missing " in *" $unit "*) systemctl disable "$unit" >/dev/null 2>&1 || true ;; esac
done
