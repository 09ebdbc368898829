#define LOG_MODULE "tap"
#include "wzp/io/relay_tap.h"

#include "wzp/core/media.h"
#include "wzp/rt/log.h"

#define SECOND_US UINT64_C(1000000)

int wzp_relay_tap_set(struct wzp_relay_tap *tap, const char *room)
{
    struct wzp_relay_tap fresh = { .is_on = room != NULL };
    if (room && strcmp(room, "*") == 0) {
        fresh.is_all = true;
    } else if (room) {
        int err = wzp_room_name_to_sni(room, fresh.name);
        if (!err)
            err = wzp_room_hash(room, fresh.hash);
        if (err)
            return err;
    }
    *tap = fresh;
    return 0;
}

static bool is_wanted(const struct wzp_relay_tap *tap, const char *sni)
{
    if (tap->is_all)
        return sni[0] != '_'; /* "_signal" and the like are no rooms */
    return strcmp(sni, tap->name) == 0 || strcmp(sni, tap->hash) == 0;
}

void wzp_relay_tap_packet(struct wzp_relay_tap *tap, const char *sni, uint64_t conn, struct wz_bytes datagram,
                          size_t copies, uint64_t now_us)
{
    struct wzp_media_hdr hdr;
    struct wz_bytes payload;
    char room[2 * WZP_SNI_MAX];
    if (!is_wanted(tap, sni))
        return;
    if (now_us - tap->second_us >= SECOND_US) {
        if (tap->unshown)
            LOG_INFO("tap.unshown", "packets=%llu", (unsigned long long)tap->unshown);
        tap->second_us = now_us;
        tap->lines = 0;
        tap->unshown = 0;
    }
    if (tap->lines == WZP_RELAY_TAP_LINES_PER_S) {
        tap->unshown++;
        return;
    }
    tap->lines++;
    (void)wz_log_quote(sni, room, sizeof room);
    if (wzp_media_decode(datagram, &hdr, &payload) != 0)
        LOG_INFO("tap.packet", "room=%s dir=in conn=%llu bad=1 len=%zu", room, (unsigned long long)conn, datagram.len);
    else
        LOG_INFO(
            "tap.packet",
            "room=%s dir=in conn=%llu seq=%u codec=%s ts_ms=%u block=%u symbol=%u repair=%u report=%u len=%zu to=%zu",
            room, (unsigned long long)conn, hdr.seq, wzp_codec_name(hdr.codec), hdr.timestamp_ms, hdr.fec_block,
            hdr.fec_symbol, hdr.is_repair, hdr.has_report, datagram.len, copies);
}
