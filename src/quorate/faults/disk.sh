# What is done to a folder that is to run full: `WHAT FOLDER UNIT UNDER ROOM`, in this order:
#
#   away   the unit stops, FOLDER is copied into memory (a tmpfs of its size and ROOM MiB) which then lies over it, the
#          unit starts. UNDER is where FOLDER's own disk can still be seen; it stays as it is until the copy back.
#   fill   a ballast takes all the room; `free` takes it away; `full` says whether it is so
#   back   the unit stops, everything is copied to FOLDER's own disk beside the old and synced, the memory is given up,
#          the old makes way for the new, the unit starts. Interrupted anywhere, it goes on where it stopped:
#
#            .quorate-drill/copy    incomplete: worth nothing, what is around it counts
#            .quorate-drill/whole   complete and on the disk: counts, what is around it is being removed
#            .quorate-drill/move    the only one left: being moved to where it belongs
set -eu
umask 077
what=$1 folder=$2 unit=$3 under=$4 room=$5
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

give_up() {
  ! in_memory || umount "$folder"
  ! mountpoint -q "$under" || umount "$under"
  rmdir "$under"
  start
}

away() {
  ! in_memory || return 0
  [ -d "$folder" ] || refuse "$folder is no folder"
  [ ! -e "$folder/.quorate-drill" ] || refuse "an earlier drill did not finish with $folder: $folder/.quorate-drill"
  ! findmnt -rno TARGET | grep -qF "$folder/" || refuse "other file systems are mounted below $folder"
  need=$(($(du -sxm "$folder" | cut -f 1) + room))
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
  disk=$(df -Pm "$folder" | awk 'END {print $4}')
  [ "$memory" -ge $((need + reserve)) ] ||
    refuse "$folder needs $need MiB of memory and $reserve MiB must be left, $memory MiB are available"
  [ "$disk" -ge "$need" ] || refuse "$folder needs $need MiB beside it on its disk later on, $disk MiB are available"
  mkdir -p "$under"
  systemctl stop "$unit"
  trap give_up EXIT
  mount --bind "$folder" "$under"
  mount -t tmpfs -o "size=${need}m,mode=0700" quorate-drill "$folder"
  cp -a "$under/." "$folder/"
  trap - EXIT
  start
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
  rm -f "$ballast"
  systemctl is-active --quiet "$unit" || start
}

back() {
  if in_memory; then
    mountpoint -q "$under" || refuse "$folder is in memory and its own disk is not to be seen at $under"
    half=$under/.quorate-drill
    systemctl stop "$unit"
    rm -rf "$half" "$ballast" # also a whole one: somebody may have started the unit since
    mkdir "$half" "$half/copy"
    cp -a "$folder/." "$half/copy/"
    sync -f "$half"
    mv "$half/copy" "$half/whole"
    sync -f "$half"
    umount "$folder" || umount --lazy "$folder"
  fi
  ! mountpoint -q "$under" || umount "$under"
  [ ! -e "$under" ] || rmdir "$under"
  half=$folder/.quorate-drill
  [ -e "$half" ] || return 0
  systemctl stop "$unit"
  if [ -e "$half/whole" ]; then
    find "$folder" -mindepth 1 -maxdepth 1 ! -name .quorate-drill -exec rm -rf {} +
    mv "$half/whole" "$half/move"
    sync -f "$half"
  fi
  if [ -e "$half/move" ]; then
    chown --reference="$half/move" "$folder"
    chmod --reference="$half/move" "$folder"
    find "$half/move" -mindepth 1 -maxdepth 1 -exec mv -t "$folder" {} +
  fi
  sync -f "$folder"
  rm -rf "$half"
  start
}

case $what in away | fill | full | free | back) "$what" ;; *) refuse "what is $what?" ;; esac
