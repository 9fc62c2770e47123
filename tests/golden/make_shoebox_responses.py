"""Write shoebox_responses.npz: responses of pyroomacoustics 0.3.1, in two rooms of WHAMR!.

python tests/golden/make_shoebox_responses.py

It needs that version of pyroomacoustics, with Cython below 3 to build it and numpy below 2 to run
it. The package asks numpy for names that it no longer has, so they are given back first.
"""

import csv
import math
from pathlib import Path

import numpy as np

for name, kind in (("float", float), ("int", int), ("bool", bool), ("complex", complex)):
    setattr(np, name, kind)

import pyroomacoustics  # noqa: E402

RATE = 16000
ROWS = ((0, "s1"), (1, "s2"))

assert pyroomacoustics.__version__ == "0.3.1"
here = Path(__file__).parent
with open(here.parents[1] / "manifests/whamr/reverb_params_tt.csv", newline="") as stream:
    rows = list(csv.DictReader(stream))
responses = {}
for index, talker in ROWS:
    row = {key: float(value) for key, value in rows[index].items() if key != "utterance_id"}
    size = [row[f"room_{axis}"] for axis in "xyz"]
    x, y, z = size
    area = 2 * (x * y + x * z + y * z)
    absorption = 24 * x * y * z * np.log(10.0) / (343.0 * area * row["T60"])
    for kind, order in (("anechoic", 0), ("reverb", math.ceil(row["T60"] * 343.0 / min(size)))):
        room = pyroomacoustics.ShoeBox(size, fs=RATE, absorption=absorption, max_order=order)
        room.add_source([row[f"{talker}_{axis}"] for axis in "xyz"])
        microphone = np.array([[row["micL_x"]], [row["micL_y"]], [row["mic_z"]]])
        room.add_microphone_array(pyroomacoustics.MicrophoneArray(microphone, RATE))
        room.compute_rir()
        responses[f"{index}_{talker}_{kind}"] = room.rir[0][0][: math.ceil(row["T60"] * RATE)]
np.savez_compressed(here / "shoebox_responses.npz", **responses)
