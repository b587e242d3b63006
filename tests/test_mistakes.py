"""No JAX or Equinox traceback for a user's mistake: one sentence that says what to do."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module", name="outcomes")
def _outcomes():
    done = subprocess.run([sys.executable, "-m", "tests.mistakes"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_every_mistake_is_refused_in_a_sentence(outcomes):
    assert len(outcomes) >= 50
    wrong = {
        name: found
        for name, found in outcomes.items()
        if found["type"] not in ("TypeError", "ValueError")
        or found["wanted"] not in found["text"]
        or "\n" in found["text"].strip()
        or len(found["text"]) > 400
    }
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)
