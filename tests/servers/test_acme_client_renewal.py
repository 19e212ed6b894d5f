"""When the ACME client for apps renews, and when its health says that it has not: its own functions, with certificates
that openssl has made and at times that faketime has set."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import certificates
import pytest
from deployed_client import PATH, SHIPPED
from processes import Workspace

HOUR, DAY = 3600, 86400
BEGIN = 1_800_000_000
DIRECTORY = "https://ca.test/dir"
RENEWAL_URL = "https://ca.test/renewal"

# The certificate of RFC 9773, appendix A.
KEY_IDENTIFIER = "69:88:5B:6B:87:46:40:41:E1:B3:7B:84:7B:A0:AE:2C:DE:01:C8:D4"
ISSUED = f"2.5.29.35 = DER:30:16:80:14:{KEY_IDENTIFIER}"
SERIAL, ID = "0087654321", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"

READ = "read_certificate certificate.pem"

# What the functions call of the rest: there is one name, and what is fetched lies in files.
_REST = """
set -euo pipefail
export LC_ALL=C TZ=UTC
. {shipped}/renewal.sh
. {shipped}/renewal_info.sh
log() { echo "log: $*"; }
run() { "$@"; }
find_certificate() { CERTIFICATE=$PWD/certificate.pem; }
NAMES=(app.test) CA_DIR=$PWD/ca RUN_DIR=$PWD/run ACME_SERVER=https://ca.test/dir CURL_OPTIONS=()
mkdir -p "$RUN_DIR/tmp"
fetch() {
  echo "asked: $1"
  case $1 in
    */dir) file=directory ;;
    *) file=answer ;;
  esac
  [[ ! -e $file.headers ]] || cp "$file.headers" "$2.headers"
  [[ ! -e $file.status ]] || return "$(<"$file.status")"
  cp "$file" "$2"
}
"""


def window(start: float, end: float) -> str:
    dates = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGIN + day * DAY)) for day in (start, end)]
    return f'{{"suggestedWindow":{{"start":"{dates[0]}","end":"{dates[1]}"}}}}'


class Shell:
    """The client's functions, in a directory with one certificate."""

    def __init__(self, directory: Path, made: Path) -> None:
        self.directory = directory
        self._made = made
        self._rest = _REST.replace("{shipped}", shlex.quote(str(SHIPPED)))
        self.says(directory=f'{{"newOrder":"https://ca.test/o","renewalInfo":"{RENEWAL_URL}"}}')

    def certificate(self, life: int, extensions: str = ISSUED, serial: str = SERIAL) -> None:
        """Both ends are part of its life, as authorities count."""
        name = hashlib.sha256(f"{life} {serial} {extensions}".encode()).hexdigest()
        file, key = self._made / name, self._made / "key.pem"
        if not key.exists():
            certificates.new_key(key)
        if not file.exists():
            certificates.dated(file, key, "app.test", BEGIN, BEGIN + life - 1, extensions=extensions, serial=serial)
        shutil.copy(file, self.directory / "certificate.pem")

    def says(self, **files: str) -> None:
        for name, text in files.items():
            (self.directory / name.replace("_", ".")).write_text(text, "latin-1")

    def window(self, start: float, end: float) -> None:
        """What the authority answers, days of the certificate's life."""
        self.says(answer=window(start, end))

    def run(self, commands: str, now: float = BEGIN, renew_days: str = "") -> str:
        # A time without "@" stands still.
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
        done = subprocess.run(
            ["faketime", "-f", at, "/bin/bash", "-c", self._rest + commands],
            cwd=self.directory,
            env={"PATH": PATH, "TZ": "UTC", "RENEW_DAYS": renew_days},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    def ask(self, now: float = BEGIN, renew_days: str = "") -> Asked:
        """A day's question."""
        return _read(self.run(_ASK, now, renew_days))

    def ask_each(self, cases: Mapping[str, Mapping[str, str]]) -> dict[str, Asked]:
        """The first question for each of these sets of files, which count for that question alone."""
        for number, files in enumerate(cases.values()):
            directory = self.directory / f"case-{number}"
            directory.mkdir()
            for name, text in files.items():
                (directory / name).write_text(text, "latin-1")
        loop = f"""
for ((i = 0; i < {len(cases)}; ++i)); do
  rm -rf ca; mkdir -p ca/renewal; RENEWAL=()
  cp "case-$i"/* .
  [[ ! -e kept ]] || mv kept ca/renewal/app.test
  {_ASK}
  echo ----
done"""
        each = self.run(loop).split("----\n")
        assert not (self.directory / "here").exists(), "it has run a command"
        return dict(zip(cases, map(_read, each), strict=True))


def _read(output: str) -> Asked:
    lines = output.removesuffix("----").splitlines()
    found = {word: [line.partition(": ")[2] for line in lines if line.startswith(f"{word}: ")] for word in _WORDS}
    assert len(lines) == sum(map(len, found.values())), lines
    return Asked(found["asked"], found["log"], int(found["renewal"][0]) - BEGIN)


_ASK = 'ask_about_renewals; echo "renewal: $(renewal_time app.test certificate.pem)"; ls run/tmp'
_WORDS = ("asked", "log", "renewal")


@dataclass(frozen=True)
class Asked:
    asked: Sequence[str]
    log: Sequence[str]
    renewal: int  # seconds into the certificate's life


@pytest.fixture
def shell(workspace: Workspace, module_workspace: Workspace) -> Shell:
    return Shell(workspace.path, module_workspace.path)


# Life and, in days of it, when it is renewed and when it is an alarm that it has not been.
LIVES = [
    (1 * DAY, 1 / 2, 2 / 3),
    (6 * DAY, 3, 4),
    (10 * DAY - 2, (5 * DAY - 1) / DAY, (10 * DAY - 2) * 2 / 3 / DAY),
    (10 * DAY, 20 / 3, 20 / 3),
    (21 * DAY, 14, 14),
    (47 * DAY, 94 / 3, 40),
    (90 * DAY, 60, 83),
    (200 * DAY, 400 / 3, 193),
]


@pytest.mark.parametrize(("life", "due", "alarm"), LIVES)
def test_it_renews_in_time_and_its_health_turns_bad_at_that_second(
    shell: Shell, life: int, due: float, alarm: float
) -> None:
    """A short life is renewed at half, another at two thirds."""
    shell.certificate(life)
    renewal, at = map(int, shell.run(f"{READ}; renewal_rule; alarm_time").split())
    assert abs(renewal - BEGIN - due * DAY) <= 1
    assert abs(at - BEGIN - alarm * DAY) <= 1
    look = 'look_at_ends; ls run; echo "$NEXT_ALARM"'
    assert shell.run(look, at - 1) == f"tmp\n{at}"
    told = "log: near their end and not renewed: app.test; /health answers 503"
    assert shell.run(look, at).splitlines()[:3] == [told, "alarm", "tmp"]


def test_with_the_next_certificate_its_health_is_good(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    look = "look_at_ends; ls run"
    assert shell.run(look, BEGIN + 1000 * DAY).splitlines()[1:] == ["alarm", "tmp"]
    assert shell.run(f"ALARMS=app.test; {look}") == "log: all are renewed; /health answers 200\ntmp"


@pytest.mark.parametrize(("serial", "expected"), [(SERIAL, "AIdlQyE"), ("7F", "fw"), ("80", "AIA"), ("0100", "AQA")])
def test_a_certificate_has_the_name_of_rfc_9773(shell: Shell, serial: str, expected: str) -> None:
    shell.certificate(90 * DAY, serial=serial)
    assert shell.run(f"{READ}; echo $id") == f"{ID.partition('.')[0]}.{expected}"


@pytest.mark.parametrize(
    "extensions",
    ["", "2.5.29.35 = DER:30:00", "2.5.29.35 = DER:04:02:41:41"],
    ids=["none", "empty", "junk"],
)
def test_a_certificate_without_a_key_identifier_is_not_asked_about(shell: Shell, extensions: str) -> None:
    shell.certificate(90 * DAY, extensions)
    assert shell.ask() == Asked([], [], 60 * DAY)


# Life, window and now, and between which days it is renewed.
WINDOWS = [
    (90, (20, 22), 1, (20, 22)),
    # Later than the rule, and in time.
    (90, (70, 72), 1, (70, 72)),
    # In the past: at once.
    (90, (10, 11), 30, (10, 11)),
    (90, (10, 40), 30, (10, 40)),
    # Only what is before the alarm.
    (90, (82, 89), 1, (82, 83)),
    (6, (3, 3.5), 1, (3, 3.5)),
    (6, (3.9, 5), 1, (3.9, 4)),
    (10, (5, 6), 1, (5, 6)),
    (47, (39, 41), 1, (39, 40)),
    (200, (10, 11), 1, (10, 11)),
    # Not on the first day.
    (90, (0, 2), 1, (1, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("life", "window", "now", "within"), WINDOWS)
def test_it_renews_within_the_window_of_its_authority(
    shell: Shell, life: int, window: tuple[float, float], now: int, within: tuple[float, float]
) -> None:
    shell.certificate(life * DAY)
    shell.window(*window)
    first = shell.ask(BEGIN + now * DAY)
    assert list(first.asked) == [DIRECTORY, f"{RENEWAL_URL}/{ID}"]
    assert within[0] * DAY - 2 <= first.renewal <= within[1] * DAY


def test_the_time_stays_while_it_is_within_the_window(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.window(20, 30)
    first = shell.ask()
    assert shell.ask(BEGIN + DAY) == Asked(first.asked, [], first.renewal)
    shell.window(40, 41)
    assert 40 * DAY <= shell.ask(BEGIN + 2 * DAY).renewal <= 41 * DAY


def test_a_window_that_makes_no_sense_changes_nothing(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    windows = [(83, 84), (365, 366), (36500, 36501), (-3650, -3649), (-1, 0.9), (22, 20), (20, 20)]
    for case, asked in shell.ask_each({f"{start} to {end}": {"answer": window(start, end)} for start, end in windows}).items():
        assert asked.renewal == 60 * DAY, case
        assert "is of no use for this certificate" in asked.log[0], case


def test_the_times_are_spread_over_the_window(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    chosen = shell.run(
        f"{READ}; CHOSEN=0; for i in {{1..8}}; do choose_time {BEGIN + 20 * DAY} {BEGIN + 30 * DAY}; done"
    ).split()
    assert all(20 * DAY <= int(second) - BEGIN <= 30 * DAY for second in chosen)
    assert len(set(chosen)) > 1


def test_with_renew_days_an_authority_can_only_make_it_earlier(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.window(55, 70)
    assert shell.ask(renew_days="40").renewal == 50 * DAY - 1
    shell.window(20, 21)
    assert 20 * DAY <= shell.ask(BEGIN + 2 * DAY, renew_days="40").renewal <= 21 * DAY


NONSENSE = {
    "empty": "",
    "garbage": "\x00\xff\x01garbage",
    "page": "<!doctype html><p>busy</p>",
    "number": "1",
    "list": "[1,2]",
    "other": '{"a":{"start":"2027-02-05T00:00:00Z"}}',
    "cut": '{"suggestedWindow":{"start":"2027-02-05T00:00:00Z","end":"2027-02-06',
    "more": '{"suggestedWindow":{"start":"2027-02-05T00:00:00Z","end":"2027-02-06T00:00:00Z"}}}',
    "words": '{"suggestedWindow":{"start":"tomorrow","end":"next year"}}',
    "numbers": '{"suggestedWindow":{"start":1802563200,"end":1802649600}}',
    "null": '{"suggestedWindow":null}',
    "no such day": '{"suggestedWindow":{"start":"2027-02-30T00:00:00Z","end":"2027-03-01T00:00:00Z"}}',
    "shell": '{"suggestedWindow":{"start":"$(touch here)","end":"a[$(touch here)]"},"a[$(touch here)]":"`touch here`"}',
    "octal": '{"suggestedWindow":{"start":"0000-00-00T00:00:00Z","end":"2027-02-06T00:00:00Z"}}',
    "deep": '{"a":' + "[" * 8000,
    "long": '{"a":"' + "x" * 20000 + '"}',
    "many": '{"a":[' + "1," * 6000 + "1]}",
    "escape": '{"suggestedWindow":{"start":"2027-02-05T00:00:00Z\x1b[2J","end":"2027-02-06T00:00:00Z"}}',
}


def test_whoever_answers_nonsense_has_no_say(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    said = [f"app.test: renewal information from {RENEWAL_URL}: not to be understood"]
    for case, asked in shell.ask_each({case: {"answer": text} for case, text in NONSENSE.items()}).items():
        assert (asked.renewal, asked.log) == (60 * DAY, said), case


def test_whoever_begins_to_answer_nonsense_loses_its_say(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.window(20, 21)
    assert 20 * DAY <= shell.ask().renewal <= 21 * DAY
    shell.says(answer="nonsense")
    # Not the same day again.
    assert shell.ask(BEGIN + DAY - 1).asked == []
    assert shell.ask(BEGIN + DAY).renewal == 60 * DAY


def test_an_authority_without_renewal_information_has_no_say(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    directories = [
        '{"newOrder":"https://ca.test/o"}',
        '{"renewalInfo":null}',
        '{"renewalInfo":"http://ca.test/renewal"}',
        '{"renewalInfo":"file:///etc/passwd"}',
        '{"renewalInfo":"https://ca.test/{1,2}"}',
        '{"renewalInfo":"-o/tmp/x"}',
    ]
    asked = shell.ask_each({text: {"directory": text} for text in directories})
    assert asked == dict.fromkeys(directories, Asked([DIRECTORY], [], 60 * DAY))
    said = f"{DIRECTORY} is no directory that can be read: no renewal information"
    shell.says(directory="<html>")
    assert shell.run("rm -rf ca") == ""
    assert shell.ask() == Asked([DIRECTORY], [said], 60 * DAY)


def test_an_authority_is_asked_for_its_directory_once_a_day(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.says(directory="{}")
    assert shell.ask() == Asked([DIRECTORY], [], 60 * DAY)
    assert shell.ask(BEGIN + DAY - 1) == Asked([], [], 60 * DAY)
    assert shell.ask(BEGIN + DAY) == Asked([DIRECTORY], [], 60 * DAY)
    # What is due is ordered, and no question.
    assert shell.ask(BEGIN + 60 * DAY).asked == []


@pytest.mark.parametrize("what", ["directory", "answer"])
def test_who_does_not_answer_is_asked_an_hour_later_and_what_was_said_stands(shell: Shell, what: str) -> None:
    shell.certificate(90 * DAY)
    shell.window(20, 21)
    renewal = shell.ask().renewal
    shell.says(**{f"{what}_status": "7"})
    assert shell.ask(BEGIN + DAY).renewal == renewal
    assert shell.ask(BEGIN + DAY + HOUR - 1).asked == []
    assert shell.ask(BEGIN + DAY + HOUR).asked != []


INTERVALS = {
    "": 24,
    "Retry-After: 21600\r\n": 6,
    "retry-after:21600\r\n": 6,
    "Retry-After: 0\r\n": 1,
    "Retry-After: 90000\r\n": 24,
    "Retry-After: 99999999999999999999999\r\n": 24,
    "Retry-After: 08000\r\n": 8000 / HOUR,
    "Retry-After: -5\r\n": 24,
    "Retry-After: soon\r\n": 24,
    "Retry-After: a[$(touch here)]\r\n": 24,
    "Retry-After: Fri, 15 Jan 2027 12:00:00 GMT\r\n": 4,
    "Retry-After: Fri, 99 Jan 2027 12:00:00 GMT\r\n": 24,
    "HTTP/2 302\r\nRetry-After: 60\r\n\r\nHTTP/2 200\r\nRetry-After: 7200\r\n": 2,
}


def test_retry_after_is_heeded_from_an_hour_to_a_day(shell: Shell) -> None:
    for number, headers in enumerate(INTERVALS):
        (shell.directory / f"headers-{number}").write_text(headers)
    seconds = shell.run(f"for ((i = 0; i < {len(INTERVALS)}; ++i)); do interval headers-$i; done; interval none").split()
    assert [int(second) / HOUR for second in seconds] == [*INTERVALS.values(), 24]
    assert not (shell.directory / "here").exists()


def test_a_refusal_is_heeded_too(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.says(answer="", answer_status="22", answer_headers="HTTP/1.1 429\r\nRetry-After: 14400\r\n")
    assert "no renewal information" in shell.ask().log[0]
    assert shell.ask(BEGIN + 4 * HOUR - 1).asked == []
    assert shell.ask(BEGIN + 4 * HOUR).asked != []


def test_an_explanation_is_logged_only_if_it_is_a_url(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    urls = ["https:\\/\\/ca.test\\/why?a=b", "http://x\\n", "javascript:x", "https://x y", "https://" + "x" * 2000]
    text = window(20, 21)[1:]
    for url, asked in shell.ask_each({url: {"answer": f'{{"explanationURL":"{url}",{text}'} for url in urls}).items():
        (line,) = asked.log
        assert line.endswith("; it explains: https://ca.test/why?a=b" if "why" in url else "Z on"), line


def test_a_clock_that_was_ahead_or_behind_does_not_silence_it(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.window(20, 21)
    # A year ahead it would be due long since; a month behind, before the certificate's life, it asks as ever.
    assert shell.ask(BEGIN + 365 * DAY).asked == []
    assert shell.ask(BEGIN - 30 * DAY).asked != []
    assert shell.ask(BEGIN + 10 * DAY).asked != []
    # Back again from ten days ahead.
    assert shell.ask(BEGIN + 1 * DAY).asked != []
    assert shell.ask(BEGIN + 1 * DAY).asked == []


def test_what_it_has_kept_may_be_damaged(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.window(20, 21)
    texts = ["", "junk", f"{ID} 0 1 2", f"{ID} 99999999999999 0", f"{ID} 0 08", "x 1 08", "$(touch here) 1 1", "\0" * 999]
    for text, asked in shell.ask_each({text: {"kept": text} for text in texts}).items():
        assert 20 * DAY <= asked.renewal <= 21 * DAY, text


def test_what_was_said_of_another_certificate_is_not_believed_of_this_one(shell: Shell) -> None:
    shell.certificate(90 * DAY)
    shell.window(20, 21)
    assert shell.ask().renewal < 22 * DAY
    shell.certificate(90 * DAY, serial="02")
    assert shell.run("renewal_time app.test certificate.pem") == str(BEGIN + 60 * DAY)
    # Nor has its question been asked.
    assert shell.ask().asked != []
