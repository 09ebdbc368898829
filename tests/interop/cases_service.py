"""Bad days: relays that come and go, restarts, mistakes in the configuration, addresses and what privacy does to them."""
import json
import re
import sqlite3
import time

from gateway import Gateway, Relay, answering_client
from harness import LOOPBACK, Client, Phone, Program, expect, free_port, wait_until
from rawsip import RawPhone
from registry import case
from stun import stun_server

PUBLIC_PHONE = "203.0.113.77"


@case
def relay_down_at_start_is_503_until_it_is_there(one):
    port = free_port()
    gateway = Gateway(one, relay=f"{LOOPBACK}:{port}").start(ready=False)
    phone = RawPhone(gateway, "alice")
    answer = phone.invite("*43").final()
    expect(answer.status == 503, f"without a relay the phone was told {answer.first}")
    expect(int(answer.header("retry-after") or 0) > 0, f"Retry-After {answer.header('retry-after')!r}")
    expect(not gateway.ctl("health").get("ready"), "the gateway calls itself ready without a relay")
    expect("relay" in gateway.log().lower(), "the log does not mention the relay")
    Relay(one, port).start()
    wait_until("the gateway to find the relay", 30, lambda: gateway.ctl("health").get("ready"))
    call = phone.invite("*43")
    expect(call.final().status == 200, "the call is refused though the relay is back")
    call.acknowledge()
    call.bye()
    phone.close()


@case
def relay_killed_mid_call_ends_both_legs_and_the_next_call_works(one):
    """Killed, not stopped: nobody is told, so QUIC's idle time-out must notice. The phone's silence would end the call too;
    that is switched off here."""
    relay = Relay(one).start()
    gateway = Gateway(one, relay=relay.address, relay_settings={"direct": False}, media={"timeout": 0}).start()
    client = answering_client(one, gateway)
    phone = RawPhone(gateway, "alice")
    call = phone.invite(client.fingerprint.replace(":", ""))
    expect(call.final().status == 200, "not answered")
    call.acknowledge()
    relay.program.kill()
    started = time.monotonic()
    call.expect_bye(60)
    client.wait("ended", 60)
    one.note(f"noticed after {time.monotonic() - started:.1f} s")
    ended = gateway.ended_call()
    expect(ended["cause"] not in ("none", "normal"), f"the call says cause {ended['cause']}")
    Relay(one, relay.port, name="relay-again").start()
    started = time.monotonic()
    wait_until("the next call to work", 60, lambda: next_call_works(phone))
    one.note(f"back after {time.monotonic() - started:.1f} s")
    phone.close()


@case
def relay_killed_mid_call_leaves_a_direct_call_up_until_the_phone_hangs_up(one):
    relay = Relay(one).start()
    gateway = Gateway(one, relay=relay.address, media={"timeout": 0}).start()
    client = answering_client(one, gateway)
    phone = RawPhone(gateway, "alice")
    call = phone.invite(client.fingerprint.replace(":", ""))
    expect(call.final().status == 200, "not answered")
    call.acknowledge()
    client.wait("media_up")
    if client.last("path")["path"] != "direct":
        one.note("not judged: this machine has no address that both sides may tell")
        return
    relay.program.kill()
    client.wait("unregistered", 60)  # the relay's death was noticed, and is none of the call's business
    time.sleep(3)
    expect(client.last("ended") is None, "the call ended with the relay")
    call.bye()
    client.wait("ended", 10)
    phone.close()


def next_call_works(phone):
    call = phone.invite("*43")
    answer = call.final()
    if answer.status != 200:
        # 503 while alice has no relay, 480 while the echo user has not come back to it.
        expect(answer.status in (503, 480), f"until the relay is back the phone is told {answer.first}")
        time.sleep(0.5)
        return False
    call.acknowledge()
    call.bye()
    return True


@case
def restart_keeps_registrations_and_call_records(one):
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "bob")
    expect(phone.register(600).status == 200, "not registered")
    caller = RawPhone(gateway, "alice")
    call = caller.invite("*43")
    expect(call.final().status == 200, "not answered")
    call.acknowledge()
    call.bye()
    gateway.ended_call()
    gateway.stop()
    gateway.start()
    ring = caller.invite("1002")
    invite = phone.receive("INVITE after the restart", 10, lambda m: m.method == "INVITE" and not m.is_response)
    phone.reply(invite, 486, "Busy Here")
    expect(ring.final().status == 486, "the busy answer was lost")
    gateway.ended_call()
    gateway.stop()
    with sqlite3.connect(next(gateway.directory.rglob("*.db*"))) as store:
        table = next(name for (name,) in store.execute("select name from sqlite_master where type='table'")
                     if "call" in name)
        records = store.execute(f"select count(*) from {table}").fetchone()[0]
    expect(records >= 2, f"{records} call records survived, expected at least 2")
    phone.close()
    caller.close()


@case
def killed_gateway_keeps_registrations(one):
    """As a crash would: no chance to write anything at the end."""
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "bob")
    expect(phone.register(600).status == 200, "not registered")
    time.sleep(0.3)  # the store thread writes within this time; a power cut in it may lose the newest registration
    gateway.program.kill()
    gateway.start()
    caller = RawPhone(gateway, "alice")
    ring = caller.invite("1002")
    invite = phone.receive("INVITE after the crash", 10, lambda m: m.method == "INVITE" and not m.is_response)
    phone.reply(invite, 603, "Decline")
    expect(ring.final().status == 603, "the answer was lost")
    phone.close()
    caller.close()


@case
def two_gateways_share_a_relay_and_call_each_other(one):
    relay = Relay(one).start()
    here = Gateway(one, users=["alice"], relay=relay.address, name="here").start()
    there = Gateway(one, users=["bob"], relay=relay.address, name="there").start()
    callee = Phone(one, "callee").register(there, "bob")
    caller = Phone(one, "caller").register(here, "alice")
    caller.call(there.fingerprint("bob").replace(":", ""))
    callee.wait("CALL_ESTABLISHED")
    time.sleep(2)
    callee.hang_up()
    caller.wait("CALL_CLOSED")
    for gateway in (here, there):
        media = gateway.ended_call()["media"]
        expect(media["wzp_rx"] > 50 and media["rtp_rx"] > 50, f"{gateway.name} heard {media}")


def offer_seen_by_client(one, accept="trusted", users=("alice", "bob"), **settings):
    """A call from alice to a client; the client's incoming and setup events."""
    gateway = Gateway(one, users=users, **settings).start()
    client = answering_client(one, gateway, accept=accept)
    phone = RawPhone(gateway, "alice")
    call = phone.invite(client.fingerprint.replace(":", ""))
    expect(call.final().status == 200, "not answered")
    call.acknowledge()
    incoming = client.last("incoming")
    setup = client.wait("setup")
    call.bye()
    phone.close()
    return gateway, incoming, setup


@case
def stun_answer_is_the_address_the_callee_learns(one):
    """Reflect through a relay on loopback says nothing about a NAT, so STUN's public answer is advertised."""
    says = f"{PUBLIC_PHONE}:40001"
    _, _, setup = offer_seen_by_client(one, relay_settings={"stun": [stun_server(says)]})
    expect(setup["peer_direct_addr"] == says, f"the callee learned {setup['peer_direct_addr']}")


@case
def two_public_mappings_mean_symmetric_and_no_address(one):
    servers = [stun_server(f"{PUBLIC_PHONE}:40001"), stun_server(f"{PUBLIC_PHONE}:40002")]
    _, _, setup = offer_seen_by_client(one, relay_settings={"stun": servers})
    expect(setup["peer_direct_addr"] is None, f"behind a symmetric NAT the callee learned {setup['peer_direct_addr']}")


@case
def without_a_public_mapping_no_address_is_advertised(one):
    _, _, setup = offer_seen_by_client(one)
    expect(setup["peer_direct_addr"] is None, f"the callee learned {setup['peer_direct_addr']}")


@case
def trusted_user_reveals_its_address_and_generic_hides_it(one):
    says = f"{PUBLIC_PHONE}:40001"
    for privacy, wanted in (("trusted", says), ("generic", None)):
        gateway = Gateway(one, users=[{"name": "alice", "privacy": privacy}], name=f"gateway-{privacy}",
                          relay_settings={"stun": [stun_server(says)]}).start()
        phone = Phone(one, f"phone-{privacy}").register(gateway, "alice")
        client = Client(one, f"caller-{privacy}", ["--tone", "440", "call", gateway.fingerprint("alice")],
                        relay=gateway.relay)
        setup = client.wait("setup")
        expect(setup["peer_direct_addr"] == wanted, f"{privacy}: the caller learned {setup['peer_direct_addr']}")
        phone.wait("CALL_ESTABLISHED")
        phone.hang_up()
        client.wait("ended")
        gateway.stop()


@case
def check_config_reports_every_mistake_with_its_line(one):
    path = one.directory / "wrong.yaml"
    path.write_text("sip:\n  listne: 127.0.0.1:5060\nmedia:\n  ports_first: 70000\nusers:\n  - name: alice\n"
                    "    password: secret\n  - name: alice\n    password: other\nrelais:\n  embedded: maybe\n")
    log = one.run("check", [one.bins / "wzp-gateway", "--check-config", "--config", path], ok=(1, 2))
    for line, word in ((2, "listne"), (4, "70000"), (8, "alice"), (10, "relais")):
        expect(re.search(rf"wrong\.yaml:{line}:.*{word}", log), f"no complaint about {word} in line {line}: {log}")
    expect(re.search(r"listne.*\blisten\b", log), f"no nearest name for listne: {log}")


@case
def right_config_passes_the_check(one):
    path = Gateway(one).write_config()
    one.run("check", [one.bins / "wzp-gateway", "--check-config", "--config", path])


@case
def without_a_config_one_is_written_and_used(one):
    """The first start in an empty directory. Its well-known ports may be taken here, so they are changed after it was
    written, and the second start, again without a word, must use the file."""
    gateway = Gateway(one)
    written = gateway.directory / "wzp-gateway.yaml"
    first = Program(one, "first", [one.bins / "wzp-gateway"], cwd=gateway.directory)
    wait_until("wzp-gateway.yaml to be written", 10, written.exists)
    if first.is_running():
        first.stop()
    expect(written.stat().st_mode & 0o077 == 0, "the file with passwords can be read by others")
    text = written.read_text()
    passwords = re.findall(r'^ +password: *"?([^\s"]+)', text, re.M)
    expect(len(passwords) == 2 and len(set(passwords)) == 2 and min(map(len, passwords)) >= 12,
           f"two users with generated passwords expected, found {len(passwords)}")
    for old, new in (("0.0.0.0:5060", f"{LOOPBACK}:{gateway.sip_port}"), ("0.0.0.0:4433", gateway.relay)):
        expect(old in text, f"{old} is not in the file")
        text = text.replace(old, new)
    written.write_text(text + "data_dir: data\n")
    gateway.program = Program(one, "second", [one.bins / "wzp-gateway"], cwd=gateway.directory)
    wait_until("the gateway to be ready", 15, lambda: gateway.answers())
    phone = RawPhone(gateway, "alice", passwords[0])
    expect(phone.register().status == 200, "the written password does not work")
    phone.close()


@case
def self_test_of_the_linked_binary_passes(one):
    """Link order with an ICE check, a timer on a private GMainContext, the server name with an underscore."""
    log = one.run("self-test", [one.bins / "wzp-gateway", "--self-test"], seconds=60)
    expect(log.count("ok ") >= 3 and "FAIL" not in log, log)


@case
def trace_shows_the_ladder_of_a_call(one):
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "alice")
    call = phone.invite("*43")
    expect(call.final().status == 200, "not answered")
    call.acknowledge()
    call.bye()
    gateway.ended_call()
    ladder = json.dumps(gateway.ctl("trace", "last")["ladder"])
    for word in ("INVITE", "DirectCallOffer", "CallSetup", "200", "BYE", "Hangup"):
        expect(word in ladder, f"the ladder lacks {word}")
    phone.close()
