#!/usr/bin/env bash
# What has to be tried on one card, under 5 minutes: the tests marked gpu, a small search of each method, encoder and
# training at the size of BERT-base. Results, with the card's name, lie in the folder FOLDER (default
# benchmarks/results/gpu).
#
#     benchmarks/gpu.sh [FOLDER]          on a GPU
#     benchmarks/gpu.sh --cpu [FOLDER]    every part at a tiny size on a CPU, to try this script
set -euo pipefail
cd "$(dirname "$0")/.."
device=cuda sizes=base rounds=8 searches=()
if [ "${1:-}" = --cpu ]; then
    shift
    device=cpu sizes=tiny rounds=4 searches=(--cpu)
fi
out="${1:-benchmarks/results/gpu}"
mkdir -p "$out"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

GPU_TESTS_ON="$device" python -m pytest -m gpu -q -p no:cacheprovider tests/test_gpu.py | tee "$out/tests.txt"
python benchmarks/gpu_searches.py "${searches[@]}" --output "$out/searches.json"
python benchmarks/encoder.py --device "$device" --sizes "$sizes" --rounds "$rounds" --output "$out/encoder.json"
python benchmarks/training_speed.py --device "$device" --size "$sizes" --rounds "$rounds" --output "$out/training_speed.json"
