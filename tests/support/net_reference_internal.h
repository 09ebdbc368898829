/* What the files of the reference model share. */
#ifndef TESTS_SUPPORT_NET_REFERENCE_INTERNAL_H
#define TESTS_SUPPORT_NET_REFERENCE_INTERNAL_H

#include "tests/support/net_reference.h"
#include "wzp/core/candidates.h"
#include "wzp/core/handshake.h"

#define REF_MS 1000u

enum ref_state {
    REF_IDLE,
    REF_REFLECTING, /**< the offer or the trusted answer waits */
    REF_OFFERED,
    REF_RINGING,
    REF_ANSWERED,
    REF_RACING,
    REF_AGREEING,
    REF_JOINING, /**< the relay's room */
    REF_UP,
};

enum ref_result { REF_PENDING, REF_OK, REF_FAILED };

/** The race of the present call. */
struct ref_race {
    uint64_t start_us, first_us, agree_until_us; /**< VNET_NEVER: not yet */
    enum wzp_role role;
    size_t dial_count;
    struct vquic_end *dial[WZP_SIGNAL_MAX_ADDRS + 1];
    struct vquic_end *direct;
    enum ref_result direct_result, relay_result;
    bool relay_dialled, has_report, peer_ok;
};

struct net_reference {
    struct net_client *client;
    struct wzp_identity identity;
    struct vquic_end *signal;
    bool registered;
    unsigned attempt;
    uint64_t retry_us, reflect_until_us; /**< VNET_NEVER: none */
    char reflexive[WZ_ADDR_TEXT_MAX];    /**< the last Reflect's answer; kept from call to call */
    uint64_t last_id;

    enum ref_state state;
    struct net_call *call;
    char peer[WZP_FINGERPRINT_TEXT];
    bool hides;
    enum wzp_accept_mode mode;
    char room[WZP_CLIENT_SNI_SIZE];
    struct wz_addr relay_addr;
    struct vquic_end *relay; /**< of the media */
    struct ref_race race;
};

void ref_say(struct net_reference *ref, struct vquic_end *end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ref_arm(struct net_reference *ref);
/** Close what the call has, and be idle. */
void ref_end_call(struct net_reference *ref, enum wzp_line_end end, enum wzp_hangup_reason reason);

/* net_reference_race.c */
void ref_race_start(struct net_reference *ref, const struct wzp_signal *setup);
/** The connection is the call's; true when it was. */
bool ref_media_connected(struct net_reference *ref, struct vquic_end *end);
bool ref_media_closed(struct net_reference *ref, const struct vquic_end *end);
void ref_media_message(struct net_reference *ref, const struct wzp_signal *signal);
void ref_race_report(struct net_reference *ref, bool peer_ok);
uint64_t ref_race_deadline_us(const struct net_reference *ref);
void ref_race_tick(struct net_reference *ref);
void ref_race_close(struct net_reference *ref, const char *reason);

#endif
