#!/bin/sh
# pack.sh FOLDER TAR: what a run brings along, as a disk that the machine reads.
set -eu
tar -C "$1" --owner=0 --group=0 -cf "$2" .
truncate -s %512 "$2"
