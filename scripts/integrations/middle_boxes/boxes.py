"""The middle boxes and the cases: which box stands between, how it is set up, what it does meanwhile, and what the
harness must say of it."""

import dataclasses
import shutil
import signal
import socket
import subprocess
import typing

SMOKE, QUIET = "scenarios/smoke.toml", "scenarios/quiet.toml"
LEAVES = "scenarios/backend-leaves.toml"


def program(name):
    return shutil.which(name) or f"/usr/sbin/{name}"


class Haproxy:
    """haproxy in master-worker mode: USR2 loads its configuration anew, and the old worker keeps the sockets that it
    has until they end (haproxy's Management Guide, sections 3 and 4)."""

    name, package = "haproxy", "haproxy"

    def __init__(self, tunnel="1h", listen="", server="", beside=()):
        """`beside` names servers beside `runtime`; all are the same runtime, by ways of their own."""
        self.tunnel, self.listen, self.server, self.beside = tunnel, listen, server, beside

    def start(self, place, port, behind):
        listen = self.listen.format(place=place)
        servers = "\n    ".join(f"server {name} 127.0.0.1:{behind} {self.server}"
                               for name in ("runtime", *self.beside))
        (place / "haproxy.cfg").write_text(f"""
global
    stats socket {place}/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout tunnel {self.tunnel}
listen khala
    bind 127.0.0.1:{port} {listen}
    {servers}
""")
        command = [program("haproxy"), "-W", "-db", "-f", str(place / "haproxy.cfg"), "-p", str(place / "pid")]
        log = (place / "log").open("w")
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


class Nginx:
    """nginx with the upgrade passed on as its page "WebSocket proxying" says; HUP loads its configuration anew, and
    old workers end with their last connection ("Controlling nginx")."""

    name, package = "nginx", "nginx-light"
    UPGRADE = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;"""

    def __init__(self, read_timeout="75s", upgrade=UPGRADE):
        self.read_timeout, self.upgrade = read_timeout, upgrade

    def start(self, place, port, behind):
        (place / "nginx.conf").write_text(f"""
daemon off;
pid {place}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_read_timeout {self.read_timeout};{self.upgrade}
        }}
    }}
}}
""")
        command = [program("nginx"), "-p", str(place), "-e", str(place / "log"), "-c", str(place / "nginx.conf")]
        log = (place / "log").open("w")
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def reload(how):
    """The first box takes its configuration anew."""
    return lambda boxes: boxes[0][2].send_signal(how)


def tell_haproxy(*commands):
    """The first box is told something by its admin socket."""
    def tell(boxes):
        for command in commands:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.connect(str(boxes[0][1] / "admin.sock"))
                admin.sendall(f"{command}\n".encode())
                while admin.recv(4096):
                    pass
    return tell


def openssl(place, *arguments):
    subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)


def certificate(place, name, expired):
    """An authority of one's own and a certificate that it signed, with its key in one file, as haproxy wants them."""
    (place / "of").write_text(f"subjectAltName=DNS:{name}")
    openssl(place, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl(place, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", "key.pem", "-out", "asked.pem")
    (place / "serial").write_text("01")
    (place / "index").write_text("")
    if expired:
        # `x509` of Debian's openssl cannot sign for the past; `ca` can.
        (place / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={place}/index\nserial={place}/serial\nnew_certs_dir={place}\n"
            "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        openssl(place, "ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key",
                "-in", "asked.pem", "-out", "cert.pem", "-notext", "-extfile", "of",
                "-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
    else:
        openssl(place, "x509", "-req", "-in", "asked.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-extfile", "of", "-out", "cert.pem", "-days", "1")
    both = (place / "cert.pem").read_text() + (place / "key.pem").read_text()
    (place / "both.pem").write_text(both)


class TlsEnd(Haproxy):
    """haproxy where TLS ends, with clear text behind."""

    def __init__(self, name="localhost", expired=False):
        super().__init__(listen="ssl crt {place}/both.pem alpn http/1.1")
        self.of, self.expired = name, expired

    def start(self, place, port, behind):
        certificate(place, self.of, self.expired)
        return super().start(place, port, behind)


@dataclasses.dataclass
class Case:
    """One arrangement, and what must come of it."""

    name: str
    what: str
    boxes: list
    code: int
    scenario: str = SMOKE
    options: typing.Sequence[str] = ()
    says: typing.Sequence[str] = ()
    meanwhile: typing.Sequence[tuple] = ()
    # Whether the harness speaks TLS to the first box, and trusts its authority.
    tls: bool = False


# Nothing is said for seconds on the sockets: what ends idle ones shows. Clients arrive one after the other, or all
# of them would be ended at once, as by a runtime that goes away.
IDLE = ("--profile", "smoke", "--set", "fleet.ramp=6s")

CASES = [
    Case("haproxy", "as it should stand", [Haproxy()], 0),
    Case("nginx", "as it should stand", [Nginx()], 0),
    Case("nginx_before_haproxy", "two boxes in a row", [Haproxy(), Nginx()], 0),
    Case("haproxy_reload", "a reload that drains: old sockets live on", [Haproxy()], 0,
         meanwhile=[(5, reload(signal.SIGUSR2))]),
    Case("nginx_reload", "a reload that drains: old sockets live on", [Nginx()], 0,
         meanwhile=[(5, reload(signal.SIGHUP))]),
    Case("haproxy_backend_drains", "a backend is drained: its sockets live on, new ones go elsewhere",
         [Haproxy(beside=["other"])], 0, meanwhile=[(5, tell_haproxy("set server khala/runtime state drain"))]),
    Case("haproxy_backend_leaves", "a backend is taken out: its clients come back through the other",
         [Haproxy(beside=["other"])], 0, scenario=LEAVES, options=["--allow-hooks"], says=["hook", "socket_ends"]),
    Case("haproxy_backend_lost", "mistake: a backend is taken out, and nobody has planned it",
         [Haproxy(beside=["other"])], 99, says=["socket_ends"],
         meanwhile=[(5, tell_haproxy("set server khala/runtime state maint",
                                     "shutdown sessions server khala/runtime"))]),
    Case("tls_ends_at_the_box", "TLS to the box, clear text behind it", [TlsEnd()], 0, tls=True),
    Case("tls_ends_and_reloads", "TLS to the box, which takes its configuration anew", [TlsEnd()], 0, tls=True,
         scenario="scenarios/reconnect-storm.toml", options=["--profile", "smoke"],
         meanwhile=[(5, reload(signal.SIGUSR2))]),
    Case("tls_made_by_another_box", "a second box makes the TLS that the first one ends",
         [TlsEnd(), Haproxy(server="ssl verify none alpn http/1.1")], 0),
    Case("tls_expired", "mistake: the box's certificate has expired", [TlsEnd(expired=True)], 100, tls=True,
         says=["certificate expired"]),
    Case("tls_of_another_host", "mistake: the box's certificate is for another name",
         [TlsEnd(name="other.example.com")], 100, tls=True, says=["not valid for name"]),
    Case("tls_of_nobody_known", "mistake: nobody that is trusted has signed the box's certificate", [TlsEnd()], 100,
         tls=True, options=["--set", "target.tls.ca=/etc/ssl/certs/ca-certificates.crt"], says=["UnknownIssuer"]),
    Case("haproxy_idle_timeout", "mistake: an idle time-out below the heartbeat", [Haproxy(tunnel="2s")], 99,
         scenario=QUIET, options=IDLE, says=["idle time-out"]),
    Case("nginx_idle_timeout", "mistake: an idle time-out below the heartbeat", [Nginx(read_timeout="2s")], 99,
         scenario=QUIET, options=IDLE, says=["idle time-out"]),
    Case("nginx_without_upgrade", "mistake: the upgrade is not passed on", [Nginx(upgrade="")], 100,
         says=["upgrade"]),
]
