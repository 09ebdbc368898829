"""IPv6: no NAT, but often a firewall that lets nobody in who was not talked to; and IPv6 beside an IPv4 that cannot do it."""
import registry
from calls import Call
from lab import FIREWALL, OPEN, SYMMETRIC, Lab


def run_call(one, a, b, relay_version, version):
    with Lab(one, a, b, relay_version) as lab:
        call = Call(lab, "a", ["--tone", "440"], ["--tone", "600"])
        call.expect_path("direct")
        for client in call.both():
            call.expect_remote_version(client, version)
        call.talk("direct")
        call.hang_up()


def add(name, *arguments):
    registry.CASES.append(registry.Entry(name, lambda one: run_call(one, *arguments), False, False))


add("ipv6_open_calls_open_and_both_go_direct", {6: OPEN}, {6: OPEN}, 6, 6)
add("ipv6_open_calls_firewall_and_both_go_direct", {6: OPEN}, {6: FIREWALL}, 6, 6)
add("ipv6_firewall_calls_open_and_both_go_direct", {6: FIREWALL}, {6: OPEN}, 6, 6)
add("ipv6_firewall_calls_firewall_and_both_go_direct", {6: FIREWALL}, {6: FIREWALL}, 6, 6)
add("ipv6_brings_together_whom_ipv4_keeps_apart", {4: SYMMETRIC, 6: FIREWALL}, {4: SYMMETRIC, 6: FIREWALL}, 4, 6)
add("ipv6_on_one_side_only_disturbs_nobody", {4: OPEN, 6: OPEN}, {4: OPEN}, 4, 4)
