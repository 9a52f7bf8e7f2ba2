# The steps of scripts/test. To be sourced after packages.sh; it defines functions only. What a step came to is kept in the directory
# $reports, as summary.mjs reads it: what fails is counted and named at the end, and hides no other step.
# shellcheck shell=sh disable=SC2154

# check NAME COMMAND...: a step that counts as one test.
check() {
	name=$1
	shift
	say "==> $name: $*"
	began=$(date +%s)
	if "$@" >&2; then
		echo 0 >"$reports/$name.status"
	else
		echo $? >"$reports/$name.status"
	fi
	say "$name took $(($(date +%s) - began)) s"
}

# tests NAME PROJECT: a step that runs tests of vitest.
tests() {
	check "$1" node node_modules/vitest/vitest.mjs run --project "$2" \
		--reporter=default --reporter=json "--outputFile.json=$reports/$1.json"
}
