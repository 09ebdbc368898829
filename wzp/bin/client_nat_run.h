/* `wzp-client nat`: asks relays and STUN servers from one socket which address they see. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_NAT_RUN_H
#define WZP_BIN_CLIENT_NAT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/bin/client_options.h"

struct wz_loop;
struct wzp_quic;

/** Each server has this long. */
#define CLIENT_NAT_WAIT_US 1500000u

struct client_nat_config {
    size_t relay_count, stun_count; /**< at most CLIENT_RELAYS_MAX and CLIENT_STUN_MAX */
    const char *const *relay_text, *const *stun_text;
    const struct wz_addr *relay, *stun;
    bool json;
};

struct client_nat_run;

int client_nat_new(struct client_nat_run **ret, struct wz_loop *loop, struct wzp_quic *quic,
                   const struct client_nat_config *config);
void client_nat_free(struct client_nat_run *run);
/** A STUN packet came in on the endpoint. */
void client_nat_packet(struct client_nat_run *run, struct wz_bytes packet, const struct wz_addr *from);
/** Run the loop until every server has answered or was given up, and print. FAILURE: the verdict is Unknown. */
enum client_exit client_nat_ask(struct client_nat_run *run);

#endif
