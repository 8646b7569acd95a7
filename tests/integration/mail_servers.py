"""Debian's Postfix and Dovecot as instances of our own: loopback ports, folders of their own, no way outside.

``make test`` installs the packages; the system's own services are never started.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from tests.integration.stack import free_port, wait_until

POSTFIX, DOVECOT = "/usr/sbin/postfix", "/usr/sbin/dovecot"
NOBODY = 65534

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
local_transport = error:nothing is delivered here
relay_transport = error:nothing leaves this machine
default_transport = error:nothing leaves this machine
disable_dns_lookups = yes
local_recipient_maps =
alias_maps =
alias_database =
smtpd_reject_unlisted_recipient = no
smtputf8_autodetect_classes = all
virtual_mailbox_domains = example.org, bounces.example.org
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/readers, regexp:{folder}/bounces
virtual_minimum_uid = 100
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
transport_maps = texthash:{folder}/transport
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT_CONF = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


def missing() -> str:
    """Why the real servers cannot be started here; empty where they can."""
    absent = [path for path in (POSTFIX, DOVECOT) if not Path(path).exists()]
    if absent:
        return f"{' and '.join(absent)} missing: apt-get install postfix dovecot-imapd dovecot-pop3d (make test does)"
    return "" if os.geteuid() == 0 else "Postfix and Dovecot start as root only"


class _Folder:
    """A folder that the servers' own users can enter, unlike pytest's."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="almanac-mail-"))
        self.folder.chmod(0o755)
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        os.chown(self.mail, NOBODY, NOBODY)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Postfix(_Folder):
    """Delivers to Maildirs of readers at example.org and of everything at bounces.example.org; bounces the rest."""

    def __init__(self, readers: Iterable[str], *, full: str = "") -> None:
        super().__init__()
        self.port = free_port()
        names = [*readers, *([full] if full else [])]
        files = {
            "main.cf": MAIN,
            "master.cf": MASTER,
            "readers": "\n".join(f"{name} {name.partition('@')[0]}/" for name in names),
            "bounces": r"/^b\+.*@bounces\.example\.org$/ bounces/",
            # Postfix itself cannot fill one mailbox only; it answers for this one as a full one does.
            "transport": f"{full} error:5.2.2 the mailbox is full\n" if full else "",
        }
        for name, text in files.items():
            filled = text.format(folder=self.folder, port=self.port) if name.endswith(".cf") else text
            (self.folder / name).write_text(filled.lstrip() + "\n")

    def __enter__(self) -> Postfix:
        (self.folder / "queue").mkdir()
        (self.folder / "data").mkdir()
        shutil.chown(self.folder / "data", "postfix")
        self._command("start")
        wait_until(self._answers, 20, "Postfix answers")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        print(self.log[-20_000:])  # pytest shows it when the test fails
        self._command("stop")
        self.remove()

    def _command(self, verb: str) -> None:
        done = subprocess.run([POSTFIX, "-c", str(self.folder), verb], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.log}"

    @property
    def log(self) -> str:
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _answers(self) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=2) as connection:
                return connection.noop()[0] == 250
        except OSError:
            return False

    def arrived(self, name: str) -> list[bytes]:
        """The mails in one mailbox, as they were written to disk."""
        return [path.read_bytes() for path in sorted((self.mail / name / "new").glob("*"))]


class Dovecot(_Folder):
    """Serves Maildirs by IMAP and POP3; any name may enter with the password ``secret``."""

    def __init__(self) -> None:
        super().__init__()
        self.imap_port, self.pop3_port = free_port(), free_port()
        config = DOVECOT_CONF.format(folder=self.folder, imap=self.imap_port, pop3=self.pop3_port)
        (self.folder / "dovecot.conf").write_text(config)

    def __enter__(self) -> Dovecot:
        command = [DOVECOT, "-F", "-c", str(self.folder / "dovecot.conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        wait_until(self._answers, 20, "Dovecot answers")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.remove()

    def _answers(self) -> bool:
        try:
            imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=2).logout()
        except OSError:
            return False
        return True

    def url(self, scheme: str, path: str = "") -> str:
        port = self.imap_port if scheme == "imap" else self.pop3_port
        return f"{scheme}://bounces:secret@127.0.0.1:{port}{path}"

    def fill(self, mails: Iterable[bytes]) -> None:
        """Puts mails into the inbox, as a mail server would."""
        box = self._login()
        for mail in mails:
            box.append("INBOX", "", "", mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        box.logout()

    def empty(self) -> None:
        """Removes every mail of the inbox."""
        box = self._login()
        if int(box.select()[1][0] or 0):
            box.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
        box.close()
        box.logout()

    def subjects(self, folder: str = "INBOX", which: str = "ALL") -> list[str]:
        """The subjects of the mails in a folder."""
        box = self._login()
        if box.select(folder)[0] != "OK":
            return []
        found = []
        for number in box.search(None, which)[1][0].split():
            _, data = box.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            found.append(next(part[1] for part in data if isinstance(part, tuple)).decode().partition(":")[2].strip())
        box.logout()
        return found

    def _login(self) -> imaplib.IMAP4:
        box = imaplib.IMAP4("127.0.0.1", self.imap_port)
        box.login("bounces", "secret")
        return box
