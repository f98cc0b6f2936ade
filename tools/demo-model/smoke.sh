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

small="--layers 2 --batch 4 --context 64 --every 0.05 --sample 8"
python "$here/train.py" "$work/data" "$work/run" --minutes 0.05 $small
python "$here/train.py" "$work/data" "$work/run" --minutes 0.15 $small --resume
test "$(wc -l < "$work/run/log.jsonl")" -ge 3

python "$here/export.py" "$work/run/checkpoint.pt" "$work/data/tokenizer.json" "$work/small.gguf" --volary "$volary"
for model in small.pth small.gguf; do
    python "$here/compare_logits.py" "$work/run/checkpoint.pt" "$work/data/tokenizer.json" "$work/$model" \
        --tolerance 0.02 --volary "$volary"
done
"$volary" complete "$work/small.gguf" "Once upon a time" --max-tokens 20 --seed 1
echo "Hello!" | "$volary" chat "$work/small.gguf" --format world --max-tokens 20 --seed 1
