"""What is asked without a call: versions, addresses, round trips; and the reference's analyzer as a listener."""
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
