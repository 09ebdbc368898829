/* What kind of NAT we are behind, told from the addresses that several servers see one socket under
 * (docs/client.md "NAT"). Pure. Thread: any. */
#ifndef WZP_BIN_CLIENT_NAT_H
#define WZP_BIN_CLIENT_NAT_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/addr.h"

/** Relays and STUN servers together. */
#define CLIENT_NAT_SERVERS_MAX 12

enum client_nat_verdict {
    CLIENT_NAT_UNKNOWN,        /**< fewer than two answers that count */
    CLIENT_NAT_MULTIPLE,       /**< different addresses */
    CLIENT_NAT_CONE,           /**< everybody sees the same address and port */
    CLIENT_NAT_SYMMETRIC_PORT, /**< the same address, different ports */
};

struct client_nat_result {
    enum client_nat_verdict verdict;
    size_t counted; /**< answers that say something: public ones, of the family with the most (IPv4 if as many) */
    struct wz_addr mapped; /**< CONE: what everybody sees; else the first that counted; family NONE: none */
    bool translated;       /**< mapped is not an address of this machine; false when nothing counted */
};

/** One answer: who said it, and what. */
struct client_nat_answer {
    struct wz_addr server;
    struct wz_addr seen; /**< family NONE: no answer */
};

/** Why an answer does not count: "loopback", "link-local", "private", "carrier-grade NAT" or "no address"; NULL: it
 *  counts. */
const char *client_nat_drops(const struct wz_addr *seen);
/** own: this machine's addresses. A second answer of the same server says nothing new and does not count. */
struct client_nat_result client_nat_classify(const struct client_nat_answer *answer, size_t count,
                                             const struct wz_addr *own, size_t own_count);
/** "Unknown", "Multiple", "Cone", "SymmetricPort". */
const char *client_nat_verdict_name(enum client_nat_verdict verdict);
/** What the result means for calls: one sentence. */
const char *client_nat_meaning(const struct client_nat_result *result);

#endif
