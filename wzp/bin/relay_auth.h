/* Who is the owner of a client's token? Asks the operator's auth server: POST {"token": ...}, also as a bearer
 * header; {"valid": true, "fingerprint": ..., "alias": ...} lets the client in, every other answer and none within
 * 5 s does not. Spec: docs/wzp-wire.md "Relay". Thread: the loop's. */
#ifndef WZP_BIN_RELAY_AUTH_H
#define WZP_BIN_RELAY_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/bytes.h"
#include "wzp/core/relay.h"

struct wz_loop;
struct relay_auth;

/** Longest token that is asked about. */
#define RELAY_AUTH_TOKEN_MAX_BYTES 8192
/** Longest fingerprint text and alias an auth server may give a user. */
#define RELAY_AUTH_FINGERPRINT_MAX WZP_RELAY_USER_MAX
#define RELAY_AUTH_ALIAS_MAX       128

struct relay_auth_verdict {
    bool is_valid;
    char fingerprint[RELAY_AUTH_FINGERPRINT_MAX + 1]; /**< "" when not valid */
    char alias[RELAY_AUTH_ALIAS_MAX + 1];             /**< "" when there is none */
};

struct relay_auth_config {
    const char *url; /**< copied */
    void (*decided)(void *arg, uint64_t conn, const struct relay_auth_verdict *verdict);
    void *arg;
};

struct relay_auth_stats {
    uint64_t asked, valid, refused; /**< answers of the server */
    uint64_t failed;                /**< no usable answer */
    size_t waiting;
};

int relay_auth_new(struct relay_auth **ret, struct wz_loop *loop, const struct relay_auth_config *config);
/** NULL-safe; nothing is decided any more. */
void relay_auth_free(struct relay_auth *auth);
/** Ask about the token of conn; decided() is called once, later. Negative: it is not asked about and refused. */
int relay_auth_check(struct relay_auth *auth, uint64_t conn, struct wz_bytes token);
void relay_auth_stats(const struct relay_auth *auth, struct relay_auth_stats *ret);

/** The server's answer into a verdict. 0, or -EBADMSG when it is not what was agreed (then nobody gets in). */
int relay_auth_parse(unsigned status, const char *body, size_t len, struct relay_auth_verdict *ret);

#endif
