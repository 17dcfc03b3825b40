#!/usr/bin/env bash
# Runs a cargo tool that may be absent: `tests/tool.sh deny check`. Absent, it says so loudly and
# ends with 69, which `make lint` lets pass. In CI, machete is installed (a minute); deny takes many
# minutes to build and is run by the CI workflow from its own prebuilt action instead.
set -euo pipefail
tool=$1
if ! cargo "$tool" --version >/dev/null 2>&1; then
  if [[ ${CI:-} == true && $tool == machete ]]; then
    cargo install --locked --quiet cargo-machete || true
  fi
fi
if ! cargo "$tool" --version >/dev/null 2>&1; then
  echo "NOT CHECKED: cargo-$tool is not installed (cargo install --locked cargo-$tool)" >&2
  exit 69
fi
exec cargo "$@"
