/* ice/stun: whatever a stranger sends to the QUIC socket as STUN, nothing breaks; and only an answer with our
 * transaction id is believed. The input is an answer whose id is replaced by ours when its first byte is odd. */
#include <stdlib.h>
#include <string.h>

#include "ice/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct wire {
    uint8_t packet[64];
};

static void on_send(void *arg, struct wz_bytes packet, const struct wz_addr *to)
{
    struct wire *wire = arg;
    (void)to;
    memcpy(wire->packet, packet.data, packet.len < sizeof wire->packet ? packet.len : sizeof wire->packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire = { { 0 } };
    struct wice_stun *stun;
    struct wz_addr mapped;
    struct wice_stun_config config = { .server_count = 1, .send = on_send, .arg = &wire };
    if (size < 1 || wz_addr_parse("192.0.2.1:3478", &config.server[0]) < 0)
        return 0;
    bool ours = data[0] & 1;
    uint8_t *packet = malloc(size);
    if (!packet)
        return 0;
    memcpy(packet, data + 1, size - 1);
    if (wice_stun_new(&stun, &config) == 0) {
        wice_stun_start(stun, 0);
        if (ours && size - 1 >= 20)
            memcpy(packet + 4, wire.packet + 4, 16);
        bool taken = wice_stun_packet(stun, wz_bytes(packet, size - 1), &config.server[0]);
        if (!taken && wice_stun_mapping(stun, 0, &mapped))
            abort();
        wice_stun_free(stun);
    }
    free(packet);
    return 0;
}
