/* A user agent under test on a private GMainContext, with two users, every event recorded, and one SIP peer.
 * Users: alice/secret (MD5), bob/hidden (SHA-256), carol/open (both). Thread: the test's. */
#ifndef TESTS_SUPPORT_SIP_WORLD_H
#define TESTS_SUPPORT_SIP_WORLD_H

#include "sip/ua.h"
#include "tests/support/sip_peer.h"

#define SIP_WORLD_EVENTS_MAX 64
#define SIP_WORLD_TAG_MAX    128

struct sip_world_event {
    enum sipua_event_kind kind;
    int status;
    uint32_t q850;
    bool by_peer;
    char digit;
    uint16_t duration_ms;
    bool has_sdp;
    char sdp[2048];
    char text[4096];   /**< of a trace: the raw message, when asked for */
    char summary[256]; /**< of a trace */
    bool outgoing;     /**< of a trace */
};

struct sip_world {
    struct _GMainContext *context;
    struct sipua *ua;
    struct sip_peer peer;
    struct sipua_call *call; /**< the last one that came in */
    unsigned incoming_count;
    char from_user[128], from_display[128], to_user[128], offer[2048];
    bool has_offer;
    enum sipua_transport transport;
    struct wz_addr source;
    unsigned registered, unregistered;
    struct sip_world_event event[SIP_WORLD_EVENTS_MAX]; /**< without traces */
    size_t event_count;
    struct sip_world_event trace[SIP_WORLD_EVENTS_MAX];
    size_t trace_count;
    bool down;
};

/** A config that suits loopback tests; change it before sip_world_open(). */
struct sipua_config sip_world_config(void);
/** tcp: how the peer talks. */
void sip_world_open(struct sip_world *world, const struct sipua_config *config, bool tcp);
/** Shut down, wait for it, free. */
void sip_world_close(struct sip_world *world);
/** Run the loop for a moment without blocking. */
void sip_world_pump(void *arg);
/** Run until the number of events (without traces) reaches count; false after 5 s. */
bool sip_world_wait_events(struct sip_world *world, size_t count);
/** Run until so many bindings have gone; false after timeout_ms. */
bool sip_world_wait_unregistered(struct sip_world *world, unsigned count, unsigned timeout_ms);
/** The last event, or one with kind (enum)-1. */
const struct sip_world_event *sip_world_last(const struct sip_world *world);

/** REGISTER with the right password; expires -1: no Expires header. True when 200 came. */
bool sip_world_register(struct sip_world *world, const char *user, const char *password, int expires,
                        struct sip_peer_message *ret);
/** INVITE with digest up to the point where the application has it. ret: the 407 that was overcome. */
bool sip_world_invite(struct sip_world *world, const char *user, const char *password, const char *dialled,
                      const char *call_id, const char *sdp);
/** A request of alice's in a dialog with "someone". headers and body may be NULL. */
void sip_world_in_dialog(struct sip_world *world, const char *method, const char *call_id, const char *to_tag,
                         unsigned cseq, const char *headers, const char *body);
/** alice calls *43, is answered with sdp and sends the ACK (CSeq 2). to_tag: SIP_WORLD_TAG_MAX bytes, ours. */
bool sip_world_answered_call(struct sip_world *world, const char *call_id, const char *sdp, char *to_tag);
const char *sip_world_password(const char *user);

/* cmocka fixtures; *state is the world. change may be NULL. */
int sip_world_setup(void **state, bool tcp, void (*change)(struct sipua_config *config));
int sip_world_setup_udp(void **state);
int sip_world_setup_tcp(void **state);
int sip_world_teardown(void **state);

/** An offer of PCMU, PCMA and telephone-event on 127.0.0.1. */
extern const char *const sip_world_sdp;

#endif
