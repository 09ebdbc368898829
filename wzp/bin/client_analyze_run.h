/* `wzp-client analyze`: listens to a room without sending anything, or reads a capture again. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_ANALYZE_RUN_H
#define WZP_BIN_CLIENT_ANALYZE_RUN_H

#include <stdbool.h>

#include "wzp/base/addr.h"
#include "wzp/bin/client_options.h"
#include "wzp/core/identity.h"

struct wz_loop;
struct wzp_quic;

struct client_analyze_config {
    const char *room, *relay_text;
    const char *capture; /**< file to write; NULL: none */
    struct wz_addr relay;
    double duration_s; /**< 0: until the loop is stopped */
    bool json;
    uint8_t seed[WZP_SEED_BYTES];
};

/** Join, listen, run the loop until it is stopped or the duration is over, print. */
enum client_exit client_analyze_live(struct wz_loop *loop, struct wzp_quic *quic,
                                     const struct client_analyze_config *config);
/** The same figures from a file. A file that ends inside a packet is counted up to there. */
enum client_exit client_analyze_replay(const char *path, bool json);

#endif
