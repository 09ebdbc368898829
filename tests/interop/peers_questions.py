"""What is asked without a call: versions, addresses, round trips; and the reference's analyzer as a listener."""
import json
import re

from harness import LOOPBACK, Client, expect
from peers_common import FRAMES_PER_SECOND, OurRelay, RustRelay, peer, rust_client
from registry import case


@case
def rust_version_check_reads_our_relay(one):
    relay = OurRelay(one)
    asked = rust_client(one, "rust-version", relay.address, "--version-check")
    expect(asked.wait(15) == 0, f"it failed: {asked.log().strip()[-300:]}")
    answer = asked.log().strip().splitlines()[-1].split()
    expect(answer[0] == relay.address and len(answer) == 2, f"it printed {answer}")
    one.note("it reads " + answer[1])


@case
def rust_relay_answers_our_questions(one):
    relay = RustRelay(one)
    for command, wanted in (("version", r'"build":"[0-9a-f]{7}'), ("ping", r'"rtt_ms":[0-9.]+'),
                            ("reflect", rf'"addr":"{LOOPBACK}:\d+"')):
        said = one.run(f"our-{command}", [one.bins / "wzp-client", "--json", "--relay", relay.address,
                                          "--seed-file", one.directory / "seed", command])
        found = re.search(wanted, said)
        expect(found, f"{command}: {said}")
        one.note(f"{command} {found[0]}")


@case
def rust_analyzer_hears_a_room_of_our_relay(one):
    relay = OurRelay(one)
    speaker = Client(one, "speaker", ["room", "demo", "--tone", "440", "--duration", "7"], relay=relay.address)
    speaker.wait("media_up")
    seconds = 4
    analyzer = peer(one, "rust-analyzer", "WZP_PEER_ANALYZER", relay.address, "--room", "demo", "--no-tui",
                    "--duration", str(seconds))
    expect(analyzer.wait(20) == 0, "the analyzer failed")
    found = re.findall(r"(\d+) pkts, ([\d.]+)% loss.*?(Opus\w+)", analyzer.log())
    expect(found, f"it says {analyzer.log().strip()[-300:]}")
    packets, loss, codec = found[-1]
    one.note(f"it counts {packets} packets of {codec}, {loss} % lost")
    expect(int(packets) > 0.8 * (seconds - 1) * FRAMES_PER_SECOND and float(loss) == 0 and codec == "Opus24k", found[-1])
    speaker.program.wait(20)


def last_summary(said):
    """Packets, loss and codec of each stream in the summary that the reference's analyzer ends with."""
    return re.findall(r"Stream \d+: (\d+) pkts, ([\d.]+)% loss.*?((?:Opus|Codec2_)\w+)", said.split("Session Summary")[-1])


def streams_of_replay(one, name, capture):
    said = one.run(name, [one.bins / "wzp-client", "--json", "analyze", "--replay", capture])
    return json.loads(said.strip().splitlines()[-1])["streams"]


@case
def our_capture_is_replayed_by_the_rust_analyzer(one):
    relay = RustRelay(one)
    speaker = Client(one, "speaker", ["room", "demo", "--tone", "440", "--duration", "5"], relay=relay.address)
    speaker.wait("media_up")
    capture = one.directory / "our.wzp"
    one.run("our-analyze", [one.bins / "wzp-client", "--json", "--relay", relay.address, "analyze", "demo", "--capture",
                            capture, "--duration", "2"])
    ours = streams_of_replay(one, "our-replay", capture)
    replayed = peer(one, "rust-replay", "WZP_PEER_ANALYZER", "--replay", str(capture), "--no-tui")
    expect(replayed.wait(15) == 0, "it does not take our capture")
    theirs = last_summary(replayed.log())
    one.note(f"ours {ours[0]['packets']} packets, {ours[0]['loss_pct']} % lost; it says {theirs}")
    expect(len(ours) == len(theirs) == 1 and ours[0]["packets"] == int(theirs[0][0]) > 50, (ours, theirs))
    expect(ours[0]["lost"] == 0 and float(theirs[0][1]) == 0 and ours[0]["codec"] == theirs[0][2], (ours, theirs))
    speaker.program.wait(20)


@case
def rust_capture_is_replayed_by_us(one):
    relay = OurRelay(one)
    speaker = Client(one, "speaker", ["room", "demo", "--tone", "440", "--duration", "5"], relay=relay.address)
    speaker.wait("media_up")
    capture = one.directory / "rust.wzp"
    analyzer = peer(one, "rust-analyzer", "WZP_PEER_ANALYZER", relay.address, "--room", "demo", "--no-tui", "--duration",
                    "2", "--capture", str(capture))
    expect(analyzer.wait(20) == 0, "the analyzer failed")
    theirs = last_summary(analyzer.log())
    ours = streams_of_replay(one, "our-replay", capture)
    one.note(f"ours {ours[0]['packets']} packets, jitter {ours[0]['jitter_ms']} ms; it said {theirs}")
    expect(len(ours) == len(theirs) == 1 and ours[0]["packets"] == int(theirs[0][0]) > 50, (ours, theirs))
    expect(ours[0]["lost"] == 0 and ours[0]["codec"] == theirs[0][2], (ours, theirs))
    speaker.program.wait(20)
