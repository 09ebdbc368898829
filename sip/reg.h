/* Registrar table: which contacts a user has (RFC 3261 10.3, RFC 5626 instance and reg-id). Pure: no socket, clock or
 * file; times are wall-clock microseconds passed in, so that they survive a restart. Thread: one. */
#ifndef SIP_REG_H
#define SIP_REG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"
#include "wzp/base/rng.h"

#define SIPUA_REG_MAX_CONTACTS 10  /**< per user, and per REGISTER */
#define SIPUA_REG_URI_MAX      512 /**< longest contact URI, without NUL */

enum sipua_transport {
    SIPUA_UDP,
    SIPUA_TCP,
};

/** One contact of one user. Strings are borrowed from the table (or, on restore, from the caller); none is NULL. */
struct sipua_binding {
    const char *user;
    const char *contact;   /**< URI without angle brackets, as the phone wrote it */
    struct wz_addr source; /**< where the REGISTER came from: calls go there, not to the contact's host */
    enum sipua_transport transport;
    const char *user_agent;  /**< "" when not given, as with the next two */
    const char *instance_id; /**< +sip.instance, "<urn:uuid:...>" */
    const char *path;        /**< Path header value */
    uint32_t reg_id;         /**< 0: none */
    const char *call_id;
    uint32_t cseq;
    uint64_t updated_at_us; /**< wall clock */
    uint64_t expires_at_us; /**< wall clock */
};

enum sipua_unbind_reason {
    SIPUA_UNBIND_REMOVED, /**< by the phone: expires 0 or "*" */
    SIPUA_UNBIND_EXPIRED,
    SIPUA_UNBIND_REPLACED, /**< same instance and reg-id with another URI */
    SIPUA_UNBIND_EVICTED,  /**< the user had the most contacts allowed: the one refreshed longest ago went */
};

struct sipua_reg_config {
    const struct wz_rng *rng;
    uint32_t min_expires_s;     /**< shorter wishes are refused with 423 */
    uint32_t max_expires_s;     /**< longer wishes are cut */
    uint32_t default_expires_s; /**< when the phone states none */
    uint32_t max_bindings;      /**< in the whole table */
    /** A contact was added or refreshed. Must not call back into the table. */
    void (*bound)(void *arg, const struct sipua_binding *binding);
    /** A contact went away; binding is valid for the call only. Must not call back into the table. */
    void (*unbound)(void *arg, const struct sipua_binding *binding, enum sipua_unbind_reason reason);
    void *arg;
};

/** Expiry that was not stated in the message. */
#define SIPUA_REG_UNSTATED UINT32_MAX

struct sipua_reg_contact {
    const char *uri;
    uint32_t expires_s; /**< or SIPUA_REG_UNSTATED: the header's, else the default */
    const char *instance_id;
    uint32_t reg_id;
};

/** One authenticated REGISTER, already taken apart. Strings are borrowed, none is NULL. */
struct sipua_reg_request {
    const char *user;
    const char *call_id;
    uint32_t cseq;
    uint32_t expires_s; /**< Expires header or SIPUA_REG_UNSTATED */
    bool star;          /**< Contact: * */
    const struct sipua_reg_contact *contact;
    size_t contact_count; /**< 0 and no star: a query */
    struct wz_addr source;
    enum sipua_transport transport;
    const char *user_agent;
    const char *path;
};

struct sipua_reg;

/** 0 or -ENOMEM. */
int sipua_reg_new(struct sipua_reg **ret, const struct sipua_reg_config *config);
/** NULL-safe. Bindings are dropped without calling unbound: they are still valid for the phones. */
void sipua_reg_free(struct sipua_reg *reg);

/**
 * Carry out a REGISTER, all of it or nothing.
 * @return 0; -EBADMSG (400: "*" mixed with contacts or with expires other than 0, URI too long); -ERANGE (423);
 *         -EPROTO (500: same Call-ID, CSeq not higher); -ENOSPC (403/503: too many contacts or bindings); -ENOMEM.
 */
int sipua_reg_update(struct sipua_reg *reg, const struct sipua_reg_request *request, uint64_t now_us);

/** The user's live contacts, most recently refreshed first. Borrowed until the table is changed. Returns the count. */
size_t sipua_reg_contacts(const struct sipua_reg *reg, const char *user, uint64_t now_us,
                          const struct sipua_binding *ret[static SIPUA_REG_MAX_CONTACTS]);

/** Put back a stored binding. 0; -ESTALE: expired, or over TCP, whose connection is gone; -ENOSPC; -ENOMEM. */
int sipua_reg_restore(struct sipua_reg *reg, const struct sipua_binding *binding, uint64_t now_us);

/** Drop every TCP binding whose connection (source address) has closed. Returns how many. */
size_t sipua_reg_drop_connection(struct sipua_reg *reg, const struct wz_addr *source);

/** Remove what is due, calling unbound. */
void sipua_reg_expire(struct sipua_reg *reg, uint64_t now_us);
/** When sipua_reg_expire() has work next (it may be early, never late); UINT64_MAX: never. */
uint64_t sipua_reg_deadline_us(const struct sipua_reg *reg);
size_t sipua_reg_count(const struct sipua_reg *reg);
/** Visit every binding; visit must not change the table. */
void sipua_reg_each(const struct sipua_reg *reg, void (*visit)(void *arg, const struct sipua_binding *binding),
                    void *arg);

#endif
