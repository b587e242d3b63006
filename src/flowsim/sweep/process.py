"""A worker process as the process that started it sees it."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

from . import worker
from .ended import FAILED, INTERRUPTED, Ended

_ENDS = 10.0  # seconds that a process may take to end after it has closed its answers
_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT)


class Process:
    """One warm process. `member`: what it runs now; `ready`: has it loaded the simulator?"""

    def __init__(
        self, folder: pathlib.Path, *, cores: Sequence[int] = (), environment: Mapping[str, str] | None = None
    ):
        read, write = os.pipe()
        self._log = folder / "logs" / f"{socket.gethostname()}-{os.getpid()}.log"
        command = [sys.executable, "-m", worker.__name__, str(folder), "--answers", str(write)]
        if cores:
            command += ["--cores", ",".join(map(str, cores))]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(write,),
                start_new_session=True,  # a terminal's Ctrl-C is for the process in front
                env=os.environ | (environment or {}),
            )
        os.close(write)
        os.set_blocking(read, False)
        self.fileno_answers, self._buffer = read, b""
        self.member: str | None = None
        self.ready = False
        self.code: int | None = None  # how it ended

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> pathlib.Path:
        """Where it writes what it says, beside other processes of the same submission."""
        return self._log

    def send(self, member: str) -> None:
        """Give it a member to run. A process that has just ended is found out by `answers`."""
        self.member = member
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{member}\n".encode())
            self._process.stdin.flush()

    def answers(self) -> tuple[list[Ended], bool]:
        """What has been answered since, and whether the process has closed its answers."""
        closed = False
        while True:
            try:
                part = os.read(self.fileno_answers, 65536)
            except BlockingIOError:
                break
            if not part:
                closed = True
                break
            self._buffer += part
        *lines, self._buffer = self._buffer.split(b"\n")
        ended = []
        for line in lines:
            if line + b"\n" == worker.READY.encode():
                self.ready = True
            else:
                ended.append(Ended.of_line(line))
                self.member = None
        return ended, closed

    def end(self) -> Ended | None:
        """Reap a process that has closed its answers; how the member ended that it did not answer."""
        os.close(self.fileno_answers)
        self.code = code = self._wait(_ENDS)
        if self.member is None:
            return None
        if code in _STOPPED or code == worker.AGAIN:
            return Ended(self.member, INTERRUPTED, signal=abs(code) % 128)
        return Ended(self.member, FAILED, f"its process {_ending(code)}; see {self._log}")

    def stop(self) -> None:
        """Ask it to stop where nothing is lost."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Nothing more to run: it ends by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _wait(self, seconds: float) -> int:
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self.close()
        return code


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", which is what a machine without enough memory does" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"
