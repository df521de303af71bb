"""Load over HTTP by wrk, which costs little beside what it measures; every request has a body of its own."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.payload import MARK
from tests.support import ready


class BenchFailed(RuntimeError):
    """What was measured is no result: something was refused, lost or doubled."""


@dataclass(frozen=True)
class WrkResult:
    """What wrk saw: answered requests, over how long, how many of them not 2xx, and how long they took."""

    requests: int
    microseconds: int
    refused: int
    broken: int
    p50: int
    p99: int


def require_wrk() -> None:
    """Install wrk where it is missing and that may be done. BenchFailed where it can't."""
    if not shutil.which("wrk") and not ready.install(["wrk"]):
        raise BenchFailed("wrk is needed to load over HTTP: install it")


async def run_wrk(
    script: Path, port: int, connections: int, seconds: float, bodies: str, headers: dict[str, str], path: str
) -> WrkResult:
    """POST `bodies` (MARK becomes the request's number) for so long. BenchFailed where one is refused."""
    script.write_text(_make_script(bodies, headers, path, port))
    argv = ["-t1", "-T30s", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    url = f"http://127.0.0.1:{port}{path}"
    child = await asyncio.create_subprocess_exec("wrk", *argv, url, stdout=asyncio.subprocess.PIPE)
    output = (await child.communicate())[0].decode()
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchFailed(f"wrk ended with {child.returncode}: {output[-500:]}")
    result = msgspec.json.decode(lines[0], type=WrkResult)
    if result.refused or result.broken or not result.requests:
        raise BenchFailed(f"refused or broken: {result}")
    return result


def _make_script(bodies: str, headers: dict[str, str], path: str, port: int) -> str:
    """Lua that joins the parts around the number anew for each request."""
    head = "".join(f"{name}: {value}\\r\\n" for name, value in headers.items())
    return _LUA % {
        "first": f'"POST {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n{head}Content-Length: "',
        "parts": _lua_list(bodies.split(MARK)),
    }


def _lua_list(parts: Sequence[str]) -> str:
    return "{" + ",".join(f"[==[{part}]==]" for part in parts) + "}"


# The numbers begin at the clock, so that a second run on the same server repeats none.
_LUA = """
local first, parts = %(first)s, %(parts)s
local number, joined = os.time() * 1000000, {}
request = function()
  number = number + 1
  local said = string.format("%%d", number)
  for at = 1, #parts do
    joined[2 * at - 1] = parts[at]
    if at < #parts then joined[2 * at] = said end
  end
  local body = table.concat(joined)
  return first .. #body .. "\\r\\n\\r\\n" .. body
end
done = function(summary, latency)
  local e = summary.errors
  print(string.format('{"requests":%%d,"microseconds":%%d,"refused":%%d,"broken":%%d,"p50":%%d,"p99":%%d}',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
