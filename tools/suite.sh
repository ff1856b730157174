#!/bin/sh
# Runs one test runner and keeps what it said for `tine summary`:
#
#   tools/suite.sh tests|check NAME COMMAND...
#
# The log goes to build/test/NAME.log. The status is always 0, so that one suite's failure does not hide the next
# one's results; the summary is what fails.
set -u

kind=$1
name=$2
shift 2

mkdir -p build/test
start=$(date +%s)
{
    echo "suite: $name $kind"
    "$@" 2>&1
    echo "suite: exit $?"
    echo "suite: $name took $(($(date +%s) - start)) s"
} | tee "build/test/$name.log"
