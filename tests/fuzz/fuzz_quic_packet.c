/* wzp/io/quic: whatever a stranger's packets hold, the endpoint lives, takes STUN for STUN only, and answers with
 * no more than what arrived (before the address is proven, RFC 9000 8.1 allows three times as much).
 * The input is a list of packets, each after its length (u16). Sessions of half-open clients stay between inputs for
 * a moment, as they would. */
#include <stdlib.h>
#include <string.h>

#include "wzp/io/quic_internal.h"
#include "wzp/rt/rng.h"

#define AMPLIFICATION 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wz_loop *loop;
static struct wzp_quic *quic;

static void start(void)
{
    struct wzp_quic_config config = {
        .accept = true,
        .max_connections = 64,
        .max_handshakes = 8,
        .handshake_ms = 20,
        .rng = &wz_rng_system,
    };

    if (wz_addr_parse("127.0.0.1:0", &config.bind) < 0 || wz_loop_new(&loop) < 0 ||
        wzp_quic_new(&quic, loop, &config) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wz_reader in = wz_reader(wz_bytes(data, size));
    struct wz_addr from, local;
    struct wz_bytes packet;
    uint16_t len;

    if (!quic)
        start();
    local = wzp_quic_local(quic);
    from = local; /* answers come back here: they are noise then, too */
    while (wz_get_u16be(&in, &len)) {
        uint64_t before = wz_udp_stats(quic->udp)->tx_bytes;
        uint8_t *copy;
        if (len > wz_left(&in))
            len = (uint16_t)wz_left(&in);
        (void)wz_get_slice(&in, len, &packet);
        copy = malloc(len ? len : 1); /* exact size, and writable as the socket's buffers are */
        if (!copy)
            return 0;
        if (len)
            memcpy(copy, packet.data, len);
        quic_on_packet(quic, copy, len, &from, &local);
        quic_flush_dirty(quic);
        wz_udp_flush(quic->udp);
        if (wz_udp_stats(quic->udp)->tx_bytes - before > AMPLIFICATION * len)
            abort();
        free(copy);
    }
    (void)wz_loop_turn(loop, 0);
    return 0;
}
