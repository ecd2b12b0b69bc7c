"""Starts Athena for a suite, and counts what the suite checks.

The binary is `ATHENA_BIN`. Each server gets a home of its own in a temporary directory.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

BINARY = os.environ.get("ATHENA_BIN") or sys.exit("ATHENA_BIN does not name the binary to test")

_passed = 0
_failed = 0


def passed(name):
    """Counts a check that held."""
    global _passed
    _passed += 1
    print(f"ok      {name}", flush=True)


def failed(name, why):
    """Counts a check that did not hold."""
    global _failed
    _failed += 1
    print(f"FAILED  {name}: {why}", flush=True)


@contextlib.contextmanager
def check(name):
    """Counts its body as one check; a failure does not stop the suite."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        failed(name, "see above")
    else:
        passed(name)


def finish():
    """Prints the summary and ends the process."""
    print(f"{_passed} passed, {_failed} failed", flush=True)
    sys.exit(1 if _failed or not _passed else 0)


@contextlib.contextmanager
def home():
    """Yields the environment of an Athena that nobody else uses, and its directory."""
    with tempfile.TemporaryDirectory(prefix="athena-client-") as directory:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ATHENA_")}
        yield {**clean, "ATHENA_HOME": directory}, directory


@contextlib.contextmanager
def serve():
    """Runs `athena serve`, yields its base URL, and checks that it ends well."""
    with home() as (environment, directory):
        port = _free_port()
        log_path = pathlib.Path(directory, "serve.log")
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [BINARY, "serve", "--port", str(port)],
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            base = f"http://127.0.0.1:{port}"
            _wait_until_healthy(process, base)
            yield base
            if process.poll() is not None:
                raise RuntimeError(f"the server ended by itself, exit status {process.returncode}")
        except BaseException:
            print(log_path.read_text(errors="replace")[-4000:], file=sys.stderr)
            raise
        finally:
            status = _stop(process)
        if status != 0:
            failed("serve ends well on SIGTERM", f"exit status {status}")


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _wait_until_healthy(process, base):
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{base}/healthz", timeout=5):
                return
        except OSError as error:
            if process.poll() is not None:
                raise RuntimeError(f"serve ended with status {process.returncode}") from error
            if time.monotonic() > deadline:
                raise RuntimeError("serve did not become healthy within a minute") from error
            time.sleep(0.05)


def _stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "none within 30 s of SIGTERM"
