#!/usr/bin/env bash
# The whole chain on the starter corpus: sources, mixtures, separators, scores, leaderboard.
# Every command is printed before it runs; all that it makes is below demo/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
began=$SECONDS

step() { printf '\n== %s\n' "$1"; }
run() { printf '$ %s\n' "$*"; "$@"; }

step "1. A corpus for people who have none: synthetic speech, songs and noise"
run mixgen starter --out demo/starter

step "2. Two sets: noisy two-talker speech, and music in four stems"
for set in starter_2mix starter_music; do
    run mixgen draw "$set" --sources demo/starter/sources.csv --out "demo/$set.jsonl"
    run mixgen render "demo/$set.jsonl" --out "demo/sets/$set"
    run mixgen verify "demo/sets/$set"
done

step "3. Five separators, trained briefly"
train() {
    local name=$1 manifest=$2 minutes=$3
    run baselines train "$name" --manifest "demo/$manifest.jsonl" --minutes "$minutes" \
        --out "demo/checkpoints/${name%%:*}" --overwrite
}
train conv_tasnet:small starter_2mix 0.7
train complex_mask:small starter_2mix 3.0
train mask_inference:small starter_2mix 0.5
train open_unmix:small starter_music 0.5
train munet:small starter_music 0.5

step "4. Separate, score, rank: trained systems beside what is ideal and what does nothing"
systems=(oracle:ibm oracle:irm oracle:psm oracle:mwf mixture)
systems+=(demo/checkpoints/{conv_tasnet,complex_mask,mask_inference,open_unmix,munet})
run evalsuite run --set demo/sets/starter_2mix --set demo/sets/starter_music \
    "${systems[@]/#/--system=}" --out demo/results
cp demo/results/leaderboard.csv demo/leaderboard.csv
run python docs/overview.py --set demo/sets/starter_2mix --results demo/results/starter_2mix \
    --system complex_mask --out demo/overview.png

cat <<END

The table is in demo/leaderboard.csv, and with spectrograms in demo/overview.png.
Took $((SECONDS - began)) s.
Listen: the mixtures and references are in demo/sets/SET/test-000000/,
what the systems made of them in demo/results/SET/SYSTEM/estimates/test-000000/.
END
