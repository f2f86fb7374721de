#!/usr/bin/env bash
# Whether two runs of the suite `quick`, an hour apart, agree on this machine in every ratio within their intervals:
#
#   scripts/agreement.sh BASE NEW    # folders of two records, for example under results/<machine class>
#
# A record that is not there is measured: BASE at once, NEW when BASE is PAUSE seconds old (3600 unless told otherwise). What
# `pcnbench cmp` says of them goes into agreement.txt beside BASE, which a test holds against the two records.
#
#   PCNBENCH=path/to/pcnbench    use this program instead of building one
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ $# -ne 2 ]]; then
  sed -n '2,/^set/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 1
fi
base=${1%/} new=${2%/}
if [[ -z ${PCNBENCH:-} ]]; then
  cargo build --release
  PCNBENCH=${CARGO_TARGET_DIR:-target}/release/pcnbench
fi

# When a record was begun, in seconds and as it says itself.
begun() { grep -o '"started": *"[^"]*"' "$1/run.json" | head -n 1 | cut -d '"' -f 4; }
seconds() { date --date "$(begun "$1")" +%s; }

[[ -e $base/run.json ]] || "$PCNBENCH" run quick --out "$base"
if [[ ! -e $new/run.json ]]; then
  left=$(($(seconds "$base") + ${PAUSE:-3600} - $(date +%s)))
  ((left <= 0)) || sleep "$left"
  "$PCNBENCH" run quick --out "$new"
fi

minutes=$((($(seconds "$new") - $(seconds "$base")) / 60))
found=$(mktemp)
trap 'rm -f "$found"' EXIT
# what it makes of the changes does not matter here, only that it could compare
"$PCNBENCH" cmp "$base" "$new" >"$found" || [[ $? -ge 3 ]]
{
  echo "# Whether two runs of one machine agree, $minutes minutes apart: scripts/agreement.sh with these two records, or"
  echo "# pcnbench cmp $base $new"
  cat "$found"
} >"$(dirname "$base")/agreement.txt"
tail -n 1 "$found"
