# What is done to a folder that is to run full: `WHAT FOLDER UNIT UNDER ROOM`, in this order:
#
#   away   the unit stops, FOLDER is copied into memory (a tmpfs of its size and ROOM MiB); once complete, the copy is
#          laid over FOLDER and the unit starts. UNDER shows FOLDER's own disk, which stays as it is until the copy back.
#   fill   a ballast takes all the room; `free` takes it away and restarts the unit; `full` says whether it is so
#   back   the unit stops, everything is copied to FOLDER's own disk beside the old and synced, the memory is given up,
#          the old makes way for the new, the unit starts
#
# Killed anywhere, `back` ends it, for what there is says how far it came, and only what is complete ever counts:
#
#   UNDER                        there from before the unit is first stopped until it runs again on its own disk
#   FOLDER is `quorate-drill`    the copy in memory is complete, and what counts
#   .quorate-drill/copy          incomplete: what is around it counts
#   .quorate-drill/whole         complete and on the disk: counts, what is around it is being removed
#   .quorate-drill/move          the only one left: being moved to where it belongs
set -eu
umask 077
what=$1 folder=$2 unit=$3 under=$4 room=$5
memory=$under.memory
reserve=256 # MiB that the machine keeps: what it runs must not suffer from what the drill takes
ballast=$folder/.quorate-drill-ballast

mkdir -p "${under%/*}"
exec 9< "${under%/*}"
flock 9 # a dead man's timer and an operator never do this at the same time

refuse() {
  echo "$*" >&2
  exit 1
}

in_memory() {
  [ "$(findmnt -rno SOURCE --mountpoint "$folder" | tail -n 1)" = quorate-drill ]
}

start() {
  systemctl reset-failed "$unit" 2>/dev/null || :
  systemctl start "$unit"
}

away() {
  ! in_memory || return 0
  [ -d "$folder" ] || refuse "$folder is no folder"
  [ ! -e "$under" ] && [ ! -e "$folder/.quorate-drill" ] || refuse "an earlier drill did not finish with $folder"
  ! findmnt -rno TARGET | grep -qF "$folder/" || refuse "other file systems are mounted below $folder"
  need=$(($(du -sxm "$folder" | cut -f 1) + room))
  free=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
  disk=$(df -Pm "$folder" | awk 'END {print $4}')
  [ "$free" -ge $((need + reserve)) ] ||
    refuse "$folder needs $need MiB of memory and $reserve MiB must be left, $free MiB are available"
  [ "$disk" -ge "$need" ] || refuse "$folder needs $need MiB beside it on its disk later on, $disk MiB are available"
  trap back EXIT # whatever goes wrong
  trap 'exit 1' HUP INT TERM
  mkdir "$under" "$memory"
  systemctl stop "$unit"
  mount --bind "$folder" "$under"
  mount --make-private "$under" # or what is laid over FOLDER would be laid over it too
  mount -t tmpfs -o "size=${need}m,mode=0700" quorate-drill "$memory"
  cp -a "$under/." "$memory/"
  mount --bind "$memory" "$folder"
  start
  trap - EXIT
}

fill() {
  in_memory || refuse "$folder is not in memory: it would be its own disk that runs full"
  cat /dev/zero > "$ballast" 2>/dev/null || :
}

full() {
  if in_memory && [ -e "$ballast" ] && [ "$(df -Pk "$folder" | awk 'END {print $4}')" -lt 1024 ]
  then echo took; else echo no; fi
}

free() {
  in_memory || return 0
  if [ -e "$ballast" ]; then
    : > "$ballast"
    systemctl reset-failed "$unit" 2>/dev/null || :
    systemctl restart "$unit" # that could not write may have given up: MariaDB leaves its cluster, and stays out
    rm -f "$ballast"
  fi
  systemctl is-active --quiet "$unit" || start
}

back() {
  [ -e "$under" ] || [ -e "$folder/.quorate-drill" ] || return 0
  systemctl stop "$unit"
  ! in_memory || copy_back
  for mounted in "$memory" "$under"; do
    ! mountpoint -q "$mounted" || umount "$mounted"
  done
  settle "$folder/.quorate-drill"
  start
  [ ! -e "$memory" ] || rmdir "$memory"
  [ ! -e "$under" ] || rmdir "$under"
}

copy_back() {
  mountpoint -q "$under" || refuse "$folder is in memory and its own disk is not to be seen at $under"
  half=$under/.quorate-drill
  rm -rf "$half" "$ballast" # also a whole one: somebody may have started the unit since
  mkdir "$half" "$half/copy"
  cp -a "$folder/." "$half/copy/"
  sync -f "$half"
  mv "$half/copy" "$half/whole"
  sync -f "$half"
  umount "$folder" || umount --lazy "$folder"
}

settle() {
  [ -e "$1" ] || return 0
  if [ -e "$1/whole" ]; then
    find "$folder" -mindepth 1 -maxdepth 1 ! -name .quorate-drill -exec rm -rf {} +
    mv "$1/whole" "$1/move"
    sync -f "$1"
  fi
  if [ -e "$1/move" ]; then
    chown --reference="$1/move" "$folder"
    chmod --reference="$1/move" "$folder"
    find "$1/move" -mindepth 1 -maxdepth 1 -exec mv -t "$folder" {} +
  fi
  sync -f "$folder"
  rm -rf "$1"
}

case $what in away | fill | full | free | back) "$what" ;; *) refuse "what is $what?" ;; esac
