/* The SIP side as plain events: a sofia-sip user agent (nua, media off) with our registrar, digest and SDP handling.
 * Calls are objects of this file; sofia's handles never leave sip/.
 *
 * Threads: everything here is called on, and calls back on, the thread that runs the GMainContext given at creation.
 * Callbacks may call any function of this file except sipua_free().
 *
 *            incoming()                                    sipua_dial()
 *               |                                              |
 *           [trying] --ring/progress--> [early]            [calling] --PROGRESS--> [early]
 *               |  \                      |                    |  \                  |
 *         answer|   \reject/CANCELLED     |answer       2xx    |   \ 3xx-6xx: FAILED |
 *               v    \                    v                    v    \                v
 *          [answered] (ACK: ACKED) ---> [up] <------------- ANSWERED                [ended]
 *               \________ BYE, time-out, hangup: ENDED ________/
 *
 * TRACE is delivered from inside the functions below too; no other event is.
 * Calls to a registered phone go to where its REGISTER came from: over UDP to that address, over TCP on that connection
 * (when it is gone the call fails with 503 and the binding is dropped), or along the Path when there is one.
 *
 * CANCELLED, FAILED and ENDED are last: no event follows, and every function answers -ESHUTDOWN. The object itself
 * lives until sipua_call_release(), so that a pointer kept in a call leg never dangles. */
#ifndef SIP_UA_H
#define SIP_UA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sip/auth.h"
#include "sip/reg.h"
#include "wzp/base/addr.h"
#include "wzp/base/rng.h"

struct _GMainContext;
struct sipua;
struct sipua_call;

#define SIPUA_USER_MAX          128   /**< longest user part, NUL included; longer ones are refused */
#define SIPUA_DISPLAY_MAX       128   /**< display names are cut here, control characters dropped */
#define SIPUA_MESSAGE_MAX_BYTES 65536 /**< a SIP message; SDP has its own limit */
#define SIPUA_TEXT_MAX          256   /**< phrases and Reason texts, cut here */

struct sipua_limits {
    uint32_t max_calls;         /**< at once, both directions; beyond: 503 with Retry-After */
    uint32_t max_registrations; /**< bindings in all; beyond: 503 */
    uint32_t retry_after_s;     /**< of the 503 above */
};

struct sipua_config {
    struct wz_addr listen; /**< port 0: any free one, the same for UDP and TCP */
    bool udp, tcp;         /**< at least one */
    struct wz_addr
        public_address; /**< what Contact says; family NONE: the address that faces the peer; port 0: listen's */
    const char *realm;
    const char *user_agent;
    /** What a user we do not know is challenged with. Give it to most users: another policy shows that a user exists. */
    enum sipua_auth_policy default_policy;
    bool trace_raw; /**< give each trace the whole message too, at some cost */
    struct sipua_limits limits;
    uint32_t min_expires_s, max_expires_s; /**< of registrations */
    uint32_t session_expires_s;            /**< RFC 4028; 0: timers off. min_se is 90 s */
    const struct wz_rng *rng;              /**< borrowed for the life of the object */
};

/** A new INVITE, authenticated, not yet answered (100 has been sent). Borrowed for the call. */
struct sipua_incoming {
    const char *from_user;    /**< authenticated user, equal to the From header's */
    const char *from_display; /**< display name, cleaned; "" when none */
    const char *to_user;      /**< what was dialled: user part of the request-URI, unescaped */
    const char *sdp;          /**< offer text, or NULL: late offer, answer with an offer of our own */
    struct wz_addr source;
    enum sipua_transport transport;
    const char *call_id;
    const char *user_agent; /**< "" when none */
};

enum sipua_event_kind {
    SIPUA_EV_PROGRESS, /**< outgoing: 101..199; status, phrase, sdp or NULL */
    SIPUA_EV_ANSWERED, /**< outgoing: 2xx; sdp, NULL when a PROGRESS carried it. The ACK has been sent */
    SIPUA_EV_ACKED,    /**< incoming: our 2xx arrived; sdp = the answer to our late offer, else NULL */
    SIPUA_EV_OFFER, /**< re-INVITE or UPDATE; sdp, or NULL when we are to offer. Answer with sipua_call_answer_offer() */
    SIPUA_EV_OFFER_ACKED, /**< ACK of a re-INVITE whose offer was ours; sdp = the answer */
    SIPUA_EV_INFO_DTMF,   /**< digit, duration_ms */
    SIPUA_EV_CANCELLED,   /**< incoming, before an answer: the caller gave up (CANCEL, or its transaction died). Last */
    SIPUA_EV_FAILED,      /**< outgoing: status (408 when nobody answered, 503 when unreachable, 487 after our hangup),
                             phrase, q850. Last */
    SIPUA_EV_ENDED,       /**< after an answer: by_peer, q850, text; or after sipua_call_reject(): status. Last */
    SIPUA_EV_TRACE,       /**< one message of this call; trace. Never last */
};

/** One SIP message for the call's ladder. */
struct sipua_trace {
    bool outgoing;
    const char *summary; /**< "INVITE sip:1001@host" or "180 Ringing" */
    const char *cseq;    /**< "1 INVITE" */
    /** With trace_raw: the whole message, if received; of ours only the body, if any. Else NULL. What sofia sends by
     * itself (100, ACK of a refusal, 200 to BYE and CANCEL, retransmissions) is not seen: that is the edge's work. */
    const char *raw;
    struct wz_addr peer; /**< family NONE: not known */
};

struct sipua_event {
    enum sipua_event_kind kind;
    int status;         /**< SIP status, 0 where none applies */
    const char *phrase; /**< never NULL */
    const char *sdp;
    uint32_t q850;    /**< cause of a Reason header, 0: none */
    const char *text; /**< text of a Reason header, never NULL */
    bool by_peer;
    char digit; /**< 0-9 * # A-D */
    uint16_t duration_ms;
    const struct sipua_trace *trace;
};

struct sipua_handlers {
    /** Look up a user. 0 and *ret filled, or -ENOENT. Must take the same time in both cases as far as it can. */
    int (*credentials)(void *arg, const char *user, struct sipua_credentials *ret);
    void (*registered)(void *arg, const struct sipua_binding *binding); /**< new or refreshed: store it */
    void (*unregistered)(void *arg, const struct sipua_binding *binding, enum sipua_unbind_reason reason);
    /** A call arrived. The receiver owns one reference and gives it back with sipua_call_release(). */
    void (*incoming)(void *arg, struct sipua_call *call, const struct sipua_incoming *incoming);
    void (*event)(void *arg, struct sipua_call *call, const struct sipua_event *event);
};

struct sipua_stats {
    uint64_t register_ok, register_challenged, register_refused;
    uint64_t invite_ok, invite_challenged, invite_refused;
    uint64_t auth_failed; /**< credentials given and wrong */
    uint64_t overload_refused;
    uint32_t calls_active;
    uint32_t bindings;
};

/**
 * Create and listen.
 * @param handlers  Copied. Called with arg.
 * @param context   The private context of this thread; not iterated here.
 * @return          0, -EINVAL, another negative errno of bind (-EADDRINUSE...), -ENOMEM.
 */
int sipua_new(struct sipua **ret, struct _GMainContext *context, const struct sipua_config *config,
              const struct sipua_handlers *handlers, void *arg);

/**
 * Refuse new calls, end those that exist (BYE, CANCEL, 503), then call done once; it may call sipua_free().
 * Without calls this takes a moment; phones that do not answer the BYE hold it up, for 30 s at most.
 */
void sipua_shutdown(struct sipua *ua, void (*done)(void *arg), void *arg);
/** NULL-safe. Only after shutdown's done, and after each call was released. */
void sipua_free(struct sipua *ua);

/** Where it listens, port filled in. */
struct wz_addr sipua_local(const struct sipua *ua);
struct sipua_stats sipua_stats(const struct sipua *ua);
/** The registrar's table: sipua_reg_restore() at start, sipua_reg_contacts() to call a user. */
struct sipua_reg *sipua_registrar(struct sipua *ua);
/** While draining new INVITEs get 503 with Retry-After; registrations and calls go on. */
void sipua_set_draining(struct sipua *ua, bool draining);

/** What to dial. Strings are borrowed for the call; those that are not needed may be NULL. */
struct sipua_dial {
    const struct sipua_binding *binding; /**< a registered phone: the call goes to where it registered from; or */
    const char *uri;                     /**< a SIP URI, when binding is NULL */
    const char *from_user;
    const char *from_display;
    const char *sdp;           /**< our offer */
    const char *extra_headers; /**< "Name: value\r\n..." or NULL; must not come from a peer */
};

/** Send an INVITE. The caller owns one reference to *ret. Outcome by events. 0, -EINVAL, -EAGAIN (max_calls), -ENOMEM. */
int sipua_dial(struct sipua *ua, const struct sipua_dial *dial, void *call_arg, struct sipua_call **ret);

/* Each returns 0, -ESHUTDOWN (the call is over), or -EPROTO (not in this state). */
int sipua_call_ring(struct sipua_call *call);
/** 183 or another 1xx, with SDP or NULL. */
int sipua_call_progress(struct sipua_call *call, int status, const char *sdp);
/** 200 with our answer, or with our offer when the INVITE had none. */
int sipua_call_answer(struct sipua_call *call, const char *sdp);

/** A final refusal. Members that are not wanted are NULL or 0. */
struct sipua_refusal {
    int status;         /**< 300..699 */
    const char *phrase; /**< NULL: the standard one */
    int warning_code;   /**< 304, 305...; with warning: its text */
    const char *warning;
    uint32_t q850;
    uint32_t retry_after_s;
};
/** Refuse an unanswered incoming call. ENDED follows (by_peer false). */
int sipua_call_reject(struct sipua_call *call, const struct sipua_refusal *refusal);

/** Answer the pending SIPUA_EV_OFFER: 200 with sdp, or 488/491/500 without. */
int sipua_call_answer_offer(struct sipua_call *call, int status, const char *sdp);

/** End the call, whatever its state: BYE, CANCEL or 603. Exactly one last event follows. q850 0: none; text may be NULL. */
int sipua_call_hangup(struct sipua_call *call, uint32_t q850, const char *text);

/** Give back the reference. Before the last event this also hangs up, silently. NULL-safe. */
void sipua_call_release(struct sipua_call *call);

void *sipua_call_arg(const struct sipua_call *call);
void sipua_call_set_arg(struct sipua_call *call, void *arg);
bool sipua_call_is_over(const struct sipua_call *call);
/** The SIP Call-ID, "" before it is known. Valid as long as the call. */
const char *sipua_call_id(const struct sipua_call *call);

#endif
