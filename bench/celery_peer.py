"""A task per message through Celery and Redis: what one would write without a service of its own.

It gets every advantage: bytes made beforehand, one kept connection per worker process, no result, no retries, nothing
written down, a Redis that never saves. Celery lives in an environment of its own, made by the bench and thrown away;
Redis is Debian's package `redis-server`. Where one of them cannot be had the bench says so and goes on.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from services.runtime.child_process import spawn
from services.runtime.errors import Fault
from services.runtime.local_kafka import free_ports

NEEDS: Final = ("celery[redis]==5.7.0",)
PATIENCE: Final = 120.0
_TASKS: Final = '''
"""The worker's side."""
import os, smtplib
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=50, worker_hijack_root_logger=False)
MAIL = open(os.environ["MAIL"], "rb").read()
relay, redis = None, None

@app.task
def send(address):
    global relay, redis
    if relay is None:
        import redis as client
        redis = client.Redis.from_url(os.environ["BROKER"])
        relay = smtplib.SMTP("127.0.0.1", int(os.environ["RELAY"]))
    relay.sendmail("bench@relay.example", [address], MAIL)
    redis.incr("sent")
'''
_PRODUCER: Final = '''
"""Enqueues, waits until all are sent, and says how many a second that was."""
import os, sys, time, json, redis
from tasks import send

count, patience = int(sys.argv[1]), float(sys.argv[2])
client = redis.Redis.from_url(os.environ["BROKER"])
for _ in range(int(sys.argv[3])):
    send.delay("warm@relay.example")
while int(client.get("sent") or 0) < int(sys.argv[3]):
    time.sleep(0.01)
client.set("sent", 0)
began = time.time()
for number in range(count):
    send.delay(f"info{number}@foretag{number}.example")
while int(client.get("sent") or 0) < count:
    if time.time() - began > patience:
        sys.exit(f"{client.get('sent')} of {count} were sent within {patience:.0f} s")
    time.sleep(0.01)
print(json.dumps({"per_s": count / (time.time() - began)}))
'''


class CeleryPeer:
    """Redis and an environment with Celery. Raises `Fault` where one of them cannot be had."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="celery-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._python = self._folder / "venv" / "bin" / "python"

    def __enter__(self) -> "CeleryPeer":
        try:
            self._install()
            self._start_redis()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _install(self) -> None:
        if shutil.which("redis-server") is None:
            raise Fault("Celery is left out: redis-server is not there; on Debian, `apt install redis-server`")
        (self._folder / "tasks.py").write_text(_TASKS)
        (self._folder / "producer.py").write_text(_PRODUCER)
        commands: tuple[list[str], ...] = (
            ["uv", "venv", "-q", "--python", sys.executable, str(self._folder / "venv")],
            ["uv", "pip", "install", "-q", "--python", str(self._python), *NEEDS],
        )
        for command in commands:
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            except (OSError, subprocess.SubprocessError) as error:
                raise Fault(f"Celery is left out: `{' '.join(command[:3])}` failed ({type(error).__name__})") from error

    def _start_redis(self) -> None:
        (port,) = free_ports(1)
        command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
        self._processes.append(spawn(command, log=self._folder / "redis.log", cwd=self._folder))
        self._environment = {"BROKER": f"redis://127.0.0.1:{port}/0", "PATH": "/usr/bin:/bin"}

    def per_second(self, relay: int, mail: bytes, count: int, *, processes: int) -> float:
        """Messages a second, from the first that is enqueued to the last that a relay has taken."""
        (self._folder / "mail").write_bytes(mail)
        environment = {**self._environment, "RELAY": str(relay), "MAIL": str(self._folder / "mail")}
        worker = spawn(
            [self._python, "-m", "celery", "-A", "tasks", "worker", "-c", str(processes), "-l", "ERROR"],
            log=self._folder / "worker.log",
            env=environment,
            cwd=self._folder,
        )
        try:
            return self._produced(environment, count, processes)
        finally:
            worker.terminate()
            worker.wait()

    def _produced(self, environment: dict[str, str], count: int, warm: int) -> float:
        done: Any = subprocess.run(
            [self._python, "producer.py", str(count), str(PATIENCE), str(warm)],
            env=environment,
            cwd=self._folder,
            capture_output=True,
            check=False,
            timeout=PATIENCE + 60,
        )
        if done.returncode:
            raise Fault(f"Celery is left out: {done.stderr.decode()[-200:]}")
        return float(json.loads(done.stdout)["per_s"])
