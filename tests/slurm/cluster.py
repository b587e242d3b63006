"""A Slurm cluster of one node on this machine, for tests: `python -m tests.slurm.cluster FOLDER`, until interrupted.

Needs root and the programs of Debian's packages `slurm-wlm` and `munge`. Everything it writes is in FOLDER.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
_UP = 60.0  # seconds
# cred_expire: a task that is put back starts again when its credential has run out: 2 minutes by default, 5 s at least.

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmctldPort={port}
SlurmdPort={port_1}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MaxArraySize={array}
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2,bf_interval=2
KillWait=20
MessageTimeout=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
"""


def missing() -> str:
    """Why no cluster can be started here; empty if one can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian's slurm-wlm and munge)"
    return "" if os.getuid() == 0 else "a Slurm cluster of one's own needs root"


class Cluster:
    """Starts munged, slurmctld and slurmd, and stops them at the end. Use as a context manager.

    `environment` is what Slurm's commands need to find it.
    """

    def __init__(self, folder: pathlib.Path, *, array: int = 1001, cpus: int | None = None):
        self.folder, self._array, self._cpus = folder.resolve(), array, cpus or os.cpu_count() or 1
        self._processes: dict[str, subprocess.Popen] = {}
        self.environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _path()}

    def __enter__(self) -> "Cluster":
        try:
            self._write()
            self._munge()
            self.start("slurmctld")
            self.start("slurmd")
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("slurmd", "slurmctld", "munged"):
            self.kill(name, signal.SIGTERM)

    def start(self, name: str) -> None:
        """Start a daemon, in the foreground of a process of ours; also again after `kill`."""
        more = {"slurmctld": ["-i"], "slurmd": ["-N", _host()]}[name]
        again = (self.folder / f"{name}.out").exists()
        self._run(name, [name, "-D", "-f", str(self.folder / "slurm.conf"), *more])
        if again:  # a controller that was killed before it saved its state gives numbers of jobs twice, and drains
            _until(self._resumed, f"{name} does not answer")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a daemon by a signal."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ask(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def _resumed(self) -> bool:
        with contextlib.suppress(subprocess.SubprocessError):
            state = self.ask("sinfo", "--noheader", "--format=%T")
            if "drain" in state or "down" in state:
                self.ask("scontrol", "update", f"nodename={_host()}", "state=resume")
            return True
        return False

    def _write(self) -> None:
        for name in ("state", "spool", "munge"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        port = _free_port()
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
        text = _CONFIGURATION.format(
            host=_host(), folder=self.folder, port=port, port_1=port + 1, array=self._array, cpus=self._cpus,
            memory=memory,
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(text)

    def _munge(self) -> None:
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.folder / "munge").chmod(0o700)
        options = {
            "socket": self.folder / "munge.socket",
            "key-file": key,
            "pid-file": self.folder / "munge" / "pid",
            "log-file": self.folder / "munge" / "log",
            "seed-file": self.folder / "munge" / "seed",
        }
        command = ["munged", "--foreground", "--force", *(f"--{name}={value}" for name, value in options.items())]
        self._run("munged", command)
        _until(lambda: (self.folder / "munge.socket").exists(), "munged does not open its socket")

    def _run(self, name: str, command: list[str]) -> None:
        with open(self.folder / f"{name}.out", "ab") as out:
            self._processes[name] = subprocess.Popen(command, env=self.environment, stdout=out, stderr=out)

    def _wait(self) -> None:
        def up() -> bool:
            with contextlib.suppress(subprocess.SubprocessError):
                return "idle" in self.ask("sinfo", "--noheader", "--format=%t")
            return False

        _until(up, f"the node does not come up; see {self.folder}/slurmctld.log")


def _until(true, message: str) -> None:
    until = time.monotonic() + _UP
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(message)
        time.sleep(0.1)


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _free_port() -> int:
    """A port whose neighbor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError):
                two.bind(("", port + 1))
                return port


if __name__ == "__main__":
    with Cluster(pathlib.Path(sys.argv[1])) as cluster:
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            signal.pause()
