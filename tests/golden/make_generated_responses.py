"""Write generated_responses.npz: responses of rir-generator 0.3.0, in two rooms of SMS-WSJ's kind.

python tests/golden/make_generated_responses.py

It needs that version of the package, which is Habets' own model (2.2.20201022); for microphones
without a direction it is that of 2.1.20141124, whose port the set was made with.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rir_generator

RATE = 8000
TAPS = 2048

assert version("rir-generator") == "0.3.0"
here = Path(__file__).parent
database = json.loads((here.parents[1] / "manifests/smswsj/sms_wsj.json").read_text())["datasets"]
responses = {}
for subset, name in (("cv_dev93", "0_4k6c0303_4k4c0319"), ("test_eval92", "0_443c0201_440c0401")):
    room = database[subset][name]
    responses[f"{subset}/{name}"] = rir_generator.generate(
        c=343,
        fs=RATE,
        r=np.transpose(room["sensor_position"])[:2],
        s=[row[1] for row in room["source_position"]],
        L=np.ravel(room["room_dimensions"]),
        reverberation_time=room["sound_decay_time"],
        nsample=TAPS,
    ).T
np.savez_compressed(here / "generated_responses.npz", **responses)
