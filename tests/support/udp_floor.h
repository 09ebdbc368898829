/* The floor under relay figures: a forwarder of raw UDP packets on the project's own loop and batching, so
 * that what a relay costs beyond it is QUIC and WZP. Clients are told apart by their source port; each packet
 * goes to the others of its room. No encryption, no state, no checks. Header only: benchmarks are single
 * files. Thread: the loop's. */
#ifndef TESTS_SUPPORT_UDP_FLOOR_H
#define TESTS_SUPPORT_UDP_FLOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wzp/rt/udp.h"

#define UDP_FLOOR_ROOMS   64
#define UDP_FLOOR_MEMBERS 16

struct udp_floor_room {
    size_t count;
    struct wz_addr member[UDP_FLOOR_MEMBERS];
};

struct udp_floor {
    struct wz_udp *udp;
    struct udp_floor_room room[UDP_FLOOR_ROOMS];
    uint8_t room_of_port[65536]; /**< room number + 1; 0: unknown */
};

static inline void udp_floor_packet(void *arg, uint8_t *data, size_t len, const struct wz_addr *from,
                                    const struct wz_addr *local)
{
    struct udp_floor *floor = arg;
    const uint8_t number = floor->room_of_port[from->port];
    (void)local;
    if (number == 0)
        return;
    const struct udp_floor_room *room = &floor->room[number - 1];
    for (size_t i = 0; i < room->count; i++)
        if (room->member[i].port != from->port)
            (void)wz_udp_send(floor->udp, data, len, &room->member[i],
                              NULL); /* lost ones are not counted as received */
}

/** Binds to a free port of 127.0.0.1. *floor must be zeroed. */
static inline int udp_floor_start(struct udp_floor *floor, struct wz_loop *loop)
{
    struct wz_udp_config config = {
        .fd = -1, .want_gro = true, .buffer_bytes = 4 << 20, .packet = udp_floor_packet, .arg = floor
    };
    const int err = wz_addr_parse("127.0.0.1:0", &config.bind);
    return err ? err : wz_udp_new(&floor->udp, loop, &config);
}

/** Before packets flow. */
static inline void udp_floor_add(struct udp_floor *floor, size_t room, const struct wz_addr *member)
{
    struct udp_floor_room *r = &floor->room[room];
    r->member[r->count++] = *member;
    floor->room_of_port[member->port] = (uint8_t)(room + 1);
}

static inline void udp_floor_stop(struct udp_floor *floor)
{
    wz_udp_free(floor->udp);
}

#endif
