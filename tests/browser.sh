#!/usr/bin/env bash
# Browser stories against the debug build: finds Chromium (in CI as root it installs Debian's) and runs Playwright.
# Without a browser it says so loudly and ends well, or fails when CI=true.
set -euo pipefail
cd "$(dirname "$0")/../engine/console"

find_browser() {
  local name
  for name in "${POINTSMAN_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [[ -n $name ]] && command -v "$name" 2>/dev/null && return
  done
  return 1
}

skip() {
  echo "NOT TESTED: $1" >&2
  [[ ${CI:-} != true ]] || exit 70
  exit 0
}

command -v node >/dev/null || skip "browser stories need Node.js 20.19 or newer (https://nodejs.org)"
[[ -d node_modules/@playwright ]] || skip "the console is not built; run \`make console\`"
if ! find_browser >/dev/null && [[ ${CI:-} == true && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >&2 || true
fi
browser=$(find_browser) || skip "there is no Chromium; install it (apt-get install chromium) or name it in POINTSMAN_CHROMIUM"
POINTSMAN_CHROMIUM=$browser PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 exec npx --no-install playwright test "$@"
