#!/bin/bash
# Copy a store while others write to it: deploy/backup.sh STORE TARGET. No vacuum may run meanwhile.
#
# What names something is copied before what it names, so that the copy may lack the newest of each part and never what another
# part of it stands on: publications and pins before tables, ledgers before the keys that their codes mean, keys before events,
# all logs before the files that they list, which no writer changes. hot/, known/ and spill/ are left out: they are made again.
# Look at the copy before you trust it: featurestore doctor --dry-run --root TARGET
set -euo pipefail

store=$(cd "$1" && pwd)
mkdir -p "$2"
target=$(cd "$2" && pwd)
if [ -n "$(ls -A "$target")" ]; then
    echo "$target is not empty. Give each backup a folder of its own." >&2
    exit 1
fi
cd "$store"

copy() { # the files whose names are read from the input
    tar --create --file - --files-from - | tar --extract --file - --directory "$target"
}

files() { # PLACE... [EXPRESSION]: those below places that exist, but for what is half written
    local places=()
    while [ $# -gt 0 ] && [[ $1 != [-!\(]* ]]; do
        if [ -e "$1" ]; then places+=("$1"); fi
        shift
    done
    if [ ${#places[@]} -gt 0 ]; then find "${places[@]}" -type f ! -name '.*.tmp' "$@"; fi
}

logs() { # KIND...: of the tables of these kinds
    files "${@/#/lake/}" -path '*/_delta_log/*'
}

files newest publications pins | copy
files lake -name '.*.table' | copy
logs scores snapshots sketches faults days | copy
logs ledger | copy
logs tiles | copy
logs keys | copy
logs events | copy
logs superseded quarantine | copy
files lake ! -path '*/_delta_log/*' ! -name '.*.table' | copy
files store.json registry.json definitions calibrations acknowledged | copy
files landing alerts | copy || [ $? -eq 1 ] # a message may have been sent, a file been taken away: tar ends with 1
