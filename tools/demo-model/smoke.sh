#!/bin/sh
# From books to a model that completes a sentence, on a small sample: smoke.sh BOOKS [VOLARY]
set -eu
books=$1
volary=${2:-volary}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/books"
ls -Sr "$books"/*.txt | head -n 6 | while read -r book; do cp "$book" "$work/books"; done
python "$here/prepare.py" "$work/books" "$work/data"

# Counted in steps: a slow machine takes seconds for one.
small="--layers 2 --batch 4 --context 64 --sample 8 --minutes 5"
python "$here/train.py" "$work/data" "$work/run" $small --stop-at 2
python "$here/train.py" "$work/data" "$work/run" $small --stop-at 4 --resume
steps=$(sed -n 's/.*"step": \([0-9]*\).*/\1/p' "$work/run/log.jsonl" | xargs)
[ "$steps" = "2 4" ] || { echo "smoke.sh: the log tells of the steps $steps, not of 2 and 4" >&2; exit 1; }

python "$here/export.py" "$work/run/checkpoint.pt" "$work/data/tokenizer.json" "$work/small.gguf" --volary "$volary"
for model in small.pth small.gguf; do
    python "$here/compare_logits.py" "$work/run/checkpoint.pt" "$work/data/tokenizer.json" "$work/$model" \
        --tolerance 0.02 --volary "$volary"
done
"$volary" complete "$work/small.gguf" "Once upon a time" --max-tokens 20 --seed 1
echo "Hello!" | "$volary" chat "$work/small.gguf" --format world --max-tokens 20 --seed 1
