"""Files of a sweep's members that are damaged."""

import pytest

from flowsim._files import RefusedError
from flowsim.sweep.collect import collect
from flowsim.sweep.state import states

from .test_sweep import finish, made, planned


@pytest.mark.parametrize("content", [None, b"\x89HDF"], ids=["missing", "torn"])
def test_a_members_file_is_named_and_not_the_sweeps(content, tmp_path):
    """It was told that sweep.nc could not be written, or that its folder had vanished."""
    sweep = made(tmp_path, planned("", "seed=[0,1]"))
    for name in sweep.members:
        finish(sweep, name)
    first = sweep.folder(next(iter(sweep.members)))
    if content is not None:
        (first / "trajectory.nc").write_bytes(content)
    with pytest.raises(RefusedError, match=rf"{first.name}/trajectory\.nc: cannot be read .*it is run again"):
        collect(sweep, states(sweep))
