/* Which of our own addresses we tell the peer, and which side dials. Pure policy: no sockets.
 * Spec: docs/wzp-wire.md "Addresses". Thread: any. Allocates nothing. */
#ifndef WZP_CORE_CANDIDATES_H
#define WZP_CORE_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>

#include "wzp/base/addr.h"
#include "wzp/core/signal.h"

#define WZP_CANDIDATES_MAX_STUN 8
#define WZP_CANDIDATES_MAX_HOST 16

/** What is known about one UDP socket. Host addresses carry the port they would be reached at. */
struct wzp_address_facts {
    const char *reflect; /**< the relay's ReflectResponse, borrowed; NULL or empty: no answer */
    size_t stun_count;   /**< at most WZP_CANDIDATES_MAX_STUN, the rest is ignored */
    struct wz_addr stun[WZP_CANDIDATES_MAX_STUN];
    struct wz_addr public_address; /**< configured; family NONE: not */
    size_t host_count;             /**< at most WZP_CANDIDATES_MAX_HOST, the rest is ignored */
    struct wz_addr host[WZP_CANDIDATES_MAX_HOST];
    bool share_local;    /**< policy: host addresses may be told to the peer */
    bool share_loopback; /**< loopback ones too: every peer is on this machine */
};

struct wzp_candidates {
    char reflexive[WZ_ADDR_TEXT_MAX]; /**< to advertise, and then our side of wzp_candidates_role(); empty:
                                         none */
    bool symmetric; /**< two different public mappings were seen: no address would hold for a third party */
    size_t local_count;
    char local[WZP_SIGNAL_MAX_ADDRS][WZ_ADDR_TEXT_MAX];
};

/**
 * Choose what to advertise.
 *
 * Only public addresses with a port count as mappings. The first of these that exists is the reflexive
 * address: the Reflect answer, the configured public address, a STUN answer. Two different mappings of one
 * family among Reflect and STUN answers mean a symmetric NAT: none is advertised, unless a public address is
 * configured (the operator says that it is forwarded). Without any mapping, configured address and such a verdict, a
 * private or carrier-grade Reflect answer is advertised if policy shares host addresses (loopback: if it shares
 * those): the relay is in the same house, and without a text of ours a reference peer never goes direct. An
 * IPv4-mapped answer is advertised as plain IPv4, since peers skip the mapped form. Local texts: private and carrier-grade IPv4, global and unique-local
 * IPv6, without repeats, in the given order.
 *
 * @return 0, or -EINVAL (NULL argument). A Reflect answer that is no address counts as none.
 */
int wzp_candidates_choose(const struct wzp_address_facts *facts, struct wzp_candidates *ret);

/** What decides which of a peer's addresses we dial. */
struct wzp_dial_policy {
    bool reference;   /**< as the reference does: IPv4 only, hosts in their order, then the reflexive address */
    bool loopback;    /**< loopback and link-local addresses may be dialled: the relay is as near as they are */
    size_t own_count; /**< our host addresses, borrowed: they tell the families that we can reach, and whom we are */
    const struct wz_addr *own;
};

/**
 * The addresses to dial, best first, without repeats and unreachable ones. Between our own kind: hosts of our families,
 * the reflexive address, other hosts. Where not all fit, the reflexive address is kept.
 *
 * @param reflexive  the peer's, as it travelled; NULL or no address: none.
 * @param local      the peer's host addresses, or NULL; texts that are no address are skipped.
 * @param ret        room for max >= 1 addresses.
 * @return           how many were written.
 */
size_t wzp_candidates_to_dial(const char *reflexive, const struct wzp_addr_list *local,
                              const struct wzp_dial_policy *policy, struct wz_addr *ret, size_t max);
/** The address is one that the peer told: the same IP, any port. */
bool wzp_candidates_announced(const struct wz_addr *addr, const struct wz_addr *told, size_t told_count);

enum wzp_role {
    WZP_ROLE_NONE,     /**< no direct attempt: a text is missing or both are equal */
    WZP_ROLE_ACCEPTOR, /**< our text is the smaller one */
    WZP_ROLE_DIALER,
};

/** The side we take in a direct attempt: a byte-wise comparison of the two texts exactly as they travelled.
 * own is what this call advertised; NULL or empty: none. */
enum wzp_role wzp_candidates_role(const char *own, const char *peer);
/** "None", "Acceptor", "Dialer". */
const char *wzp_role_name(enum wzp_role role);

#endif
