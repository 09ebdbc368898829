/* What the ua_*.c files share. Nothing outside sip/ includes this. */
#ifndef SIP_UA_INTERNAL_H
#define SIP_UA_INTERNAL_H

#define NUA_MAGIC_T struct sipua

#include <sofia-sip/nua.h>
#include <sofia-sip/nua_tag.h>
#include <sofia-sip/nta.h>
#include <sofia-sip/nta_tag.h>
#include <sofia-sip/tport_tag.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/su_wait.h>

#include "sip/sdp.h"
#include "sip/ua.h"
#include "wzp/base/list.h"

#define LOG_MODULE "sip"

/** Contact, Route and similar values that we write. */
#define UA_URI_MAX 1024

typedef struct _GSource GSource;

enum call_state {
    CALL_TRYING,   /**< incoming: INVITE received */
    CALL_EARLY,    /**< incoming: 1xx sent; outgoing: 1xx received */
    CALL_ANSWERED, /**< incoming: 2xx sent, ACK awaited */
    CALL_CALLING,  /**< outgoing: INVITE sent */
    CALL_UP,
    CALL_CLOSING, /**< BYE or CANCEL sent, or due as soon as the ACK comes */
    CALL_OVER,    /**< last event delivered or queued; sofia's handle is gone */
};

/** The last event of a call, kept until it can be delivered from the context. */
struct call_end {
    enum sipua_event_kind kind;
    int status;
    uint32_t q850;
    bool by_peer;
    char phrase[SIPUA_TEXT_MAX];
    char text[SIPUA_TEXT_MAX];
};

struct sipua_call {
    struct sipua *ua;
    uint32_t slot, generation; /**< its place in sipua.slot; together the magic that sofia carries */
    unsigned refs;             /**< one of the application, one of the slot, one per running callback */
    nua_handle_t *nh;
    void *arg;
    enum call_state state;
    bool outgoing;
    bool released;                     /**< the application wants no more events */
    bool bye_on_ack;                   /**< hang-up came between our 2xx and its ACK (RFC 3261 15) */
    bool answered;                     /**< a 2xx went one way or the other, and the application knows */
    bool offer_pending, offer_is_ours; /**< re-INVITE or UPDATE awaiting sipua_call_answer_offer() */
    nua_saved_event_t offer_event;
    uint32_t invite_cseq;
    struct wz_addr peer;
    enum sipua_transport transport;
    uint64_t closing_since_us;
    struct call_end end;
    struct wz_list ending; /**< in sipua.ending while the last event is queued */
    char bye_reason[SIPUA_TEXT_MAX];
    char contact[128];
    char *last_sdp; /**< what we sent last: the answer when our own refresh draws an offer */
    char id[256];
};

struct call_slot {
    struct sipua_call *call;
    uint32_t generation;
};

struct sipua {
    struct sipua_config config;
    char *realm, *user_agent;
    struct sipua_handlers handlers;
    void *arg;
    struct wz_addr local;
    su_root_t *root;
    GSource *root_source;
    GSource *deferred; /**< runs what must not run inside sofia's or the caller's stack frame */
    su_timer_t *tick;
    nua_t *nua;
    struct sipua_auth *auth;
    struct sipua_reg *reg;
    struct call_slot *slot;
    uint32_t slot_count;
    uint32_t active;
    struct wz_list ending;
    struct sipua_stats stats;
    bool draining, shutting_down, nua_is_down;
    void (*shutdown_done)(void *arg);
    void *shutdown_arg;
};

/* ua.c */
/** Ask for run_deferred() on the next turn of the context. */
void ua_defer(struct sipua *ua);

/* ua_text.c */
/** The source of the message being handled, and its transport. */
struct wz_addr ua_source(struct sipua *ua, const sip_t *sip, enum sipua_transport *ret_transport);
/** Contact header value that leads the peer back to us: "<sip:gw@host:port>". */
void ua_contact(const struct sipua *ua, const struct wz_addr *peer, enum sipua_transport transport, char *buf,
                size_t size);
/** "sip:1.2.3.4:5060;transport=udp": where messages for that peer go, whatever its Contact says. */
void ua_next_hop(const struct wz_addr *peer, enum sipua_transport transport, char *buf, size_t size);
/** User part of a URL, unescaped. 0, or -EBADMSG when absent, too long or unprintable. */
int ua_user(const url_t *url, char *buf, size_t size);
/** Peer text cut to size without control characters; surrounding quotes and their escapes resolved. */
void ua_clean(const char *text, char *buf, size_t size);
/**
 * The SDP body.
 * @param buf  SIPUA_SDP_MAX_BYTES + 1 bytes.
 * @return     1 with text in buf; 0 no body; -EPROTONOSUPPORT body of another kind (415), -EMSGSIZE (413), -EBADMSG.
 */
int ua_body_sdp(const sip_t *sip, char *buf);
/** Q.850 cause and text of the Reason headers; 0 and "" without one. */
uint32_t ua_reason(const sip_t *sip, char *text, size_t size);
/** Copy what may stand between double quotes in a header of ours. */
void ua_quotable(const char *text, char *buf, size_t size);
/** Print a Reason header; empty when there is nothing to say. */
void ua_print_reason(uint32_t q850, const char *text, char *buf, size_t size);

/* ua_auth.c */
/**
 * Authenticate a request whose claimed identity is the user of aor; sends the challenge or refusal itself.
 * @param user  SIPUA_USER_MAX bytes, the authenticated user.
 * @return      0, or -EACCES: answered, nothing more to do.
 */
int ua_authenticate(struct sipua *ua, nua_handle_t *nh, const sip_t *sip, const url_t *aor, char *user);

/* ua_register.c */
void ua_on_register(struct sipua *ua, nua_handle_t *nh, const sip_t *sip);

/* ua_incoming.c */
void ua_on_new_invite(struct sipua *ua, nua_handle_t *nh, const sip_t *sip);

/* ua_call.c */
int call_new(struct sipua *ua, struct sipua_call **ret);
void call_ref(struct sipua_call *call);
void call_unref(struct sipua_call *call);
/** NULL when magic names no call, or one whose slot was given to another. */
struct sipua_call *call_find(const struct sipua *ua, const void *magic);
void *call_magic(const struct sipua_call *call);
void call_deliver(struct sipua_call *call, const struct sipua_event *event);
/** The call is over: drop sofia's handle now, deliver the last event from the context soon. */
void call_finish(struct sipua_call *call, const struct call_end *end);
/** Deliver last events that are queued. */
void call_run_endings(struct sipua *ua);
void call_send_bye(struct sipua_call *call);
/** End calls whose peer never finished the closing. */
void call_sweep(struct sipua *ua, uint64_t now_us);
int call_remember_sdp(struct sipua_call *call, const char *sdp);

/* ua_event.c */
void call_on_event(struct sipua_call *call, nua_event_t event, int status, const char *phrase, const sip_t *sip,
                   tagi_t *tags);

/* ua_trace.c */
void trace_received(struct sipua_call *call, const sip_t *sip);
void trace_response(struct sipua_call *call, int status, const char *phrase, const char *method, const char *body);
void trace_request(struct sipua_call *call, const char *method, const char *body);

#endif
